"""What the command line imports before anybody asked for work: next to nothing.

Times are in benchmarks/startup.py; here is what they depend on, which does not vary.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

HEAVY = {
    "numpy",
    "pydantic",
    "requests",
    "rich",
    "safetensors",
    "tokenizers",
    "torch",
    "transformers",
}
PROGRAM = """\
import json, sys
from create_llm.cli import main
try:
    main(sys.argv[1:])
except SystemExit as ended:
    assert not ended.code, ended.code
print(json.dumps(sorted(sys.modules)), file=sys.stderr)
"""
COMMANDS = [["--help"], ["plugins", "list"], ["plugins", "list", "--json"], ["plugins", "--help"]]
IMPORTS_NUMPY = """\
import numpy
from create_llm import hookimpl

@hookimpl
def register_tokenizers(register):
    register("heavy", "json:dumps", summary="A tokenizer.")
"""


def modules_after(llm, arguments: Sequence[str], overlays: Sequence[Path] = ()) -> set[str]:
    """The names in sys.modules once the command is done."""
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        env=llm.environment(overlays),
        cwd=llm.cache,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 0, result.stderr
    return set(json.loads(result.stderr.splitlines()[-1]))


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_nothing_heavy_is_imported(llm, arguments: list[str]):
    assert modules_after(llm, arguments) & HEAVY == set()


def test_a_heavy_plugin_would_be_noticed(
    llm,
    write_distribution: Callable[[str, str, str], Path],
    install_apart: Callable[[Sequence[Path]], Path],
):
    overlay = install_apart([write_distribution("heavy-plugin", "heavy", IMPORTS_NUMPY)])
    assert modules_after(llm, ["--help"], [overlay]) & HEAVY == {"numpy"}


def test_of_a_plugin_only_its_list_of_parts_is_imported(llm):
    ours = {name for name in modules_after(llm, ["--help"]) if name.startswith("create_llm_")}
    packages = {name.partition(".")[0] for name in ours}
    assert packages
    assert ours == packages | {f"{package}.plugin" for package in packages}


def test_of_the_core_only_the_kernel_and_the_command_line_are(llm):
    rooms = {
        name.split(".")[1]
        for name in modules_after(llm, ["--help"])
        if name.startswith("create_llm.")
    }
    assert rooms == {"cli", "errors", "hookspecs", "interrupts", "kernel"}
