"""A job of `llm synth`: requests planned, answers checked, rows written, until there are enough."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from itertools import count, islice
from pathlib import Path

from create_llm.data.documents import Document
from create_llm.data.duplicates import Seen
from create_llm.data.source import Synthesizer
from create_llm.data.synthesis.asking import (
    Answer,
    AskingSynthesizer,
    Request,
    Usage,
)
from create_llm.data.synthesis.journal import Entry, Job, Journal, free_number, unfinished
from create_llm.data.synthesis.passages import Passage, visits
from create_llm.data.synthesis.rows import (
    likeness,
    likeness_of,
    problem_of,
    questions_in,
    row_of,
    words_in,
    written_questions,
)
from create_llm.errors import DataError, PluginError

Passages = Callable[[], Iterator[Passage]]
_ESTIMATED = 50
"""Requests that an estimate looks at; the others are taken to be like them."""
_KNOWN = 200
"""Questions that a request tells of, the latest; what repeats an earlier one is left out anyway."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is wanted.

    Attributes:
        provider: the synthesizer's name.
        passages: reads the user's text anew each time; None without.
        source: SHA-256 of that text.
    """

    provider: str
    samples: int
    topic: str | None = None
    passages: Passages | None = None
    source: str | None = None


@dataclass(slots=True)
class Statistics:
    """What a job came to.

    Attributes:
        path: the file of rows; None where there is not a single one.
        before: of `documents`, those that an interrupted start had written.
        repeated: documents that were left out because their question was there already.
        rejected: why others were left out, and how many.
        question_characters, answer_characters: in all conversations.
    """

    path: str | None = None
    documents: int = 0
    before: int = 0
    words: int = 0
    bytes: int = 0
    repeated: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    requests: int = 0
    usage: Usage = field(default_factory=Usage)

    def add(self, entry: Entry) -> None:
        self.documents += len(entry.rows)
        self.words += sum(map(words_in, entry.rows))
        self.bytes += sum(len(row.encode()) + 1 for row in entry.rows)
        self.repeated += entry.repeated
        self.rejected = dict(Counter(self.rejected) + Counter(entry.rejected))
        self.requests += 1
        self.usage = self.usage + entry.usage


def planned(order: Order, at_once: int, folder: Path, raw: Path) -> tuple[Job, bool]:
    """The job of an order, and whether it was begun before.

    Raises:
        DataError: the text has no passage to ask about.
    """
    job = Job(order.provider, order.samples, order.topic, order.source)
    begun = unfinished(folder, job)
    if begun is not None:
        return begun, True
    number = free_number(folder, raw, order.provider)
    step = 1
    if order.passages is not None:
        total = sum(1 for _ in order.passages())
        if not total:
            raise DataError(
                "there is no text to ask questions about",
                where="--from",
                fixes=("name files with whole sentences: --from book.txt",),
            )
        step = max(1, total // -(-order.samples // at_once))
    return replace(job, number=number, step=step), False


def estimate(synthesizer: AskingSynthesizer, order: Order, job: Job) -> tuple[int, Usage]:
    """How many requests the whole job takes if each brings what it is asked for, and their usage;
    asks nobody."""
    requests = -(-order.samples // synthesizer.at_once)
    looked_at = min(requests, _ESTIMATED)
    total = Usage()
    for passage in islice(_visited(order, job), looked_at):
        wanted = min(synthesizer.at_once, order.samples)
        request = Request(wanted, order.topic, _text(passage))
        total = total + synthesizer.estimate(request)
    share = requests / looked_at
    cost = None if total.cost is None else total.cost * share
    tokens = (round(total.input_tokens * share), round(total.output_tokens * share))
    return requests, Usage(*tokens, cost)


class Writing:
    """Carries a job out. Whatever ends it, the next one goes on where it was."""

    def __init__(self, order: Order, synthesizer: Synthesizer, journal: Journal) -> None:
        self._order, self._synthesizer, self._journal = order, synthesizer, journal
        self._seen = Seen()
        self._known: dict[str | None, list[str]] = {}
        self._answered: set[int] = set()
        self.statistics = Statistics()
        for question in written_questions(journal.rows_path.parent):
            self._seen.again(likeness(question))
        for entry in journal.entries():
            self._count(entry)
        self.statistics.before = self.statistics.documents

    def run(self, progress: Callable[[int], None]) -> Statistics:
        """Until there are enough rows, or nothing new comes any more.

        Args:
            progress: hears after each answer how many rows there are.

        Raises:
            As the synthesizer does; everything until then is kept.
        """
        progress(self.statistics.documents)
        if self.left:
            for number, passage, answer in self._answers():
                self._keep(self._entry(number, passage, answer))
                progress(self.statistics.documents)
                if not self.left:
                    break
        found = self.statistics
        found.path = str(self._journal.rows_path) if found.documents else None
        self._journal.finish(asdict(found))
        return found

    @property
    def left(self) -> int:
        return max(0, self._order.samples - self.statistics.documents)

    def _answers(self) -> Iterator[tuple[int, Passage | None, Answer]]:
        if isinstance(self._synthesizer, AskingSynthesizer):
            yield from self._asked(self._synthesizer)
            return
        documents = self._synthesizer.generate(self._order.samples, self._order.topic)
        for number, document in enumerate(documents):
            if number not in self._answered:
                yield number, None, Answer((document,))

    def _asked(
        self, synthesizer: AskingSynthesizer
    ) -> Iterator[tuple[int, Passage | None, Answer]]:
        barren, patience = 0, self._patience(synthesizer)
        for number, passage in enumerate(_visited(self._order, self._journal.job)):
            if number in self._answered:
                continue
            wanted = min(synthesizer.at_once, self.left)
            known = tuple(self._known.get(_key(passage), ())[-_KNOWN:])
            before = self.statistics.documents
            request = Request(wanted, self._order.topic, _text(passage), known, number)
            answer = synthesizer.ask(request)
            yield number, passage, replace(answer, documents=answer.documents[:wanted])
            barren = 0 if self.statistics.documents > before else barren + 1
            if barren >= patience:
                return

    def _patience(self, synthesizer: AskingSynthesizer) -> int:
        if synthesizer.gives_up_after is not None:
            return synthesizer.gives_up_after
        return sum(1 for _ in self._order.passages()) if self._order.passages else 1

    def _entry(self, number: int, passage: Passage | None, answer: Answer) -> Entry:
        rows, repeated = [], 0
        rejected = [each.problem for each in answer.rejected]
        for document in answer.documents:
            self._need_document(document)
            problem = problem_of(document)
            if problem is not None:
                rejected.append(problem)
            elif self._seen.again(likeness_of(document)):
                repeated += 1
            else:
                rows.append(row_of(document, self._provenance(document, passage)))
        texts = tuple(rows), tuple(rejected)
        return Entry(number, _key(passage), *texts, repeated, answer.usage)

    def _need_document(self, document: object) -> None:
        if not isinstance(document, Document):
            raise PluginError(
                f"synthesizer '{self._order.provider}' makes a {type(document).__name__}; it has "
                "to make Document objects, such as Document.plain(text, Origin(path, line))",
                where=type(self._synthesizer).__module__,
                fixes=("see docs/plugins/synthesizers.md", "check it: llm plugins test NAME"),
            )

    def _provenance(self, document: Document, passage: Passage | None) -> dict[str, str]:
        now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        known = {
            "topic": self._order.topic,
            "source": None if passage is None else str(passage.origin),
        }
        given = {name: value for name, value in known.items() if value is not None}
        return {"provider": self._order.provider, "time": now, **given, **document.meta}

    def _keep(self, entry: Entry) -> None:
        self._journal.append(entry)
        self._count(entry)

    def _count(self, entry: Entry) -> None:
        self._answered.add(entry.request)
        self.statistics.add(entry)
        if isinstance(self._synthesizer, AskingSynthesizer):
            self._known.setdefault(entry.passage, []).extend(questions_in(entry.rows))


def _visited(order: Order, job: Job) -> Iterator[Passage | None]:
    """What each request is about, without end; the same each time."""
    if order.passages is None:
        return (None for _ in count())
    return visits(order.passages, job.step, job.number - 1)


def _text(passage: Passage | None) -> str | None:
    return None if passage is None else passage.text


def _key(passage: Passage | None) -> str | None:
    return None if passage is None else passage.key
