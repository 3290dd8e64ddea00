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

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path

from create_llm.data.chat.template import ChatTemplate
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
from create_llm.data.source import DataSource, Divided, SourcePart, documents_of
from create_llm.data.split import MORE_TEXT, refuse_too_little, working_fraction
from create_llm.data.tokenizer import Tokenizer
from create_llm.errors import DataError

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

    With a `val_source` its documents are the validation side, and nothing is split.

    Args:
        deduplicate: keep the first of equal documents alone, within each source.
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
    _refuse_too_little(source, val_source)
    tasks = _tasks(ingredients, source, val_source, deduplicate, template)
    bar = _Bar(progress, _total_bytes(source, val_source))
    parts = _prepared_parts(folder, tasks, tokenizer, workers, bar)
    write_manifest(folder, ingredients, [task.folder for task in tasks], parts)
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


def _tasks(
    ingredients: Ingredients,
    source: DataSource,
    val_source: DataSource | None,
    deduplicate: bool,
    template: ChatTemplate | None,
) -> list[PartTask]:
    """All parts in order: those of the source, then those of the validation source."""
    if val_source is None:
        texts = (document.text for document in documents_of(source))
        sides = [(source, ingredients.source, working_fraction(texts, ingredients.val_split))]
    else:
        assert ingredients.val_source is not None
        sides = [(source, ingredients.source, 0.0), (val_source, ingredients.val_source, 1.0)]
    tasks = []
    for side, identity, fraction in sides:
        seen = Seen() if deduplicate else None
        for part in _parts_of(side):
            kind, _, whole = identity.rpartition(" ")
            fingerprint = whole if part is None else part.fingerprint
            dropped = frozenset(_repeated(side, part, seen)) if seen else frozenset[int]()
            rule = ingredients.split_rule
            key = part_key(kind, fingerprint, ingredients.tokenizer, rule, fraction, dropped)
            tasks.append(PartTask(side, part, fraction, dropped, key, template))
    return tasks


def _parts_of(source: DataSource) -> Sequence[SourcePart | None]:
    return source.parts() if isinstance(source, Divided) else [None]


def _repeated(source: DataSource, part: SourcePart | None, seen: Seen) -> Iterator[int]:
    """The numbers of the documents that equal an earlier one, of this part or of one before."""
    for number, document in enumerate(part_documents(source, part)):
        if seen.again(document.text):
            yield number


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


def _refuse_too_little(source: DataSource, val_source: DataSource | None) -> None:
    """
    Raises:
        DataError: too little text, or none on one side.
    """
    sources = {"training": source}
    if val_source is not None:
        sources["validation"] = val_source
    documents = (documents_of(each) for each in sources.values())
    refuse_too_little(document.text for document in chain.from_iterable(documents))
    for purpose, each in sources.items():
        if next(documents_of(each), None) is None:
            raise DataError(f"the source for {purpose} holds no text", fixes=MORE_TEXT)
