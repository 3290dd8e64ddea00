"""The two protocols: our own contract, and that of Tanaos' published client."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping
from typing import Protocol
from urllib.parse import quote

from create_llm.credentials import Secret
from create_llm.data.synthesis.asking import Request, Usage
from create_llm.errors import ConfigError, NetworkError
from create_llm.responses import one_line
from create_llm_synthex.config import SynthexConfig
from create_llm_synthex.service import Service

_POLL_SECONDS = 15.0
"""As often as Tanaos' own client asks."""
_MUCH = 10**12
"""Of tokens or dollars; more is no number that anybody counted."""
_NAME = 200
"""Characters of one."""


class Backend(Protocol):
    def check(self) -> None:
        """One call that costs nothing and needs the key."""
        ...

    def ask(self, request: Request) -> tuple[list[object], str | None, Usage]:
        """The samples as they came, which model wrote them, and what they took."""
        ...


class Samples:
    """The contract of the README."""

    def __init__(self, config: SynthexConfig, secret: Secret) -> None:
        self._service = Service(config, secret, "Authorization", "Bearer ")

    def check(self) -> None:
        self._service.get("v1/account", absent=(404, 405))

    def ask(self, request: Request) -> tuple[list[object], str | None, Usage]:
        wanted = {
            "samples": request.samples,
            "topic": request.topic,
            "passage": request.passage,
            "known": list(request.known[-50:]),
        }
        once = {"Idempotency-Key": str(uuid.uuid4())}
        body = self._service.post("v1/samples", wanted, once).body
        if not isinstance(body, dict) or not isinstance(body.get("samples"), list):
            raise self._service.strange("no list of samples")
        model = body.get("model")
        name = one_line(model)[:_NAME] if isinstance(model, str) else None
        return body["samples"], name, _usage(body.get("usage"))


class Tanaos:
    """Jobs that are begun, then asked about until their data are there."""

    def __init__(self, config: SynthexConfig, secret: Secret) -> None:
        self._service = Service(config, secret, "X-API-Key", "")
        self._longest = config.longest_wait

    def check(self) -> None:
        self._service.get("user/credits/")

    def ask(self, request: Request) -> tuple[list[object], str | None, Usage]:
        if request.passage is not None:
            raise ConfigError(
                "the service of Tanaos takes no text to ask about",
                where="--from, with synth.synthex.backend = 'tanaos'",
                fixes=("give a topic alone: --topic …", "or another provider: groq, openai, rules"),
            )
        job = {
            "output_schema": {"question": {"type": "string"}, "answer": {"type": "string"}},
            "examples": [],
            "requirements": list(_requirements(request)),
            "datapoint_num": request.samples,
        }
        begun = self._data(self._service.post("jobs/with-samples", job, {}).body)
        if not isinstance(begun, str) or len(begun) > _NAME:
            raise self._service.strange("no number of a job")
        return list(self._rows(quote(begun, safe="", errors="replace"))), None, Usage()

    def _rows(self, job: str) -> Iterator[object]:
        until = time.monotonic() + self._longest
        while time.monotonic() < until:
            response = self._service.get(f"jobs/with-samples/{job}/data")
            assert response is not None
            rows = self._data(response.body)
            if not isinstance(rows, list):
                raise self._service.strange("no list of rows")
            yield from rows
            if response.status != 206:
                return
            time.sleep(_POLL_SECONDS)
        raise NetworkError(
            f"{self._service.name} is at the job {job} for more than {self._longest:.0f} s",
            where="synth.synthex.longest_wait",
            fixes=("ask for fewer at once: synth.synthex.samples_per_request", "wait for longer"),
        )

    def _data(self, body: object) -> object:
        """What the service's envelope holds."""
        return body.get("data") if isinstance(body, dict) else None


def _requirements(request: Request) -> Iterator[str]:
    yield "Each datapoint is a question that can be understood by itself, and its right answer."
    if request.topic:
        yield f"All questions are on {request.topic}."
    if request.known:
        yield "Do not ask: " + " | ".join(request.known[-20:])


def _usage(found: object) -> Usage:
    given: Mapping[str, object] = found if isinstance(found, dict) else {}
    cost = given.get("cost")
    return Usage(
        _tokens(given.get("input_tokens")),
        _tokens(given.get("output_tokens")),
        float(cost) if isinstance(cost, int | float) and 0 <= cost < _MUCH else None,
    )


def _tokens(value: object) -> int:
    return value if isinstance(value, int) and 0 <= value < _MUCH else 0
