"""The stories as parts of create-llm: a data source and a synthesizer."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path

from create_llm.data.documents import Document, Origin
from create_llm_sample.config import SampleConfig, SynthConfig
from create_llm_sample.languages import language
from create_llm_sample.stories import VERSION, stories, story
from create_llm_sample.topics import clean

BYTES_PER_MB = 1_000_000

# Story numbers of the synthesizer start here, beyond any that a source of the largest size reaches
# (1,000 MB is under a million stories), so that synthetic samples never repeat the corpus.
_FIRST_SYNTHETIC = 10_000_000


class SampleSource:
    """Stories up to a size, the languages taken in turn; nothing is read and nothing is stored."""

    def __init__(self, config: SampleConfig, root: Path) -> None:
        """``root``, the project folder, is given to every source; stories need no files."""
        self.config = config
        self._size = round(config.size_mb * BYTES_PER_MB)

    def documents(self) -> Iterator[Document]:
        """One document per story; its line is its number within its language, from 1."""
        lines: dict[str, int] = dict.fromkeys(self.config.languages, 0)
        for code, text in stories(self._size, self.config.languages, self.config.seed):
            lines[code] += 1
            yield Document.plain(text, Origin(f"sample:{code}", lines[code]))

    def fingerprint(self) -> str:
        """SHA-256 in hex of what decides the text: the version of the stories and the settings."""
        settings = f"{VERSION}\n{self.config.model_dump_json()}"
        return hashlib.sha256(settings.encode()).hexdigest()

    def total_bytes(self) -> int | None:
        """The size asked for; the last story is told to its end and passes it by a little."""
        return self._size


class StorySynthesizer:
    """Writes as many stories as asked for, about a topic if there is one; works offline."""

    def __init__(self, config: SynthConfig) -> None:
        self.config = config

    def generate(self, samples: int, topic: str | None) -> Iterator[Document]:
        """``samples`` documents, the languages in turn.

        A topic that only some of the languages know, such as "lighthouse", is told in those.
        """
        turns = enumerate(cycle(self._languages(clean(topic))), start=_FIRST_SYNTHETIC)
        for index, code in islice(turns, samples):
            text = story(code, self.config.seed, index, topic)
            yield Document.plain(text, Origin(f"sample:{code}", index))

    def _languages(self, topic: str | None) -> tuple[str, ...]:
        if topic is None:
            return self.config.languages
        fluent = [code for code in self.config.languages if language(code).knows(topic.lower())]
        return tuple(fluent) or self.config.languages
