"""The tokenizers of this package: round trips, control tokens, files, agreement with a peer."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from tokenizers import decoders, models, normalizers, pre_tokenizers

from create_llm.errors import ConfigError, DataError
from create_llm_tokenizers.bpe import ByteLevelBPE
from create_llm_tokenizers.byte import ByteTokenizer
from create_llm_tokenizers.config import BPEConfig, ByteConfig, UnigramConfig, WordPieceConfig
from create_llm_tokenizers.unigram import ByteLevelUnigram
from create_llm_tokenizers.wordpiece import ByteLevelWordPiece

CORPUS = [
    "The fox didn't see the hound, and the hound didn't see the fox.\n" * 3,
    "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich.\n" * 3,
    "El niño comió piñas; ¿quién lo vio? — «Nadie», dijo.\n" * 3,
    "</s> is written </s> in </s> this text, <pad> and <|endoftext|> too.\n" * 3,
]
EXTRA = "<|im_start|>"
LEARNT = {
    "bpe": (ByteLevelBPE, BPEConfig),
    "wordpiece": (ByteLevelWordPiece, WordPieceConfig),
    "unigram": (ByteLevelUnigram, UnigramConfig),
}
ALL = {**LEARNT, "byte": (ByteTokenizer, ByteConfig)}
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


def trained(name, texts=CORPUS, control_tokens=(), **options):
    kind, config = ALL[name]
    return kind.train(iter(texts), config(**options), control_tokens)


@pytest.fixture(scope="module")
def made():
    names = ("<pad>", "<unk>", "<s>", "</s>", EXTRA)
    tokenizers = {name: trained(name, vocab_size=380, special_tokens=names) for name in LEARNT}
    return {**tokenizers, "byte": trained("byte", ())}


@pytest.fixture(scope="module")
def bpe(made):
    return made["bpe"]


@pytest.fixture(params=LEARNT)
def learnt(request, made):
    return made[request.param]


@pytest.fixture(scope="module", params=[f"{name}{how}" for name in ALL for how in ("", " loaded")])
def tokenizer(request, made, tmp_path_factory):
    name, _, loaded = request.param.partition(" ")
    if not loaded:
        return made[name]
    folder = tmp_path_factory.mktemp("saved")
    made[name].save(folder)
    return type(made[name]).load(folder)


def encode(tokenizer, text):
    return tokenizer.encode_batch([text])[0]


def round_trip(tokenizer, text):
    return tokenizer.decode(encode(tokenizer, text))


@pytest.mark.parametrize("text", TORTURE + CONTROL, ids=ascii)
def test_text_comes_back(tokenizer, text):
    assert round_trip(tokenizer, text) == text


@settings(deadline=None)
@given(st.text())
def test_any_text_comes_back(made, text):
    assert [round_trip(made[name], text) for name in ALL] == [text] * len(ALL)


@pytest.mark.parametrize("letter", ["a", "7", "=", " ", "\n", "字", "👩", "\x00"], ids=ascii)
def test_long_runs_come_back_and_nothing_is_unknown(tokenizer, letter):
    for length in (31, 32, 33, 63, 64, 65, 5000):
        text = f"x{letter * length}y"
        ids = encode(tokenizer, text)
        assert tokenizer.decode(ids) == text
        assert not set(ids) & set(tokenizer.special.named.values())


def test_random_bytes_read_as_text_come_back(tokenizer):
    chance = random.Random(0)
    for _ in range(200):
        text = chance.randbytes(chance.randrange(200)).decode("utf-8", "replace")
        assert round_trip(tokenizer, text) == text


def test_a_lone_surrogate_becomes_the_replacement_character(tokenizer):
    assert round_trip(tokenizer, "a\ud83d b\udc00") == "a\ufffd b\ufffd"


@pytest.mark.parametrize("name", ALL)
def test_a_lone_surrogate_does_not_stop_training(name):
    assert round_trip(trained(name, ["ab\ud800 ab\ud800"]), "ab") == "ab"


@pytest.mark.parametrize("text", CONTROL, ids=ascii)
def test_text_never_becomes_a_control_token(tokenizer, text):
    control = set(tokenizer.special.named.values())
    assert len(control) >= 4
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


@pytest.mark.parametrize("name", LEARNT)
def test_the_vocabulary_is_as_large_as_asked_or_as_the_text_allows(made, name):
    size = made[name].vocab_size
    # The pieces that a unigram model does not use go, though there is room.
    assert 290 < size <= 380 if name == "unigram" else size == 380
    assert 260 < trained(name, ["abab " * 5], vocab_size=5000).vocab_size < 280
    assert trained(name, [], vocab_size=5000).vocab_size == 260
    for limit in (260, 261, 262, 300):
        assert trained(name, vocab_size=limit).vocab_size == limit


@pytest.mark.parametrize("name", LEARNT)
def test_rare_sequences_are_not_learnt(name):
    often = trained(name, ["qz qz qz"], min_frequency=2)
    rarely = trained(name, ["qz qz qz"], min_frequency=9)
    assert (len(encode(often, " qz")), len(encode(rarely, " qz"))) == (1, 3)


def test_training_learns_longer_tokens(learnt):
    assert len(encode(learnt, CORPUS[0])) < len(CORPUS[0]) / 3


def test_wordpiece_takes_the_longest_token_that_fits(made):
    tokenizer = made["wordpiece"]
    tokens = [tokenizer.token(i) for i in range(5, tokenizer.vocab_size)]
    for word in (" hounds", " didn", " großenteils", "#", " piñata"):
        pieces = [tokenizer.token(i) for i in encode(tokenizer, word)]
        rest = "".join(pieces)
        for piece in pieces:
            assert piece == max((t for t in tokens if rest.startswith(t)), key=len)
            rest = rest[len(piece) :]
    assert len(encode(tokenizer, " hounds")) == 2


def test_text_that_looks_like_a_continuation_comes_back(made):
    tokenizer = made["wordpiece"]
    pieces = [tokenizer.token(i) for i in encode(tokenizer, "## ##a")]
    assert pieces == ["#", "#", "Ġ", "#", "#", "a"]


def test_unigram_learns_a_word_that_is_part_of_no_other():
    """What the proposals of Hugging Face's own trainer lack."""
    texts = ["which whale when " * 50]
    tokenizer = trained("unigram", texts, vocab_size=290)
    assert [tokenizer.token(i) for i in encode(tokenizer, " which")] == ["Ġwhich"]


def test_unigram_does_not_depend_on_the_order_of_the_texts(tmp_path):
    files = []
    for texts in (CORPUS, CORPUS[::-1]):
        trained("unigram", texts, vocab_size=300).save(tmp_path)
        files.append((tmp_path / "tokenizer.json").read_bytes())
    assert files[0] == files[1]


def test_unigram_takes_the_most_probable_division(tmp_path):
    """Compared with all divisions, one by one."""
    tokenizer = trained("unigram", CORPUS, vocab_size=330)
    tokenizer.save(tmp_path)
    file = json.loads((tmp_path / "tokenizer.json").read_text())
    score = dict(file["model"]["vocab"][4:])

    def best(word):
        if not word:
            return 0.0
        ends = (end for end in range(1, len(word) + 1) if word[:end] in score)
        return max(score[word[:end]] + best(word[end:]) for end in ends)

    for word in ("Ġhound", "Ġdidn", "piedra", "Ġseehound"):
        pieces = [tokenizer.token(i) for i in encode(tokenizer, word.replace("Ġ", " "))]
        assert sum(score[piece] for piece in pieces) == pytest.approx(best(word))


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
from create_llm.kernel.plugins import load_plugins
registry = load_plugins({"CREATE_LLM_PLUGINS": "tokenizers"}).registry
texts = [f"word{n % 17} other{n % 5} equal pairs ab cd ef gh {n:b}" for n in range(500)]
for name in ("bpe", "wordpiece", "unigram"):
    part, folder = registry.get("tokenizers", name), Path(sys.argv[1], name)
    folder.mkdir(parents=True)
    part.load().train(texts, part.config_model()(vocab_size=330), ("<mask>",)).save(folder)
"""


def test_training_in_other_processes_gives_the_same_files(tmp_path):
    """Whatever the seed of hash tables and the number of threads."""
    settings = [("0", "true", "4"), ("1", "true", "3"), ("2", "false", "1")]
    for seed, parallel, threads in settings:
        environment = {
            **os.environ,
            "PYTHONHASHSEED": seed,
            "TOKENIZERS_PARALLELISM": parallel,
            "RAYON_NUM_THREADS": threads,
            "OMP_NUM_THREADS": threads,
        }
        command = [sys.executable, "-c", _TRAIN, tmp_path / seed]
        subprocess.run(command, check=True, env=environment)
    for name in LEARNT:
        for file in ("tokenizer.json", "tokenizer_config.json"):
            assert len({(tmp_path / seed / name / file).read_bytes() for seed in "012"}) == 1


def test_transformers_reads_the_folder_and_agrees_on_every_id(tokenizer, tmp_path):
    transformers = pytest.importorskip("transformers")
    tokenizer.save(tmp_path)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    special = tokenizer.special
    assert theirs.eos_token_id == special.eos
    assert theirs.bos_token_id == special.bos
    assert theirs.pad_token_id == special.pad
    assert theirs.unk_token_id == special.unk
    assert set(theirs.all_special_ids) == set(special.named.values())
    assert len(theirs) == tokenizer.vocab_size
    prose = Path(__file__).parents[1].joinpath("README.md").read_text(encoding="utf-8")
    for text in TORTURE + CORPUS[:3]:
        ids = encode(tokenizer, text)
        assert theirs(text)["input_ids"] == ids, text
        assert theirs.decode(ids) == text
    # The README speaks of control tokens too.
    for text in [*CONTROL, prose]:
        ids = encode(tokenizer, text)
        assert theirs(text, split_special_tokens=True)["input_ids"] == ids
        assert theirs.decode(ids) == text


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


OBJECTIVE = ("<mask>", "<extra_id_0>", "</s>", "<extra_id_1>", "<mask>")


@pytest.mark.parametrize("name", ALL)
def test_control_tokens_of_the_objective_are_reserved(name, tmp_path):
    options = {} if name == "byte" else {"vocab_size": 300}
    texts = [*CORPUS, "<mask> and <extra_id_0> in <extra_id_1> text " * 9]
    tokenizer = trained(name, texts, OBJECTIVE, **options)
    names = ["<pad>", "<unk>", "<s>", "</s>", "<mask>", "<extra_id_0>", "<extra_id_1>"]
    assert tokenizer.special.named == {name: i for i, name in enumerate(names)}
    assert tokenizer.special.mask == 4
    assert tokenizer.vocab_size == options.get("vocab_size", 263)
    for spelt in names:
        ids = encode(tokenizer, f"{spelt} x{spelt}{spelt}y")
        assert not set(ids) & set(range(7))
        assert tokenizer.decode([4, *ids, 6]) == f"{spelt} x{spelt}{spelt}y"
    tokenizer.save(tmp_path)
    assert type(tokenizer).load(tmp_path).special == tokenizer.special


@pytest.mark.parametrize("name", ALL)
def test_transformers_knows_the_control_tokens_of_the_objective(name, tmp_path):
    transformers = pytest.importorskip("transformers")
    tokenizer = trained(name, CORPUS, OBJECTIVE)
    tokenizer.save(tmp_path)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    assert (theirs.mask_token, theirs.mask_token_id) == ("<mask>", 4)
    assert set(theirs.all_special_ids) == set(range(7))
    assert theirs.decode([4, *encode(tokenizer, "text"), 6], skip_special_tokens=True) == "text"
    theirs.save_pretrained(tmp_path / "again")
    assert type(tokenizer).load(tmp_path / "again").special == tokenizer.special


def test_a_configured_mask_is_one():
    names = ("<pad>", "<unk>", "<s>", "</s>", EXTRA, "[MASK]")
    assert trained("byte", special_tokens=names).special.mask == 5
    assert trained("byte").special.mask is None


@pytest.mark.parametrize("name", LEARNT)
def test_the_vocabulary_has_room_for_the_objective(name):
    with pytest.raises(ConfigError, match="at least 262: 256 bytes and 6 control tokens") as caught:
        trained(name, CORPUS, ("<mask>", "</s>", "<sep>"), vocab_size=261)
    assert caught.value.exit_code == 2
    assert "--set tokenizer.vocab_size=262" in caught.value.fixes[0]
    assert trained(name, CORPUS, ("<mask>", "</s>"), vocab_size=261).vocab_size == 261


@pytest.mark.parametrize("name", ALL)
def test_an_objective_cannot_reserve_what_text_could_spell(name):
    with pytest.raises(ConfigError, match="'mask' cannot be a control token"):
        trained(name, CORPUS, ("mask",))


def bert_like(folder):
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words = ["a", "##b", "b", "mask", "[", "]"]
    rust = tokenizers.Tokenizer(
        models.WordPiece({word: i for i, word in enumerate(names + words)}, unk_token="[UNK]")
    )
    rust.normalizer = normalizers.BertNormalizer()
    rust.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    rust.decoder = decoders.WordPiece()
    rust.add_special_tokens(names)
    rust.save(str(folder / "tokenizer.json"))


BERT = {"cls": "[CLS]", "sep": "[SEP]", "pad": "[PAD]", "unk": "[UNK]", "mask": "[MASK]"}


def test_a_bert_may_call_its_control_tokens_otherwise(tmp_path):
    trained("byte", (), ("[A]", "[B]")).save(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text('{"cls_token": "[A]", "sep_token": "[B]"}')
    special = ByteTokenizer.load(tmp_path).special
    assert (special.bos, special.eos) == (4, 5)


@pytest.mark.parametrize("config", [None, {f"{kind}_token": name for kind, name in BERT.items()}])
def test_the_control_tokens_of_a_bert_are_found(tmp_path, config):
    bert_like(tmp_path)
    if config is not None:
        (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    tokenizer = ByteLevelWordPiece.load(tmp_path)
    special = tokenizer.special
    assert (special.pad, special.unk, special.bos, special.eos, special.mask) == (0, 1, 2, 3, 4)
    assert special.named == {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "[MASK]": 4}
    assert encode(tokenizer, "ab [MASK]") == [5, 6, 9, 8, 10]
    assert tokenizer.decode([2, 5, 6, 4, 3]) == "ab"
    (tmp_path / "again").mkdir()
    tokenizer.save(tmp_path / "again")
    assert ByteLevelWordPiece.load(tmp_path / "again").special == special


def t5_like(folder):
    pieces = ["<pad>", "</s>", "<unk>", "▁", "a", "b", "<", "/", "s", ">", "▁a"]
    extra = ["<extra_id_0>", "<extra_id_1>"]
    scores = [0.0, 0.0, 0.0, *(-3.0 for _ in pieces[3:]), 0.0, 0.0]
    model = models.Unigram(list(zip(pieces + extra, scores, strict=True)), 2, byte_fallback=False)
    rust = tokenizers.Tokenizer(model)
    rust.pre_tokenizer = pre_tokenizers.Metaspace()
    rust.decoder = decoders.Metaspace()
    rust.add_special_tokens(["<pad>", "</s>", "<unk>", *extra])
    rust.save(str(folder / "tokenizer.json"))


def test_the_control_tokens_of_a_t5_are_found_and_kept_from_text(tmp_path):
    """To its model "</s>" is a piece like others, and the most probable of all."""
    t5_like(tmp_path)
    tokenizer = ByteLevelUnigram.load(tmp_path)
    special = tokenizer.special
    assert (special.pad, special.eos, special.unk) == (0, 1, 2)
    assert (special.bos, special.mask) == (None, None)
    extra = {"<extra_id_0>": 11, "<extra_id_1>": 12}
    assert special.named == {"<pad>": 0, "</s>": 1, "<unk>": 2, **extra}
    assert encode(tokenizer, "a</s>b a") == [10, 6, 7, 8, 9, 5, 10]
    assert not {0, 1, 11, 12} & set(encode(tokenizer, "<pad><extra_id_1> </s><extra_id_0>"))
    folders = [tmp_path / "once", tmp_path / "twice"]
    for folder in folders:
        folder.mkdir()
        tokenizer.save(folder)
        tokenizer = ByteLevelUnigram.load(folder)
        assert tokenizer.special == special
        assert encode(tokenizer, "a</s>b a") == [10, 6, 7, 8, 9, 5, 10]
    once, twice = ((folder / "tokenizer.json").read_bytes() for folder in folders)
    assert once == twice


def test_a_kind_that_the_file_says_is_absent_is_not_guessed(tmp_path):
    trained("byte").save(tmp_path)
    config = {"eos_token": "</s>", "pad_token": None, "bos_token": {"content": "<pad>"}}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    special = ByteTokenizer.load(tmp_path).special
    assert (special.eos, special.pad, special.bos, special.unk) == (3, None, 0, 1)
    assert list(special.named.values()) == [0, 1, 2, 3]


def test_a_control_token_that_is_not_flagged_is_left_out_of_text(tmp_path):
    """An end-of-text token that a foreign file has as an ordinary entry of its vocabulary."""
    trained("byte").save(tmp_path)
    path = tmp_path / "tokenizer.json"
    file = json.loads(path.read_text())
    path.write_text(json.dumps({**file, "added_tokens": []}))
    tokenizer = ByteTokenizer.load(tmp_path)
    assert tokenizer.special.named == {"<pad>": 0, "<unk>": 1, "<s>": 2, "</s>": 3}
    assert tokenizer.decode([*encode(tokenizer, "a</s>"), 3]) == "a</s>"


def test_names_that_text_could_spell_as_one_token_are_refused():
    for name in ("pad", "</>", "<p ad>", "'s", "", "<>", "Ġ"):
        with pytest.raises(ValidationError, match="cannot be a control token"):
            BPEConfig(special_tokens=("<pad>", "<unk>", "<s>", name))
    with pytest.raises(ValidationError, match="twice"):
        BPEConfig(special_tokens=("<s>", "<unk>", "<s>", "</s>"))
    with pytest.raises(ValidationError):
        BPEConfig(special_tokens=("<s>", "</s>"))


def test_the_vocabulary_has_room_for_all_bytes():
    for _, config in LEARNT.values():
        with pytest.raises(ValidationError, match="at least 260"):
            config(vocab_size=259)
        assert config(vocab_size=260).vocab_size == 260


def test_the_plugin_is_light_and_its_parts_resolve():
    code = (
        "import sys, create_llm_tokenizers.plugin; "
        "heavy = {'tokenizers', 'pydantic', 'torch', 'numpy'} & set(sys.modules); "
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    from create_llm.kernel.plugins import load_plugins

    registry = load_plugins({"CREATE_LLM_PLUGINS": "tokenizers"}).registry
    for name, (kind, config) in ALL.items():
        part = registry.get("tokenizers", name)
        assert part.config_model() is config
        assert part.load() is kind
        assert part.load().train([], config()).vocab_size == 260


@pytest.mark.parametrize("piece", ["a", "Ġ", "Ġthe"])
@pytest.mark.parametrize("kind", ["eos_token", "pad_token"])
def test_a_piece_that_text_becomes_cannot_be_a_control_token(bpe, tmp_path, piece, kind):
    bpe.save(tmp_path)
    path = tmp_path / "tokenizer_config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({**config, kind: piece}))
    with pytest.raises(DataError, match=f"ordinary text becomes the control token '{piece}'"):
        ByteLevelBPE.load(tmp_path)


def test_a_text_is_not_ended_by_what_it_is_unknown_for(tmp_path):
    """GPT-2's files call one token the end of a text, its beginning and the unknown one."""
    names = ["<|endoftext|>", "<s>", "<pad>", "<unk>"]
    trained("bpe", special_tokens=names).save(tmp_path)
    path = tmp_path / "tokenizer_config.json"
    same = dict.fromkeys(("eos_token", "bos_token", "unk_token"), "<|endoftext|>")
    path.write_text(json.dumps(same))
    tokenizer = ByteLevelBPE.load(tmp_path)
    assert tokenizer.special.eos not in encode(tokenizer, "the <|endoftext|> fox")
