"""What `llm serve` writes for one client and for many: speed, waiting, errors, memory.

    python benchmarks/serve.py [--clients 1 8 64] [--tokens 64] [--rounds 3] [--model FOLDER] [-- …]

A server of its own runs with a model of the size of the template `tiny`, untrained (how fast
tokens come does not depend on which), or with the bundle in FOLDER; what follows `--` goes to
`llm serve`. Then so many clients stream completions of so many tokens, each asking again when its
answer is there, four times in a round. The levels take turns, so that a busy moment of the machine
touches all of them; the last rounds are the same load as the first.

On stdout one JSON line a level: clients, requests, errors, tokens_per_second, first_token_seconds
(median and p95), rss_bytes of the server after its first round and after its last. A table with
ratios, to one client at a time, goes to stderr. An error makes the exit code 1.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median, quantiles
from urllib.parse import urlsplit

import psutil

PROGRAM = "from create_llm.cli import main; main()"
WORDS = (
    "the",
    "cat",
    "sat",
    "on",
    "a",
    "mat",
    "and",
    "dogs",
    "ran",
    "to",
    "town",
    "while",
    "it",
    "rained",
)
REQUESTS = 4
TINY = {
    "model__name": "gpt",
    "model__layers": 6,
    "model__heads": 6,
    "model__dim": 384,
    "model__max_length": 512,
    "model__vocab_size": 8192,
    "tokenizer__name": "bpe",
    "tokenizer__vocab_size": 400,
    "training__batch_size": 2,
    "training__max_steps": 1,
    "training__compile": "off",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """One request: when its first token came, when it ended, its tokens; no tokens is an error."""

    first: float
    seconds: float
    tokens: int


@dataclass(slots=True)
class Level:
    """So many clients at the same time, in several rounds."""

    clients: int
    asked: list[Asked] = field(default_factory=list)
    seconds: float = 0
    rss: list[int] = field(default_factory=list)

    def line(self) -> Line:
        firsts = [asked.first for asked in self.asked if asked.tokens]
        waited = (median(firsts), quantiles(firsts, n=20)[-1]) if len(firsts) > 1 else (0.0, 0.0)
        return Line(
            self.clients,
            len(self.asked),
            len(self.asked) - len(firsts),
            round(sum(asked.tokens for asked in self.asked) / self.seconds, 1),
            (round(waited[0], 4), round(waited[1], 4)),
            (self.rss[0], self.rss[-1]),
        )


@dataclass(frozen=True, slots=True)
class Line:
    clients: int
    requests: int
    errors: int
    tokens_per_second: float
    first_token_seconds: tuple[float, float]
    rss_bytes: tuple[int, int]


def main() -> None:
    options = _arguments()
    with tempfile.TemporaryDirectory() as folder:
        model = options.model or _untrained(Path(folder))
        levels = [Level(clients) for clients in options.clients]
        with _server(model, options.serve) as (url, process):
            asyncio.run(_round(url, Level(1), options.tokens))  # compiles and warms up
            for number in range(options.rounds):
                for level in levels:
                    asyncio.run(_round(url, level, options.tokens))
                    level.rss.append(process.memory_info().rss)
                _say(f"round {number + 1}/{options.rounds}")
    lines = [level.line() for level in levels]
    for line in lines:
        print(json.dumps(asdict(line)), flush=True)
    _say(table(lines))
    if any(line.errors for line in lines):
        sys.exit(1)


def table(lines: list[Line]) -> str:
    rows = ["clients  tokens/s   ratio   first token p50      p95   errors   RSS first → last"]
    for line in lines:
        ratio = line.tokens_per_second / lines[0].tokens_per_second
        middle, late = line.first_token_seconds
        before, after = (size / 2**20 for size in line.rss_bytes)
        rows.append(
            f"{line.clients:7d} {line.tokens_per_second:9.1f} {ratio:7.2f} {middle:15.3f} s "
            f"{late:6.3f} s {line.errors:8d}   {before:.0f} → {after:.0f} MiB"
        )
    return "\n".join(rows)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--tokens", type=int, default=64, help="of each answer")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model", type=Path, help="a bundle; unset: an untrained one")
    parser.add_argument("serve", nargs="*", help="options for llm serve")
    return parser.parse_args()


def _untrained(folder: Path) -> Path:
    """A bundle of a model of about ten million parameters."""
    import create_llm

    project = folder / "project"
    (project / "data" / "raw").mkdir(parents=True)
    (project / "llm.toml").touch()
    lines = (" ".join([*WORDS[i % 9 :], str(i)]) for i in range(2000))
    (project / "data" / "raw" / "text.txt").write_text("\n".join(lines), encoding="utf-8")
    return Path(create_llm.train(project, **TINY)["model"])


@contextmanager
def _server(model: Path, options: list[str]) -> Iterator[tuple[str, psutil.Process]]:
    command = [sys.executable, "-c", PROGRAM, "serve", str(model), "--port", "0", "--json"]
    with subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            told = process.stdout.readline()
            if not told:
                sys.exit("the server did not start")
            yield json.loads(told)["url"], psutil.Process(process.pid)
        finally:
            process.terminate()


async def _round(url: str, level: Level, tokens: int) -> None:
    began = time.perf_counter()
    found = await asyncio.gather(*(_client(url, i, tokens) for i in range(level.clients)))
    level.seconds += time.perf_counter() - began
    level.asked.extend(asked for several in found for asked in several)


async def _client(url: str, number: int, tokens: int) -> list[Asked]:
    return [await _ask(url, number + turn, tokens) for turn in range(REQUESTS)]


async def _ask(url: str, number: int, tokens: int) -> Asked:
    """Stream one completion, over a connection of its own."""
    prompt = " ".join(WORDS[number % 7 : number % 7 + 8])
    body = json.dumps(
        {
            "prompt": prompt,
            "max_tokens": tokens,
            "seed": number,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
    ).encode()
    place, began = urlsplit(url), time.perf_counter()
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    writer.write(
        f"POST {place.path}/completions HTTP/1.1\r\nHost: {place.netloc}\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        + body
    )
    first, used = 0.0, 0
    async for line in reader:
        if line.startswith(b"data: {"):
            first = first or time.perf_counter() - began
            used = ((json.loads(line[6:]).get("usage")) or {}).get("completion_tokens", 0)
    writer.close()
    return Asked(first, time.perf_counter() - began, used)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
