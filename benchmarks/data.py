"""What it costs to turn text into token shards: speed and memory.

    python benchmarks/data.py [--megabytes 64 256 1000] [--tokenizer bpe] [--workers N] [--files F]

Generates text of each size in a temporary folder, as files of at most 64 MB or, with --files, of
as many, and prepares it in a process of its own. One JSON line for each: MB of text a second,
beside those of the tokenizer alone, without reading, splitting and writing, on the same text in
the same process, before and after; and the most memory that the process and its workers held, each
and together.
The tokenizer `none` encodes nothing, in no time: what is left is what all the rest costs.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from itertools import accumulate, islice
from pathlib import Path

import psutil

from create_llm.config import load_config
from create_llm.data.pipeline import data_source, ensure_data, ensure_tokenizer
from create_llm.data.source import DataSource, documents_of
from create_llm.data.split import utf8_size
from create_llm.data.tokenizer import SpecialTokens, Tokenizer
from create_llm.kernel.plugins import load_plugins
from create_llm.project.folder import Project

CONFIG = """
[model]
name = "gpt"
[data]
source = "text"
[tokenizer]
name = "{tokenizer}"
"""
FILE_MEGABYTES = 64
TRAINED_ON = 4_000_000
ALONE_BYTES = 16_000_000
_SLICE_SECONDS = 0.02


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=int, nargs="+", default=[64, 256])
    parser.add_argument("--tokenizer", nargs="+", default=["none", "byte", "bpe"])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--files", type=int, help="how many files the text is in")
    arguments = parser.parse_args()
    for megabytes in arguments.megabytes:
        files = arguments.files or -(-megabytes // FILE_MEGABYTES)
        with tempfile.TemporaryDirectory(prefix="create-llm-bench-") as folder:
            write_text(Path(folder) / "data/raw", megabytes, files)
            for tokenizer in arguments.tokenizer:
                for workers in arguments.workers:
                    show(Path(folder), megabytes, files, tokenizer, workers)


def show(folder: Path, megabytes: int, files: int, tokenizer: str, workers: int) -> None:
    """Measure one case in a process of its own and print its line."""
    text = CONFIG.format(tokenizer="byte" if tokenizer == "none" else tokenizer)
    more = "" if tokenizer in ("none", "byte") else "vocab_size = 8192\n"
    (folder / "llm.toml").write_text(text + more)
    # By `import`, so that workers find the tokenizer below under the same name.
    inside = "import json, sys, data; print(json.dumps(data.measure(*sys.argv[1:])))"
    command = [sys.executable, "-c", inside, str(folder), tokenizer, str(workers)]
    found = [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, found))}
    ended = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    case = {"megabytes": megabytes, "files": files, "tokenizer": tokenizer, "workers": workers}
    print(json.dumps({**case, **json.loads(ended.stdout)}), flush=True)


def write_text(folder: Path, megabytes: int, files: int) -> None:
    """Lines drawn from a stock of sentences, as many as it takes."""
    folder.mkdir(parents=True)
    stock = sentences(20_000)
    for number in range(files):
        rng = random.Random(number)
        left = megabytes * 1_000_000 // files
        with (folder / f"{number:05d}.txt").open("w", encoding="utf-8") as file:
            while left > 0:
                left -= file.write("".join(rng.choices(stock, k=1_000))[:left])


def sentences(count: int) -> list[str]:
    """Made-up words, the frequent ones frequent as in a language (Zipf's law)."""
    rng = random.Random(count)
    syllables = [c + v for c in "bcdfghjklmnprstvwz" for v in "aeiou"]
    words = ["".join(rng.choices(syllables, k=rng.randint(1, 4))) for _ in range(30_000)]
    weights = list(accumulate(1 / (rank + 3) for rank in range(len(words))))
    drawn = (rng.choices(words, cum_weights=weights, k=rng.randint(5, 35)) for _ in range(count))
    return [f"{' '.join(sentence)}.\n" for sentence in drawn]


class NoTokenizer:
    """Makes no tokens."""

    vocab_size = 2
    special = SpecialTokens(eos=1, named={"</s>": 1})

    @classmethod
    def load(cls, folder: Path) -> NoTokenizer:
        del folder
        return cls()

    def save(self, folder: Path) -> None:
        (folder / "tokenizer.json").write_text("{}")

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        return [[] for _ in texts]

    def decode(self, ids: Sequence[int]) -> str:
        del ids
        return ""

    def token(self, token_id: int) -> str:
        return str(token_id)


def measure(place: str, name: str, workers: str) -> dict[str, float]:
    """Prepare the project in `place` and then encode some of its text with nothing else."""
    folder = Path(place)
    project, overrides = Project(folder), [f"data.workers={workers}"]
    config = load_config(folder, load_plugins({}), overrides=overrides, environ={})
    tokenizer: Tokenizer = NoTokenizer()
    if name != "none":
        tokenizer = ensure_tokenizer(project_for_tokenizer(project), config)
    source = data_source(project, config)
    started = time.perf_counter()
    source.fingerprint()
    fingerprint = time.perf_counter() - started
    before = alone(tokenizer, source)
    with Memory() as memory:
        started = time.perf_counter()
        data = ensure_data(project, config, tokenizer)
        seconds = time.perf_counter() - started
    started = time.perf_counter()
    assert ensure_data(project, config, tokenizer).cached
    again = time.perf_counter() - started
    speed = (data.train.bytes + data.val.bytes) / 1e6 / seconds
    by_itself = (before + alone(tokenizer, source)) / 2
    remove(project)
    return {
        "mb_per_second": round(speed, 2),
        "tokenizer_alone_mb_per_second": round(by_itself, 2),
        "ratio": round(speed / by_itself, 3),
        "fingerprint_seconds": round(fingerprint, 2),
        "unchanged_seconds": round(again, 2),
        "peak_rss_mb": round(memory.process / 1e6),
        "peak_rss_of_a_worker_mb": round(memory.worker / 1e6),
        "peak_rss_together_mb": round(memory.together / 1e6),
        "tokens": data.train.tokens + data.val.tokens,
    }


def project_for_tokenizer(project: Project) -> Project:
    """A project beside it with the beginning of the text, on which a vocabulary is soon learnt."""
    small = Project(project.root / "small")
    if not small.raw.exists():
        small.raw.mkdir(parents=True)
        with next(iter(sorted(project.raw.iterdir()))).open("rb") as file:
            (small.raw / "text.txt").write_bytes(file.read(TRAINED_ON))
    return small


def alone(tokenizer: Tokenizer, source: DataSource) -> float:
    """MB a second of the tokenizer by itself, at the beginning of the text."""
    batches, size = [], 0
    documents = documents_of(source)
    while size < ALONE_BYTES and (batch := [d.text for d in islice(documents, 64)]):
        batches.append(batch)
        size += sum(map(utf8_size, batch))
    started = time.perf_counter()
    for batch in batches:
        tokenizer.encode_batch(batch)
    return size / 1e6 / (time.perf_counter() - started)


def remove(project: Project) -> None:
    """Let the next case begin anew."""
    for path in sorted(project.processed.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()


class Memory:
    """Watches the memory of this process and of its children while it is open."""

    def __init__(self) -> None:
        self.process = self.worker = self.together = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(_SLICE_SECONDS):
            own = psutil.Process(os.getpid()).memory_info().rss
            others = list(_rss_of_children())
            self.process = max(self.process, own)
            self.worker = max([self.worker, *others])
            self.together = max(self.together, own + sum(others))


def _rss_of_children() -> Iterator[int]:
    for child in psutil.Process().children():
        try:
            yield child.memory_info().rss
        except psutil.NoSuchProcess:
            continue


if __name__ == "__main__":
    main()
