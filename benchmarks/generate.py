"""How fast a model writes: each installed engine, beside transformers and bare xllamacpp.

    python benchmarks/generate.py [--size tiny|small] [--bundle DIR] [--tokens N] [--rounds N]
                                  [--threads N] [--only NAME]

Each line of stdout is one JSON object: a contender, with `tokens_per_second` (the best round, from
the request to the last token of one text, sampled with top-k 50 and top-p 0.95),
`cpu_tokens_per_second` (by processor time, which other programs disturb less), `p95_ms` (of the
time from one token to the next, over all rounds) and `ratio` to transformers (medians of the
rounds' ratios: contenders take turns, so that a busy moment touches all of them). The engine
llamacpp and bare xllamacpp run the same file. Then for each engine a line with `ready_seconds`
(from the start of `llm generate` in a process of its own to its first token) and `peak_mb`.

Without --bundle the model has the template's shape and random weights: a token costs the same.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from create_llm.kernel.plugins import default_plugins
from create_llm.models.bundle import ModelBundle
from create_llm.models.engine import CannotRun, TextModel, open_with
from create_llm.models.sampling import Sampling
from create_llm.models.writing import Prompt, Writing

PROMPT = tuple(range(100, 108))
SIZES: dict[str, dict[str, object]] = {
    "tiny": {"max_length": 256, "layers": 7, "heads": 5, "dim": 320, "vocab_size": 4096},
    "small": {"max_length": 1024, "layers": 12, "heads": 12, "dim": 768, "vocab_size": 32_000},
}

_GENERATE = """
from create_llm.cli import main
try:
    main()
finally:
    status = dict(line.split(":") for line in open("/proc/self/status"))
    print(status["VmHWM"].split()[0])
"""

Tick = Callable[[], None]
Write = Callable[[Tick], None]
"""Writes a text, and ticks at each of its tokens."""


@dataclass
class Contender:
    name: str
    write: Write
    speeds: list[float] = field(default_factory=list)
    cpu_speeds: list[float] = field(default_factory=list)
    gaps: list[float] = field(default_factory=list)

    def run(self, *, counts: bool) -> None:
        moments: list[float] = []
        wall, cpu = time.perf_counter(), time.process_time()
        self.write(lambda: moments.append(time.perf_counter()))
        cpu = time.process_time() - cpu
        if counts:
            self.speeds.append(len(moments) / (moments[-1] - wall))
            self.cpu_speeds.append(len(moments) / cpu)
            self.gaps.extend(b - a for a, b in pairwise(moments))


def transformers_writes(bundle: ModelBundle, tokens: int) -> Write:
    import torch
    import transformers
    from transformers.generation.streamers import BaseStreamer

    model: Any = transformers.AutoModelForCausalLM.from_pretrained(bundle.path, dtype=torch.float32)
    prompt = torch.tensor([PROMPT])
    asked: dict[str, Any] = {"max_new_tokens": tokens, "min_new_tokens": tokens, "pad_token_id": 0}
    drawn: dict[str, Any] = {"do_sample": True, "top_k": 50, "top_p": 0.95, "temperature": 1.0}

    class Streamer(BaseStreamer):
        def __init__(self, tick: Tick) -> None:
            self.tick, self.begun = tick, False

        def put(self, value: object) -> None:
            if self.begun:  # the prompt comes first
                self.tick()
            self.begun = True

        def end(self) -> None:
            return

    def write(tick: Tick) -> None:
        seen = torch.ones_like(prompt)
        model.generate(prompt, attention_mask=seen, streamer=Streamer(tick), **asked, **drawn)

    return write


def engine_writes(model: TextModel, tokens: int) -> Write:
    """Ids only."""
    sampling = Sampling(max_new_tokens=tokens, seed=1)

    def write(tick: Tick) -> None:
        writer = model.writer(lambda notice: None)
        writer.add(0, PROMPT, sampling)
        for _ in range(tokens):
            writer.step()
            tick()
        writer.drop(0)

    return write


def text_writes(model: TextModel, tokens: int) -> Write:
    """As `llm generate` does it: text, stop strings and the end of the text."""
    sampling = Sampling(max_new_tokens=tokens, seed=1)

    def write(tick: Tick) -> None:
        writing = Writing(model, lambda notice: None)
        writing.add(0, Prompt("", PROMPT), sampling)
        while len(writing):
            writing.step()
            tick()

    return write


def bare_writes(model: Any, tokens: int) -> Write:
    """The server that the engine asks, without what is around it."""
    server = model._server._server
    request = {"prompt": list(PROMPT), "n_predict": tokens, "seed": 1, "cache_prompt": False}
    settings = {"stream": True, "top_k": 50, "top_p": 0.95, "temperature": 1.0}

    def write(tick: Tick) -> None:
        def take(piece: dict[str, Any]) -> bool:
            if piece["choices"][0]["text"]:
                tick()
            return False

        server.handle_completions({**request, **settings}, take)

    return write


def contenders(bundle: ModelBundle, tokens: int) -> Iterator[Contender]:
    registry = default_plugins().registry
    yield Contender("transformers", transformers_writes(bundle, tokens))
    for name in registry.names("engines"):
        try:
            model = open_with(name, bundle, registry, "cpu", lambda notice: None)
        except CannotRun as error:
            print(f"{name}: {error.what}", file=sys.stderr)
            continue
        yield Contender(name, engine_writes(model, tokens))
        yield Contender(f"{name} text", text_writes(model, tokens))
        if name == "llamacpp":
            yield Contender("xllamacpp", bare_writes(model, tokens))


def started(bundle: ModelBundle, engine: str) -> dict[str, object]:
    """`llm generate` in a process of its own: until its first token, and its peak memory."""
    command = [sys.executable, "-c", _GENERATE]
    options = ["--engine", engine, "--prompt", "ab", "--seed", "1", "--max-new-tokens", "1"]
    # Installed packages are compiled; what lies here is at the first of such runs.
    compiled = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    begun = time.perf_counter()
    done = subprocess.run(
        [*command, "generate", str(bundle.path), *options],
        env=compiled,
        capture_output=True,
        text=True,
    )
    seconds = time.perf_counter() - begun
    if done.returncode:
        return {"start": engine, "failed": done.stderr.strip().splitlines()[0]}
    peak = int(done.stdout.splitlines()[-1])
    return {"start": engine, "ready_seconds": round(seconds, 3), "peak_mb": peak // 1024}


def made_bundle(folder: Path, size: str) -> ModelBundle:
    from data import sentences

    from create_llm.testing import bundles

    shape = dict(SIZES[size])
    tokenizer = {"name": "bpe", "vocab_size": shape.pop("vocab_size"), "min_frequency": 1}
    texts = tuple(sentences(20_000))
    registry = default_plugins().registry
    model = {"name": "gpt", **shape}
    return bundles.write_bundle(folder / size, registry, model, tokenizer, texts=texts)


def measure(given: argparse.Namespace, bundle: ModelBundle) -> None:
    found = [c for c in contenders(bundle, given.tokens) if given.only in (None, c.name)]
    for number in range(given.rounds + 1):
        for contender in found:
            contender.run(counts=number > 0)
    peer = next((c for c in found if c.name == "transformers"), found[0])
    for contender in found:
        ratios = [a / b for a, b in zip(contender.speeds, peer.speeds, strict=True)]
        gaps = sorted(contender.gaps)
        row = {
            "name": contender.name,
            "tokens_per_second": round(max(contender.speeds), 1),
            "cpu_tokens_per_second": round(max(contender.cpu_speeds), 1),
            "ratio": round(statistics.median(ratios), 2),
            "p95_ms": round(1000 * gaps[int(0.95 * len(gaps))], 2) if gaps else None,
        }
        print(json.dumps(row), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--size", choices=SIZES, default="tiny")
    parser.add_argument("--bundle", type=Path)
    parser.add_argument("--tokens", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--only")
    given = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(given.threads)
    import torch

    torch.set_num_threads(given.threads)
    with TemporaryDirectory(prefix="generate-") as folder:
        made = given.bundle is None
        bundle = made_bundle(Path(folder), given.size) if made else ModelBundle.open(given.bundle)
        for engine in default_plugins().registry.names("engines"):
            started(bundle, engine)  # what is done once is done
            print(json.dumps(started(bundle, engine)), flush=True)
        measure(given, bundle)


if __name__ == "__main__":
    main()
