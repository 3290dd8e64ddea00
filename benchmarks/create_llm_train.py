"""`llm train` in a project made by `llm new`, for throughput.py.

The project's own engine through the door that users take: a generated project with random text,
the sizes given by --set, every other choice (precision, compilation, allocator, optimizer) left
to it. Times are those of the `step` events in events.jsonl. The run is meant to be long, since a
short one would choose differently, and is ended by a signal once enough steps are in it.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import string
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from workload import GPT2, QWEN3, Run, Workload

from create_llm.runs.events import read_events

LLM = str(Path(sys.executable).with_name("llm"))
TEXT_BYTES = 4_000_000
NEVER = 1_000_000
LOOK_EVERY = 0.2
STOPS_WITHIN = 300
SHAPES = {"gpt2": GPT2, "qwen3": QWEN3}


def settings(form: str, shape: Workload) -> Mapping[str, object]:
    return {
        "model.name": "gpt",
        "model.form": form,
        "model.layers": shape.layers,
        "model.heads": shape.heads,
        "model.dim": shape.width,
        "model.ffn_dim": shape.feed_forward,
        "model.max_length": shape.context,
        "model.dropout": 0.0,
        "model.vocab_size": shape.vocabulary,
        "tokenizer.name": "byte",
        "training.device": "cpu",
        "training.batch_size": shape.batch,
        "training.gradient_accumulation_steps": 1,
        "training.gradient_clip": 1.0,
        "training.max_steps": NEVER,
        "training.eval_interval": NEVER,
        "training.save_interval": NEVER,
        "logging.log_interval": 1,
        "checkpoints.save_on_interrupt": "false",
    }


def make_project(folder: Path) -> Path:
    command = [LLM, "new", "project", "--template", "nano", "--tokenizer", "byte", "--yes"]
    subprocess.run(command, cwd=folder, check=True, stdout=sys.stderr)
    root, letters = folder / "project", random.Random(0)
    raw = root / "data" / "raw"
    for example in raw.iterdir():
        example.unlink()
    lines = ("".join(letters.choices(string.ascii_letters, k=79)) for _ in range(TEXT_BYTES // 80))
    (raw / "random.txt").write_text("\n".join(lines) + "\n", encoding="ascii")
    return root


def train_until(root: Path, values: Mapping[str, object], steps: int) -> None:
    """Run `llm train` until `steps` steps are logged.

    Raises:
        RuntimeError: it ended before, or not as an interrupted run should.
    """
    flags = [word for key, value in values.items() for word in ("--set", f"{key}={value}")]
    process = subprocess.Popen([LLM, "train", *flags], cwd=root, stdout=sys.stderr)
    try:
        while process.poll() is None and len(events(root, "step")) < steps:
            time.sleep(LOOK_EVERY)
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        if process.wait(STOPS_WITHIN) != 128 + signal.SIGTERM:
            raise RuntimeError(f"llm train ended with exit code {process.returncode}")
    finally:
        process.kill()


def events(root: Path, name: str) -> list[dict[str, Any]]:
    files = (root / "logs").glob("*/events.jsonl")
    return [event for file in files for event in read_events(file) if event["event"] == name]


def read_run(root: Path, warmup: int, steps: int) -> Run:
    """What the run's own files say of it."""
    counted = events(root, "step")[warmup - 1 : warmup + steps]
    ends = [datetime.fromisoformat(event["time"]).timestamp() for event in counted]
    manifest = next((root / "logs").glob("*/run.json")).read_text(encoding="utf-8")
    frozen = json.loads(manifest)["frozen"]
    own = median(event["tokens_per_second"] for event in counted[1:])
    return Run(
        seconds=[after - before for before, after in pairwise(ends)],
        parameters=events(root, "train_start")[0]["parameters"],
        precision=frozen["precision"],
        note=f"compiled: {frozen['compiled']}; its own log says {own:.0f} tokens/s",
    )


def parameters(form: str, shape: Workload) -> int:
    """Of the model that the figures are counted for: what multiplies, and the form's vectors."""
    width = shape.width
    if form == "gpt2":
        norms_and_biases = shape.layers * (9 * width + shape.feed_forward) + 2 * width
        return shape.multiplying_weights + norms_and_biases + shape.context * width
    norms = shape.layers * (2 * width + 2 * width // shape.heads) + width
    return shape.multiplying_weights + norms


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--warmup", type=int, required=True)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--form", choices=tuple(SHAPES), default="gpt2")
    options = parser.parse_args()
    shape = SHAPES[options.form]
    with tempfile.TemporaryDirectory() as folder:
        root = make_project(Path(folder))
        train_until(root, settings(options.form, shape), options.warmup + options.steps)
        run = read_run(root, options.warmup, options.steps)
    expected = parameters(options.form, shape)
    if run.parameters != expected:
        raise RuntimeError(f"the model has {run.parameters} parameters, not {expected}")
    run.report()


if __name__ == "__main__":
    main()
