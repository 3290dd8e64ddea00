"""What the whole-system tests share: running the installed command as a person would."""

from __future__ import annotations

import os
import subprocess
import sys

LLM = [sys.executable, "-c", "from create_llm.cli import main; main()"]

SETTINGS = {
    "model.layers": 1,
    "model.dim": 32,
    "model.heads": 2,
    "model.ffn_dim": 64,
    "model.max_length": 32,
    "tokenizer.vocab_size": 300,
    "training.batch_size": 4,
    "training.eval_interval": 6,
    "training.save_interval": 3,
    "logging.log_interval": 2,
    "generation.max_new_tokens": 8,
}
SMALL = [word for key, value in SETTINGS.items() for word in ("--set", f"{key}={value}")]
"""Flags that make a run of the nano template a matter of a second."""


def llm(root, *arguments, code=0, env=None, **options):
    """Run the command in a folder, without a terminal, and check its exit code."""
    done = subprocess.run(
        [*LLM, *map(str, arguments)],
        cwd=root,
        env={**os.environ, "OMP_NUM_THREADS": "1", **(env or {})},
        text=True,
        capture_output=True,
        stdin=subprocess.DEVNULL,
        timeout=300,
        **options,
    )
    assert done.returncode == code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr, done.stderr
    return done


def sentences(count):
    """Made-up lines with enough sameness to learn and enough difference to divide."""
    names = ["Ada", "Bo", "Cem", "Dora", "Eli", "Fay"]
    verbs = ["sees", "finds", "likes", "draws"]
    things = ["a boat", "a tree", "the moon", "an apple", "a song"]
    return "".join(
        f"{names[i % 6]} {verbs[i % 4]} {things[i % 5]} on day {i}.\n" for i in range(count)
    )
