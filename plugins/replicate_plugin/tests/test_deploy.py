"""What the service does, and what becomes of it."""

from __future__ import annotations

import json
import socket
import traceback

import httpx
import pytest
from plugins.replicate_plugin.tests.service import (
    HARDWARE,
    MODELS,
    PREDICTIONS,
    TOKEN,
    programs,
    reached,
    serving,
)
from tests.loopback import (
    Loopback,
    Reply,
    dripping,
    dropped,
    redirect,
    reply,
    reset,
    stalled,
    too_many,
)

from create_llm import responses, retries
from create_llm.errors import ConfigError, CredentialsError, DataError, NetworkError, PluginError
from create_llm.models.bundle import FORMAT, INFO, WEIGHTS
from create_llm.storage.durable import Storage
from create_llm_replicate.config import ReplicateConfig
from create_llm_replicate.deploy import Replicate
from create_llm_replicate.service import Service

ACCOUNT = ("GET", "/v1/account")
MODEL = ("GET", "/v1/models/me/model")
PROGRESS = ("GET", "/v1/predictions/p1")


@pytest.fixture
def bundle(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with Storage().commit(tmp_path / "models" / "v1") as writer:
        writer.write(WEIGHTS, [bytes(1000)])
        writer.write_json("config.json", {"model_type": "llama"})
        writer.write_json("generation_config.json", {"temperature": 0.5})
        recipe = {"data": {"train_path": "/home/me", "packing": "joined"}}
        writer.write_json(INFO, {"format": FORMAT, "recipe": recipe})
    return tmp_path / "models" / "v1"


@pytest.fixture
def service(tmp_path, monkeypatch):
    with serving() as service:
        reached(monkeypatch, service, programs(tmp_path / "bin", service, "cog", "docker"))
        yield service


@pytest.fixture(autouse=True)
def slept(monkeypatch):
    """Nothing sleeps; how long it would have."""
    seconds: list[float] = []
    monkeypatch.setattr("time.sleep", seconds.append)
    monkeypatch.setitem(retries.patiently.__kwdefaults__, "sleep", seconds.append)
    return seconds


def target(**options):
    return Replicate(ReplicateConfig(**{"model_name": "model", **options}))


def deploy(bundle, **options):
    made = target(**options)
    return made.apply(made.plan(bundle))


def predict(service):
    service.add("me/model")
    service.served("me/model", "")
    return "".join(target().predict("Tell me"))


def test_the_model_is_private_and_the_url_is_what_the_service_says(bundle, service, tmp_path):
    assert deploy(bundle) == "https://replicate.test/me/model"
    (made,) = service.asked(*MODELS)
    look = {"visibility": "private", "hardware": "cpu"}
    assert made.json == {"owner": "me", "name": "model", **look}
    assert made.headers["Authorization"] == f"Bearer {TOKEN}"
    (push,) = service.pushes
    assert push["arguments"] == ["push", "r8.im/me/model"]
    package = tmp_path / "exports/replicate/v1"
    planned = {file.path: file.size for file in target().plan(bundle).files}
    assert {name: (package / name).stat().st_size for name in planned} == planned
    told = (package / "model" / INFO).read_text()
    assert "/home/me" not in told
    assert json.loads(told)["recipe"] == {"data": {"packing": "joined"}}


def test_what_is_there_is_not_pushed_again(bundle, service):
    assert deploy(bundle) == deploy(bundle)
    assert len(service.pushes) == len(service.asked(*MODELS)) == 1
    deploy(bundle, hardware="gpu-t4")
    assert len(service.pushes) == 2


def test_a_gpu_gets_cuda(bundle, tmp_path, service):
    deploy(bundle, hardware="gpu-t4")
    package = tmp_path / "exports/replicate/v1"
    assert "gpu: true" in (package / "cog.yaml").read_text()
    assert "+cpu" not in (package / "requirements.txt").read_text()
    deploy(bundle)
    assert "gpu: false" in (package / "cog.yaml").read_text()
    assert "torch==" in (package / "requirements.txt").read_text()
    assert "+cpu" in (package / "requirements.txt").read_text()


@pytest.mark.parametrize("there", [(), ("cog",), ("docker",)])
def test_without_cog_and_docker_it_says_what_is_left(bundle, service, monkeypatch, tmp_path, there):
    monkeypatch.setenv("PATH", str(programs(tmp_path / "few", service, *there)))
    with pytest.raises(PluginError, match="not finished") as error:
        deploy(bundle)
    told = error.value.render()
    assert f"cd {tmp_path}/exports/replicate/v1" in told
    assert "cog push r8.im/me/model" in told
    assert "replicate.test" not in told
    assert (tmp_path / "exports/replicate/v1/model" / WEIGHTS).is_file()
    assert "me/model" in service.models
    package = (tmp_path / "exports/replicate/v1/run.py").read_text()
    service.served("me/model", package)  # pushed by hand
    assert deploy(bundle) == "https://replicate.test/me/model"


def test_a_push_that_fails_is_no_success(bundle, service, monkeypatch, tmp_path):
    path = programs(tmp_path / "failing", service, "cog", "docker", fails=True)
    monkeypatch.setenv("PATH", str(path))
    with pytest.raises(PluginError, match="exit code 3"):
        deploy(bundle)


def test_a_push_that_the_service_does_not_show_is_no_success(bundle, service):
    service.on("POST", "/pushed", reply(200))
    with pytest.raises(NetworkError, match="does not show"):
        deploy(bundle)


def test_a_public_model_is_not_pushed_to_unless_asked(bundle, service):
    service.add("me/model", "public")
    with pytest.raises(ConfigError, match="public"):
        deploy(bundle)
    assert not service.pushes
    deploy(bundle, visibility="public")
    assert len(service.pushes) == 1


def test_a_bundle_that_changed_is_not_sent(bundle, service):
    plan = target().plan(bundle)
    with Storage().commit(bundle) as writer:
        writer.write(WEIGHTS, [bytes(1001)])
        writer.write_json("generation_config.json", {})
        writer.write_json(INFO, {"format": FORMAT})
    with pytest.raises(DataError, match="changed"):
        target().apply(plan)
    assert not service.requests


def test_what_is_deployed_runs(service):
    assert predict(service) == "Once upon a time"
    (asked,) = service.asked(*PREDICTIONS)
    assert asked.json == {"version": "v0", "input": {"prompt": "Tell me"}}


def test_nothing_deployed(service):
    with pytest.raises(ConfigError, match="nothing to run at me/model"):
        "".join(target().predict("a"))
    service.add("me/model")
    with pytest.raises(ConfigError, match="nothing to run"):
        "".join(target().predict("a"))


def test_a_model_that_fails_there(service):
    service.outcome = "failed"
    with pytest.raises(NetworkError, match="out of memory") as error:
        predict(service)
    assert TOKEN not in error.value.render()


def test_what_nobody_waits_for_is_stopped(service):
    service.add("me/model")
    service.served("me/model", "")
    pieces = target().predict("a")
    assert next(pieces) == "Once"
    pieces.close()
    assert service.cancelled == 1


FAULTS = {
    "seconds": (lambda: too_many(7), 7),
    "date": (lambda: too_many(30, as_date=True), 25),
    "500": (lambda: reply(500), 0),
    "502": (lambda: reply(502), 0),
    "503": (lambda: too_many(5, status=503), 5),
    "reset": (lambda: reset(0), 0),
    "torn": (lambda: dropped({"owner": "me"}, 3), 0),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("call", [ACCOUNT, MODEL, MODELS])
def test_what_may_pass_is_tried_again(service, slept, fault, call):
    answer, least = FAULTS[fault]
    service.first(*call, answer())
    asked = Service()
    name = asked.full_name("model")
    asked.make_model(name, ReplicateConfig(model_name="model"))
    assert max(slept) >= least
    assert list(service.models) == ["me/model"]


def test_silence_is_not_waited_for_without_end(service):
    service.first(*ACCOUNT, stalled(30))
    assert Service(httpx.Timeout(0.2)).full_name("model") == "me/model"


def test_a_prediction_of_which_nothing_is_said_is_not_waited_for_either(service, monkeypatch):
    service.first(*PREDICTIONS, stalled(30))
    monkeypatch.setattr(Service.__init__, "__defaults__", (httpx.Timeout(0.2),))
    with pytest.raises(NetworkError, match="nothing for too long"):
        predict(service)


def test_a_service_that_stays_away(service, slept):
    service.on(*ACCOUNT, reply(503))
    with pytest.raises(NetworkError, match="8 attempts"):
        Service().full_name("model")
    service.on(*ACCOUNT, too_many(3600))
    with pytest.raises(NetworkError, match="1 attempt"):
        Service().full_name("model")


def test_without_a_network_it_is_soon_given_up(bundle, monkeypatch, slept):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        monkeypatch.setenv("REPLICATE_BASE_URL", f"http://127.0.0.1:{nobody.getsockname()[1]}")
        monkeypatch.setenv("REPLICATE_API_TOKEN", TOKEN)
        with pytest.raises(NetworkError, match="out of reach: no connection") as caught:
            deploy(bundle)
    assert "check the network" in caught.value.render()
    assert sum(slept) <= 3


def test_hardware_that_is_not_known_is_told_in_the_plan(bundle):
    (told,) = (call for call in target(hardware="gpu-t5").plan(bundle).calls if "gpu-t5" in call)
    assert "not known here" in told
    assert "did you mean 'gpu-t4'?" in told
    assert not any("not known" in call for call in target(hardware="gpu-t4").plan(bundle).calls)


def test_hardware_that_the_service_does_not_list_is_refused(bundle, service):
    with pytest.raises(ConfigError, match="no hardware called 'gpu-t5'") as caught:
        deploy(bundle, hardware="gpu-t5")
    assert "gpu-b300" in caught.value.render()
    assert not service.models
    assert not service.pushes
    deploy(bundle, hardware="gpu-b300")  # newer than what is known here
    assert service.asked(*MODELS)[0].json["hardware"] == "gpu-b300"


def test_a_service_without_a_list_of_hardware_decides_by_itself(bundle, service):
    service.on(*HARDWARE, reply(404, {"detail": "not found", "status": 404}))
    deploy(bundle, hardware="gpu-t5")
    assert service.models


def test_a_lost_answer_makes_one_model(bundle, service):
    service.first(*MODEL, reply(404))
    service.add("me/model")  # by a request whose answer was lost
    assert deploy(bundle) == "https://replicate.test/me/model"
    service.first(*MODEL, reply(404), reply(404))
    with pytest.raises(ConfigError, match="somebody else"):
        deploy(bundle)


@pytest.mark.parametrize("fault", ["500", "502", "reset", "torn"])
def test_a_prediction_is_not_paid_for_twice(service, fault):
    service.first(*PREDICTIONS, FAULTS[fault][0]())
    with pytest.raises(NetworkError, match="whether it runs"):
        predict(service)
    assert len(service.asked(*PREDICTIONS)) == 1


@pytest.mark.parametrize("fault", ["seconds", "date", "503"])
def test_a_prediction_that_was_not_begun_is_asked_for_again(service, fault):
    service.first(*PREDICTIONS, FAULTS[fault][0]())
    service.first(*PROGRESS, reset(0), reply(500))
    assert predict(service) == "Once upon a time"


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_token_is_not_repeated(service, status):
    service.on(*ACCOUNT, reply(status, {"detail": f"no, {TOKEN} is wrong", "status": status}))
    with pytest.raises(CredentialsError, match="refuses the key") as error:
        Service().full_name("model")
    shown = error.value.render() + "".join(traceback.format_exception(error.value))
    assert TOKEN not in shown
    assert len(service.requests) == 1


@pytest.mark.parametrize("body", ["<html>", {"some": "thing"}, [1], b"\xff", b"[" * 100_000])
def test_an_answer_of_something_else(service, body):
    service.on(*ACCOUNT, reply(200, body))
    with pytest.raises(NetworkError, match="does not understand"):
        Service().full_name("model")
    service.on(*ACCOUNT, reply(404, body))
    with pytest.raises(NetworkError):
        Service().full_name("model")


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_the_token_goes_to_no_other_host(service, status):
    with Loopback() as other:
        service.on(*ACCOUNT, redirect(f"{other.url}/v1/account", status))
        with pytest.raises(NetworkError, match="sends us on"):
            Service().full_name("model")
        assert not other.requests


@pytest.mark.parametrize("place", [f"http://u:{TOKEN}@other.test:81/?k={TOKEN}", "http://[bad/"])
def test_of_a_redirect_only_the_host_is_told(service, place):
    service.on(*ACCOUNT, redirect(place))
    with pytest.raises(NetworkError, match=r"on to (other\.test:81|another address),") as caught:
        Service().full_name("model")
    assert TOKEN not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("said", ["x" * 290 + TOKEN, f"{TOKEN[:6]}\n {TOKEN[6:]}", {"a": TOKEN}])
def test_what_is_said_is_shown_in_part_and_without_the_token(service, said):
    service.on(*ACCOUNT, reply(402, {"detail": said, "status": 402}))
    with pytest.raises(NetworkError) as caught:
        Service().full_name("model")
    assert TOKEN[:6] not in caught.value.render()
    assert TOKEN[6:] not in caught.value.render()


def test_what_the_model_and_the_address_say_is_shown_without_the_token(bundle, service):
    service.words = ["Once", f" {TOKEN}"]
    assert predict(service) == "Once ***"
    service.models["me/model"]["url"] = f"https://replicate.test/\x1b[2J?{TOKEN}"
    assert deploy(bundle) == "https://replicate.test/\N{REPLACEMENT CHARACTER}[2J?***"


@pytest.mark.parametrize("status", [200, 404])
def test_an_answer_ends(service, slept, monkeypatch, status):
    service.on(*ACCOUNT, Reply(status, bytes(responses.MOST_BYTES + 1)))
    with pytest.raises(NetworkError, match="sends more than 32 MB"):
        Service().full_name("model")
    service.on(*ACCOUNT, Reply(status, b"packed", {"Content-Encoding": "gzip"}))
    with pytest.raises(NetworkError, match="does not understand"):
        Service().full_name("model")
    monkeypatch.setattr("create_llm_replicate.transport.LONGEST", 0.2)
    service.on(*ACCOUNT, dripping(0.05, b" " * 1000))
    with pytest.raises(NetworkError, match="is not done"):
        Service().full_name("model")
    assert slept == []


SECRETS = {
    "tokenizer.model": b"\xffhf_" + b"a" * 34,
    "README.md": b"key: my-own-word-of-the-environment",
}


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_is_found_and_not_sent(bundle, service, monkeypatch, name):
    def write(content, **recipe):
        with Storage().commit(bundle) as writer:
            writer.write(WEIGHTS, [bytes(1000)])
            writer.write_json("generation_config.json", {})
            writer.write_json(INFO, {"format": FORMAT, "recipe": recipe})
            writer.write(name, [content])

    monkeypatch.setenv("SOME_API_KEY", "my-own-word-of-the-environment")
    write(b"", key="hf_" + "a" * 34)
    assert target().plan(bundle), "the recipe is not sent"
    write(SECRETS[name])
    with pytest.raises(DataError, match="nothing was sent") as caught:
        target().plan(bundle)
    assert name in caught.value.render()
    assert "aaaa" not in caught.value.render()
    assert "my-own" not in caught.value.render()


@pytest.mark.parametrize("folder", ["models", "models/v1", "precious"])
def test_nothing_else_gives_way_to_the_package(bundle, service, tmp_path, folder):
    (tmp_path / "precious" / "v1").mkdir(parents=True)
    (tmp_path / "precious" / "v1" / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match=r"something else|inside a model"):
        deploy(bundle, folder=folder)
    assert (bundle / WEIGHTS).is_file()
    assert (tmp_path / "precious" / "v1" / "notes.txt").is_file()
    assert not service.requests


def test_a_package_that_cog_wrote_to_gives_way(bundle, service, tmp_path):
    deploy(bundle)
    (tmp_path / "exports/replicate/v1/.cog").mkdir()
    (tmp_path / "exports/replicate/v1/.cog/cache").write_text("x")
    assert deploy(bundle, hardware="gpu-t4")


@pytest.fixture
def no_proxy(monkeypatch):
    for name in ("http", "https", "all", "no"):
        for variable in (f"{name}_proxy", f"{name}_proxy".upper()):
            monkeypatch.delenv(variable, raising=False)


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "ALL_PROXY"])
def test_the_proxy_of_the_environment_is_asked(service, slept, monkeypatch, no_proxy, variable):
    monkeypatch.setenv("REPLICATE_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv(variable, service.url)
    service.on("GET", "http://127.0.0.1:9/v1/account", reply(200, {"type": "user"}))
    with pytest.raises(NetworkError):
        Service().full_name("model")
    assert [each.path for each in service.requests] == ["http://127.0.0.1:9/v1/account"]
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with pytest.raises(NetworkError, match="no connection to"):
        Service().full_name("model")
    assert len(service.requests) == 1


@pytest.mark.parametrize("proxy", ["socks5://u:canary@127.0.0.1:9", "ftp://u:canary@127.0.0.1:9"])
def test_a_proxy_that_cannot_be_used_is_told(service, monkeypatch, no_proxy, proxy):
    monkeypatch.setenv("ALL_PROXY", proxy)
    with pytest.raises(NetworkError, match="proxy") as caught:
        Service()
    assert "canary" not in "".join(traceback.format_exception(caught.value))


def test_no_token_and_no_protection(service, monkeypatch):
    monkeypatch.setenv("REPLICATE_BASE_URL", "http://example.org")
    with pytest.raises(CredentialsError, match="unprotected"):
        Service().full_name("model")
    monkeypatch.setenv("REPLICATE_BASE_URL", service.url)
    monkeypatch.delenv("REPLICATE_API_TOKEN")
    with pytest.raises(CredentialsError, match="there is none"):
        Service().full_name("model")
    assert not service.requests


@pytest.mark.parametrize("username", ["", "..", "../..", "a/b", "a b", "a\n"])
def test_an_account_that_cannot_be(service, username):
    account = {"type": "user", "username": username, "name": "Me", "github_url": None}
    service.on(*ACCOUNT, reply(200, account))
    with pytest.raises(NetworkError, match="account that cannot be"):
        Service().full_name("model")
