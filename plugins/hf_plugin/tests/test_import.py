from __future__ import annotations

import json
import signal

import pytest
import torch
from plugins.hf_plugin.tests import theirs
from plugins.hf_plugin.tests.service import Fault
from tests.journey import start_llm, with_signals

from create_llm.data.chat.template import load_chat_template
from create_llm.errors import ConfigError, CredentialsError, DataError
from create_llm.kernel.plugins import default_plugins
from create_llm.models.importing import find_importer, import_into
from create_llm.models.loaded import LoadedModel
from create_llm_hf.importer import HuggingFaceImporter

REGISTRY = default_plugins().registry


def imported(source, target):
    part, name = find_importer(str(source), target.parent, REGISTRY)
    said = []
    read = part.load()().read(name, target.parent, REGISTRY, said.append)
    return import_into(read, target, REGISTRY), said


@pytest.mark.parametrize("kind", theirs.KINDS)
def test_logits_are_those_of_transformers(tmp_path, kind):
    folder = theirs.save(tmp_path / "theirs", kind)
    bundle, said = imported(folder, tmp_path / "v1")
    assert bundle.info["architecture"] == ("gpt" if kind in theirs.OURS else "transformers")
    assert bool(said) == (kind == "llama-scaled"), said
    model = LoadedModel.from_bundle(bundle, REGISTRY)
    tokens = torch.randint(0, 320, (2, 24), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        ours = model.module(tokens).logits()
    expected = theirs.logits(folder, tokens)
    assert torch.allclose(ours, expected, atol=2e-5 * float(expected.abs().max()), rtol=0)


@pytest.mark.parametrize("kind", ["llama", "gemma2", "mixtral", "mamba"])
def test_the_bundle_is_itself_in_the_form_of_transformers(tmp_path, kind):
    bundle, _ = imported(theirs.save(tmp_path / "theirs", kind), tmp_path / "v1")
    again, _ = imported(bundle.path, tmp_path / "v2")
    assert again.weights_sha256() == bundle.weights_sha256()
    tokens = torch.arange(20)[None]
    expected = theirs.logits(tmp_path / "theirs", tokens)
    assert torch.equal(theirs.logits(bundle.path, tokens), expected)


@pytest.mark.parametrize("kind", ["gemma2", "mamba"])
def test_decoding_is_reading(tmp_path, kind):
    bundle, _ = imported(theirs.save(tmp_path / "theirs", kind), tmp_path / "v1")
    model = LoadedModel.from_bundle(bundle, REGISTRY)
    tokens = torch.randint(0, 300, (1, 12), generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        whole = model.module(tokens).logits()
        cache, found = model.architecture.begin(model.module, {"tokens": tokens[:, :5]}, 12)
        for place in range(5, 12):
            assert torch.allclose(found, whole[:, place - 1], atol=1e-4)
            found = model.architecture.decode(model.module, tokens[:, place : place + 1], cache)
    assert cache.length == 12


def test_shards_are_one_model(tmp_path):
    whole, _ = imported(theirs.save(tmp_path / "whole", "llama"), tmp_path / "v1")
    sharded = theirs.save(tmp_path / "sharded", "llama", shard="20KB")
    assert len(list(sharded.glob("*.safetensors"))) > 2
    again, _ = imported(sharded, tmp_path / "v2")
    assert again.weights_sha256() == whole.weights_sha256()
    next(sharded.glob("model-00002*")).unlink()
    with pytest.raises(DataError, match="missing"):
        imported(f"hf:{sharded}", tmp_path / "v3")


@pytest.mark.parametrize("pieces", [False, True], ids=["bytes", "pieces"])
def test_token_ids_and_the_chat_template_are_theirs(tmp_path, pieces):
    folder = theirs.save(tmp_path / "theirs", "llama", pieces=pieces)
    bundle, _ = imported(folder, tmp_path / "v1")
    tokenizer = LoadedModel.from_bundle(bundle, REGISTRY).tokenizer
    for text in theirs.TEXTS:
        assert tokenizer.encode_batch([text])[0] == theirs.ids(folder, text)
        assert tokenizer.decode(tokenizer.encode_batch([text])[0]) == text
    template = load_chat_template(bundle.path)
    assert (template.source if template else None) == (None if pieces else theirs.CHAT)


def test_a_tokenizer_without_tokenizer_json_is_converted(tmp_path):
    folder = theirs.save(tmp_path / "theirs", "gpt2")
    model = json.loads((folder / "tokenizer.json").read_text())["model"]
    expected = theirs.ids(folder, theirs.TEXTS[1])
    (folder / "tokenizer.json").unlink()
    (folder / "vocab.json").write_text(json.dumps(model["vocab"]))
    merges = ["#version: 0.2", *(" ".join(pair) for pair in model["merges"])]
    (folder / "merges.txt").write_text("\n".join(merges) + "\n")
    said = {"tokenizer_class": "GPT2Tokenizer", "eos_token": "<|endoftext|>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(said))
    bundle, _ = imported(folder, tmp_path / "v1")
    tokenizer = LoadedModel.from_bundle(bundle, REGISTRY).tokenizer
    assert tokenizer.encode_batch([theirs.TEXTS[1]])[0] == expected


def test_the_end_of_a_text_is_found_where_the_tokenizer_does_not_say_it(tmp_path):
    folder = theirs.save(tmp_path / "theirs", "llama")
    (folder / "tokenizer_config.json").write_text("{}")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "eos_token_id": [2, 0]}))
    bundle, _ = imported(folder, tmp_path / "v1")
    assert bundle.hf_config()["eos_token_id"] == 2


def test_pickles_are_not_read(tmp_path):
    folder = theirs.save(tmp_path / "theirs", "llama")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    for written in (folder, f"hf:{folder}"):
        with pytest.raises(DataError, match="pickles"):
            imported(written, tmp_path / "v1")


@pytest.mark.parametrize("left", [[], ["vocab.json"]])
def test_a_model_without_a_tokenizer_is_refused(tmp_path, left):
    folder = theirs.save(tmp_path / "theirs", "llama")
    (folder / "tokenizer.json").unlink()
    for name in left:
        (folder / name).write_text("{}")
    with pytest.raises(DataError, match="no tokenizer with the model"):
        imported(folder, tmp_path / "v1")
    assert not (tmp_path / "v1").exists()


def test_code_that_comes_with_a_model_is_not_run(tmp_path):
    folder = theirs.save(tmp_path / "theirs", "llama")
    config = json.loads((folder / "config.json").read_text())
    (folder / "modeling_evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    evil = {"AutoConfig": "modeling_evil.C", "AutoModelForCausalLM": "modeling_evil.M"}
    config |= {"model_type": "evil", "auto_map": evil, "architectures": ["M"]}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(DataError, match="code of its own, which is not run"):
        imported(folder, tmp_path / "v1")
    assert not (tmp_path / "ran").exists()


def test_weights_that_do_not_fit_are_refused(tmp_path):
    folder = theirs.save(tmp_path / "theirs", "gpt_neox")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 3}))
    with pytest.raises(DataError, match="not those of this model"):
        imported(folder, tmp_path / "v1")


class TestRepository:
    def publish(self, service, folder, *, private=False):
        files = {path.name: path.read_bytes() for path in folder.iterdir()}
        return service.add("org/model", files, private=private)

    def test_a_repository_is_a_model(self, tmp_path, service):
        folder = theirs.save(tmp_path / "theirs", "llama")
        sha = self.publish(service, folder, private=True)
        bundle, said = imported("hf:org/model", tmp_path / "v1")
        origin = {"from": "hf:org/model", "repository": "org/model", "commit": sha}
        assert bundle.info["imported"] == origin
        assert sha[:12] in said[0]
        again, _ = imported(folder, tmp_path / "v2")
        assert again.weights_sha256() == bundle.weights_sha256()

    def test_a_revision_is_that_revision(self, tmp_path, service):
        sha = self.publish(service, theirs.save(tmp_path / "one", "llama"))
        self.publish(service, theirs.save(tmp_path / "two", "llama-tied"))
        bundle, _ = imported(f"hf:org/model@{sha}", tmp_path / "v1")
        assert bundle.info["imported"]["commit"] == sha
        assert not bundle.hf_config()["tie_word_embeddings"]

    @with_signals
    def test_a_download_ends_when_it_is_asked_to(self, tmp_path, service):
        self.publish(service, theirs.save(tmp_path / "theirs", "llama"))
        service.drips = "model.safetensors"
        home, out = tmp_path / "home", tmp_path / "v1"
        llm = start_llm(
            tmp_path, "import", "hf:org/model", "--out", str(out), env={"HF_HOME": str(home)}
        )
        assert service.dripping.wait(60)
        llm.send_signal(signal.SIGINT)
        said, told = llm.communicate(timeout=25)
        assert (llm.returncode, said) == (130, "")
        assert "org/model has not come whole, and nothing of it was imported" in told
        assert "Traceback" not in told
        assert not out.exists()
        assert not list(tmp_path.glob("*.tmp*"))
        assert not list(home.rglob("*.incomplete"))
        service.drips = ""
        bundle, _ = imported("hf:org/model", out)
        assert bundle.path == out

    def test_faults_pass(self, tmp_path, service, slept):
        self.publish(service, theirs.save(tmp_path / "theirs", "llama"))
        service.faults = {
            "info": [Fault(status=503), Fault(read=0)],
            "download": [Fault(status=502), Fault(status=429, headers={"Retry-After": "1"})],
        }
        imported("hf:org/model", tmp_path / "v1")

    def test_a_first_look_waits_as_long_as_it_is_asked_to(self, tmp_path, service, slept):
        self.publish(service, theirs.save(tmp_path / "theirs", "llama"))
        service.faults["download"] = [Fault(status=429, headers={"Retry-After": "30"})]
        imported("hf:org/model", tmp_path / "v1")
        assert max(slept) >= 30

    def test_what_is_not_there(self, tmp_path, service, slept):
        with pytest.raises(ConfigError, match="nothing of that name"):
            imported("hf:org/none", tmp_path / "v1")
        self.publish(service, theirs.save(tmp_path / "theirs", "llama"))
        with pytest.raises(ConfigError, match="no such revision"):
            imported("hf:org/model@v9", tmp_path / "v1")
        with pytest.raises(ConfigError, match="no repository"):
            imported("hf:a/b/c", tmp_path / "v1")
        service.add("org/pickled", {"config.json": b"{}", "pytorch_model.bin": b"x"})
        with pytest.raises(DataError, match="pickles"):
            imported("hf:org/pickled", tmp_path / "v1")

    def test_a_refusal_is_one(self, tmp_path, service, slept):
        self.publish(service, theirs.save(tmp_path / "theirs", "llama"))
        service.faults["info"] = [Fault(status=401)]
        with pytest.raises((CredentialsError, ConfigError)):
            imported("hf:org/model", tmp_path / "v1")
        assert not slept


def test_a_folder_that_nobody_reads(tmp_path):
    with pytest.raises(ConfigError, match="no importer knows its form"):
        find_importer(str(tmp_path), tmp_path, REGISTRY)
    with pytest.raises(ConfigError, match="no file or folder"):
        find_importer("nothing", tmp_path, REGISTRY)
    assert not HuggingFaceImporter().reads(tmp_path)
