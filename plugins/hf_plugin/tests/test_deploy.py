from __future__ import annotations

import gzip
import hashlib
import json
import signal
import threading
import traceback
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import huggingface_hub
import pytest
from plugins.hf_plugin.tests.service import TOKEN, Fault, _Handler, serving
from tests.journey import start_llm, with_signals

from create_llm import responses
from create_llm.errors import ConfigError, CredentialsError, DataError, NetworkError
from create_llm.kernel.plugins import default_plugins
from create_llm.models.bundle import FORMAT, INFO, WEIGHTS
from create_llm.storage.durable import Storage
from create_llm_hf import hub
from create_llm_hf.config import HuggingFaceConfig
from create_llm_hf.deploy import HuggingFace

WEIGHT_BYTES = 400_000


@pytest.fixture
def bundle(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with Storage().commit(tmp_path / "models" / "v1") as writer:
        writer.write(WEIGHTS, [hashlib.sha256(b"x").digest() * (WEIGHT_BYTES // 32)])
        writer.write_json("config.json", {"model_type": "llama"})
        writer.write_json("tokenizer.json", {"version": "1.0"})
        writer.write_json(INFO, {"format": FORMAT, "recipe": {"data": {"train_path": "/home/me"}}})
        writer.write("README.md", [b"---\ntags:\n- create-llm\n---\n# v1\n"])
    return tmp_path / "models" / "v1"


def deploy(bundle, **options):
    target = HuggingFace(HuggingFaceConfig(**{"repo_name": "model", **options}))
    return target.apply(target.plan(bundle))


def test_the_repository_is_private_and_holds_what_was_planned(bundle, service):
    (bundle / "LICENSE").write_text("mine")
    for name in ("notes.txt", "LICENSE.private-notes", "more.model", "merges.txt"):
        (bundle / name).write_text("not for others")
    url = deploy(bundle)
    assert url == f"{service.url}/me/model"
    assert service.repos["me/model"].private
    held = service.held("me/model")
    sent = {"README.md", "LICENSE", "config.json", "model.safetensors", "tokenizer.json"}
    assert held.keys() == sent | {".gitattributes"}
    assert all(held[name] == (bundle / name).read_bytes() for name in sent)
    assert service.commits == 1


def test_a_public_repository_is_not_written_to_unless_asked(bundle, service):
    service.add("me/model", {".gitattributes": b""})
    with pytest.raises(ConfigError, match="public"):
        deploy(bundle)
    assert service.commits == 0
    deploy(bundle, private=False)
    assert service.commits == 1


def test_what_is_there_is_not_sent_again(bundle, service):
    deploy(bundle)
    deploy(bundle)
    assert service.commits == 1
    assert set(service.puts.values()) == {1}


def test_a_branch_of_its_own(bundle, service):
    url = deploy(bundle, revision="v2")
    assert url.endswith("/me/model/tree/v2")
    assert WEIGHTS in service.held("me/model", "v2")
    assert WEIGHTS not in service.held("me/model")


@pytest.mark.parametrize("tenth", range(10))
def test_an_upload_that_breaks_off_is_made_again_once(bundle, service, slept, tenth):
    service.faults["upload"] = [Fault(read=tenth / 10)]
    deploy(bundle)
    assert service.held("me/model")[WEIGHTS] == (bundle / WEIGHTS).read_bytes()
    assert (set(service.puts.values()), service.commits) == ({1}, 1)


@pytest.mark.parametrize("route", ["upload", "commit", "create", "verify"])
def test_a_lost_reply_leaves_one_result(bundle, service, slept, route):
    service.faults[route] = [Fault(afterwards=True)]
    deploy(bundle)
    assert service.commits == 1
    assert len(service.repos["me/model"].commits) == 2


ROUTES = ["whoami", "create", "info", "yaml", "preupload", "batch", "upload", "commit", "download"]


@pytest.mark.parametrize("route", ROUTES)
def test_bursts_of_errors_pass(bundle, service, slept, route):
    service.faults[route] = [Fault(status=503), Fault(status=502)]
    deploy(bundle)
    assert service.commits == 1
    assert slept


def _date():
    return format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)


@pytest.mark.parametrize("route", ["info", "upload", "commit"])
@pytest.mark.parametrize("asked", [lambda: "30", _date], ids=["seconds", "date"])
def test_it_waits_as_long_as_it_is_asked_to(bundle, service, slept, route, asked):
    service.faults[route] = [Fault(status=429, headers={"Retry-After": asked()})]
    deploy(bundle)
    assert service.commits == 1
    assert 25 < max(slept) < 35


def test_it_does_not_wait_for_an_hour(bundle, service, slept):
    service.faults["upload"] = [Fault(status=429, headers={"Retry-After": "3600"})]
    with pytest.raises(NetworkError, match="60 minutes"):
        deploy(bundle)
    assert service.commits == 0


@pytest.mark.parametrize("asked", [None, "0"])
def test_bars_are_for_a_terminal(bundle, service, monkeypatch, asked):
    service.lfs_from = 10
    named = ("--set", "deployment.huggingface.repo_name=mine")
    env = {} if asked is None else {"HF_HUB_DISABLE_PROGRESS_BARS": asked}
    monkeypatch.delenv("HF_HUB_DISABLE_PROGRESS_BARS")  # the tests' own
    llm = start_llm(bundle.parent, *named, "deploy", "v1", "--to", "huggingface", "--yes", env=env)
    said, told = llm.communicate(timeout=60)
    assert (llm.returncode, said.strip()) == (0, f"{service.url}/me/mine")
    assert ("100%" in told) == (asked is not None)
    assert "Warning" not in told


@with_signals
def test_an_upload_ends_when_it_is_asked_to(bundle, service):
    started = threading.Event()

    def hold():
        started.set()
        service.over.wait(60)

    service.lfs_from = 10  # several at once, for which the library takes threads
    service.before["upload"] = [hold] * 9
    named = ("--set", "deployment.huggingface.repo_name=mine")
    llm = start_llm(bundle.parent, *named, "deploy", "v1", "--to", "huggingface", "--yes")
    assert started.wait(60)
    llm.send_signal(signal.SIGINT)
    said, told = llm.communicate(timeout=25)
    assert (llm.returncode, said) == (130, "")
    assert "Traceback" not in told
    assert service.commits == 0


def test_a_service_that_stays_down_is_an_error_in_words(bundle, service, slept):
    service.faults["info"] = [Fault(status=500)] * 50
    with pytest.raises(NetworkError, match="answers 500"):
        deploy(bundle)


@pytest.mark.parametrize("route", ["whoami", "info", "upload", "commit"])
def test_silence_ends(bundle, service, slept, monkeypatch, route):
    monkeypatch.setattr(hub, "SILENCE", 0.3)
    huggingface_hub.close_session()
    service.faults[route] = [Fault(silent=True)]
    try:
        deploy(bundle)
    finally:
        huggingface_hub.close_session()
    assert service.commits == 1


@pytest.mark.parametrize(("route", "status"), [("whoami", 401), ("create", 403), ("commit", 403)])
def test_a_token_that_is_refused(bundle, service, slept, route, status):
    service.faults[route] = [Fault(status=status)]
    with pytest.raises(CredentialsError) as caught:
        deploy(bundle)
    assert not slept, "a refusal does not pass"
    assert TOKEN not in caught.value.render()
    assert service.commits == 0


def test_what_others_commit_meanwhile_stays(bundle, service, slept):
    def somebody():
        service.add("me/model", {"theirs.txt": b"theirs"})

    service.before["commit"] = [somebody]
    deploy(bundle)
    assert {"theirs.txt", WEIGHTS} <= service.held("me/model").keys()
    assert len([path for _, path, _ in service.seen if "/commit/" in path]) == 2


def test_a_service_that_quotes_the_token_is_not_quoted(bundle, service, slept):
    said = {"X-Error-Message": f"never heard of {TOKEN}"}
    service.faults["commit"] = [Fault(status=400, headers=said)]
    with pytest.raises(NetworkError, match="never heard of") as caught:
        deploy(bundle)
    shown = caught.value.render() + "".join(traceback.format_exception(caught.value))
    assert TOKEN not in shown


def test_a_refusal_is_one_even_where_it_asks_to_come_back(bundle, service, slept):
    service.faults["whoami"] = [Fault(status=401, headers={"Retry-After": "3600"})]
    with pytest.raises(CredentialsError):
        deploy(bundle)


def test_an_answer_of_something_else(bundle, service, slept, monkeypatch):
    monkeypatch.setattr(_Handler, "_whoami", lambda self, body: (200, {"some": "thing"}, {}))
    with pytest.raises(NetworkError, match="does not understand"):
        deploy(bundle)


def test_what_is_said_is_cut_after_the_token_is_hidden(bundle, service, slept):
    said = {"X-Error-Message": "x" * 190 + TOKEN}
    service.faults["commit"] = [Fault(status=400, headers=said)]
    with pytest.raises(NetworkError) as caught:
        deploy(bundle)
    assert "hf_t" not in caught.value.render()


def test_the_address_of_the_result_has_no_token(bundle, service, slept):
    me = json.dumps({"name": TOKEN, "auth": {"accessToken": {"role": "write"}}}).encode()
    service.faults["whoami"] = [Fault(status=200, body=me)]
    service.add(f"{TOKEN}/model", {}, private=True)
    assert deploy(bundle) == f"{service.url}/***/model"


@pytest.mark.parametrize("place", [f"http://u:{TOKEN}@other.test:81/x?k={TOKEN}", "http://[bad/"])
@pytest.mark.parametrize("route", ["create", "commit", "upload"])
def test_of_a_redirect_only_the_host_is_told(bundle, service, slept, route, place):
    service.faults[route] = [Fault(status=307, headers={"Location": place})]
    with pytest.raises(NetworkError, match=r"to (other\.test:81|another address);") as caught:
        deploy(bundle)
    assert TOKEN not in "".join(traceback.format_exception(caught.value))


ODD = [b"[1]", b"1", b"null", b'{"name": [1], "auth": 5}', b"[" * 100_000, b"{}"]


@pytest.mark.parametrize("body", ODD)
@pytest.mark.parametrize("route", ["whoami", "info", "preupload", "batch", "commit"])
def test_an_answer_of_something_else_is_told(bundle, service, slept, route, body):
    service.faults[route] = [Fault(status=200, body=body)] * 9
    with pytest.raises((NetworkError, ConfigError), match="the model cannot be sent"):
        deploy(bundle)


@pytest.mark.parametrize("place", ["file:///x", "http://[bad/", "http://127.0.0.1:port/", 5])
def test_a_place_for_a_file_that_is_none_is_told(bundle, service, slept, place):
    oid = hashlib.sha256((bundle / WEIGHTS).read_bytes()).hexdigest()
    wanted = {"oid": oid, "size": WEIGHT_BYTES, "actions": {"upload": {"href": place}}}
    for objects in ([wanted], [{**wanted, "oid": "another"}]):
        body = json.dumps({"transfer": "basic", "objects": objects}).encode()
        service.faults["batch"] = [Fault(status=200, body=body)] * 9
        with pytest.raises(NetworkError):
            deploy(bundle)
    assert service.commits == 0


def test_a_download_that_goes_in_circles_or_cannot_be_unpacked_is_told(bundle, service, slept):
    packed = {"Content-Encoding": "gzip"}
    service.faults["download"] = [Fault(status=200, body=b"no gzip", headers=packed)]
    with pytest.raises(NetworkError, match="does not understand"):
        deploy(bundle)
    circle = {"Location": f"{service.url}/me/model/resolve/main/README.md"}
    service.faults["download"] = [Fault(status=302, headers=circle)] * 99
    with pytest.raises(NetworkError, match="does not understand"):
        deploy(bundle)


def test_an_answer_ends(bundle, service, slept):
    service.faults["whoami"] = [Fault(status=200, body=bytes(responses.MOST_BYTES + 1))]
    with pytest.raises(NetworkError, match="more than 32 MB"):
        deploy(bundle)
    packed = {"Content-Encoding": "gzip"}
    service.faults["info"] = [Fault(status=200, body=gzip.compress(b"{}"), headers=packed)]
    with pytest.raises(NetworkError, match="packs"):
        deploy(bundle)
    assert service.commits == 0


@pytest.mark.parametrize("name", ["a--b", "a..b", "x" * 100])
def test_a_name_that_the_service_does_not_take(bundle, service, name):
    with pytest.raises(ConfigError, match="the model cannot be sent"):
        deploy(bundle, repo_name=name)
    assert service.commits == 0


@pytest.mark.parametrize("proxy", ["socks5://u:canary@127.0.0.1:9", "ftp://u:canary@127.0.0.1:9"])
def test_a_proxy_that_cannot_be_used_is_told(bundle, service, monkeypatch, proxy):
    monkeypatch.setenv("ALL_PROXY", proxy)
    huggingface_hub.close_session()
    with pytest.raises(NetworkError, match="proxy") as caught:
        deploy(bundle)
    assert "canary" not in "".join(traceback.format_exception(caught.value))


def test_a_repository_that_vanishes(bundle, service, slept):
    service.faults["info"] = [Fault(status=404, headers={"X-Error-Code": "RepoNotFound"})]
    with pytest.raises(ConfigError, match="nothing of that name"):
        deploy(bundle)


def test_a_token_that_only_reads_and_none_at_all(bundle, service, monkeypatch):
    service.role = "read"
    with pytest.raises(CredentialsError, match="only read"):
        deploy(bundle)
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr(hub, "get_token", lambda: None)
    with pytest.raises(CredentialsError, match="there is none"):
        deploy(bundle)
    assert not service.repos


@pytest.mark.parametrize("route", ["create", "preupload", "batch", "upload", "commit"])
def test_what_is_sent_does_not_follow_to_another_host(bundle, service, slept, route):
    with serving() as other:
        service.faults[route] = [Fault(status=307, headers={"Location": f"{other.url}/x"})]
        with pytest.raises(NetworkError, match="redirects"):
            deploy(bundle)
        assert not other.seen
    assert service.commits == 0


def test_the_token_does_not_follow_a_download_to_another_host(bundle, service, slept):
    with serving() as other:
        deploy(bundle)
        other.add("me/model", dict(service.held("me/model")))
        weights = f"{other.url}/me/model/resolve/main/{WEIGHTS}"
        service.faults["download"] = [Fault(status=302, headers={"Location": weights})] * 4
        with pytest.raises(NetworkError, match="comes back"):
            deploy(bundle)
        assert other.seen
        assert all(authorization is None for _, _, authorization in other.seen)


SECRETS = {
    "config.json": b'{"token": "hf_' + b"a" * 34 + b'"}',
    "README.md": b"# v1\n\nkey: sk-" + b"b" * 40 + b"\n",
    "tokenizer_config.json": b'{"x": "my-own-word-of-the-environment"}',
    "tokenizer.model": b"\x00\xff\x0a\x00\x12hf_" + b"a" * 34 + b"\xff",
    "more.safetensors": b"\x50\0\0\0\0\0\0\0" + b'{"__metadata__": {"k": "r8_' + b"a" * 34,
}


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_is_found_and_not_repeated(tmp_path, service, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "llm.toml").write_text("")
    (tmp_path / ".env").write_text("SOME_API_KEY=my-own-word-of-the-environment\n")
    with Storage().commit(tmp_path / "v1") as writer:
        writer.write(WEIGHTS, [b"w"])
        writer.write_json(INFO, {"format": FORMAT})
        writer.write(name, [SECRETS[name]])
    with pytest.raises(DataError, match="nothing was sent") as caught:
        HuggingFace(HuggingFaceConfig(repo_name="model")).plan(tmp_path / "v1")
    assert name in caught.value.render()
    assert "aaaa" not in caught.value.render()
    assert "bbbb" not in caught.value.render()
    assert "my-own-word" not in caught.value.render()
    assert not service.seen


def test_a_model_that_changes_after_its_plan_is_not_sent(bundle, service):
    target = HuggingFace(HuggingFaceConfig(repo_name="model"))
    plan = target.plan(bundle)
    (bundle / "LICENSE").write_text("another")
    with pytest.raises(DataError, match="changed since"):
        target.apply(plan)
    assert not service.seen


@pytest.mark.parametrize("name", ["a/b/c", "", "../x", "a b", "/x"])
def test_a_name_that_cannot_be(name):
    with pytest.raises(ValueError, match="repo_name"):
        HuggingFaceConfig(repo_name=name)


def test_the_token_is_in_no_repr(service, monkeypatch, tmp_path):
    assert TOKEN not in repr(hub.open_hub(hub.needed_token()))
    assert default_plugins().registry.get("deploy_targets", "huggingface")
