"""A data source: a folder in which every file is one poem."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from create_llm.data.documents import Document, Origin
from create_llm.errors import DataError
from create_llm_haiku.config import PoemsConfig


class Poems:
    def __init__(self, config: PoemsConfig, root: Path) -> None:
        self._folder, self._pattern = root / config.train_path, config.pattern

    def documents(self) -> Iterator[Document]:
        for path in self._paths():
            try:
                yield Document.plain(path.read_text(encoding="utf-8"), Origin(str(path), 1))
            except UnicodeDecodeError as error:
                fixes = ("convert it to UTF-8", "or move it out of the folder")
                raise DataError("this is not UTF-8 text", where=str(path), fixes=fixes) from error

    def fingerprint(self) -> str:
        digest = hashlib.sha256()
        for path in self._paths():
            digest.update(f"{path.name} {path.stat().st_size} ".encode() + path.read_bytes())
        return digest.hexdigest()

    def total_bytes(self) -> int:
        return sum(path.stat().st_size for path in self._paths())

    def _paths(self) -> list[Path]:
        if paths := sorted(self._folder.glob(self._pattern)):
            return paths
        fixes = (f"put {self._pattern} files there", "or name a folder: data.train_path")
        raise DataError("there are no poems", where=str(self._folder), fixes=fixes)
