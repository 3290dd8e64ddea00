"""The data source: files as documents."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

from create_llm.data.documents import Document, Rejected
from create_llm.data.source import FileSurvey, SourcePart
from create_llm.errors import DataError
from create_llm_text.config import TextConfig
from create_llm_text.files import FIXES, DataFile, Found, Side, find_files
from create_llm_text.parquet_rows import is_readable
from create_llm_text.parts import grouped
from create_llm_text.reader import FileReader, Reading

# A document of 16 KB is a few thousand tokens: enough for any context worth training here. A
# small corpus is cut finer, so that a tenth of its documents is close to a tenth of its text
# (of 256 documents, give or take 2 %), but not so fine that the model learns to stop early.
_LARGEST_BLOCK = 16_384
_BLOCKS_WANTED = 256
_USUAL_SMALLEST_BLOCK = 1024
_FEWEST_BLOCKS = 64
_SMALLEST_BLOCK = 256
_FILES_MEASURED = 16
_FORMAT = 2  # of what files become; another one makes other documents


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

    @property
    def skipped(self) -> list[str]:
        """What lies beside the files and was passed over, each with the reason."""
        return list(self._found().skipped)

    def documents(self) -> Iterator[Document | Rejected]:
        """As `DataSource`.

        Raises:
            DataError: no file at all; or, after the last rejection, no document.
            ConfigError: data.columns names a column that a file does not have.
        """
        files = self._found().files
        usable, first = False, None
        for item in self._read(files, files):
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

    def survey(self) -> Iterator[FileSurvey]:
        files = self._found().files
        reading = self._reading(files)
        for file in files:
            yield FileReader(file, self._shown(file), reading).survey()

    def parts(self) -> list[SourcePart]:
        files = self._found().files
        reading = self._reading(files)
        return [SourcePart(group[0].name, _fingerprint(group, reading)) for group in grouped(files)]

    def documents_in(self, part: SourcePart) -> Iterator[Document | Rejected]:
        """Those of one part.

        Raises:
            DataError: its files are no longer there.
        """
        files = self._found().files
        for group in grouped(files):
            if group[0].name == part.name:
                return self._read(group, files)
        raise DataError(
            f"the files of {self._config.train_path} changed while they were read",
            where=str(self._base / part.name),
            fixes=("run the command again",),
        )

    def fingerprint(self) -> str:
        files = self._found().files
        return _fingerprint(files, self._reading(files))

    def total_bytes(self) -> int | None:
        files = self._found().files
        if any(file.compression or file.format == "parquet" for file in files):
            return None
        reading = self._reading(files)
        rows = [file for file in files if not file.is_text]
        measured = rows[:_FILES_MEASURED]
        text = sum(
            FileReader(file, self._shown(file), reading).text_share() * file.size
            for file in measured
        )
        share = text / max(sum(file.size for file in measured), 1)
        return sum(file.size for file in files if file.is_text) + round(
            share * sum(file.size for file in rows)
        )

    def validation(self) -> TextSource | None:
        """The source of the validation side, where the configuration or the files name one."""
        if self._side != "train":
            return None
        if self._config.val_path is not None:
            update = {"train_path": self._config.val_path, "val_path": None}
            return TextSource(self._config.model_copy(update=update), self._root)
        source = TextSource(self._config, self._root, side="validation")
        return source if source._found().files else None

    @property
    def _base(self) -> Path:
        return self._root / self._config.train_path

    def _found(self) -> Found:
        val_path = self._config.val_path
        apart = None if val_path is None else self._root / val_path
        found = find_files(self._base, self._config.train_path, apart=apart)
        return found if apart is not None else found.side(self._side)

    def _read(
        self, files: tuple[DataFile, ...], corpus: tuple[DataFile, ...]
    ) -> Iterator[Document | Rejected]:
        reading = self._reading(corpus)
        for file in files:
            yield from FileReader(file, self._shown(file), reading).documents()

    def _reading(self, corpus: tuple[DataFile, ...]) -> Reading:
        block = _block_size(sum(file.text_size for file in corpus if file.is_text))
        return Reading(block, self._config.separator, self._config.columns)

    def _shown(self, file: DataFile) -> str:
        """The path as messages show it: inside the project where it is, and always printable."""
        inside = file.path.is_relative_to(self._root)
        path = (file.path.relative_to(self._root) if inside else file.path).as_posix()
        return path.encode("utf-8", "backslashreplace").decode()


def _fingerprint(files: tuple[DataFile, ...], reading: Reading) -> str:
    """SHA-256 over names, contents and what decides how they are read."""
    columns = reading.columns.named() if reading.columns else None
    options: list[object] = ["text", _FORMAT, reading.separator, columns]
    if any(file.is_text for file in files):
        options.append(reading.block)
    if any(file.format == "parquet" for file in files):
        options.append(is_readable())
    digest = hashlib.sha256(json.dumps(options, sort_keys=True).encode())
    for file in files:
        # The name is relative to the data: a corpus is the same one wherever it lies.
        digest.update(json.dumps([file.name, _sha256(file.path)]).encode())
    return digest.hexdigest()


def _sha256(path: Path) -> str | None:
    """Of a file's content; None for one that cannot be read, which is rejected."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def _block_size(total: int) -> int:
    smallest = max(min(total // _FEWEST_BLOCKS, _USUAL_SMALLEST_BLOCK), _SMALLEST_BLOCK)
    return min(max(total // _BLOCKS_WANTED, smallest), _LARGEST_BLOCK)
