"""Faults of services, met by the commands that ask them. Sampled: 28 of the trials of
`python -m tests.faults network`, of each command and of each kind of fault one at least."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from create_llm.errors import NetworkError
from tests.loopback import Loopback, Reply, Request, forwarded, lost, reply, reset, torn
from tests.network_faults import Case, a_model, cases, run
from tests.network_peers import CLIENTS

pytestmark = pytest.mark.skipif(os.name == "nt", reason="what stands in for cog is a script")
SEED, SHARE = 0, 28


def share() -> list[Case]:
    """One of each command, then one of each fault, then any."""
    drawn = random.Random(SEED).sample(cases(), len(cases()))
    first = {case.client.name: case for case in drawn} | {
        case.fault.name.partition(" at ")[0]: case for case in drawn
    }
    chosen = {str(case): case for case in [*first.values(), *drawn]}
    return list(chosen.values())[:SHARE]


@pytest.fixture(scope="module")
def model() -> Iterator[Path]:
    with a_model() as path:
        yield path


@pytest.mark.parametrize("case", share(), ids=str)
def test_a_command_recovers_or_refuses(tmp_path: Path, model: Path, case: Case):
    assert run(case, tmp_path, model).wrong == []


def test_every_command_is_in_the_share():
    assert {case.client.name for case in share()} == {client.name for client in CLIENTS}


def case_of(words: str) -> Case:
    return next(case for case in cases() if words in str(case))


class TestWhatIsWrongIsFound:
    """A trial that could not fail would show nothing."""

    def test_a_key_that_follows(self, tmp_path: Path, model: Path, monkeypatch):
        from create_llm_synthex.service import Service, requests

        send = requests.Session.request

        def following(self, *words, allow_redirects, **options):
            return send(self, *words, allow_redirects=True, **options)

        monkeypatch.setattr(requests.Session, "request", following)
        monkeypatch.setattr(Service, "_refuse_redirect", lambda *given, **sent: None)
        monkeypatch.setattr(requests.Session, "rebuild_auth", lambda *given: None)
        case = case_of("synthex, POST /v1/samples, 307 to")
        assert "the key went to another host" in str(run(case, tmp_path, model).wrong)

    def test_a_commit_made_twice(self, tmp_path: Path, model: Path, monkeypatch):
        from create_llm_hf.deploy import _Publication

        commit = _Publication._commit

        def twice(self, repo, there, changed):
            commit(self, repo, there, changed)
            return commit(self, repo, self._there(repo), changed)

        monkeypatch.setattr(_Publication, "_commit", twice)
        case = case_of("huggingface, GET /api/whoami-v2, 429, seconds")
        assert "2 commits" in str(run(case, tmp_path, model).wrong)

    def test_a_service_that_is_not_waited_for(self, tmp_path: Path, model: Path, monkeypatch):
        from create_llm_openai import client

        monkeypatch.setattr(client, "retry_after", lambda header: None)
        case = case_of("groq, POST /v1/chat/completions, 429, a date")
        assert "asked to wait" in str(run(case, tmp_path, model).wrong)

    def test_one_that_is_asked_in_vain(self, tmp_path: Path, model: Path, monkeypatch):
        from create_llm_replicate.service import Service

        def giving_up(self, call, *, once=False):
            try:
                return self._attempt(call, once=once)
            except Exception as error:
                raise NetworkError("no") from error

        monkeypatch.setattr(Service, "_ask", giving_up)
        case = case_of("replicate, GET /v1/account, 503, seconds")
        assert "exit 69" in str(run(case, tmp_path, model).wrong)


def asked(server: Loopback, body: bytes = b"") -> tuple[int, bytes]:
    import requests

    answer = requests.post(f"{server.url}/a?b=c", data=body, timeout=10)
    return answer.status_code, answer.content


class TestTheServer:
    """What the trials take for granted of it."""

    def test_another_server_answers_through_it(self):
        with Loopback() as behind, Loopback() as server:
            behind.on("POST", "/a", lambda request: Reply(201, request.body[::-1]))
            server.on("*", "*", forwarded(behind.url))
            assert asked(server, b"abc") == (201, b"cba")
            assert [each.query for each in behind.requests] == ["b=c"]

    @pytest.mark.parametrize("tenth", range(10))
    def test_a_share_of_an_upload_comes_before_it_breaks(self, tenth: int):
        with Loopback() as server:
            server.on("POST", "/a", reply(200))
            server.first("POST", "/a", reset(tenth / 10))
            with pytest.raises(OSError, match="Connection"):
                asked(server, bytes(1000))
            assert len(server.requests[0].body) == tenth * 100
            assert asked(server, bytes(1000))[0] == 200

    def test_what_is_lost_was_carried_out(self):
        done: list[Request] = []
        with Loopback() as server:
            standing = reply(200, "x" * 1000)
            carried_out = lost(lambda request: done.append(request) or standing)
            server.first("POST", "/a", carried_out, torn(standing, 0.5))
            for _ in range(2):
                with pytest.raises(OSError, match=r"Connection|broken"):
                    asked(server)
            assert len(done) == 1
            assert server.calm() == 0
