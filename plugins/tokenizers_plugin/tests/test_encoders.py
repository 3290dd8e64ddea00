"""Faster encoders: the ids of the Rust library, and its use wherever that is not certain."""

import copy
import json
import random
import sys

import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st

from create_llm.errors import DataError
from create_llm_tokenizers import encoders
from create_llm_tokenizers.bpe import ByteLevelBPE
from create_llm_tokenizers.byte import ByteTokenizer
from create_llm_tokenizers.config import BPEConfig, ByteConfig, UnigramConfig, WordPieceConfig
from create_llm_tokenizers.encoders import rapid
from create_llm_tokenizers.unigram import ByteLevelUnigram
from create_llm_tokenizers.wordpiece import ByteLevelWordPiece

CORPUS = [
    "The fox didn't see the hound, and the hound didn't see the fox.\n" * 8,
    "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich.\n" * 8,
    "aaa aaaa aaaaa abab ababa aabaa ==== === -- 1001 10010 字字 字字字  \n\n\n" * 8,
    "</s> is written </s> in </s> this text, <pad> and <|endoftext|> too.\n" * 8,
]
TORTURE = [
    "",
    " ",
    "  two  spaces  ",
    "\n\n\t\r\n trailing \n",
    "don't I'll we've THEY'RE 'S 's'lls",
    "1234567890 12 345 ½ ² Ⅷ ٣",
    "naïve café Ωμέγα Москва 日本語 العربية हिन्दी ไทย",
    "👩‍👩‍👧‍👦 🏳️‍🌈 e\u0301 \u200b\u200d\ufeff",
    "\x00\x01\x1c\x1f \x7f\x85 \u2028\u2029\xa0\u180e\u3000 x",
    "\ufffd\ufffe\uffff\U0010ffff",
    "</s><pad>< /s>",
    "x" * 20_000,
    "ab" * 20_000,
    "=" * 20_000,
    " " * 20_000,
    f"a{' ' * 5000}b",
    "\n" * 20_000 + "x",
    "字" * 20_000,
]


def bpe(texts=CORPUS, **options):
    return ByteLevelBPE.train(iter(texts), BPEConfig(**{"vocab_size": 420, **options}))


@pytest.fixture(scope="module")
def made():
    """Tokenizers of the Rust library, each with its faster encoder."""
    rusts = [bpe()._rust, bpe(CORPUS[2:3], vocab_size=300)._rust]
    rusts.append(ByteTokenizer.train([], ByteConfig())._rust)
    return [(rust, rapid(rust)) for rust in rusts]


def agree(made, texts):
    for rust, fast in made:
        encodings = rust.encode_batch(list(texts), add_special_tokens=False)
        assert fast.encode_batch(texts) == [encoding.ids for encoding in encodings]


def test_awkward_texts_have_the_same_ids(made):
    agree(made, TORTURE)
    for text in TORTURE:
        agree(made, [text])


def test_a_million_blanks_are_encoded(made):
    """tiktoken alone panics."""
    agree(made[:1], [f"a{' ' * 1_100_000}b"])


def test_every_code_point_has_the_same_ids(made):
    """Between letters, digits and spaces: how a character is classed shows in what it joins."""
    points = [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000]
    texts = [
        "".join(f"a{c}1{c} {c}" for c in points[at : at + 4096]) for at in range(0, 69632, 4096)
    ]
    chance = random.Random(0)
    texts += ["".join(chance.sample(points, 4096)) for _ in range(40)]
    agree(made[:1], texts)


@settings(deadline=None, max_examples=200)
@given(st.lists(st.text(), max_size=4))
def test_any_texts_have_the_same_ids(made, texts):
    agree(made, texts)


@settings(deadline=None, max_examples=200)
@given(st.text(alphabet="abdehnotux =10\n'ſ字 ", max_size=300))
def test_repetitive_texts_have_the_same_ids(made, text):
    agree(made, [text])


@settings(deadline=None)
@given(st.binary())
def test_any_bytes_have_the_same_ids(made, data):
    agree(made, [data.decode("latin-1"), data.decode("utf-8", "replace")])


@settings(deadline=None, max_examples=20)
@given(st.lists(st.text(alphabet="ab", min_size=1, max_size=40), min_size=1, max_size=30))
def test_merges_of_any_words_are_followed_alike(words):
    rust = bpe([" ".join(words)], min_frequency=1, vocab_size=330)._rust
    fast = rapid(rust)
    texts = [" ".join(words), "".join(words), "ab" * 50, "aab" * 30]
    ids = [encoding.ids for encoding in rust.encode_batch(texts, add_special_tokens=False)]
    assert fast is not None
    assert fast.encode_batch(texts) == ids


def not_by_words(file):
    file["pre_tokenizer"]["use_regex"] = False


def lower_case(file):
    file["normalizer"] = {"type": "Lowercase"}


def ordinary_added_token(file):
    file["added_tokens"][0]["special"] = False


def merges_in_another_order(file):
    file["model"]["merges"].reverse()


def two_merges_for_one_token(file):
    vocabulary, merges = file["model"]["vocab"], file["model"]["merges"]
    joined = next("".join(pair) for pair in merges if len("".join(pair)) == 3)
    pairs = [[joined[:1], joined[1:]], [joined[:2], joined[2:]]]
    merges.append(next(pair for pair in pairs if pair not in merges))
    for part in merges[-1]:
        vocabulary.setdefault(part, len(vocabulary))


def a_token_that_no_merge_makes(file):
    file["model"]["vocab"]["zzz"] = len(file["model"]["vocab"])


def a_token_that_its_own_text_does_not_give(file):
    """Its parts are never next to each other: earlier merges take the letters between them."""
    vocabulary, merges = file["model"]["vocab"], file["model"]["merges"]
    for pair in (["X", "Y"], ["Y", "Z"], ["X", "YZ"]):
        merges.append(pair)
        vocabulary["".join(pair)] = len(vocabulary)


def a_missing_byte(file):
    vocabulary = file["model"]["vocab"]
    vocabulary["<gone>"] = vocabulary.pop("ÿ")


CHANGES = [
    not_by_words,
    lower_case,
    ordinary_added_token,
    merges_in_another_order,
    two_merges_for_one_token,
    a_token_that_no_merge_makes,
    a_token_that_its_own_text_does_not_give,
    a_missing_byte,
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_tokenizer_of_which_it_is_not_certain_stays_with_the_rust_library(change):
    file = json.loads(bpe()._rust.to_str())
    assert rapid(tokenizers.Tokenizer.from_str(json.dumps(file))) is not None
    changed = copy.deepcopy(file)
    change(changed)
    assert changed != file
    assert rapid(tokenizers.Tokenizer.from_str(json.dumps(changed))) is None


@pytest.mark.parametrize(
    ("kind", "config"), [(ByteLevelUnigram, UnigramConfig), (ByteLevelWordPiece, WordPieceConfig)]
)
def test_other_models_stay_with_the_rust_library(kind, config):
    assert rapid(kind.train(iter(CORPUS), config(vocab_size=300))._rust) is None


def test_characters_that_are_classed_otherwise_go_to_the_rust_library(made, monkeypatch):
    """As when one of the libraries knows a newer Unicode: here "é" is taken for such a letter."""
    rust, fast = made[0]
    letters = encoders._by_tiktoken
    monkeypatch.setattr(
        encoders, "_by_tiktoken", lambda kind, text: letters(kind, text).replace("é", "")
    )
    encoders._disputed.cache_clear()
    try:
        pattern = encoders._disputed()
        assert pattern.search("né")
        assert not pattern.search("nê abc 字")
        seen = []
        monkeypatch.setattr(fast, "_rust", _Told(rust, seen))
        assert fast.encode_batch(["the fox", "né", "ñ"]) == [
            encoding.ids
            for encoding in rust.encode_batch(["the fox", "né", "ñ"], add_special_tokens=False)
        ]
        assert seen == ["né"]
    finally:
        encoders._disputed.cache_clear()


class _Told:
    """Notes what the Rust library is given."""

    def __init__(self, rust, seen):
        self._rust, self._seen = rust, seen

    def encode_batch_fast(self, texts, add_special_tokens):
        self._seen.extend(texts)
        return self._rust.encode_batch_fast(texts, add_special_tokens=add_special_tokens)


def test_runs_of_characters_are_ranges():
    assert list(encoders._ranges("acdeg")) == [("a", "a"), ("c", "e"), ("g", "g")]
    assert list(encoders._ranges("")) == []


def test_a_tokenizer_uses_it_once_there_is_much_text(monkeypatch):
    monkeypatch.setattr("create_llm_tokenizers.fast._WORTHWHILE", 1000)
    tokenizer = bpe()
    before = tokenizer.encode_batch([CORPUS[0]])
    assert "_rapid" not in vars(tokenizer)
    after = tokenizer.encode_batch([CORPUS[0]] * 3 + ["a\ud800"])
    assert "_rapid" in vars(tokenizer)
    assert after == [before[0]] * 3 + tokenizer.encode_batch(["a\ufffd"])


def test_a_vocabulary_of_words_without_an_unknown_one_is_refused(tmp_path):
    words = {"</s>": 0, "fox": 1, "hound": 2}
    rust = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="[UNK]"))
    rust.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    rust.save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(DataError, match="not in its vocabulary") as caught:
        ByteLevelBPE.load(tmp_path)
    assert "unk_token" in caught.value.fixes[0]
    known = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({**words, "[UNK]": 3}, unk_token="[UNK]")
    )
    known.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    known.save(str(tmp_path / "tokenizer.json"))
    tokenizer = ByteLevelBPE.load(tmp_path)
    assert tokenizer.encode_batch(["fox cat"]) == [[1, 3]]
