"""How well `llm train` predicts its own memory: predicted and measured peaks of small runs.

    python benchmarks/memory.py [--only WORD]

Each case is a run of the real command in a process of its own, and both numbers are what its
summary.json says: `planned.peak_memory_bytes`, and the most memory that the process ever held.
Cases that this processor has no arithmetic for are left out.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from create_llm.config.hardware import detect

PROGRAM = "from create_llm.cli import main; main()"
LOWEST, HIGHEST = 0.85, 1.40
"""Between these a prediction is good: it may be 15 % too low and 40 % too high."""

Settings = Mapping[str, object]

_COMMON: Settings = {
    "model.max_length": 256,
    "model.layers": 4,
    "model.heads": 4,
    "model.dim": 256,
    "tokenizer.vocab_size": 400,
    "model.vocab_size": 4096,
    "training.batch_size": 8,
    "training.gradient_accumulation_steps": 1,
    "training.max_steps": 4,
    "training.eval_interval": 4,
    "training.save_interval": 2,
    "training.compile": "off",
    "generation.max_new_tokens": 8,
}
_NANO: Settings = {"model.layers": 2, "model.heads": 2, "model.dim": 64, "model.max_length": 64}
_SMALL: Settings = {"model.layers": 6, "model.heads": 8, "model.dim": 512}


@dataclass(frozen=True, slots=True)
class Case:
    """One run: what differs from the common settings."""

    name: str
    settings: Settings = field(default_factory=dict)
    template: str = "nano"

    @property
    def needs_bf16(self) -> bool:
        return self.settings.get("training.precision") == "bf16"


def _fp32(settings: Settings) -> Settings:
    return {"training.precision": "fp32", **settings}


def _bf16(settings: Settings) -> Settings:
    return {"training.precision": "bf16", **settings}


CASES = (
    Case("nano", _fp32({**_NANO, "model.vocab_size": 400})),
    Case("nano, bf16", _bf16({**_NANO, "model.vocab_size": 400})),
    Case("qwen3", _fp32({})),
    Case("qwen3, bf16", _bf16({})),
    Case("qwen3, batch 16", _fp32({"training.batch_size": 16})),
    Case("qwen3, batch 16, bf16", _bf16({"training.batch_size": 16})),
    Case("llama, no dropout", _fp32({"model.form": "llama", "model.dropout": 0})),
    Case("gpt2", _fp32({"model.form": "gpt2"})),
    Case("gpt2, bf16", _bf16({"model.form": "gpt2"})),
    Case("dropout of attention", _fp32({"model.attention_dropout": 0.1})),
    Case("recomputed", _fp32({"training.gradient_checkpointing": "true"})),
    Case("recomputed, bf16", _bf16({"training.gradient_checkpointing": "true"})),
    Case(
        "recomputed, gpt2", _fp32({"training.gradient_checkpointing": "true", "model.form": "gpt2"})
    ),
    Case("accumulated", _fp32({"training.gradient_accumulation_steps": 4})),
    Case("accumulated, bf16", _bf16({"training.gradient_accumulation_steps": 4})),
    Case("sgd", _fp32({"training.optimizer": "sgd"})),
    Case("muon", _fp32({"training.optimizer": "muon"})),
    Case("muon, bf16", _bf16({"training.optimizer": "muon"})),
    Case("50,000 tokens", _fp32({"model.vocab_size": 50000, "model.dim": 128})),
    Case("50,000 tokens, bf16", _bf16({"model.vocab_size": 50000, "model.dim": 128})),
    Case("small", _fp32({**_SMALL, "training.batch_size": 4})),
    Case("small, bf16", _bf16({**_SMALL, "training.batch_size": 4})),
    Case("small, batch 16, bf16", _bf16({**_SMALL, "training.batch_size": 16})),
    Case(
        "small, recomputed, muon, bf16",
        _bf16({**_SMALL, "training.optimizer": "muon", "training.gradient_checkpointing": "true"}),
    ),
    Case("small, wide texts", _fp32({**_SMALL, "model.max_length": 512})),
    Case("bert", _fp32({}), "bert"),
    Case("bert, bf16", _bf16({}), "bert"),
    Case("t5", _fp32({}), "t5"),
    Case("t5, bf16", _bf16({}), "t5"),
    Case("t5, recomputed", _fp32({"training.gradient_checkpointing": "true"}), "t5"),
)


@dataclass(frozen=True, slots=True)
class Measured:
    """Bytes."""

    case: Case
    predicted: int
    peak: int

    @property
    def ratio(self) -> float:
        return self.predicted / self.peak


def measure(cases: tuple[Case, ...]) -> Iterator[Measured]:
    """Run one case after the other, in one project a template."""
    bf16 = detect().cpu_bf16
    with tempfile.TemporaryDirectory(prefix="create-llm-memory-") as name:
        for case in cases:
            if case.needs_bf16 and not bf16:
                continue
            yield _measured(case, Path(name))


def _measured(case: Case, folder: Path) -> Measured:
    project = folder / case.template
    if not project.exists():
        _llm(folder, "new", case.template, "--template", case.template, "--yes")
        (project / "data/raw").mkdir(parents=True, exist_ok=True)
        (project / "data/raw/text.txt").write_text(_text(), encoding="utf-8")
    sets = [word for pair in _flags(case) for word in ("--set", pair)]
    out = _llm(project, "train", "--resume", "never", "--device", "cpu", "--json", *sets)
    summary = json.loads(out)
    return Measured(
        case, summary["planned"]["peak_memory_bytes"], summary["actual"]["peak_memory_bytes"]
    )


def _flags(case: Case) -> list[str]:
    return [f"{key}={value}" for key, value in {**_COMMON, **case.settings}.items()]


def _text() -> str:
    """Made-up lines, enough for a few batches of any case, with a part to validate on."""
    return "".join(f"On day {i} the boat {i % 7} met the moon {i % 11}.\n\n" for i in range(6000))


def _llm(folder: Path, *arguments: str) -> str:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", PROGRAM, *arguments]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments)} ended with {done.returncode}:\n{done.stderr}")
    return done.stdout


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="only the cases whose name holds this word")
    only = parser.parse_args().only
    print(f"{'case':<32} {'predicted':>10} {'measured':>10} {'ratio':>6}", flush=True)
    ratios = []
    for measured in measure(tuple(case for case in CASES if only in case.name)):
        ratios.append(measured.ratio)
        sizes = f"{measured.predicted / 1e6:>7.0f} MB {measured.peak / 1e6:>7.0f} MB"
        print(f"{measured.case.name:<32} {sizes} {measured.ratio:>6.2f}", flush=True)
    good = sum(LOWEST <= ratio <= HIGHEST for ratio in ratios)
    print(f"{good} of {len(ratios)} within {LOWEST} … {HIGHEST}", flush=True)


if __name__ == "__main__":
    main()
