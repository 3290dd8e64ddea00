"""The synthesizer `synthex`."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from create_llm.credentials import credential
from create_llm.data.documents import Document, Origin, Rejected
from create_llm.data.synthesis.asking import (
    Answer,
    AskingSynthesizer,
    Request,
    question_and_answer,
)
from create_llm.errors import ConfigError
from create_llm_synthex.config import SynthexConfig

if TYPE_CHECKING:
    from create_llm_synthex.backends import Backend

_ENV = "SYNTHEX_API_KEY"


class SynthexSynthesizer(AskingSynthesizer):
    """Questions and answers from one service; nothing is loaded before it is asked."""

    def __init__(self, config: SynthexConfig) -> None:
        if not config.address:
            raise _no_address()
        self._config = config
        self.at_once = config.samples_per_request

    def check(self) -> str:
        self._backend.check()
        return self._config.address

    def ask(self, request: Request) -> Answer:
        from create_llm_synthex.service import Refused

        origin = Origin(self._config.address, request.number + 1)
        try:
            samples, model, usage = self._backend.ask(request)
        except Refused as error:
            problem = f"the service refuses the request: {error}"
            return Answer((), (Rejected(origin, problem, "see what the service says of it"),))
        meta = {"model": model} if model else {}
        made = [_made(sample, origin, meta) for sample in samples]
        documents = tuple(each for each in made if isinstance(each, Document))
        return Answer(documents, tuple(e for e in made if isinstance(e, Rejected)), usage)

    @cached_property
    def _backend(self) -> Backend:
        from create_llm_synthex.backends import Samples, Tanaos

        secret = credential("synthex", env=_ENV, help="your account at the service")
        backend = Tanaos if self._config.backend == "tanaos" else Samples
        return backend(self._config, secret)


def _no_address() -> ConfigError:
    return ConfigError(
        "which service is to be asked? SynthexAI publishes no address",
        where="llm.toml: synth.synthex.base_url",
        fixes=(
            "name one that keeps the contract: --set synth.synthex.base_url=https://…",
            "or ask Tanaos: --set synth.synthex.backend=tanaos",
            "or use another provider: groq, openai, rules",
        ),
    )


def _made(sample: object, origin: Origin, meta: dict[str, str]) -> Document | Rejected:
    texts = sample if isinstance(sample, dict) else {}
    question, answer = texts.get("question"), texts.get("answer")
    if not (isinstance(question, str) and question.strip()) or not (
        isinstance(answer, str) and answer.strip()
    ):
        return Rejected(origin, "a sample lacks its question or its answer", "tell the service")
    return question_and_answer(question, answer, origin.path, origin.line, **meta)
