"""What a model of a given time is worth: bits per byte on text that it has not seen.

    python benchmarks/quality.py --corpus FILE --seconds S [--seed N]

Trains on the first 90 % of the file and scores every byte of the last 10 %. The time is that from
reading the file to the last step: start of the program, tokenizer and preparation are in it. The
recipe is the preset `sprint` for that time and that much text, whatever the text is.

One JSON line last: bits_per_byte, seconds, tokens, steps, recipe. Progress goes to stderr.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from create_llm_templates.sprint import sprint

LLM = str(Path(sys.executable).with_name("llm"))
TRAINED = 0.9
STRIDE = 64
"""Tokens that each window of the score adds to what stands before them."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--corpus", type=Path, required=True, help="a text file")
    parser.add_argument("--seconds", type=float, required=True, help="from reading to last step")
    parser.add_argument("--seed", type=int, default=42)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="create-llm-quality-") as folder:
        root = Path(folder) / "quality"
        subprocess.run([LLM, "new", root.name, "--yes"], cwd=folder, check=True, stdout=sys.stderr)
        print(json.dumps(measure(root, options.corpus, options.seconds, options.seed)))


def measure(root: Path, corpus: Path, seconds: float, seed: int) -> dict[str, Any]:
    """Train in the project `root` and score the model that comes out."""
    started = time.time()
    data = corpus.read_bytes()
    train, held_out = divide(data)
    for path in (root / "data" / "raw").iterdir():
        path.unlink()
    (root / "train.txt").write_bytes(train)
    # What is scored stays out of the project until the training is over: a part of the training
    # text is the run's own validation.
    preset = sprint(seconds, len(train))
    recipe = root / "training" / "presets" / "sprint.json"
    recipe.write_text(json.dumps(preset.values), encoding="utf-8")
    summary = run(
        ["train", "--json", "--corpus-path", "train.txt", "--preset", str(recipe)],
        ["--max-seconds", str(seconds - (time.time() - started)), "--seed", str(seed)],
        ["--set", "data.val_split=0.01"],
        root=root,
    )
    took = last_step(root / "logs" / summary["run"] / "events.jsonl") - started
    (root / "held-out.txt").write_bytes(held_out)
    score = run(
        ["evaluate", "--text", "held-out.txt", "--stride", str(STRIDE), "--json"], root=root
    )
    return {
        "bits_per_byte": score["bits_per_byte"],
        "seconds": round(took, 1),
        "tokens": summary["tokens"],
        "steps": summary["steps"],
        "recipe": {
            "preset": "sprint",
            "parameters": summary["parameters"],
            "tokens_per_second": summary["tokens_per_second"],
            "precision": summary["precision"],
            **preset.values,
        },
        "corpus": corpus.name,
        "scored_bytes": len(held_out),
        "scored_stride": STRIDE,
    }


def divide(data: bytes) -> tuple[bytes, bytes]:
    """The first 90 % and the rest, between two characters."""
    cut = int(len(data) * TRAINED)
    while cut < len(data) and data[cut] & 0xC0 == 0x80:  # inside a UTF-8 character
        cut += 1
    return data[:cut], data[cut:]


def run(*words: list[str], root: Path) -> dict[str, Any]:
    """What an `llm` command in the project prints as JSON."""
    command = [LLM, "-C", str(root), *(word for group in words for word in group)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    value: dict[str, Any] = json.loads(done.stdout)
    return value


def last_step(events: Path) -> float:
    """When the last step was over (seconds of `time.time`)."""
    from datetime import datetime

    from create_llm.runs.events import read_events

    times = [event["time"] for event in read_events(events) if event["event"] == "step"]
    return datetime.fromisoformat(times[-1]).timestamp()


if __name__ == "__main__":
    main()
