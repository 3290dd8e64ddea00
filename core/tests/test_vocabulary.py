"""What is measured of a vocabulary, and how `llm tokenizer train` shows it."""

import json

import pytest

from create_llm.cli import main
from create_llm.data.corpus import Corpus
from create_llm.data.documents import Document, Origin
from create_llm.data.split import is_validation
from create_llm.data.tokenizer import SpecialTokens
from create_llm.data.vocabulary import Fit, VocabularyFit
from create_llm.project.folder import Project


class Letters:
    """One token a character; "?" stands for all but small letters and blanks."""

    vocab_size = 29
    special = SpecialTokens(eos=0, unk=1, named={"</s>": 0, "?": 1})
    _known = "abcdefghijklmnopqrstuvwxyz "

    def encode_batch(self, texts):
        return [[2 + self._known.find(c) if c in self._known else 1 for c in t] for t in texts]

    def decode(self, ids):
        return "".join(self._known[i - 2] for i in ids if i > 1)

    def token(self, token_id):
        return ("</s>", "?", *self._known)[token_id]


class Source:
    def __init__(self, documents, total=None, val=None):
        self._documents, self._total, self._val = documents, total, val
        self.read = 0

    def validation(self):
        return self._val

    def documents(self):
        for path, text in self._documents:
            self.read += 1
            yield Document.plain(text, Origin(path, 1))

    def fingerprint(self):
        return "0" * 64

    def total_bytes(self):
        return self._total


def texts(count, path="data/raw/a.txt"):
    return [(path, f"text of words {chr(97 + n % 26)} {'x' * n}") for n in range(count)]


def measured(documents, *, total=None, val=None, **options):
    source = Source(documents, total, val)
    return VocabularyFit.of(Letters(), Corpus((source,), 0.1), **options)


def test_each_side_is_counted_by_itself():
    documents = texts(200)
    fit = measured(documents)
    for side, kept_back in ((fit.train, False), (fit.val, True)):
        own = [text for _, text in documents if is_validation(text, 0.1) == kept_back]
        assert own
        assert (side.bytes, side.tokens) == (sum(map(len, own)),) * 2
        assert side.words == sum(len(text.split()) for text in own)
    assert sum(fit.uses.values()) == fit.train.tokens
    assert fit.groups == ()


def test_a_validation_source_of_its_own_is_the_validation_side():
    fit = measured(texts(20), val=Source([("data/val.txt", "Ab é")]))
    assert fit.val == Fit("", bytes=5, words=2, tokens=4, unknown=2)
    assert fit.val.unknown_rate == 0.5
    assert fit.val.bytes_per_token == 1.25
    assert fit.val.tokens_per_word == 2.0
    assert fit.train.tokens == sum(len(text) for _, text in texts(20))


def test_text_is_grouped_by_what_differs_in_the_paths():
    folders = [*texts(50, "data/raw/en/a.txt"), *texts(50, "data/raw/en/b/c.txt")]
    es = [(path, text + "ñ") for path, text in texts(50, "data/raw/es/a.txt")]
    groups = measured([*folders, *es], val=Source(texts(5))).groups
    assert [group.name for group in groups] == ["en", "es"]
    assert [group.unknown for group in groups] == [0, 50]
    files = measured([*texts(50, "data/raw/a.txt"), *es], val=Source(texts(5))).groups
    assert [group.name for group in files] == ["a.txt", "es"]
    assert measured(texts(9, "https://x.org/a.txt"), val=Source(texts(5))).groups == ()


def test_of_a_large_corpus_a_part_is_measured_on_both_sides():
    documents = [("a.txt", f"document number {n} of many") for n in range(20_000)]
    total = sum(len(text) for _, text in documents)
    fit = measured(documents, total=total, sample_bytes=20_000)
    for side in (fit.train, fit.val):
        assert 12_000 < side.bytes < 30_000
    assert fit == measured(documents, total=total, sample_bytes=20_000)


def test_a_source_that_does_not_know_its_size_is_not_read_to_its_end():
    documents = [("a.txt", f"document number {n} of many") for n in range(20_000)]
    source = Source(documents, val=Source(texts(5)))
    VocabularyFit.of(Letters(), Corpus((source,), 0.1), sample_bytes=20_000)
    assert source.read < 2000


def test_no_text_has_no_rates():
    assert (Fit().bytes_per_token, Fit().tokens_per_word, Fit().unknown_rate) == (None, None, 0.0)


SENTENCES = "".join(f"Sentence {n} tells of {n * n} geese and their keeper.\n" for n in range(300))


@pytest.fixture
def project(tmp_path):
    (tmp_path / "llm.toml").write_text(
        '[model]\nname = "gpt"\n[data]\nsource = "text"\n[tokenizer]\nname = "bpe"\n'
    )
    made = Project(tmp_path)
    for name in ("en", "es"):
        (made.raw / name).mkdir(parents=True)
        (made.raw / name / "geese.txt").write_text(SENTENCES + name)
    return made


def run(capsys, project, *arguments):
    with pytest.raises(SystemExit) as ended:
        main(["-C", str(project.root), *arguments])
    assert ended.value.code in (0, None)
    return capsys.readouterr().out


def test_training_shows_how_well_the_vocabulary_fits(project, capsys):
    shown = run(capsys, project, "tokenizer", "train", "--set", "tokenizer.vocab_size=300")
    assert "300 tokens of 300 asked for" in shown
    assert "no more sequences" not in shown
    for word in ("training", "validation", "  en", "  es", "longest", "rarest", "never used"):
        assert f"\n{word}" in shown
    shown = run(capsys, project, "tokenizer", "train", "--set", "tokenizer.vocab_size=9000")
    assert "of 9,000 asked for" in shown
    assert "no more sequences" in shown


def test_training_as_json_has_all_of_it(project, capsys):
    got = json.loads(
        run(capsys, project, "tokenizer", "train", "--json", "--set", "tokenizer.vocab_size=300")
    )
    assert (got["vocab_size"], got["vocab_size_asked"]) == (300, 300)
    assert got["val"]["bytes_per_token"] == pytest.approx(got["bytes_per_token"], rel=0.2)
    assert {group["name"] for group in got["groups"]} == {"en", "es"}
    assert sum(group["tokens"] for group in got["groups"]) == got["tokens"]
    assert got["unknown_rate"] == 0
    counts = [row["count"] for row in got["rarest"]]
    assert counts == sorted(counts)
    assert counts[0] > 0
    assert got["unused"] < 44, "of those that are more than a byte"


def test_a_tokenizer_without_a_size_is_not_said_to_be_too_small(project, capsys):
    shown = run(capsys, project, "tokenizer", "train", "--set", "tokenizer.name=byte")
    assert "260 tokens\n" in shown
    assert "no more sequences" not in shown
