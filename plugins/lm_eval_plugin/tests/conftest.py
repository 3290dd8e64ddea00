"""A small model, and an environment that has the harness."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest

import create_llm

CONFIG = """\
[model]
name = "gpt"
max_length = 24
layers = 2
heads = 4
dim = 32
[tokenizer]
name = "bpe"
vocab_size = 300
[data]
source = "text"
[training]
batch_size = 16
max_steps = 25
learning_rate = 0.005
warmup_steps = 2
eval_interval = 25
save_interval = 25
"""
EATS = ("cat eats fish", "cow eats grass", "bee eats honey")


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project's model that has learnt a little."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "data" / "raw").mkdir(parents=True)
    lines = random.Random(0).choices(EATS, k=800)
    text = "".join(f"the {line}.\n" for line in lines)
    (folder / "data" / "raw" / "text.txt").write_text(text, "utf-8")
    (folder / "llm.toml").write_text(CONFIG, "utf-8")
    return Path(create_llm.train(folder)["model"])


@pytest.fixture(scope="session")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The Python of an environment with lm-eval and, by reference, all that is installed here.

    Half a gigabyte, so it goes when the tests are done.
    """
    folder = tmp_path_factory.mktemp("harness")
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    site = sysconfig.get_path("purelib", "venv", vars={"base": str(folder)})
    here = sysconfig.get_path("purelib")
    # Not a plain path: the editable installations there have .pth files of their own.
    line = f"import site; site.addsitedir({here!r})\n"
    (Path(site) / "here.pth").write_text(line, "utf-8")
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
    installed = subprocess.run(
        [*pip, "--no-compile", "lm-eval>=0.4.9,<0.5"], capture_output=True, text=True, timeout=600
    )
    if installed.returncode:
        pytest.skip(f"lm-eval could not be installed: {installed.stderr.strip()[-300:]}")
    yield python
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def offline(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Environment variables of a process that must not use the network."""
    cache = str(tmp_path_factory.mktemp("hf"))
    return {**os.environ, "HF_HOME": cache, "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
