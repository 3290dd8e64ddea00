"""What is this engine's own: the proof and its cache, sampling, the network."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from create_llm.errors import ConfigError
from create_llm.kernel.plugins import default_plugins
from create_llm.models.bundle import ModelBundle
from create_llm.models.engine import CannotRun, open_with
from create_llm.models.generation import Prompt, Sampling, TextBatch, TextStream
from create_llm.models.loaded import LoadedModel
from create_llm.testing.bundles import write_bundle
from create_llm_llamacpp import cached

MODEL = {"name": "gpt", "layers": 2, "heads": 2, "dim": 64, "max_length": 32, "tied": False}
TOKENIZER = {"name": "bpe", "vocab_size": 300}
GREEDY = Sampling(max_new_tokens=20, temperature=0)


def made(folder: Path, **changes: object) -> ModelBundle:
    model = {**MODEL, **changes}
    return write_bundle(folder, default_plugins().registry, model, TOKENIZER)


def opened(bundle, engine="llamacpp", notice=print, device="cpu"):
    return open_with(engine, bundle, default_plugins().registry, device, notice)


def text(model, prompt="Once upon", sampling=GREEDY):
    stream = TextStream(model, prompt, sampling, print)
    return "".join(stream)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> ModelBundle:
    return made(tmp_path_factory.mktemp("model") / "v1")


@pytest.mark.parametrize(
    "changes",
    [{"form": "llama", "kv_heads": 1}, {"form": "gpt2"}, {"form": "qwen3", "kv_heads": 1}],
)
def test_each_family_is_written_as_torch_writes_it(tmp_path, changes):
    bundle = made(tmp_path / "v1", **changes)
    for prompt in ("Once upon", "a", "The quick brown fox jumps"):
        assert text(opened(bundle), prompt) == text(opened(bundle, "torch"), prompt)


@pytest.mark.parametrize("form", ["llama", "gpt2"])
def test_a_wrong_conversion_is_noticed(tmp_path, monkeypatch, form):
    bundle = made(tmp_path / "v1", form=form)
    converter = import_module("create_llm_export.gguf_file")
    right = converter._turned
    monkeypatch.setattr(converter, "_turned", lambda *given: right(*given).flip(0))
    with pytest.raises(CannotRun):
        opened(bundle)
    notices: list[str] = []
    assert isinstance(opened(bundle, "auto", notices.append), LoadedModel)
    assert "other tokens than torch" in notices[-1]


def test_auto_takes_it_and_gets_it_ready_once(tmp_path):
    bundle, notices = made(tmp_path / "v1"), []
    assert not isinstance(opened(bundle, "auto", notices.append), LoadedModel)
    assert [notice.split(" ready")[0] for notice in notices] == ["getting v1"]
    file = bundle.path / cached.FOLDER / cached.MODEL
    written = file.stat().st_mtime_ns
    opened(bundle, "auto", notices.append)
    assert len(notices) == 1
    assert file.stat().st_mtime_ns == written


def test_a_damaged_file_is_made_again(tmp_path):
    bundle = made(tmp_path / "v1")
    expected = text(opened(bundle))
    file = bundle.path / cached.FOLDER / cached.MODEL
    data = file.read_bytes()
    file.write_bytes(data[:-8] + b"\x7f" * 8)
    assert text(opened(bundle)) == expected
    assert file.read_bytes() == data


def test_what_a_killed_one_left_is_removed(tmp_path):
    bundle = made(tmp_path / "v1")
    bundle_path = str(bundle.path)
    killed = subprocess.run([sys.executable, "-c", KILLED, bundle_path], capture_output=True)
    assert killed.returncode == 9, killed.stderr
    beside = bundle.path / cached.FOLDER.parent
    assert [path.name.rpartition("-")[0] for path in beside.iterdir()] == [".tmp-llamacpp-trials"]
    opened(bundle)
    assert [path.name for path in beside.iterdir()] == ["llamacpp"]


KILLED = """
import os, sys
from create_llm.api import load
from create_llm_llamacpp import cached
cached._written = lambda *given: os._exit(9)
load(sys.argv[1], engine="llamacpp")
"""


def test_what_the_dead_left_beside_a_whole_cache_is_removed_and_what_lives_stays(tmp_path):
    bundle = made(tmp_path / "v1")
    opened(bundle)
    beside = bundle.path / cached.FOLDER.parent
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as living:
        with subprocess.Popen([sys.executable, "-c", ""]) as dead:
            pass
        for process in (living, dead):
            trial = beside / f".tmp-llamacpp-trials-{process.pid}" / "f16"
            trial.mkdir(parents=True)
            (trial / "model.gguf").write_bytes(b"half")
        opened(bundle)
        found = sorted(path.name for path in beside.iterdir())
        living.communicate(b"\n")
    assert found == [f".tmp-llamacpp-trials-{living.pid}", "llamacpp"]


def test_a_file_of_other_weights_is_not_used(tmp_path, bundle):
    facts = bundle.path / cached.FOLDER / cached.FACTS
    opened(bundle)
    known = json.loads(facts.read_text())
    assert known["weights"] == bundle.weights_sha256()
    assert cached._kept(facts.parent, made(tmp_path / "v2", heads=4)) is None


def test_a_place_that_cannot_be_written_is_said(tmp_path):
    bundle = made(tmp_path / "v1")
    (bundle.path / "cache").write_text("in the way")
    with pytest.raises(CannotRun, match="cannot be kept"):
        opened(bundle)


@pytest.mark.parametrize("device", ["cuda", "mps", "auto"])
def test_a_gpu_is_for_torch(bundle, device):
    with pytest.raises(CannotRun):
        opened(bundle, device=device)


def test_what_the_exporter_refuses_it_cannot_run_and_says_so_at_once(tmp_path):
    registry = default_plugins().registry
    bert = {"name": "bert", "layers": 1, "heads": 2, "dim": 32, "max_length": 32}
    bundle = write_bundle(tmp_path / "v1", registry, bert, TOKENIZER)
    notices: list[str] = []
    with pytest.raises(CannotRun, match="'bert'"):
        opened(bundle, notice=notices.append)
    assert notices == []
    assert not (bundle.path / "cache").exists()


def test_an_unknown_engine_is_an_error(bundle):
    with pytest.raises(ConfigError, match="no engine called 'lamacpp'") as caught:
        opened(bundle, "lamacpp")
    assert "llamacpp" in caught.value.fixes[0]


def test_a_text_past_the_context_goes_on_as_in_torch(bundle):
    sampling = Sampling(max_new_tokens=100, temperature=0)
    assert text(opened(bundle), sampling=sampling) == text(
        opened(bundle, "torch"), sampling=sampling
    )


def test_more_texts_than_are_expected_wait(bundle):
    model = opened(bundle)
    prompts = [Prompt.of(each, model) for each in ("a", "The", "sea", "lazy", "fox")]
    alone = [text(model, prompt) for prompt in prompts]
    writer = model.writer(print, at_once=2)
    for key, prompt in enumerate(prompts):
        writer.add(key, prompt.ids, GREEDY)
    first = dict(writer.step())
    assert sorted(first) == list(range(5))
    for key in first:
        writer.drop(key)
    batch = TextBatch(model, prompts, GREEDY, print)
    assert len(list(batch)) >= 5
    assert [done.text for done in batch.results()] == alone


def test_a_penalty_counts_the_prompt_too(bundle):
    model, torch = opened(bundle), opened(bundle, "torch")
    sampling = Sampling(max_new_tokens=15, temperature=0, repetition_penalty=3.0)
    assert text(model, "a", sampling) == text(torch, "a", sampling) != text(model, "a")


LISTENING = """
import os, sys
from pathlib import Path
from create_llm.api import load
model = load(sys.argv[1], engine="llamacpp")
model.generate("Once", max_new_tokens=3)
open_files = Path("/proc/self/fd").iterdir()
inodes = {os.readlink(each) for each in open_files if each.is_symlink()}
rows = [line.split() for kind in ("tcp", "tcp6", "udp", "udp6")
        if Path(f"/proc/net/{kind}").exists()
        for line in Path(f"/proc/net/{kind}").read_text().splitlines()[1:]]
print([row[1] for row in rows if f"socket:[{row[9]}]" in inodes])
print("torch" in sys.modules, "gguf" in sys.modules)
"""


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="Linux tells what is open there")
def test_nothing_listens_and_no_torch_is_loaded(bundle):
    opened(bundle)
    done = subprocess.run(
        [sys.executable, "-c", LISTENING, str(bundle.path)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split("\n")[:2] == ["[]", "False False"], done.stdout + done.stderr
