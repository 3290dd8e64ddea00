"""SentencePiece: the ids of the .model and of tokenizer.json, files, training."""

import os
import random
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import sentencepiece
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from create_llm.errors import ConfigError, DataError
from create_llm_sentencepiece.config import SentencePieceConfig
from create_llm_sentencepiece.tokenizer import SentencePieceBPE, SentencePieceUnigram

KINDS = {"unigram": SentencePieceUnigram, "bpe": SentencePieceBPE}
CORPUS = [
    "The fox didn't see the hound, and the hound didn't see the fox.\n" * 8,
    "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich.\n" * 8,
    "El niño comió piñas; ¿quién lo vio? — «Nadie», dijo. aaaa ==== aaaaa\n" * 8,
    "</s> is written </s> in </s> this text, <pad> and <0x0A> too.\n" * 8,
]
SPACE_SIGN = "\u2581"
FOXES = "the fox, the hound " * 900
TORTURE = [
    "",
    " ",
    "  two  spaces  ",
    "\n\n\t\r\n trailing \n",
    "don't I'll we've THEY'RE 'S",
    "naïve café Ωμέγα Москва 日本語 العربية हिन्दी ไทย",
    "👩‍👩‍👧‍👦 🏳️‍🌈 e\u0301 \u200b\u200d\ufeff",
    "\x00\x01\x1f\x7f\x85\u2028\u2029\xa0\xad",
    "<0x0A> <0x41><0xE2> </s><pad><unk>",
    f"a{SPACE_SIGN}b {SPACE_SIGN}{SPACE_SIGN}",
    "\u2047 \u2585 \ufffd\ufffe\uffff\U0010ffff",
    "a" * 333,
    "=" * 5001,
    "he" * 9000,
    "字" * 9000,
    " " * 9000,
    "\n" * 9000,
    FOXES,
    FOXES.replace(" ", "\n"),
    "Москва " * 2000,
]


def trained(kind, texts=CORPUS, control_tokens=(), **options):
    options = {"vocab_size": 420, **options}
    return KINDS[kind].train(iter(texts), SentencePieceConfig(**options), control_tokens)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Each tokenizer, and its tokenizer.json as Hugging Face's library reads it."""
    pairs = {}
    for kind in KINDS:
        folder = tmp_path_factory.mktemp(kind)
        tokenizer = trained(kind, control_tokens=("<|im_start|>",))
        tokenizer.save(folder)
        theirs = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
        theirs.encode_special_tokens = True
        pairs[kind] = (tokenizer, theirs, folder)
    return pairs


def agree(made, text):
    for tokenizer, theirs, _ in made.values():
        ids = tokenizer.encode_batch([text])[0]
        assert theirs.encode(text, add_special_tokens=False).ids == ids
        assert not set(ids) & set(tokenizer.special.named.values())
        assert tokenizer.decode(ids) == theirs.decode(ids) == text.replace(SPACE_SIGN, " ")


@pytest.mark.parametrize("text", TORTURE, ids=lambda text: ascii(text[:20]))
def test_both_files_give_the_same_ids(made, text):
    agree(made, text)


@settings(deadline=None, max_examples=200)
@given(st.text())
def test_both_files_give_the_same_ids_for_any_text(made, text):
    agree(made, text)


@settings(deadline=None, max_examples=200)
@given(st.text(alphabet="aehnotx =.\n▁<0A>", max_size=300))
def test_both_files_divide_repetitive_text_alike(made, text):
    """Where many ways to divide a word are equally probable."""
    agree(made, text)


@settings(deadline=None)
@given(st.binary())
def test_both_files_give_the_same_ids_for_any_bytes(made, data):
    agree(made, data.decode("latin-1"))
    agree(made, data.decode("utf-8", "replace"))


def test_equal_ids_need_exact_scores(made):
    """What rounding is for: with the scores as SentencePiece writes them, sums are not exact."""
    tokenizer, *_ = made["unigram"]
    model = sentencepiece.SentencePieceProcessor(model_proto=tokenizer._data)
    scores = [model.get_score(i) for i in range(model.get_piece_size())]
    assert all((score * 128).is_integer() for score in scores)
    assert len({score for score in scores if score}) > 20


@pytest.mark.parametrize("kind", KINDS)
def test_sentencepiece_itself_reads_the_model(made, kind):
    tokenizer, _, folder = made[kind]
    model = sentencepiece.SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))
    for text in CORPUS:
        assert [model.encode(text)] == tokenizer.encode_batch([text])
    names = ["<pad>", "<unk>", "<s>", "</s>", "<|im_start|>"]
    assert [model.id_to_piece(i) for i in range(5)] == names
    assert tokenizer.special.named == {name: i for i, name in enumerate(names)}
    assert str(folder.parent).encode() not in (folder / "tokenizer.model").read_bytes()


@pytest.mark.parametrize("kind", KINDS)
def test_transformers_reads_the_folder_and_agrees_on_every_id(made, kind):
    transformers = pytest.importorskip("transformers")
    tokenizer, _, folder = made[kind]
    theirs = transformers.AutoTokenizer.from_pretrained(folder)
    special = tokenizer.special
    assert (theirs.eos_token_id, theirs.bos_token_id) == (special.eos, special.bos)
    assert (theirs.pad_token_id, theirs.unk_token_id) == (special.pad, special.unk)
    assert set(theirs.all_special_ids) == set(special.named.values())
    assert len(theirs) == tokenizer.vocab_size
    for text in [*CORPUS, *TORTURE]:
        ids = tokenizer.encode_batch([text])[0]
        assert theirs(text, split_special_tokens=True)["input_ids"] == ids
        assert theirs.decode(ids) == text.replace(SPACE_SIGN, " ")


def test_transformers_knows_the_mask(tmp_path):
    transformers = pytest.importorskip("transformers")
    tokenizer = trained("unigram", control_tokens=("<mask>", "<extra_id_0>"))
    tokenizer.save(tmp_path)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    assert tokenizer.special.mask == theirs.mask_token_id == 4
    assert set(theirs.all_special_ids) == set(range(6))


@pytest.mark.parametrize("kind", KINDS)
def test_the_vocabulary_is_as_large_as_asked_or_as_the_text_allows(kind):
    assert 300 < trained(kind, vocab_size=335).vocab_size <= 335
    assert trained("bpe", vocab_size=420).vocab_size == 420
    assert 340 < trained(kind, vocab_size=20_000).vocab_size < 2000
    for texts in ([], ["\n"], ["ab"], ["\0\r"]):
        assert trained(kind, texts).vocab_size <= 420


@pytest.mark.parametrize("kind", KINDS)
def test_rare_characters_become_bytes(kind):
    chance = random.Random(0)
    han = "".join(chance.choices([chr(0x4E00 + i) for i in range(3000)], k=20_000))
    tokenizer = trained(kind, [*CORPUS, han], vocab_size=600)
    assert tokenizer.vocab_size <= 600
    text = "the hound 一丁丂"
    assert tokenizer.decode(tokenizer.encode_batch([text])[0]) == text
    rare = trained(kind, [*CORPUS, "ж"], character_coverage=0.99)
    assert [rare.token(i) for i in rare.encode_batch(["ж"])[0]] == ["<0xD0>", "<0xB6>"]
    assert len(trained(kind, [*CORPUS, "ж"], character_coverage=1.0).encode_batch(["ж"])[0]) == 1


_TRAIN = """
import sys
from pathlib import Path
from create_llm.kernel.plugins import load_plugins
registry = load_plugins({"CREATE_LLM_PLUGINS": "sentencepiece"}).registry
texts = [f"word{n % 17} other{n % 5} equal pairs ab cd ef gh {n:b}" for n in range(500)]
for name in ("unigram", "bpe"):
    part, folder = registry.get("tokenizers", f"sentencepiece-{name}"), Path(sys.argv[1], name)
    folder.mkdir(parents=True)
    part.load().train(texts, part.config_model()(vocab_size=400), ("<mask>",)).save(folder)
"""


def test_training_in_other_processes_gives_the_same_files(tmp_path):
    for seed in "01":
        environment = {**os.environ, "PYTHONHASHSEED": seed, "OMP_NUM_THREADS": str(int(seed) + 1)}
        command = [sys.executable, "-c", _TRAIN, tmp_path / seed]
        subprocess.run(command, check=True, env=environment)
    for name in KINDS:
        for file in ("tokenizer.model", "tokenizer.json", "tokenizer_config.json"):
            one, other = ((tmp_path / seed / name / file).read_bytes() for seed in "01")
            assert one == other


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_that_changes_text_is_refused(kind, tmp_path, capfd):
    """As most do that are made elsewhere: one space put in front, others taken away."""
    with pytest.raises(DataError, match=r"no \.model file"):
        KINDS[kind].load(tmp_path)
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(CORPUS[0].split("\n")),
        model_prefix=str(tmp_path / "tokenizer"),
        vocab_size=300,
        hard_vocab_limit=False,
        byte_fallback=True,
        minloglevel=2,
    )
    with pytest.raises(DataError, match="changes text") as caught:
        KINDS[kind].load(tmp_path)
    assert caught.value.where == str(tmp_path / "tokenizer.model")


def test_a_large_text_is_learnt_from_in_part(monkeypatch, capsys):
    monkeypatch.setattr("create_llm_sentencepiece.training._MOST_BYTES", 2000)
    first, again = (trained("bpe", CORPUS * 5, vocab_size=340) for _ in range(2))
    assert "of the lines, chosen by a fixed seed" in capsys.readouterr().err
    assert first._data == again._data


def test_the_vocabulary_has_room():
    with pytest.raises(ValidationError, match="at least 324: 256 bytes, 4 control tokens"):
        SentencePieceConfig(vocab_size=323)
    with pytest.raises(ConfigError, match="at least 326") as caught:
        trained("bpe", control_tokens=("<mask>", "</s>", "<sep>"), vocab_size=324)
    assert "--set tokenizer.vocab_size=326" in caught.value.fixes[0]
    assert trained("bpe", control_tokens=("<mask>",), vocab_size=325).vocab_size == 325
    with pytest.raises(ConfigError, match="'mask' cannot be a control token"):
        trained("bpe", control_tokens=("mask",))


def test_training_that_is_broken_off_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def texts():
        yield from CORPUS
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained("unigram", texts())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals")
def test_a_signal_ends_training_at_once_and_it_can_be_done_again(tmp_path):
    """Half a minute of compiled code lies ahead of it."""
    (tmp_path / "llm.toml").write_text(
        '[model]\nname = "gpt"\n[data]\nsource = "text"\n'
        '[tokenizer]\nname = "sentencepiece-unigram"\nvocab_size = 400\n'
    )
    raw = tmp_path / "data" / "raw" / "text.txt"
    raw.parent.mkdir(parents=True)
    chance = random.Random(0)
    words = ["".join(chance.choices("abcdefghij", k=9)) for _ in range(300_000)]
    raw.write_text("\n".join(" ".join(words[at : at + 9]) for at in range(0, len(words), 9)))
    command = [str(Path(sys.executable).with_name("llm")), "tokenizer", "train"]
    child = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    assert "training the tokenizer" in child.stderr.readline()
    child.send_signal(signal.SIGINT)
    _, said = child.communicate(timeout=60)
    assert child.returncode == 130
    assert "run the command again" in said
    assert not list((tmp_path / "tokenizer").glob("*"))
    raw.write_text("".join(CORPUS))
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    files = {"recipe.json", "tokenizer.json", "tokenizer.model", "tokenizer_config.json"}
    assert {path.name for path in (tmp_path / "tokenizer").iterdir()} == files
