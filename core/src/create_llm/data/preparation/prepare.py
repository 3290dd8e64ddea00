"""Documents to token shards, once per corpus, tokenizer and split.

    data/processed/
      manifest.json            what was prepared: key, counts, and the folders of its parts
      shards-<key>/            a part of the corpus, divided into train and val (`parts`)

Each folder is written under a temporary name, synchronised and renamed, and when all parts are
there manifest.json names them: an interruption at any moment leaves the old data or the new, and
the parts that were finished are not written again. Neither are those of the text that did not
change.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path

from create_llm.data.chat.template import ChatTemplate
from create_llm.data.corpus import Side, sides_of, split_fraction
from create_llm.data.duplicates import Seen
from create_llm.data.preparation.ingredients import Ingredients, ingredients_of, key_of
from create_llm.data.preparation.parts import (
    PartTask,
    PreparedPart,
    open_part,
    part_documents,
    part_key,
    write_part,
)
from create_llm.data.preparation.prepared import (
    PreparedData,
    intact_data,
    open_prepared,
    remove_others,
    write_manifest,
)
from create_llm.data.source import DataSource, Divided, SourcePart, documents_of, kind_of
from create_llm.data.split import MORE_TEXT, refuse_too_little
from create_llm.data.tokenizer import Tokenizer
from create_llm.errors import DataError
from create_llm.storage.durable import Storage

STAGE = "encoding the text"

Progress = Callable[[str, int, int | None], None]
"""Called with a stage, what is done of it and how much there is (None: unknown), in bytes."""


def prepare(
    folder: Path,
    source: DataSource,
    tokenizer: Tokenizer,
    *,
    val_split: float,
    progress: Progress | None = None,
    val_source: DataSource | None = None,
    deduplicate: bool = False,
    template: ChatTemplate | None = None,
    workers: int = 1,
) -> PreparedData:
    """Write the token shards of a corpus into `folder`, unless they are there and intact.

    With a `val_source` its documents are the validation side, and nothing is split. Each source of
    a mixture has parts of its own, which do not depend on the others.

    Args:
        deduplicate: keep the first of equal documents alone; those of a `val_source` are compared
            among themselves.
        template: how conversations are written out; None: as a plain script.
        workers: processes among which the parts of a divided source are shared; whatever their
            number, the bytes are the same.

    Raises:
        DataError: too little text, or a source that cannot be read.
        MemoryExhausted: a worker was killed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    ingredients = ingredients_of(source, tokenizer, val_split, val_source, deduplicate, template)
    current = intact_data(folder, key_of(ingredients))
    if current is not None:
        return current
    sides = list(sides_of(source, val_source))
    _refuse_too_little(sides)
    tasks = _tasks(sides, ingredients, deduplicate, template)
    bar = _Bar(progress, _total_bytes(source, val_source))
    parts = _prepared_parts(folder, tasks, tokenizer, workers, bar)
    bar.end()
    _refuse_changed(folder, tasks)
    _refuse_empty(tasks, parts)
    write_manifest(folder, ingredients, tasks, parts)
    remove_others(folder)
    return open_prepared(folder, cached=False)


class _Bar:
    """Adds up what is done and tells of it."""

    def __init__(self, progress: Progress | None, total: int | None) -> None:
        self._progress, self._total, self._done = progress, total, 0

    def add(self, size: int) -> None:
        self._done += size
        if self._progress is not None:
            self._progress(STAGE, self._done, self._total)

    def end(self) -> None:
        """All is done, whatever was expected: of rows it is a guess, and copies are left out."""
        if self._progress is not None and self._done != self._total:
            self._progress(STAGE, self._done, self._done)


def _tasks(
    sides: Sequence[Side],
    ingredients: Ingredients,
    deduplicate: bool,
    template: ChatTemplate | None,
) -> list[PartTask]:
    """All parts in order. Of a mixture, a text that an earlier source holds is a repetition too."""
    seen = {in_validation: Seen() for in_validation in (False, True)}
    tokenizer, rule = ingredients.tokenizer, ingredients.split_rule
    split = split_fraction(sides, ingredients.val_split)
    tasks = []
    for side in sides:
        source, kind, fraction = side.source, kind_of(side.source), side.fraction(split)
        before = seen[side.use == "val"] if deduplicate else None
        for part in _parts_of(source):
            fingerprint = source.fingerprint() if part is None else part.fingerprint
            dropped = frozenset[int]() if before is None else _repeated(source, part, before)
            key = part_key(kind, fingerprint, tokenizer, rule, fraction, dropped)
            told = (fraction, dropped, key, template, side.mixed)
            tasks.append(PartTask(source, part, fingerprint, *told))
    return tasks


def _parts_of(source: DataSource) -> Sequence[SourcePart | None]:
    return source.parts() if isinstance(source, Divided) else [None]


def _repeated(source: DataSource, part: SourcePart | None, seen: Seen) -> frozenset[int]:
    """The numbers of the documents that equal an earlier one, of this part or of one before."""
    documents = enumerate(part_documents(source, part))
    return frozenset(number for number, document in documents if seen.again(document.text))


def _prepared_parts(
    folder: Path, tasks: Sequence[PartTask], tokenizer: Tokenizer, workers: int, bar: _Bar
) -> list[PreparedPart]:
    """The parts of a corpus, each written unless it is there and intact."""
    missing: dict[str, PartTask] = {}
    for task in tasks:
        part = _intact_part(folder, task)
        if part is None:
            missing.setdefault(task.key, task)
        else:
            bar.add(part.record.text_bytes)
    if workers > 1 and len(missing) > 1:
        from create_llm.data.preparation.workers import write_parts

        write_parts(folder, list(missing.values()), tokenizer, workers, bar.add)
    else:
        for task in missing.values():
            write_part(folder, task, tokenizer, bar.add)
    return [open_part(folder / task.folder, task.key) for task in tasks]


def _intact_part(folder: Path, task: PartTask) -> PreparedPart | None:
    """A part that is there, every byte of it checked."""
    try:
        part = open_part(folder / task.folder, task.key)
        part.verify()
    except DataError:  # not there, or damaged: writing it again is what would be advised
        return None
    return part


def _total_bytes(source: DataSource, val_source: DataSource | None) -> int | None:
    sizes = [each.total_bytes() for each in (source, val_source) if each is not None]
    known = [size for size in sizes if size is not None]
    return sum(known) if len(known) == len(sizes) else None


def _refuse_too_little(sides: Sequence[Side]) -> None:
    """
    Raises:
        DataError: too little text, or a source without any.
    """
    documents = (documents_of(side.source) for side in sides)
    refuse_too_little(document.text for document in chain.from_iterable(documents))
    for side in sides:
        if next(documents_of(side.source), None) is None:
            purpose = "validation" if side.use == "val" else "training"
            what = side.named(f"the source for {purpose} holds no text")
            raise DataError(what, fixes=MORE_TEXT)


def _refuse_changed(folder: Path, tasks: Sequence[PartTask]) -> None:
    """Remove what was written of a text that changed meanwhile: it may be of neither version.

    Raises:
        DataError: some text has changed.
    """
    now: dict[int, set[str]] = {}
    for source in (task.source for task in tasks):
        if id(source) not in now:
            now[id(source)] = set(_fingerprints(source))
    changed = [task for task in tasks if task.fingerprint not in now[id(task.source)]]
    for task in changed:
        Storage().remove(folder / task.folder)
    if changed:
        raise DataError(
            "the text changed while it was being prepared",
            where=changed[0].name,
            fixes=("run the same command again: the parts that stayed are kept",),
        )


def _fingerprints(source: DataSource) -> Iterator[str]:
    for part in _parts_of(source):
        yield source.fingerprint() if part is None else part.fingerprint


def _refuse_empty(tasks: Sequence[PartTask], parts: Sequence[PreparedPart]) -> None:
    """
    Raises:
        DataError: all that a source of a mixture has to train on stands in those before it too.
    """
    documents: Counter[str] = Counter()
    for task, part in zip(tasks, parts, strict=True):
        if task.mixed is not None:
            documents[task.mixed] += part.record.train.documents
    for name, count in documents.items():
        if not count:
            raise DataError(
                f"data.mix.{name}: nothing is left to train on; its few documents are all kept for "
                "validation, or repeat those of another source",
                fixes=(
                    f"put more text there, or take data.mix.{name} out",
                    "or keep repetitions: data.deduplicate=false",
                ),
            )
