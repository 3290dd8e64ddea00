"""The preset pipeline: the values it promises, and a run from an empty project."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from create_llm.cli import main
from create_llm.config import Config, load_config
from create_llm.kernel.plugins import default_plugins

PROMISED = {
    "model.layers": 2,
    "model.dim": 128,
    "model.heads": 4,
    "model.ffn_dim": 256,
    "model.max_length": 128,
    "tokenizer.name": "unigram",
    "tokenizer.vocab_size": 8000,
    "data.val_split": 0.1,
    "training.learning_rate": 3e-4,
    "training.batch_size": 32,
    "training.epochs": 20,
    "training.schedule": "cosine",
    "training.save_interval": "5ep",
    "training.eval_interval": "1ep",
    "training.sample_interval": "1ep",
    "checkpoints.min_free_gb": 2,
}
LLM = "from create_llm.cli import main; main()"
OTHER = "[data]\nstride = 200\nmax_length = 256\n[tokenizer]\nname = 'wordpiece'\n"


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("CREATE_LLM_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def config_of(template: str, root: Path, text: str = "") -> Config:
    (root / "llm.toml").write_text(f"[project]\ntemplate = '{template}'\n{text}")
    return load_config(root, default_plugins(), flags={"project.preset": ("pipeline", "--preset")})


def test_sets_what_is_promised(tmp_path: Path) -> None:
    settings = config_of("tiny", tmp_path).settings
    assert {key: settings[key].value for key in PROMISED} == PROMISED
    assert {settings[key].source.label for key in PROMISED} == {"preset pipeline"}


def test_the_same_run_whatever_the_project_is(tmp_path: Path) -> None:
    recipes = [
        config_of(template, tmp_path, text).identity()
        for template in ("nano", "tiny", "small", "base", "custom")
        for text in ("", OTHER)
    ]
    assert all(recipe == recipes[0] for recipe in recipes)


def test_flags_still_count(tmp_path: Path) -> None:
    (tmp_path / "llm.toml").write_text("")
    flags = {
        "project.preset": ("pipeline", "--preset"),
        "model.max_length": (64, "--max-seq-length"),
        "data.max_length": (64, "--max-seq-length"),
    }
    assert load_config(tmp_path, default_plugins(), flags=flags).data.stride == 64


def test_a_slip_in_the_name_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "llm.toml").write_text("")
    with pytest.raises(SystemExit) as exit_:
        main(["train", "--preset", "piplin"])
    assert exit_.value.code == 2
    assert "did you mean 'pipeline'?" in capsys.readouterr().err


@pytest.mark.slow
def test_trains_a_new_project_on_a_folder_without_asking(tmp_path: Path) -> None:
    folder = tmp_path / "books"
    folder.mkdir()
    for name, line in (("en", "the boat of number {} is here"), ("es", "el barco {} está aquí")):
        text = "\n".join(line.format(number) for number in range(2000))
        (folder / f"{name}.txt").write_text(text, "utf-8")

    def llm(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", LLM, *arguments]
        return subprocess.run(
            command, cwd=root, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300
        )

    assert llm(tmp_path, "new", "demo", "--yes").returncode == 0
    options = ["--corpus-path", "../books", "--max-steps", "2", "--json"]
    # The promise is 2 GB; this test's disk need not have them.
    options += ["--set", "checkpoints.min_free_gb=0"]
    done = llm(tmp_path / "demo", "train", "--preset", "pipeline", *options)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["steps"] == 2
    run = json.loads((tmp_path / "demo" / "logs" / summary["run"] / "run.json").read_text("utf-8"))
    assert run["config"]["project"]["preset"] == "pipeline"
    assert run["sources"]["model.dim"] == "preset pipeline"
    assert run["sources"]["data.train_path"] == "--corpus-path"
