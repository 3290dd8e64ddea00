"""Who takes part in throughput.py, and how a process of each is started and read."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import venv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from workload import GPT2, QWEN3, Run, Workload

HERE = Path(__file__).resolve().parent

# Large blocks are kept when freed, not given back: no page is faulted in twice.
KEEPS_MEMORY = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": "68719476736",
    "MALLOC_TOP_PAD_": "268435456",
}


@dataclass(frozen=True, slots=True)
class Contender:
    """One line of the report.

    Attributes:
        script: in this folder; given --warmup, --steps and the arguments.
        requirements: what to install beside torch into an environment of its own; empty: it
            runs where this program does.
        environment: variables beside those that this program was started with.
        by_default: whether it runs when no name is given.
    """

    name: str
    script: str
    arguments: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    shape: Workload = GPT2
    by_default: bool = True
    about: str = ""


TRANSFORMERS = ("transformers==5.23.0", "accelerate==1.15.0")
LITGPT = ("litgpt==0.5.9", "lightning==2.6.6")

CONTENDERS = (
    Contender("create-llm", "create_llm_train.py", about="llm train, GPT-2's form"),
    Contender(
        "create-llm-qwen3",
        "create_llm_train.py",
        ("--form", "qwen3"),
        shape=QWEN3,
        about="llm train, the default form",
    ),
    Contender(
        "transformers-trainer",
        "transformers_trainer.py",
        requirements=TRANSFORMERS,
        about="Trainer's defaults, dropout 0",
    ),
    Contender(
        "transformers-trainer-dropout",
        "transformers_trainer.py",
        ("--dropout", "0.1"),
        requirements=TRANSFORMERS,
        by_default=False,
        about="Trainer's and GPT2Config's defaults",
    ),
    Contender(
        "transformers-trainer-bf16",
        "transformers_trainer.py",
        ("--bf16",),
        requirements=TRANSFORMERS,
        about="the same with bf16=True",
    ),
    Contender(
        "litgpt",
        "litgpt_pretrain.py",
        requirements=LITGPT,
        about="litgpt pretrain's defaults",
    ),
    Contender(
        "litgpt-fp32",
        "litgpt_pretrain.py",
        ("--precision", "32-true"),
        requirements=LITGPT,
        by_default=False,
        about="the same in 32 bits",
    ),
    Contender(
        "plain-loop",
        "plain_loop.py",
        environment=KEEPS_MEMORY,
        about="hand-tuned, attention as matrix products",
    ),
    Contender(
        "plain-loop-sdpa",
        "plain_loop.py",
        ("--attention", "sdpa"),
        environment=KEEPS_MEMORY,
        about="hand-tuned, attention by SDPA",
    ),
)


class ContenderError(Exception):
    """A contender could not be installed, or did not run to its end."""


@dataclass(frozen=True, slots=True)
class Finished:
    """What a contender measured, and the most memory that its process or a child of it held."""

    run: Run
    peak_rss_bytes: int


def run_contender(contender: Contender, warmup: int, steps: int) -> Finished:
    """
    Raises:
        ContenderError: with the last thing it said.
    """
    python = _python_for(contender.requirements)
    numbers = ("--warmup", str(warmup), "--steps", str(steps))
    command = [str(python), str(HERE / contender.script), *numbers, *contender.arguments]
    report, peak = _run(command, contender.environment)
    return Finished(Run(**report), peak)


def matmul_peak() -> dict[str, float]:
    """GFLOP/s of this machine in large matrix products, by precision."""
    return _run([sys.executable, str(HERE / "matmul_peak.py")], {})[0]


def _run(command: Sequence[str], extra: Mapping[str, str]) -> tuple[dict[str, Any], int]:
    """The JSON object that a process printed last, and its peak memory in bytes."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(
            command, env=_environment(extra), stdin=subprocess.DEVNULL, stdout=out, stderr=log
        )
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            raise
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        log.seek(0)
        if process.returncode != 0:
            raise ContenderError(_last_line(log.read()) or f"exit code {process.returncode}")
        return json.loads(_last_line(out.read())), usage.ru_maxrss * 1024


def _environment(extra: Mapping[str, str]) -> dict[str, str]:
    """The caller's, without what would tune a contender's allocator or this project."""
    foreign = ("MALLOC_", "GLIBC_TUNABLES", "LD_PRELOAD", "CREATE_LLM_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return {**kept, **extra}


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""


def _python_for(requirements: tuple[str, ...]) -> Path:
    """The interpreter of an environment that has torch, as old as here, and the requirements.

    Made when it is missing, below the user's cache folder; kept for the next time.
    """
    if not requirements:
        return Path(sys.executable)
    wanted = (f"torch=={version('torch').partition('+')[0]}", *requirements)
    folder = _cache() / requirements[0].replace("==", "-")
    done, python = folder / "installed.json", folder / "bin" / "python"
    if not done.is_file() or json.loads(done.read_text("utf-8")) != list(wanted):
        print(f"installing {', '.join(wanted)} into {folder}", file=sys.stderr, flush=True)
        venv.create(folder, clear=True, with_pip=True)
        _pip_install(python, wanted)
        done.write_text(json.dumps(wanted), "utf-8")
    return python


def _pip_install(python: Path, wanted: Sequence[str]) -> None:
    command = [str(python), "-m", "pip", "install", "--quiet", *wanted]
    installed = subprocess.run(command, capture_output=True, text=True, check=False)
    if installed.returncode != 0:
        raise ContenderError(f"pip: {_last_line(installed.stderr)}")


def _cache() -> Path:
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "create-llm-bench"
