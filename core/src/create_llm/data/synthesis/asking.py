"""Synthesizers that are asked piece by piece: a service, a model, rules over somebody's text."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle

from create_llm.data.documents import Document, Origin, Rejected, Segment


@dataclass(frozen=True, slots=True)
class Request:
    """What a synthesizer is asked for at once.

    Attributes:
        samples: how many documents are wanted; fewer may come, what is more is dropped.
        topic: what they should be about, where that was said.
        passage: text of the user's that they should be about, where there is some.
        known: questions about it that there are already, the latest last: others are wanted.
        number: from 0; once a job was broken off, each of its requests has the same again.
    """

    samples: int
    topic: str | None = None
    passage: str | None = None
    known: tuple[str, ...] = ()
    number: int = 0


@dataclass(frozen=True, slots=True)
class Usage:
    """What answers took. `cost` is in US dollars, None where no prices are known."""

    input_tokens: int = 0
    output_tokens: int = 0
    cost: float | None = None

    def __add__(self, other: Usage) -> Usage:
        costs = [each.cost for each in (self, other) if each.cost is not None]
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            sum(costs) if costs else None,
        )


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back.

    Attributes:
        documents: `question_and_answer`s, conversations or plain texts; their `meta` goes into the
            rows' provenance ("model": which one wrote it).
        rejected: what came and is none.
    """

    documents: tuple[Document, ...]
    rejected: tuple[Rejected, ...] = ()
    usage: Usage = field(default_factory=Usage)


class AskingSynthesizer(ABC):
    """Built as `target(config)`, which asks nobody yet.

    Core plans the requests, leaves out what repeats, writes each answer down before it asks for
    the next, and goes on after an interruption.

    Attributes:
        at_once: documents to ask for in one request.
        gives_up_after: requests in a row that bring nothing new before core stops; None where they
            cost nothing: it stops when all passages were asked about in vain.
    """

    at_once: int = 1
    gives_up_after: int | None = 10

    @abstractmethod
    def ask(self, request: Request) -> Answer:
        """The answer to one request; a service that is busy is asked again in here.

        Raises:
            CredentialsError, NetworkError: the service refuses, or does not answer any more.
            ConfigError: it cannot do what it is asked for.
        """

    def check(self) -> str | None:
        """Before the first request: see, by one cheap call, that the service takes the key.

        Returns:
            What will be asked, for people: its address and model; None if there is nothing to say.

        Raises:
            As `ask`.
        """
        return None

    def estimate(self, request: Request) -> Usage:
        """About what a request will take; asks nobody."""
        return Usage()

    def generate(
        self, samples: int, topic: str | None, passages: Sequence[str] = ()
    ) -> Iterator[Document]:
        """As every synthesizer: so many documents, fewer if nothing new comes any more.

        Args:
            passages: text that they should be about, taken in turn.
        """
        turns = tuple(passages) or (None,)
        known: dict[str | None, list[str]] = {passage: [] for passage in turns}
        left, barren, patience = samples, 0, self.gives_up_after or len(turns)
        for number, passage in enumerate(cycle(turns)):
            if not left or barren >= patience:
                return
            wanted = min(self.at_once, left)
            request = Request(wanted, topic, passage, tuple(known[passage]), number)
            documents = self.ask(request).documents[:wanted]
            yield from documents
            known[passage].extend(map(question_of, documents))
            left, barren = left - len(documents), 0 if documents else barren + 1


def question_and_answer(
    question: str, answer: str, origin_path: str, line: int, **meta: str
) -> Document:
    """A conversation of one question, which is context, and its answer, which is learnt."""
    turns = (Segment("user", question, loss=False), Segment("assistant", answer))
    return Document(turns, Origin(origin_path, line), meta=meta)


def question_of(document: Document) -> str:
    """What the document answers: the user's turns; of plain text, all of it."""
    asked = [segment.text for segment in document.segments if segment.role == "user"]
    return "\n".join(asked) if asked else document.text
