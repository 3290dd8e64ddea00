"""What the service does, and what becomes of it."""

from __future__ import annotations

import gzip
import json
import traceback

import pytest
from pydantic import ValidationError
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
from create_llm.data.documents import Origin, Rejected
from create_llm.data.synthesis.asking import Request
from create_llm.errors import ConfigError, CredentialsError, NetworkError
from create_llm_openai.config import GroqConfig, OpenAIConfig
from create_llm_openai.pairs import messages_of, pairs_in
from create_llm_openai.synthesizer import GroqSynthesizer, OpenAISynthesizer

from .conftest import CHAT, KEY, MODELS, completion

ORIGIN = Origin("service", 1)


@pytest.fixture
def pauses(monkeypatch):
    """The pauses between attempts, which are not waited for."""
    found: list[float] = []
    keep = retries.patiently.__kwdefaults__
    monkeypatch.setitem(keep, "sleep", found.append)
    return found


def asking(service: Loopback, **options) -> OpenAISynthesizer:
    options = {"base_url": f"{service.url}/v1", "model": "small-1", **options}
    return OpenAISynthesizer(OpenAIConfig(**options))


def refused(status: int, **error) -> Reply:
    return reply(status, {"error": {"message": f"no, {KEY} is wrong", "type": "x", **error}})


def test_pairs_come_with_their_model_and_what_they_took(service):
    answer = asking(service, input_price=10, output_price=100).ask(Request(3, "the sea"))
    assert [[turn.role for turn in each.segments] for each in answer.documents] == [
        ["user", "assistant"]
    ] * 3
    assert {each.meta["model"] for each in answer.documents} == {"small-1"}
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (100, 40)
    assert answer.usage.cost == pytest.approx(0.005)
    (asked,) = service.asked(*CHAT)
    assert asked.headers["Authorization"] == f"Bearer {KEY}"
    assert "temperature" not in asked.json
    assert "response_format" not in asked.json


def test_accounts_at_openai_itself_are_told_to_nobody(service, monkeypatch):
    for name in ("OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_ADMIN_KEY"):
        monkeypatch.setenv(name, "canary-account")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    synthesizer = asking(service)
    synthesizer.check()
    synthesizer.ask(Request(1))
    assert len(service.requests) == 2
    assert all("canary-account" not in str(each.headers) for each in service.requests)


def test_a_busy_service_is_asked_again_when_it_wants(service, pauses):
    service.first(*CHAT, too_many(7), too_many(30, as_date=True), reply(500), reply(503))
    service.first(*CHAT, reset(0), dropped({"choices": []}, 4))
    assert len(asking(service).ask(Request(2)).documents) == 2
    assert pauses[0] == 7
    assert 28 < pauses[1] <= 30
    assert len(service.asked(*CHAT)) == 7


def test_silence_is_not_waited_for_without_end(service, pauses):
    service.first(*CHAT, stalled(30))
    assert asking(service, timeout=0.2).ask(Request(1)).documents
    assert len(pauses) == 1


def test_a_limit_that_lasts_for_hours_ends_it(service, pauses):
    service.first(*CHAT, too_many(4000))
    with pytest.raises(NetworkError, match="slow down"):
        asking(service).ask(Request(1))
    service.first(*CHAT, Reply(429, refused(429).body, {"Retry-After": "4000"}))
    with pytest.raises(NetworkError) as caught:
        asking(service).ask(Request(1))
    assert KEY not in "".join(traceback.format_exception(caught.value))
    assert pauses == []


def test_a_quota_that_is_used_up_is_not_asked_again(service, pauses):
    service.first(*CHAT, refused(429, code="insufficient_quota"))
    with pytest.raises(NetworkError):
        asking(service).ask(Request(1))
    assert pauses == []


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_is_an_error_without_the_key(service, status):
    service.on(*CHAT, refused(status))
    with pytest.raises(CredentialsError) as caught:
        asking(service).ask(Request(1))
    told = caught.value.render()
    assert KEY not in told + "".join(traceback.format_exception(caught.value))
    assert "environment OPENAI_API_KEY" in told


def test_the_key_is_checked_before_anything_is_paid_for(service, monkeypatch):
    service.on(*MODELS, refused(401))
    with pytest.raises(CredentialsError):
        asking(service).check()
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(CredentialsError, match="needs a key"):
        asking(service).check()
    assert service.asked(*CHAT) == []


@pytest.mark.parametrize("status", [403, 404, 405])
def test_a_service_that_lists_no_models_can_be_asked(service, status):
    service.on(*MODELS, refused(status))
    assert "small-1" in asking(service).check()


@pytest.mark.parametrize("body", ["<html>hello</html>", {}, [], {"data": None}])
def test_a_strange_list_of_models_is_no_harm(service, body):
    service.on(*MODELS, reply(200, body))
    asking(service).check()


def test_a_model_that_is_not_there_is_named_with_those_that_are(service):
    service.on(*CHAT, refused(404))
    with pytest.raises(ConfigError) as caught:
        asking(service, model="smal-1").ask(Request(1))
    assert "did you mean 'small-1'?" in caught.value.render()


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_the_key_follows_no_redirect(service, status):
    with Loopback() as elsewhere:
        elsewhere.on("*", "/*", completion("{}"))
        for asked in (CHAT, MODELS):
            service.on(*asked, redirect(f"{elsewhere.url}{asked[1]}", status))
        with pytest.raises(NetworkError, match="sends us on"):
            asking(service).check()
        with pytest.raises(NetworkError, match="sends us on"):
            asking(service).ask(Request(1))
        assert elsewhere.requests == []


@pytest.mark.parametrize("status", [400, 413, 422])
def test_one_request_that_is_refused_is_rejected_alone(service, status):
    service.first(*CHAT, refused(status))
    synthesizer = asking(service)
    (rejected,) = synthesizer.ask(Request(1)).rejected
    assert KEY not in rejected.problem
    assert synthesizer.ask(Request(1)).documents


@pytest.mark.parametrize(
    "body",
    [
        *("<html>hello</html>", {}, [], {"choices": []}, {"choices": [{}]}, {"choices": None}),
        *({"choices": {"a": 1}}, {"choices": "abc"}, {"choices": [{"message": "hello"}]}),
        *({"choices": [{"message": [1]}]}, b"", b'{"choices": [', b'{"choices": "\xff\xfe"}'),
        *(b"[" * 100_000, b'{"model": "\\ud800", "choices": [{"message": {}}]}'),
    ],
)
def test_what_is_no_completion_is_told(service, pauses, body):
    kind = {"Content-Type": "application/json"}
    service.on(*CHAT, reply(200, body, kind if isinstance(body, bytes) else None))
    with pytest.raises(NetworkError, match="no chat completion"):
        asking(service).ask(Request(1))
    assert len(service.asked(*CHAT)) == 1


def with_(**fields) -> Reply:
    """A good completion but for these."""
    return reply(200, {**json.loads(completion(json.dumps([PAIR])).body), **fields})


@pytest.mark.parametrize(
    "usage",
    [
        *("x", [1], None, {}, {"prompt_tokens": "many", "completion_tokens": [1]}),
        {"prompt_tokens": -5, "completion_tokens": 1.5},
        {"prompt_tokens": True, "completion_tokens": 10**400},
    ],
)
def test_what_is_no_number_of_tokens_counts_nothing(service, usage):
    service.on(*CHAT, with_(usage=usage))
    answer = asking(service, input_price=1, output_price=1).ask(Request(1))
    assert len(answer.documents) == 1
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (0, 0)


@pytest.mark.parametrize("model", [5, None, ["a"], {"a": 1}, ""])
def test_a_model_without_a_name_has_that_which_was_asked_for(service, model):
    service.on(*CHAT, with_(model=model))
    (document,) = asking(service).ask(Request(1)).documents
    assert document.meta["model"] == "small-1"


def test_the_key_is_not_kept_where_the_service_brings_it(service):
    pair = {"question": f"What is {KEY}?", "answer": f"It is {KEY}."}
    message = {"message": {"content": json.dumps([pair])}}
    service.on(*CHAT, with_(model=f"m {KEY}", choices=[message]))
    answer = asking(service).ask(Request(1))
    assert len(answer.documents) == 1
    assert KEY not in repr(answer)


@pytest.mark.parametrize("asked", [CHAT, MODELS])
def test_an_answer_ends(service, pauses, monkeypatch, asked):
    flood = gzip.compress(bytes(responses.MOST_BYTES + 1))
    for status in (200, 400):
        service.on(*asked, Reply(status, flood, {"Content-Encoding": "gzip"}))
        with pytest.raises(NetworkError, match="sends more than 32 MB"):
            asking(service).ask(Request(1)) if asked == CHAT else asking(service).check()
    monkeypatch.setattr(responses, "LONGEST", 0.2)
    service.on(*asked, dripping(0.05, b" " * 1000))
    slow = asking(service, timeout=0.15)
    with pytest.raises(NetworkError, match="is not done"):
        slow.ask(Request(1)) if asked == CHAT else slow.check()
    assert pauses == []


def test_what_cannot_be_unpacked_is_not_asked_for_again(service, pauses):
    service.on(*CHAT, Reply(200, b"no gzip", {"Content-Encoding": "gzip"}))
    with pytest.raises(NetworkError, match="cannot be unpacked"):
        asking(service).ask(Request(1))
    assert pauses == []


@pytest.mark.parametrize("place", [f"http://u:{KEY}@other.test:81/v1?k={KEY}", "http://[bad/"])
def test_of_a_redirect_only_the_host_is_told(service, pauses, place):
    service.on(*CHAT, redirect(place))
    with pytest.raises(NetworkError, match=r"on to (other\.test:81|another address),") as caught:
        asking(service).ask(Request(1))
    assert KEY not in "".join(traceback.format_exception(caught.value))
    assert pauses == []


@pytest.mark.parametrize("said", ["x" * 190 + KEY, f"{KEY[:9]}\n {KEY[9:]}", "\x1b[31m\ud800"])
def test_what_is_said_is_shown_in_part_and_without_the_key(service, said):
    service.on(*CHAT, reply(400, {"error": {"message": said}}))
    (rejected,) = asking(service).ask(Request(1)).rejected
    assert KEY[:8] not in rejected.problem
    assert KEY[9:] not in rejected.problem
    assert rejected.problem.isprintable()
    rejected.problem.encode()


def test_a_reply_that_was_cut_off_says_so(service):
    service.on(*CHAT, completion('{"pairs": [{"question": "Wh', "length"))
    (rejected,) = asking(service).ask(Request(1)).rejected
    assert "cut off" in rejected.problem


def test_no_key_is_sent_where_none_is_wanted_or_anybody_could_read_it(service):
    asking(service, api_key_env="").ask(Request(1))
    assert KEY not in str(service.requests[0].headers)
    with pytest.raises(CredentialsError, match="unprotected"):
        asking(service, base_url="http://192.168.0.7/v1").ask(Request(1))


@pytest.mark.parametrize("proxy", ["socks5://u:canary@127.0.0.1:9", "ftp://u:canary@127.0.0.1:9"])
def test_a_proxy_that_cannot_be_used_is_told(service, monkeypatch, proxy):
    monkeypatch.setenv("ALL_PROXY", proxy)
    with pytest.raises(NetworkError, match="proxy") as caught:
        asking(service).check()
    assert "canary" not in "".join(traceback.format_exception(caught.value))


def test_groq_has_its_own_address_key_and_model():
    config = GroqConfig()
    assert (config.base_url, config.api_key_env) == (
        "https://api.groq.com/openai/v1",
        "GROQ_API_KEY",
    )
    assert config.model == "openai/gpt-oss-20b"
    assert GroqSynthesizer(config).estimate(Request(5, "the sea")).input_tokens > 50


@pytest.mark.parametrize("url", ["ftp://x/v1", "x", "https://u:p@host/v1", "https://h/v1?key=1"])
def test_addresses_that_are_none_or_hold_secrets_are_refused(url):
    with pytest.raises(ValidationError):
        GroqConfig(base_url=url)


PAIR = {"question": "Why?", "answer": "Because."}


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"pairs": [PAIR]}),
        json.dumps([PAIR]),
        json.dumps(PAIR),
        f"Here you are:\n```json\n{json.dumps({'pairs': [PAIR]}, indent=2)}\n```\nEnjoy!",
        f"Sure: {json.dumps({'pairs': [PAIR]})} - done",
    ],
)
def test_pairs_are_found_in_whatever_stands_around_them(text):
    assert list(pairs_in(text, ORIGIN)) == [("Why?", "Because.")]


@pytest.mark.parametrize(
    "text",
    [
        *("", "no", "{", "[" * 100_000, '{"pairs": []}', '{"pairs": "x"}', '{"pairs": [1]}'),
        *("[null]", '{"pairs": [{"question": "Why?"}]}', '{"question": 1, "answer": 2}'),
    ],
)
def test_what_is_no_pair_is_told_never_dropped(text):
    (found,) = pairs_in(text, ORIGIN)
    assert isinstance(found, Rejected)


def test_the_prompt_names_passage_topic_and_what_was_asked_before():
    request = Request(4, "tides", "The tide is high.", tuple(f"Q{n}?" for n in range(50)))
    prompt = messages_of(request)[-1]["content"]
    assert "The tide is high." in prompt
    assert "tides" in prompt
    assert "4 different" in prompt
    assert "Q49?" in prompt
    assert "Q29?" not in prompt
