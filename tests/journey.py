"""What the whole-system tests share: running the command as a person would, and text to learn."""

from __future__ import annotations

import atexit
import functools
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

PROGRAM = "from create_llm.cli import main; main()"
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


def flags(settings):
    """Settings as the command line takes them."""
    return [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]


SMALL = flags(SETTINGS)
"""Flags that make a run of the nano template a matter of a second."""

# What a process under test must not inherit from the shell that the tests were started in.
FOREIGN = ("CREATE_LLM_", "PIP_", "PYTHONIOENCODING", "PYTHONUTF8", "NO_COLOR", "FORCE_COLOR")

with_signals = pytest.mark.skipif(
    os.name == "nt", reason="on Windows no signal can be sent to another process"
)
with_modes = pytest.mark.skipif(os.name == "nt", reason="Windows has no modes of files")


def environment(
    overlays: Sequence[Path] = (), env: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Variables for a process under test, which also imports from the overlay folders."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    path = os.pathsep.join([*map(str, overlays), *filter(None, [kept.get("PYTHONPATH")])])
    # With one thread each, tests that run beside each other do not wait for each other.
    return kept | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"} | dict(env or {})


def start_llm(root, *arguments, python=sys.executable, overlays=(), env=None, **options):
    """Start the command in a folder, without a terminal."""
    settings = {
        "cwd": root,
        "env": environment(overlays, env),
        "stdin": subprocess.DEVNULL,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        "text": True,
        "encoding": "utf-8",
    }
    command = [str(python), "-c", PROGRAM, *map(str, arguments)]
    return subprocess.Popen(command, **settings | options)


def run_llm(root, *arguments, python=sys.executable, overlays=(), env=None, **options):
    """Run the command in a folder to its end, whatever that is.

    In a fork of a process that has torch already, where nothing is asked for that only a new
    interpreter heeds: a suite of whole runs would spend most of its time with imports.
    """
    of_interpreter = any(name.startswith("PYTHON") for name in env or {})
    if os.name == "nt" or options or of_interpreter or str(python) != sys.executable:
        return _run_anew(root, *arguments, python=python, overlays=overlays, env=env, **options)
    child = _zygote().start(root, *arguments, overlays=overlays, env=env)
    code = child.code(timeout=300)
    return subprocess.CompletedProcess(list(arguments), code, child.stdout, child.stderr)


def _run_anew(root, *arguments, **options):
    with start_llm(root, *arguments, **options) as process:
        try:
            output = process.communicate(timeout=300)
        except BaseException:
            process.kill()
            raise
    return subprocess.CompletedProcess(process.args, process.returncode, *output)


@functools.cache
def _zygote():
    from tests.zygote import Zygote

    zygote = Zygote()
    atexit.register(zygote.__exit__)
    return zygote


def llm(root, *arguments, code=0, **options):
    """Run the command in a folder: it must end with this exit code, without a stack trace."""
    done = run_llm(root, *arguments, **options)
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
