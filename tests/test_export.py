"""llm export as a user runs it, and an exported folder in an older transformers."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from itertools import chain
from pathlib import Path

import pytest

from create_llm.kernel.plugins import default_plugins
from create_llm.models.bundle import ModelBundle
from create_llm.testing.bundles import write_bundle
from tests.conftest import CommandLine
from tests.environments import bare, share_requirements, site_of
from tests.journey import environment

OLDER = "transformers==4.57.6"
FORMS = ("qwen3", "llama", "gpt2")
TEXTS = ("Once upon a time", "  two  spaces\n", "naïve 日本 😀", "</s> is text")
READ = """\
import json, sys
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, __version__

folder, texts = sys.argv[1], json.loads(sys.argv[2])
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
ids = [tokenizer(t, add_special_tokens=False, split_special_tokens=True)["input_ids"]
       for t in texts]
with torch.inference_mode():
    logits = [model(torch.tensor([each])).logits[0, -1].tolist() for each in ids]
print(json.dumps([__version__, ids, logits]))
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory, llm: CommandLine) -> Path:
    """A project with a model that was never trained."""
    home = tmp_path_factory.mktemp("project")
    assert llm("new", "poet", "--template", "nano", "--yes", cwd=home).returncode == 0
    small(home / "poet" / "models" / "v1")
    (home / "poet" / "models" / "active").write_text("v1\n", "utf-8")
    return home / "poet"


def small(folder: Path, form: str = "qwen3") -> ModelBundle:
    model = {"name": "gpt", "form": form, "layers": 2, "heads": 2, "dim": 64, "max_length": 32}
    tokenizer = {"name": "bpe", "vocab_size": 320}
    return write_bundle(folder, default_plugins().registry, model, tokenizer)


@pytest.mark.parametrize("form", ["hf", "gguf", "lmstudio"])
def test_an_export_is_written_tried_and_told(project: Path, llm: CommandLine, form: str):
    done = llm("export", "v1", "--to", form, "--test", "--json", cwd=project)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert Path(told["path"]) == project / "exports" / f"v1-{form}"
    assert set(told["files"]) == {path.name for path in Path(told["path"]).iterdir()}
    assert told["next"]
    assert {finding["what"] for finding in told["test"]} >= {"token ids", "sample"}
    assert all(finding["same"] is not False for finding in told["test"])


def test_ollama_gets_its_folder_and_the_person_the_commands(project: Path, llm: CommandLine):
    done = llm("--set", "export.ollama.precision=q4_0", "export", "--to", "ollama", cwd=project)
    assert done.returncode == 0, done.stderr
    assert 'ollama create create-llm/v1 -f "exports/v1-ollama/Modelfile"' in done.stderr
    names = {path.name for path in (project / "exports" / "v1-ollama").iterdir()}
    assert names == {"Modelfile", "manifest.json", "v1-Q4_0.gguf"}


def test_an_export_of_another_form_gives_way_in_words(project: Path, llm: CommandLine):
    into = ("--out", "exports/mine")
    first = llm("export", "--to", "hf", *into, cwd=project)
    assert "in place of" not in first.stderr
    second = llm("export", "--to", "gguf", *into, cwd=project)
    assert "in place of the export that was there, with config.json" in second.stderr
    assert '-m "exports/mine/v1-F16.gguf"' in second.stderr
    again = llm("export", "--to", "gguf", *into, cwd=project)
    assert "in place of" not in again.stderr


def test_a_folder_alone_is_exported_with_options(tmp_path: Path, llm: CommandLine, project: Path):
    """Nothing but the bundle: options from the command line and the environment."""
    bundle = shutil.copytree(project / "models" / "v1", tmp_path / "poet")
    export = ("export", "poet", "--to", "gguf", "--json")
    done = llm("--set", "export.gguf.precision=q8_0", *export, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert Path(told["path"]) == tmp_path / "poet-gguf"
    assert set(told["files"]) == {"poet-Q8_0.gguf", "manifest.json"}
    variable = {"CREATE_LLM_EXPORT__GGUF__PRECISION": "bf16"}
    only = {"CREATE_LLM_PLUGINS": "export,gpt,tokenizers,objectives"}
    done = llm(*export, cwd=tmp_path, env=environment() | variable | only)
    assert "poet-BF16.gguf" in json.loads(done.stdout)["files"]
    assert ModelBundle.open(bundle).path == bundle


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("export.gguf.precison=f32", "did you mean"),
        ("exprot.gguf.precision=f32", "did you mean"),
        ("export.gguf.precision=q4_k_m", "q4_k_m"),
    ],
)
def test_a_wrong_option_of_a_folder_alone_is_refused(
    tmp_path: Path, llm: CommandLine, project: Path, setting: str, said: str
):
    shutil.copytree(project / "models" / "v1", tmp_path / "poet")
    done = llm("--set", setting, "export", "poet", "--to", "gguf", cwd=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["poet"]


def read_by(python: Path | str, folder: Path) -> tuple[str, list[list[int]], list[list[float]]]:
    """Version of transformers, ids and next logits of each text."""
    done = subprocess.run(
        [str(python), "-c", READ, str(folder), json.dumps(TEXTS)],
        env=environment(),
        capture_output=True,
        encoding="utf-8",
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    version, ids, logits = json.loads(done.stdout)
    return version, ids, logits


@pytest.fixture(scope="module")
def older(tmp_path_factory) -> Path:
    """A python with transformers 4.57, what that requires, and the torch of this environment."""
    folder = tmp_path_factory.mktemp("older")
    python = bare(folder)
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
    done = subprocess.run([*install, OLDER], capture_output=True, encoding="utf-8", timeout=300)
    if done.returncode:
        pytest.skip(f"{OLDER} cannot be installed: {done.stderr.strip()[-200:]}")
    share_requirements(site_of(folder), "torch")
    return python


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
def test_an_older_transformers_reads_the_same(tmp_path: Path, llm: CommandLine, older, form: str):
    small(tmp_path / "v1", form)
    done = llm("export", str(tmp_path / "v1"), "--to", "hf", "--out", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    newer = read_by(sys.executable, tmp_path / "out")
    old = read_by(older, tmp_path / "out")
    assert (newer[0].partition(".")[0], old[0]) == ("5", OLDER.partition("==")[2])
    assert newer[1] == old[1]
    pairs = zip(chain(*newer[2]), chain(*old[2]), strict=True)
    assert max(abs(one - other) for one, other in pairs) < 1e-4
