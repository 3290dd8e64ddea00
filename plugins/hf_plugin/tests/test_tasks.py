"""What a model was trained for: ours where one of ours does the same, else refused in words."""

from __future__ import annotations

import json

import pytest
import torch
from plugins.hf_plugin.tests import theirs
from transformers import BertConfig, BertForMaskedLM, RobertaConfig

from create_llm.errors import ConfigError, DataError, PluginError
from create_llm.kernel.plugins import default_plugins, load_plugins
from create_llm.models.importing import find_importer, import_into
from create_llm.models.loaded import LoadedModel
from create_llm.testing.bundles import write_bundle
from create_llm_hf.importer import HuggingFaceImporter
from create_llm_hf.reading import class_of
from create_llm_hf.tasks import refuse_other_task

REGISTRY = default_plugins().registry
BERT = {"name": "bert", "layers": 2, "heads": 2, "dim": 32, "max_length": 32}
T5 = {"name": "t5", "layers": 2, "heads": 2, "dim": 32, "max_length": 32}
SPECIAL = ["</s>", "<s>", "<pad>", "<unk>"]
SENTINELS = [f"<extra_id_{number}>" for number in range(100)]


def imported(folder, target, registry=REGISTRY):
    read = HuggingFaceImporter().read(str(folder), target.parent, registry, [].append)
    return import_into(read, target, registry)


@pytest.mark.parametrize(
    ("model", "objective", "needed"), [(BERT, "masked", ["<mask>"]), (T5, "span", SENTINELS)]
)
def test_a_model_of_ours_comes_back_as_itself(tmp_path, model, objective, needed):
    words = {"name": "wordpiece", "special_tokens": [*SPECIAL, *needed]}
    bundle = write_bundle(tmp_path / "v1", REGISTRY, model, words)
    again = imported(bundle.path, tmp_path / "v2")
    assert again.info["architecture"] == model["name"]
    assert again.info["objective"]["name"] == objective
    assert again.weights_sha256() == bundle.weights_sha256()


@pytest.fixture
def bert(tmp_path):
    """As transformers saves it."""
    folder = theirs.save(tmp_path / "theirs", "llama")
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "mask_token": "<|im_start|>"}))
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 4}
    torch.manual_seed(4)
    made = BertForMaskedLM(BertConfig(vocab_size=330, num_hidden_layers=2, **sizes)).eval()
    made.save_pretrained(folder)
    return folder


def test_a_bert_of_others_is_ours(tmp_path, bert):
    bundle = imported(bert, tmp_path / "v1")
    model = LoadedModel.from_bundle(bundle, REGISTRY)
    tokens = torch.arange(20)[None]
    with torch.no_grad():
        ours = model.module(tokens).logits()
        expected = BertForMaskedLM.from_pretrained(bert, attn_implementation="eager")(tokens).logits
    assert torch.allclose(ours, expected, atol=1e-5)


def test_a_masked_model_without_a_mask_token_is_refused(tmp_path, bert):
    path = bert / "tokenizer_config.json"
    said = json.loads(path.read_text())
    del said["mask_token"]
    path.write_text(json.dumps(said))
    with pytest.raises(DataError, match="the tokenizer has no mask token") as caught:
        imported(bert, tmp_path / "v1")
    assert caught.value.where == f"the folder {bert.name}"
    assert not (tmp_path / "v1").exists()


def test_a_mask_token_may_be_named_beside_the_tokenizer(tmp_path, bert):
    path = bert / "tokenizer_config.json"
    said = json.loads(path.read_text())
    mask = {"mask_token": said.pop("mask_token")}
    path.write_text(json.dumps(said))
    (bert / "special_tokens_map.json").write_text(json.dumps(mask))
    bundle = imported(bert, tmp_path / "v1")
    assert LoadedModel.from_bundle(bundle, REGISTRY).tokenizer.special.mask is not None


def test_where_its_plugin_is_missing_it_is_named(tmp_path, bert):
    registry = load_plugins({"CREATE_LLM_PLUGINS": "hf,gpt,tokenizers,objectives"}).registry
    with pytest.raises(PluginError, match="create-llm-bert"):
        imported(bert, tmp_path / "v1", registry)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("BertForMaskedLM", "which bert does not read"),
        ("RobertaForMaskedLM", "guesses masked tokens"),
        ("LlamaForSequenceClassification", "it is a classifier .LlamaForSeq"),
        ("MistralModel", "vectors of texts"),
        ("Qwen2ForRewardModel", "rates texts"),
    ],
)
def test_what_does_not_continue_texts_is_refused(tmp_path, name, words):
    folder = theirs.save(tmp_path / "theirs", "llama")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "architectures": [name]}))
    with pytest.raises(DataError, match=words) as caught:
        imported(folder, tmp_path / "v1")
    assert len(caught.value.fixes) >= 2


@pytest.mark.parametrize(
    "named", [["GPT2LMHeadModel"], ["XLMWithLMHeadModel"], ["M"], [], None, [3], "LlamaModel"]
)
def test_what_may_continue_them_is_not(named):
    refuse_other_task({"architectures": named})
    refuse_other_task({})


def test_an_encoder_is_no_decoder_unless_it_says_so():
    with pytest.raises(DataError, match="not set up as a decoder"):
        class_of(RobertaConfig())
    assert class_of(RobertaConfig(is_decoder=True)).__name__ == "RobertaForCausalLM"


def test_a_folder_is_named_as_it_is(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "other").mkdir()
    with pytest.raises(
        ConfigError, match=r"no importer knows its form \(installed: .*hf"
    ) as caught:
        find_importer("../other", tmp_path / "sub", REGISTRY)
    assert caught.value.where == str((tmp_path / "other").resolve())
    assert any("hf reads: " in fix for fix in caught.value.fixes)
    with pytest.raises(ConfigError, match="no such folder") as caught:
        HuggingFaceImporter().read("../none", tmp_path / "sub", REGISTRY, [].append)
    assert caught.value.where == str((tmp_path / "none").resolve())


def test_an_importer_without_a_name_says_what_is_missing(tmp_path):
    part, source = find_importer("hf:", tmp_path, REGISTRY)
    with pytest.raises(ConfigError, match="ORG/NAME is missing"):
        part.load()().read(source, tmp_path, REGISTRY, [].append)
