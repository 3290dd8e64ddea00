"""The synthesizer `rules`."""

from __future__ import annotations

from itertools import islice

from create_llm.data.documents import Origin, Rejected
from create_llm.data.synthesis.asking import (
    Answer,
    AskingSynthesizer,
    Request,
    question_and_answer,
)
from create_llm.errors import ConfigError
from create_llm_rules.config import RulesConfig
from create_llm_rules.rules import names, pairs
from create_llm_rules.sentences import sentences


class RulesSynthesizer(AskingSynthesizer):
    """Asks nobody: the same passage gives the same questions, each once."""

    gives_up_after = None

    def __init__(self, config: RulesConfig) -> None:
        self._config = config
        self.at_once = config.pairs_per_passage

    def ask(self, request: Request) -> Answer:
        if request.passage is None:
            raise ConfigError(
                "rules make questions from a text, and no text is given",
                where="--provider rules",
                fixes=(
                    "name files or a folder: --from book.txt",
                    "from nothing but a topic: --provider groq, or --provider sample for stories",
                ),
            )
        known, found = frozenset(request.known), sentences(request.passage)
        if not any(names(sentence, request.topic) for sentence in found):
            return _unnamed(request)
        made = pairs(found, request.topic, self._config.kinds)
        new = islice((pair for pair in made if pair[0] not in known), request.samples)
        documents = (question_and_answer(*pair, "rules", request.number + 1) for pair in new)
        return Answer(tuple(documents))


def _unnamed(request: Request) -> Answer:
    problem = "there is no whole sentence to ask about"
    if request.topic is not None:
        problem = f"no sentence names '{request.topic}'"
    origin = Origin("rules", request.number + 1)
    return Answer((), (Rejected(origin, problem, "take a word of the text, or other text"),))
