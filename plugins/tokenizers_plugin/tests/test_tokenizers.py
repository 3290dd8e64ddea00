"""The tokenizers of this package: round trips, control tokens, files, agreement with a peer."""

import json
import random
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from create_llm.errors import DataError
from create_llm_tokenizers.bpe import ByteLevelBPE
from create_llm_tokenizers.byte import ByteTokenizer
from create_llm_tokenizers.config import BPEConfig, ByteConfig

CORPUS = [
    "The fox didn't see the hound, and the hound didn't see the fox.\n" * 3,
    "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich.\n" * 3,
    "El niño comió piñas; ¿quién lo vio? — «Nadie», dijo.\n" * 3,
    "</s> is written </s> in </s> this text, <pad> and <|endoftext|> too.\n" * 3,
]
EXTRA = "<|im_start|>"
TORTURE = [
    "",
    " ",
    "  two  spaces  ",
    "\n\n\t\r\n trailing \n",
    "don't I'll we've THEY'RE 'S",
    "1234567890 12 345",
    "naïve café Ωμέγα Москва 日本語 العربية हिन्दी ไทย",
    "👩‍👩‍👧‍👦 🏳️‍🌈 e\u0301 \u200b\u200d\ufeff",
    "\x00\x01\x1f\x7f\x85\u2028\u2029\xa0\xad",
    "x" * 500,
    "=" * 300,
    "Ġ Ċ ĉ Â",
    "\ufffd\ufffe\uffff\U0010ffff",
]
CONTROL = ["</s>", "<s>", "<pad>", "<unk>", "a</s>b", "</s></s>", EXTRA, "< /s>", "</s"]


@pytest.fixture(scope="module")
def bpe():
    names = ("<pad>", "<unk>", "<s>", "</s>", EXTRA)
    return ByteLevelBPE.train(CORPUS, BPEConfig(vocab_size=380, special_tokens=names))


@pytest.fixture(scope="module", params=["bpe", "byte", "bpe loaded", "byte loaded"])
def tokenizer(request, bpe, tmp_path_factory):
    kind, _, loaded = request.param.partition(" ")
    made = bpe if kind == "bpe" else ByteTokenizer.train(iter(()), ByteConfig())
    if not loaded:
        return made
    folder = tmp_path_factory.mktemp("saved")
    made.save(folder)
    return type(made).load(folder)


def encode(tokenizer, text):
    return tokenizer.encode_batch([text])[0]


def round_trip(tokenizer, text):
    return tokenizer.decode(encode(tokenizer, text))


@pytest.mark.parametrize("text", TORTURE + CONTROL, ids=ascii)
def test_text_comes_back(tokenizer, text):
    assert round_trip(tokenizer, text) == text


@settings(deadline=None)
@given(st.text())
def test_any_text_comes_back(bpe, text):
    assert round_trip(bpe, text) == text


def test_every_character_comes_back(bpe):
    for start in range(0, 0x110000, 0x1000):
        characters = (chr(c) for c in range(start, start + 0x1000) if not 0xD800 <= c < 0xE000)
        text = "".join(characters)
        assert round_trip(bpe, text) == text


def test_random_bytes_read_as_text_come_back(tokenizer):
    chance = random.Random(0)
    for _ in range(200):
        text = chance.randbytes(chance.randrange(200)).decode("utf-8", "replace")
        assert round_trip(tokenizer, text) == text


def test_a_lone_surrogate_becomes_the_replacement_character(tokenizer):
    assert round_trip(tokenizer, "a\ud83d b\udc00") == "a\ufffd b\ufffd"
    trained = ByteLevelBPE.train(["ab\ud800 ab\ud800"], BPEConfig(vocab_size=300))
    assert round_trip(trained, "ab") == "ab"


@pytest.mark.parametrize("text", CONTROL, ids=ascii)
def test_text_never_becomes_a_control_token(tokenizer, text):
    special = tokenizer.special
    control = {
        special.eos,
        special.bos,
        special.pad,
        special.unk,
        4 if tokenizer.vocab_size > 260 else 0,
    }
    assert not control & set(encode(tokenizer, text))
    assert not control & set(encode(tokenizer, f"x {text}y"))


def test_control_tokens_come_first_and_are_left_out_of_text(tokenizer):
    special = tokenizer.special
    assert (special.pad, special.unk, special.bos, special.eos) == (0, 1, 2, 3)
    assert [tokenizer.token(i) for i in range(4)] == ["<pad>", "<unk>", "<s>", "</s>"]
    ids = encode(tokenizer, "text")
    assert tokenizer.decode([2, *ids, 3, 0, 0]) == "text"
    assert tokenizer.decode([]) == ""


def test_ids_are_all_those_below_the_vocabulary_size(tokenizer):
    tokens = [tokenizer.token(i) for i in range(tokenizer.vocab_size)]
    assert len(set(tokens)) == tokenizer.vocab_size
    with pytest.raises(IndexError):
        tokenizer.token(tokenizer.vocab_size)


def test_a_batch_is_its_texts_one_by_one(tokenizer):
    assert tokenizer.encode_batch(TORTURE) == [encode(tokenizer, text) for text in TORTURE]
    assert tokenizer.encode_batch([]) == []


def test_the_vocabulary_is_as_large_as_asked_or_as_the_text_allows(bpe):
    assert bpe.vocab_size == 380
    small = ByteLevelBPE.train(["abab " * 5], BPEConfig(vocab_size=5000))
    assert 260 < small.vocab_size < 280
    assert ByteLevelBPE.train([], BPEConfig(vocab_size=5000)).vocab_size == 260


def test_rare_pairs_are_not_learnt():
    often = ByteLevelBPE.train(["qz qz qz"], BPEConfig(min_frequency=2))
    rarely = ByteLevelBPE.train(["qz qz qz"], BPEConfig(min_frequency=9))
    assert (len(encode(often, "qz")), len(encode(rarely, "qz"))) == (1, 2)


def test_training_learns_longer_tokens(bpe):
    assert len(encode(bpe, CORPUS[0])) < len(CORPUS[0]) / 3


def test_bytes_take_one_token_each():
    tokenizer = ByteTokenizer.train(iter(()), ByteConfig())
    assert tokenizer.vocab_size == 260
    assert len(encode(tokenizer, "añ€👩")) == 1 + 2 + 3 + 4


def test_training_reads_no_text_where_there_is_nothing_to_learn():
    def texts():
        raise AssertionError("read")
        yield

    ByteTokenizer.train(texts(), ByteConfig())


def test_saving_again_gives_the_same_files(tokenizer, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    tokenizer.save(tmp_path / "a")
    type(tokenizer).load(tmp_path / "a").save(tmp_path / "b")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


_TRAIN = """
import sys
from pathlib import Path
from create_llm_tokenizers.bpe import ByteLevelBPE
from create_llm_tokenizers.config import BPEConfig
texts = [f"word{n % 17} other{n % 5} equal pairs ab cd ef gh" for n in range(500)]
ByteLevelBPE.train(texts, BPEConfig(vocab_size=400)).save(Path(sys.argv[1]))
"""


def test_training_in_two_processes_gives_the_same_files(tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
        subprocess.run([sys.executable, "-c", _TRAIN, tmp_path / name], check=True)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_transformers_reads_the_folder_and_agrees_on_every_id(tokenizer, tmp_path):
    transformers = pytest.importorskip("transformers")
    tokenizer.save(tmp_path)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    special = tokenizer.special
    assert theirs.eos_token_id == special.eos
    assert theirs.bos_token_id == special.bos
    assert theirs.pad_token_id == special.pad
    assert theirs.unk_token_id == special.unk
    assert len(theirs) == tokenizer.vocab_size
    for text in TORTURE + CORPUS[:3]:
        ids = encode(tokenizer, text)
        assert theirs(text)["input_ids"] == ids, text
        assert theirs.decode(ids) == text
    for text in CONTROL:
        assert theirs(text, split_special_tokens=True)["input_ids"] == encode(tokenizer, text)


@pytest.mark.parametrize("text", [None, "", "{", "[]", "null", '{"model": 1}', "\xff"])
def test_a_damaged_file_is_named(bpe, tmp_path, text):
    bpe.save(tmp_path)
    path = tmp_path / "tokenizer.json"
    if text is None:
        path.unlink()
    else:
        path.write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError) as caught:
        ByteLevelBPE.load(tmp_path)
    assert caught.value.where == str(path)
    assert caught.value.exit_code == 65
    assert len(caught.value.fixes) >= 2


@pytest.mark.parametrize("text", ["{", "[]", "\xff"])
def test_a_damaged_configuration_is_named(bpe, tmp_path, text):
    bpe.save(tmp_path)
    path = tmp_path / "tokenizer_config.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError, match=r"tokenizer_config\.json") as caught:
        ByteLevelBPE.load(tmp_path)
    assert caught.value.where == str(path)


def test_a_tokenizer_made_elsewhere_is_read(bpe, tmp_path):
    """Without our tokenizer_config.json, with another library's habits inside."""
    bpe.save(tmp_path)
    (tmp_path / "tokenizer_config.json").unlink()
    path = tmp_path / "tokenizer.json"
    file = json.loads(path.read_text())
    file["truncation"] = {
        "direction": "Right",
        "max_length": 3,
        "strategy": "LongestFirst",
        "stride": 0,
    }
    file["padding"] = {
        "strategy": {"Fixed": 9}, "direction": "Right", "pad_to_multiple_of": None,
        "pad_id": 0, "pad_type_id": 0, "pad_token": "<pad>",
    }  # fmt: skip
    path.write_text(json.dumps(file))
    theirs = ByteLevelBPE.load(tmp_path)
    assert theirs.special.eos == 3
    assert encode(theirs, CORPUS[1]) == encode(bpe, CORPUS[1])
    (tmp_path / "tokenizer_config.json").write_text('{"eos_token": {"content": "<s>"}}')
    assert ByteLevelBPE.load(tmp_path).special.eos == 2


def test_a_tokenizer_without_an_end_of_text_is_refused(tmp_path):
    names = ("<p>", "<u>", "<b>", "<e>")
    ByteTokenizer.train([], ByteConfig(special_tokens=names)).save(tmp_path)
    (tmp_path / "tokenizer_config.json").unlink()
    with pytest.raises(DataError, match="which token ends a text"):
        ByteTokenizer.load(tmp_path)


def test_names_that_text_could_spell_as_one_token_are_refused():
    for name in ("pad", "</>", "<p ad>", "'s", "", "<>", "Ġ"):
        with pytest.raises(ValidationError, match="cannot be a control token"):
            BPEConfig(special_tokens=("<pad>", "<unk>", "<s>", name))
    with pytest.raises(ValidationError, match="twice"):
        BPEConfig(special_tokens=("<s>", "<unk>", "<s>", "</s>"))
    with pytest.raises(ValidationError):
        BPEConfig(special_tokens=("<s>", "</s>"))


def test_the_vocabulary_has_room_for_all_bytes():
    with pytest.raises(ValidationError, match="at least 260"):
        BPEConfig(vocab_size=259)
    assert BPEConfig(vocab_size=260).vocab_size == 260


def test_the_plugin_is_light_and_its_parts_resolve():
    code = (
        "import sys, create_llm_tokenizers.plugin; "
        "heavy = {'tokenizers', 'pydantic', 'torch', 'numpy'} & set(sys.modules); "
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    from create_llm.kernel.plugins import load_plugins

    registry = load_plugins({"CREATE_LLM_PLUGINS": "tokenizers"}).registry
    for name, config in (("bpe", BPEConfig), ("byte", ByteConfig)):
        part = registry.get("tokenizers", name)
        assert part.config_model() is config
        assert part.load().train([], config()).vocab_size == 260
