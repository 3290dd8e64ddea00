"""The data source: text files as documents."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

from create_llm.data.documents import Document, Origin
from create_llm_text.config import TextConfig
from create_llm_text.files import Found, find_files
from create_llm_text.pieces import Piece, read_blocks, read_separated

# A document of 16 KB is a few thousand tokens: enough for any context worth training here. A
# small corpus is cut finer, so that a tenth of its documents is close to a tenth of its text
# (of 256 documents, give or take 2 %), but not so fine that the model learns to stop early.
_LARGEST_BLOCK = 16_384
_BLOCKS_WANTED = 256
_USUAL_SMALLEST_BLOCK = 1024
_FEWEST_BLOCKS = 64
_SMALLEST_BLOCK = 256
_LARGEST_SEPARATED = 1 << 20


class TextSource:
    """The .txt and .md files at `train_path`, in the order of their paths.

    Each file is divided into blocks of whole lines: at most 16 KB, and less when the corpus is
    small. With a separator, into what stands between its occurrences.
    """

    def __init__(self, config: TextConfig, root: Path) -> None:
        self._config = config
        self._root = root

    @property
    def skipped(self) -> list[str]:
        """What lies beside the text files and was passed over, each with the reason."""
        return list(self._found().skipped)

    def documents(self) -> Iterator[Document]:
        files = self._found().files
        block = _block_size(sum(path.stat().st_size for path in files))
        for path in files:
            name = self._name(path)
            for piece in self._pieces(path, block):
                yield Document.plain(piece.text, Origin(name, piece.line))

    def fingerprint(self) -> str:
        digest = hashlib.sha256()
        digest.update(json.dumps(["text", 1, self._config.separator]).encode())
        for path in self._found().files:
            with path.open("rb") as file:
                content = hashlib.file_digest(file, "sha256").hexdigest()
            # Relative to the data, so that a corpus is the same one wherever it lies.
            name = path.relative_to(self._base).as_posix()
            digest.update(json.dumps([name, content]).encode())
        return digest.hexdigest()

    def total_bytes(self) -> int:
        return sum(path.stat().st_size for path in self._found().files)

    def validation(self) -> TextSource | None:
        """The source of the validation side, where the configuration names one."""
        if self._config.val_path is None:
            return None
        update = {"train_path": self._config.val_path, "val_path": None}
        return TextSource(self._config.model_copy(update=update), self._root)

    @property
    def _base(self) -> Path:
        return self._root / self._config.train_path

    def _found(self) -> Found:
        val_path = self._config.val_path
        apart = None if val_path is None else self._root / val_path
        return find_files(self._base, self._config.train_path, apart=apart)

    def _pieces(self, path: Path, block: int) -> Iterator[Piece]:
        if self._config.separator is None:
            return read_blocks(path, block)
        return read_separated(path, _LARGEST_SEPARATED, self._config.separator)

    def _name(self, path: Path) -> str:
        """The path as messages and the fingerprint show it: inside the project where it is."""
        inside = path.is_relative_to(self._root)
        return (path.relative_to(self._root) if inside else path).as_posix()


def _block_size(total: int) -> int:
    smallest = max(min(total // _FEWEST_BLOCKS, _USUAL_SMALLEST_BLOCK), _SMALLEST_BLOCK)
    return min(max(total // _BLOCKS_WANTED, smallest), _LARGEST_BLOCK)
