"""The data source: files as documents."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from create_llm.data.documents import Document, Rejected
from create_llm.data.source import FileSurvey, SourcePart
from create_llm.errors import ConfigError, DataError
from create_llm_text.config import TextConfig
from create_llm_text.files import FIXES, DataFile, Found, Side
from create_llm_text.fingerprints import fingerprint_of
from create_llm_text.reader import FileReader, Reading
from create_llm_text.walk import files_before, find_files

# A document of 16 KB is a few thousand tokens: enough for any context worth training here. A
# small corpus is cut finer, so that a tenth of its documents is close to a tenth of its text
# (of 256 documents, give or take 2 %), but not so fine that the model learns to stop early.
_LARGEST_BLOCK = 16_384
_BLOCKS_WANTED = 256
_USUAL_SMALLEST_BLOCK = 1024
_FEWEST_BLOCKS = 64
_SMALLEST_BLOCK = 256
_FILES_MEASURED = 16


class TextSource:
    """The files at `train_path`, in the order of their paths.

    A text file is divided into blocks of whole lines: at most 16 KB, and less when the corpus is
    small; with a separator, into what stands between its occurrences. A file of rows has one
    document a row.
    """

    def __init__(self, config: TextConfig, root: Path, *, side: Side = "train") -> None:
        self._config = config
        self._root = root
        self._side: Side = side
        self._columns_found: bool | None = None

    @property
    def skipped(self) -> list[str]:
        """What lies beside the files and was passed over, each with the reason."""
        return list(self._found().skipped)

    def documents(self) -> Iterator[Document | Rejected]:
        """As `DataSource`.

        Raises:
            DataError: no file at all; or, after the last rejection, no document.
            ConfigError: data.columns names a column that no file has.
        """
        found = self._found()
        usable, first = False, None
        for item in self._read(found.files, found):
            usable = usable or isinstance(item, Document)
            if isinstance(item, Rejected):
                first = first or item
            yield item
        if first is not None and not usable:
            raise DataError(
                f"nothing in {self._config.train_path} can be used: {first.problem}",
                where=str(first.origin),
                fixes=(first.suggestion, "see all problems: llm data check", *FIXES[:1]),
            )

    def files(self) -> Iterator[str]:
        """The real path of each file."""
        base = str(self._base.resolve())
        for file in self._found().files:
            yield base if file.name == "." else f"{base}/{file.name}"

    def survey(self) -> Iterator[FileSurvey]:
        found = self._found()
        for reader in self._readers(found.files, found):
            yield reader.survey()

    def parts(self) -> list[SourcePart]:
        found = self._found()
        reading = self._reading(found)
        return [
            SourcePart(name, fingerprint_of(group, reading)) for name, group in found.groups.items()
        ]

    def documents_in(self, part: SourcePart) -> Iterator[Document | Rejected]:
        """Those of one part.

        Raises:
            DataError: its files are no longer there.
        """
        # Of millions of files only those of the part are looked at once more.
        found = self._found_before()
        group = found.groups.get(part.name, ()) if found else ()
        if found is None or not group or not all(file.is_unchanged() for file in group):
            found = self._found()
            group = found.groups.get(part.name, ())
        if not group:
            raise DataError(
                f"the files of {self._config.train_path} changed while they were read",
                where=str(self._base / part.name),
                fixes=("run the command again",),
            )
        return self._read(group, found)

    def fingerprint(self) -> str:
        prints = [part.fingerprint for part in self.parts()]
        return hashlib.sha256(json.dumps(["text", prints]).encode()).hexdigest()

    def total_bytes(self) -> int | None:
        found = self._found()
        if any(file.compression or file.format == "parquet" for file in found.files):
            return None
        rows = [file for file in found.files if not file.is_text]
        measured = rows[:: len(rows) // _FILES_MEASURED + 1]
        readers = self._readers(measured, found)
        text = sum(
            reader.text_share() * file.size for reader, file in zip(readers, measured, strict=True)
        )
        share = text / max(sum(file.size for file in measured), 1)
        return found.plain_bytes + round(share * sum(file.size for file in rows))

    def validation(self) -> TextSource | None:
        """The source of the validation side, where the configuration or the files name one.

        Raises:
            ConfigError: what is trained on lies in it.
        """
        if self._side != "train":
            return None
        if self._config.val_path is not None:
            _refuse_same(self._base, self._root / self._config.val_path)
            update = {"train_path": self._config.val_path, "val_path": None}
            return TextSource(self._config.model_copy(update=update), self._root)
        source = TextSource(self._config, self._root, side="validation")
        return source if source._found().files else None

    @property
    def _base(self) -> Path:
        return self._root / self._config.train_path

    def _found(self) -> Found:
        apart = self._apart
        found = find_files(self._base, self._config.train_path, apart=apart)
        return found if apart is not None else found.sides[self._side]

    def _found_before(self) -> Found | None:
        """What was found last, whether or not it is still so."""
        apart = self._apart
        found = files_before(self._base, apart=apart)
        return found if apart is not None or found is None else found.sides[self._side]

    @property
    def _apart(self) -> Path | None:
        val_path = self._config.val_path
        return None if val_path is None else self._root / val_path

    def _read(self, files: Iterable[DataFile], corpus: Found) -> Iterator[Document | Rejected]:
        for reader in self._readers(files, corpus):
            yield from reader.documents()

    def _readers(self, files: Iterable[DataFile], corpus: Found) -> Iterator[FileReader]:
        reading, folder = self._reading(corpus), self._shown.rstrip("/")
        for file in files:
            path = f"{folder}/{file.name}".removeprefix("./").removesuffix("/.")
            shown = path.encode("utf-8", "backslashreplace").decode()
            yield FileReader(file, shown, reading, self._has_columns)

    def _has_columns(self) -> bool:
        """Whether a file has the columns that data.columns names; looked for once."""
        if self._columns_found is None:
            found = self._found()
            readers = self._readers(found.files, found)
            self._columns_found = any(reader.has_columns() for reader in readers)
        return self._columns_found

    def _reading(self, corpus: Found) -> Reading:
        block = _block_size(corpus.plain_bytes)
        return Reading(block, self._config.separator, self._config.columns)

    @property
    def _shown(self) -> str:
        """The path as messages show it: inside the project where it is."""
        base = self._base
        inside = base.is_relative_to(self._root)
        return (base.relative_to(self._root) if inside else base).as_posix()


def _block_size(total: int) -> int:
    smallest = max(min(total // _FEWEST_BLOCKS, _USUAL_SMALLEST_BLOCK), _SMALLEST_BLOCK)
    return min(max(total // _BLOCKS_WANTED, smallest), _LARGEST_BLOCK)


def _refuse_same(train: Path, val: Path) -> None:
    """A folder's own validation files are left out of what is trained on; a file cannot be."""
    if not train.is_file() or not val.exists():
        return
    if val.samefile(train) or train.resolve().is_relative_to(val.resolve()):
        raise ConfigError(
            "data.val_path holds the file that is trained on: the score would say nothing",
            where=str(val),
            fixes=(
                "name another file in data.val_path",
                "or leave data.val_path out: data.val_split of the text is then kept back",
            ),
        )
