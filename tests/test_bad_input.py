"""What a person can get wrong: plain words, the promised exit code, nothing lost."""

from __future__ import annotations

import ctypes
import os
import random
import shutil
import signal
import tempfile
import time
from pathlib import Path

import pytest

from tests.journey import SMALL, llm, sentences, start_llm, with_modes, with_signals

PR_CAPBSET_DROP, CAP_DAC_OVERRIDE = 24, 1


def heed_modes():
    """Take from a root process what lets it write where permissions forbid it."""
    if os.geteuid() == 0:
        ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, 0, 0, 0)


@pytest.fixture
def project(tmp_path):
    llm(tmp_path, "new", "p", "--template", "nano", "--yes")
    return tmp_path / "p"


def put(project, content, name="text.txt"):
    (project / "data" / "raw" / name).write_bytes(content)


def refused(project, code, *words, arguments=("train", "--max-steps", "2", *SMALL)):
    """Run it, and check that the error has the three parts that the design asks for."""
    done = llm(project, *arguments, code=code)
    assert done.stderr.count("try:") >= 1, done.stderr
    for word in words:
        assert word in done.stderr, done.stderr
    assert not list((project / "models").glob("v*"))
    return done


def test_an_empty_data_folder(project):
    refused(project, 65, "data/raw", "llm quickstart")


def test_a_file_that_is_no_text(project):
    put(project, bytes(range(256)) * 64)
    refused(project, 65, "text.txt")


def test_ten_bytes_of_text(project):
    put(project, b"ten bytes!")
    refused(project, 65, "10 bytes")


def test_a_value_of_the_wrong_type_is_named_by_line(project):
    config = project / "llm.toml"
    lines = config.read_text().splitlines()
    number = next(n for n, line in enumerate(lines, 1) if line.startswith("batch_size"))
    lines[number - 1] = 'batch_size = "lots"'
    config.write_text("\n".join(lines))
    refused(project, 2, f"llm.toml:{number}", "batch_size", "lots", arguments=("train",))


def test_a_misspelt_key_is_named_by_line_with_the_nearest(project):
    config = project / "llm.toml"
    config.write_text(config.read_text().replace("learning_rate =", "learning_rte ="))
    refused(project, 2, "llm.toml:", "learning_rte", "learning_rate")


def test_a_syntax_error_is_named_by_line(project):
    (project / "llm.toml").write_text("[training]\nbatch_size = = 3\n")
    refused(project, 2, "llm.toml:2")


def test_an_unknown_tokenizer_with_the_nearest(project):
    put(project, sentences(300).encode())
    refused(project, 2, "bpee", "'bpe'", arguments=("train", "--set", "tokenizer.name=bpee"))


def test_a_model_that_cannot_fit_is_refused_before_any_work(project):
    put(project, sentences(300).encode())
    huge = ("--set", "model.dim=65536", "--set", "model.layers=8", "--set", "model.ffn_dim=65536")
    refused(project, 2, "memory", arguments=("train", *huge))
    assert not (project / "tokenizer" / "tokenizer.json").exists()


def test_a_prompt_is_no_question_without_a_terminal(tmp_path):
    llm(tmp_path, "new", code=2)


def test_outside_a_project(tmp_path):
    done = llm(tmp_path, "train", code=2)
    assert "llm new" in done.stderr


@with_modes
def test_a_folder_where_nobody_may_write():
    root = Path(tempfile.mkdtemp())
    try:
        llm(root, "new", "p", "--template", "nano", "--yes")
        put(root / "p", sentences(300).encode())
        for path in (root, *root.rglob("*")):
            path.chmod(0o555 if path.is_dir() else 0o444)
        before = contents(root)
        done = llm(root / "p", "train", "--max-steps", 2, *SMALL, code=74, preexec_fn=heed_modes)
        assert "Permission denied" in done.stderr
        assert contents(root) == before
    finally:
        for path in (root, *root.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
        shutil.rmtree(root)


def contents(root):
    return {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}


@with_signals
def test_ctrl_c_at_any_moment_loses_nothing(project):
    """Interrupted again and again, each time somewhat later; then it completes."""
    put(project, sentences(1500).encode())
    moments = random.Random(0)
    for part in range(4):
        process = start_llm(project, "train", "--max-steps", 40, *SMALL)
        time.sleep(0.3 + part * 1.2 + moments.random() * 1.2)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=60)
        assert process.returncode in (0, 130), stderr
        assert "Traceback" not in stderr
    llm(project, "train", "--max-steps", 40, "--resume", "auto", *SMALL)
    left = [path.name for path in project.rglob(".tmp-*")]
    assert left == []
    assert (project / "models" / "v1" / "model.safetensors").is_file()
