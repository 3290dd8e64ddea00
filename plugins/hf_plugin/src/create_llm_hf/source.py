"""The data source: a dataset of the Hub, read by the source `text`."""

from __future__ import annotations

import contextlib
import hashlib
import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from create_llm.data.documents import Document, Origin, Rejected
from create_llm.data.handed_on import handed_on
from create_llm.data.preparation.prepare import Progress
from create_llm.data.source import DataSource, FileSurvey, SourcePart, Surveyed
from create_llm.errors import ConfigError, DataError, did_you_mean
from create_llm_hf.dataset_cache import DatasetCache, DatasetFile, Record
from create_llm_hf.source_config import HuggingFaceDataConfig

READER = "text"
_VALIDATION = "validation"


class HuggingFaceSource:
    """The files of one split, one after another; each is a part that is prepared by itself.

    The commit is looked up once and kept, so that the documents stay the same until somebody names
    another revision. Origins name the dataset and the file in it.
    """

    def __init__(self, config: HuggingFaceDataConfig, root: Path) -> None:
        self._config, self._root = config, root
        self._cache = DatasetCache(config, root)

    def fetch(self, progress: Progress) -> None:
        """Download what is not here yet, that of the validation side too."""
        if self._config.streaming:
            return
        total = sum(file.size for file in self._files)
        stage, done = f"downloading {self._record.dataset}", 0
        for file in self._files:
            progress(stage, done, total)
            self._cache.file(file, self._record)
            done += file.size
        progress(stage, done, total)
        validation = self.validation()
        if validation is not None:
            validation.fetch(progress)

    def documents(self) -> Iterator[Document | Rejected]:
        for file in self._files:
            yield from self._documents_of(file)

    def parts(self) -> Sequence[SourcePart]:
        return [SourcePart(file.path, self._fingerprint(file)) for file in self._files]

    def documents_in(self, part: SourcePart) -> Iterator[Document | Rejected]:
        return self._documents_of(next(f for f in self._files if f.path == part.name))

    def fingerprint(self) -> str:
        prints = [self._fingerprint(file) for file in self._files]
        return hashlib.sha256(json.dumps(["hf", 1, prints]).encode()).hexdigest()

    def total_bytes(self) -> int | None:
        """None: how much text is in a row of a compressed file, nobody says."""
        return None

    def validation(self) -> HuggingFaceSource | None:
        """The split to score on, where one is named or there is one of that name."""
        wanted = self._config.validation or _VALIDATION
        if self._config.split == wanted:
            return None
        if self._config.validation is None and wanted not in self._record.splits:
            return None
        update = {"split": wanted, "validation": wanted}
        return HuggingFaceSource(self._config.model_copy(update=update), self._root)

    def files(self) -> Iterator[str]:
        dataset = f"hf://datasets/{self._record.dataset}@{self._record.commit}"
        return (f"{dataset}/{file.path}" for file in self._files)

    def survey(self) -> Iterator[FileSurvey]:
        for file in self._files:
            with self._read(file) as source:
                if isinstance(source, Surveyed):
                    for found in source.survey():
                        yield replace(found, path=self._shown(file))

    @cached_property
    def _record(self) -> Record:
        return self._cache.record()

    @cached_property
    def _files(self) -> tuple[DatasetFile, ...]:
        """Those of the split.

        Raises:
            ConfigError: there is no such split, or it is larger than what may be downloaded.
        """
        splits, split = self._record.splits, self._config.split
        if split not in splits:
            raise ConfigError(
                f"{self._record.dataset} has no split '{split}'",
                where="data.split",
                fixes=(*did_you_mean(split, splits), f"there are: {', '.join(splits)}"),
            )
        sizes = [file.size for file in splits[split]]
        size = max(sizes) if self._config.streaming else sum(sizes)
        if size > self._config.max_bytes:
            raise ConfigError(
                f"the split '{split}' of {self._record.dataset} has {sum(sizes):,} bytes; no more "
                f"than {self._config.max_bytes:,} are downloaded",
                where="data.max_bytes",
                fixes=(
                    f"allow more: --set data.max_bytes={size}",
                    "or keep one file at a time: --set data.streaming=true",
                ),
            )
        return splits[split]

    def _documents_of(self, file: DatasetFile) -> Iterator[Document | Rejected]:
        with self._read(file) as source:
            for item in source.documents():
                yield replace(item, origin=Origin(self._shown(file), item.origin.line))

    @contextlib.contextmanager
    def _read(self, file: DatasetFile) -> Iterator[DataSource]:
        """The source `text` over one file, which is gone afterwards where data.streaming says."""
        with self._here(file) as path:
            try:
                yield handed_on(READER, path, self._config.text, self._root)
            except DataError as error:
                again = f"or, if the download was damaged, remove {self._cache.folder}"
                error.fixes = (*error.fixes, again)
                raise

    @contextlib.contextmanager
    def _here(self, file: DatasetFile) -> Iterator[Path]:
        if not self._config.streaming:
            yield self._cache.file(file, self._record)
            return
        # A copy of one's own: another reading may be under way, and ends at another time.
        with tempfile.TemporaryDirectory(dir=self._cache.folder, prefix="reading-") as folder:
            yield self._cache.fetch(file, self._record, Path(folder))

    def _shown(self, file: DatasetFile) -> str:
        return f"hf://datasets/{self._record.dataset}/{file.path}"

    def _fingerprint(self, file: DatasetFile) -> str:
        """Of the content and of how it is read; nothing has to be downloaded for it."""
        read = [file.hash, file.size, self._config.text]
        return hashlib.sha256(json.dumps(read, sort_keys=True).encode()).hexdigest()
