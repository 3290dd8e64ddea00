"""Both protocols against a server that speaks them."""

from __future__ import annotations

import gzip
import json
import traceback
from collections.abc import Iterator

import pytest
from pydantic import ValidationError
from tests import loopback
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
from create_llm.data.synthesis.asking import Request
from create_llm.errors import ConfigError, CredentialsError, NetworkError
from create_llm.testing import SynthesizerContract
from create_llm_synthex import backends
from create_llm_synthex.config import SynthexConfig
from create_llm_synthex.synthesizer import SynthexSynthesizer

KEY = "canary-0815"
SAMPLES = ("POST", "/v1/samples")
JOBS = ("POST", "/jobs/with-samples")
DATA = ("GET", "/jobs/with-samples/7/data")


class Answers:
    """Numbered samples, as many as asked for."""

    def __init__(self) -> None:
        self.written = 0

    def __call__(self, request: loopback.Request) -> Reply:
        wanted = request.json
        samples = []
        for _ in range(wanted["samples"]):
            self.written += 1
            question = f"What is {self.written} of {wanted['topic'] or wanted['passage']}?"
            samples.append({"question": question, "answer": f"It is {self.written}."})
        usage = {"input_tokens": 5, "output_tokens": 7, "cost": 0.25}
        return reply(200, {"samples": samples, "model": "m", "usage": usage})


@pytest.fixture
def service(monkeypatch, tmp_path) -> Iterator[Loopback]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SYNTHEX_API_KEY", KEY)
    with Loopback() as server:
        server.on(*SAMPLES, Answers())
        server.on("GET", "/v1/account", reply(200, {}))
        yield server


@pytest.fixture(autouse=True)
def pauses(monkeypatch):
    """The pauses between attempts and polls, which are not waited for."""
    found: list[float] = []
    monkeypatch.setitem(retries.patiently.__kwdefaults__, "sleep", found.append)
    monkeypatch.setattr(backends.time, "sleep", found.append)
    return found


def asking(service: Loopback, **options) -> SynthexSynthesizer:
    return SynthexSynthesizer(SynthexConfig(base_url=service.url, **options))


class TestSynthex(SynthesizerContract):
    name = "synthex"

    @pytest.fixture(autouse=True)
    def _served(self, service):
        self._url = service.url
        type(self).options = {"base_url": service.url}

    def synthesizer(self):
        return self.part().load()(self.config(base_url=self._url))


def test_samples_come_with_their_model_and_what_they_took(service):
    answer = asking(service).ask(Request(2, None, "The tide.", ("Why?",)))
    assert [each.meta["model"] for each in answer.documents] == ["m", "m"]
    assert answer.usage.cost == 0.25
    (asked,) = service.asked(*SAMPLES)
    assert asked.json == {"samples": 2, "topic": None, "passage": "The tide.", "known": ["Why?"]}
    assert asked.headers["Authorization"] == f"Bearer {KEY}"


def test_a_busy_service_is_asked_again_with_the_same_key_against_paying_twice(service, pauses):
    service.first(*SAMPLES, too_many(7), too_many(30, as_date=True), reply(502), reset(0))
    service.first(*SAMPLES, dropped({"samples": []}, 4), stalled(30))
    assert len(asking(service, timeout=0.3).ask(Request(1)).documents) == 1
    assert pauses[0] == 7
    assert 28 < pauses[1] <= 30
    asked = service.asked(*SAMPLES)
    assert len(asked) == 7
    assert len({each.headers["Idempotency-Key"] for each in asked}) == 1


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_is_an_error_without_the_key(service, status):
    service.on("GET", "/v1/account", reply(status, {"error": f"{KEY} is wrong"}))
    with pytest.raises(CredentialsError) as caught:
        asking(service).check()
    assert KEY not in caught.value.render()
    assert service.asked(*SAMPLES) == []


def test_the_key_follows_no_redirect(service):
    with Loopback() as elsewhere:
        service.on(*SAMPLES, redirect(f"{elsewhere.url}/v1/samples"))
        with pytest.raises(NetworkError, match="sends us on"):
            asking(service).ask(Request(1))
        assert elsewhere.requests == []


def test_one_request_that_is_refused_is_rejected_alone(service):
    service.first(*SAMPLES, reply(422, {"error": "not that"}))
    synthesizer = asking(service)
    assert "not that" in synthesizer.ask(Request(1)).rejected[0].problem
    assert synthesizer.ask(Request(1)).documents


@pytest.mark.parametrize(
    "body", ["<html>", [], {"samples": None}, {}, "", '{"samples": [', "[" * 100_000]
)
def test_what_is_not_the_contract_is_told(service, body):
    service.on(*SAMPLES, reply(200, body))
    with pytest.raises(NetworkError, match="answers with"):
        asking(service).ask(Request(1))


def test_a_sample_without_an_answer_is_rejected(service):
    bad = [{"question": "Why?"}, 7, {"question": " ", "answer": "x"}]
    service.on(*SAMPLES, reply(200, {"samples": bad}))
    answer = asking(service).ask(Request(3))
    assert (answer.documents, len(answer.rejected)) == ((), 3)


@pytest.mark.parametrize("status", [200, 307, 422])
def test_an_answer_ends(service, pauses, monkeypatch, status):
    flood = gzip.compress(bytes(responses.MOST_BYTES + 1))
    elsewhere = {"Location": "http://other.test/"} if status == 307 else {}
    service.on(*SAMPLES, Reply(status, flood, {"Content-Encoding": "gzip", **elsewhere}))
    said = "sends us on" if status == 307 else "sends more than 32 MB"
    with pytest.raises(NetworkError, match=said):
        asking(service).ask(Request(1))
    if status == 200:
        monkeypatch.setattr(responses, "LONGEST", 0.2)
        service.on(*SAMPLES, dripping(0.05, b" " * 1000))
        with pytest.raises(NetworkError, match="is not done"):
            asking(service, timeout=0.15).ask(Request(1))
    assert pauses == []


def test_what_cannot_be_unpacked_is_not_asked_for_again(service, pauses):
    service.on(*SAMPLES, Reply(200, b"no gzip", {"Content-Encoding": "gzip"}))
    with pytest.raises(NetworkError, match="cannot be unpacked"):
        asking(service).ask(Request(1))
    assert pauses == []


@pytest.mark.parametrize("place", [f"http://u:{KEY}@other.test:81/v1?k={KEY}", "http://[bad/"])
def test_of_a_redirect_only_the_host_is_told(service, place):
    service.on(*SAMPLES, redirect(place))
    with pytest.raises(NetworkError, match=r"on to (other\.test:81|another address),") as caught:
        asking(service).ask(Request(1))
    assert KEY not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("said", ["x" * 190 + KEY, f"{KEY[:6]}\n {KEY[6:]}", "\x1b[31m\ud800"])
def test_what_is_said_is_shown_in_part_and_without_the_key(service, said):
    service.on(*SAMPLES, reply(422, {"error": said}))
    (rejected,) = asking(service).ask(Request(1)).rejected
    assert KEY[:6] not in rejected.problem
    assert KEY[6:] not in rejected.problem
    assert rejected.problem.isprintable()


def test_the_key_is_not_kept_where_the_service_brings_it(service):
    pair = {"question": f"What is {KEY}?", "answer": f"It is {KEY}."}
    body = json.dumps({"samples": [pair], "model": f"m {KEY} \ud800"})
    service.on(*SAMPLES, reply(200, body.replace("canary", "can\\u0061ry")))
    answer = asking(service).ask(Request(1))
    assert answer.documents[0].meta["model"] == "m *** \N{REPLACEMENT CHARACTER}"
    assert KEY not in repr(answer)


@pytest.mark.parametrize("cost", ["1", -1, 10**400, float("nan"), float("inf")])
def test_what_is_no_cost_or_number_of_tokens_counts_nothing(service, cost):
    usage = {"input_tokens": -1, "output_tokens": 10**400, "cost": cost}
    pair = {"question": "Why?", "answer": "So."}
    service.on(*SAMPLES, reply(200, {"samples": [pair], "usage": usage}))
    took = asking(service).ask(Request(1)).usage
    assert (took.input_tokens, took.output_tokens, took.cost) == (0, 0, None)


@pytest.mark.parametrize("number", ["../../v1/account?x=", "x" * 1000, "\ud800"])
def test_the_number_of_a_job_is_no_way_to_another_address(service, number):
    service.on(*JOBS, reply(200, {"data": number}))
    with pytest.raises(NetworkError):
        asking(service, backend="tanaos", longest_wait=5).ask(Request(1))
    paths = [each.path for each in service.requests]
    assert all(path == JOBS[1] or path.count("/") == 4 for path in paths)


def test_tanaos_begins_a_job_and_takes_its_rows_as_they_come(service, pauses):
    rows = [{"question": f"Why {n}?", "answer": "So."} for n in range(3)]
    service.on("GET", "/user/credits/", reply(200, {"data": {"promotional": 1}}))
    service.on(*JOBS, reply(200, {"data": "7"}))
    service.first(*DATA, *(reply(206, {"data": part}) for part in ([], rows[:2])))
    service.on(*DATA, reply(200, {"data": rows[2:]}))
    synthesizer = asking(service, backend="tanaos")
    assert synthesizer.check() == service.url
    answer = synthesizer.ask(Request(3, "the sea"))
    assert [each.segments[0].text for each in answer.documents] == ["Why 0?", "Why 1?", "Why 2?"]
    (begun,) = service.asked(*JOBS)
    assert begun.headers["X-API-Key"] == KEY
    assert begun.json["datapoint_num"] == 3
    assert "the sea" in str(begun.json["requirements"])
    assert pauses == [15.0, 15.0]
    assert all("Authorization" not in each.headers for each in service.requests)


def test_tanaos_takes_no_text(service):
    with pytest.raises(ConfigError, match="takes no text"):
        asking(service, backend="tanaos").ask(Request(1, passage="x"))


@pytest.mark.parametrize(
    "options",
    [
        {"base_url": "http://example.org"},
        {"base_url": "https://u:p@example.org"},
        {"base_url": "file:///etc"},
    ],
)
def test_addresses_that_are_none_or_unsafe_are_refused(options):
    with pytest.raises(ValidationError, match="base_url"):
        SynthexConfig(**options)


def test_without_an_address_it_says_that_there_is_none():
    with pytest.raises(ConfigError, match="publishes no address"):
        SynthexSynthesizer(SynthexConfig())


def test_tanaos_has_an_address_of_its_own():
    assert SynthexConfig(backend="tanaos").address == "https://synthex.tanaos.com"
