"""The data source: downloads, read by the source `text`."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from create_llm.cli.progress import progress_bars
from create_llm.data.documents import Document, Origin, Rejected
from create_llm.data.handed_on import handed_on
from create_llm.data.preparation.prepare import Progress
from create_llm.data.source import DataSource, Divided, FileSurvey, SourcePart, Surveyed
from create_llm.errors import DataError
from create_llm_web.addresses import Address
from create_llm_web.cache import Cache
from create_llm_web.config import WebConfig, addresses

READER = "text"
FOLDER = Path("data", "web")


@dataclass(frozen=True, slots=True)
class _Text:
    """One address and the source that reads what came from it."""

    address: Address
    source: DataSource


class WebSource:
    """The texts at `train_path`, one after another.

    Each is downloaded when it is first needed; after that none of the methods needs a network,
    unless `refresh` is set. What is in a file, the source `text` finds out: compression, format and
    structure. Origins name the address.
    """

    def __init__(self, config: WebConfig, root: Path) -> None:
        self._config = config
        self._root = root
        self._opened: tuple[_Text, ...] = ()

    def fetch(self, progress: Progress) -> None:
        """Download what is not here yet, that of the validation side too, and tell how far it is.

        Whoever shows progress calls it first; otherwise the first method that needs a text shows
        its own.
        """
        self._open(lambda: nullcontext(progress))
        validation = self.validation()
        if validation is not None:
            validation.fetch(progress)

    def documents(self) -> Iterator[Document | Rejected]:
        for text in self._texts:
            yield from _placed(text.source.documents(), text)

    def fingerprint(self) -> str:
        prints = [text.source.fingerprint() for text in self._texts]
        return hashlib.sha256(json.dumps(["web", 1, prints]).encode()).hexdigest()

    def total_bytes(self) -> int | None:
        sizes = [text.source.total_bytes() for text in self._texts]
        known = [size for size in sizes if size is not None]
        return sum(known) if len(known) == len(sizes) else None

    def validation(self) -> WebSource | None:
        """The source of the validation side, where the configuration names one."""
        if self._config.val_path is None:
            return None
        update = {"train_path": self._config.val_path, "val_path": None}
        return WebSource(self._config.model_copy(update=update), self._root)

    def files(self) -> Iterator[str]:
        """The addresses; nothing is downloaded."""
        return (address.url for address in addresses(self._config.train_path))

    def survey(self) -> Iterator[FileSurvey]:
        for text in self._texts:
            if isinstance(text.source, Surveyed):
                with _as_downloaded():
                    for found in text.source.survey():
                        yield replace(found, path=str(text.address))

    def parts(self) -> Sequence[SourcePart]:
        return [
            replace(part, name=f"{text.address.key} {part.name}")
            for text in self._texts
            for part in _parts_of(text.source)
        ]

    def documents_in(self, part: SourcePart) -> Iterator[Document | Rejected]:
        key, _, name = part.name.partition(" ")
        text = next(text for text in self._texts if text.address.key == key)
        source = text.source
        if isinstance(source, Divided):
            yield from _placed(source.documents_in(replace(part, name=name)), text)
        else:
            yield from _placed(source.documents(), text)

    @property
    def _texts(self) -> tuple[_Text, ...]:
        return self._opened or self._open(progress_bars)

    def _open(self, bars: Callable[[], AbstractContextManager[Progress]]) -> tuple[_Text, ...]:
        config = self._config
        cache = Cache(self._root / FOLDER, config.max_bytes, config.refresh, bars=bars)
        self._opened = tuple(
            _Text(address, handed_on(READER, cache.file(address), config.text, self._root))
            for address in addresses(config.train_path)
        )
        return self._opened


def _placed(found: Iterator[Document | Rejected], text: _Text) -> Iterator[Document | Rejected]:
    """The same, from the address instead of the file in the cache."""
    shown = str(text.address)
    with _as_downloaded():
        for item in found:
            yield replace(item, origin=Origin(shown, item.origin.line))


@contextlib.contextmanager
def _as_downloaded() -> Iterator[None]:
    """Add to an error that says a file cannot be read: it would be used again and again."""
    try:
        yield
    except DataError as error:
        again = "or, once the server sends another one, fetch it again: --set data.refresh=true"
        error.fixes = (*error.fixes, again)
        raise


def _parts_of(source: DataSource) -> Sequence[SourcePart]:
    if isinstance(source, Divided):
        return source.parts()
    return [SourcePart("all", source.fingerprint())]
