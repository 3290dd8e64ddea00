"""Several sources prepared together: each by itself, and the whole under one key."""

import hashlib
import itertools
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from create_llm.data.check.checking import check
from create_llm.data.corpus import Corpus
from create_llm.data.documents import Document, Origin
from create_llm.data.mixture import Mixture
from create_llm.data.preparation.ingredients import data_key
from create_llm.data.preparation.prepare import prepare
from create_llm.data.preparation.prepared import open_prepared
from create_llm.data.source import FileSurvey, SourcePart, validation_source
from create_llm.data.split import is_validation
from create_llm.data.tokenizer import SpecialTokens
from create_llm.data.training_texts import training_texts
from create_llm.data.windows import SlidingWindows, Windows
from create_llm.errors import ConfigError, DataError

EOS = 256


class Bytes:
    """Ids are the bytes of the text; 256 ends a document."""

    special = SpecialTokens(eos=EOS, named={"</s>": EOS})
    vocab_size = 257

    @classmethod
    def load(cls, folder):
        return cls()

    def encode_batch(self, texts):
        return [list(text.encode()) for text in texts]

    def save(self, folder):
        (folder / "tokenizer.json").write_text("256")


class Groups:
    """Documents in groups, each a part; `val` is a source of its own."""

    def __init__(self, *groups, val=None):
        self.groups, self.val = groups, val
        self.skipped = [f"left.out ({len(groups)} groups)"]

    def parts(self):
        return [SourcePart(f"group {n}", sha256(group)) for n, group in enumerate(self.groups)]

    def documents_in(self, part):
        for line, text in enumerate(self.groups[int(part.name.split()[1])], start=1):
            yield Document.plain(text, Origin(f"{part.name}.txt", line))

    def documents(self):
        for part in self.parts():
            yield from self.documents_in(part)

    def survey(self):
        for part in self.parts():
            yield FileSurvey(f"{part.name}.txt", "text", "text", ("told",), 7)

    def fingerprint(self):
        return sha256(self.groups)

    def total_bytes(self):
        return sum(len(text) for group in self.groups for text in group)

    def validation(self):
        return self.val


class Whole:
    """Groups that are not divided; their size is not known."""

    def __init__(self, *groups):
        self.groups = groups

    def documents(self):
        texts = itertools.chain.from_iterable(self.groups)
        return (Document.plain(text, Origin("whole.txt", n)) for n, text in enumerate(texts))

    def fingerprint(self):
        return sha256(self.groups)

    def total_bytes(self):
        return None


def sha256(value):
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()


# As in the module that the golden values were first computed in.
for kind in (Bytes, Groups, Whole):
    kind.__module__ = "golden"
    setattr(sys.modules.setdefault("golden", type(sys)("golden")), kind.__name__, kind)

BOOKS = [f"Sentence {n} tells of {n * n} geese and their keeper.\n" for n in range(60)]
OTHER = [*BOOKS[:3], *(f"Line {n}: {'agua y fuego ' * (n % 7)}\n" for n in range(60))]
WIKI = [f"Article {n} is about the number {n}, {n + 1}'s neighbour.\n" for n in range(80)]


def mixture(**members):
    return Mixture(members or {"books": Groups(BOOKS, OTHER), "wiki": Whole(WIKI)})


def prepared(folder, source=None, **options):
    source = source or mixture()
    settings = {"val_split": 0.1, "val_source": validation_source(source), **options}
    return prepare(folder, source, Bytes(), **settings)


def texts_of(shards):
    ids = shards.read(0, shards.tokens).tolist()
    assert ids[0] == ids[-1] == EOS
    return b"".join(bytes([i]) if i < EOS else b"\0" for i in ids[1:-1]).decode().split("\0")


def snapshot(folder):
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def folders(folder):
    return {path.name: path.stat().st_ino for path in folder.glob("shards-*")}


@pytest.mark.parametrize(
    ("source", "options", "key", "manifest", "names"),
    [
        (
            Groups(BOOKS, OTHER),
            {},
            "4ef1c467efd9182468c882e3511d07ff45ebc86ec47b50f3d31f19ea9de39ab6",
            "efc834264397658f7185180aa2d85c1a4d938661503a17450fba42beb7ceb207",
            ["shards-51e8f1ae86715c5e", "shards-929e514cca468f3f"],
        ),
        (
            Whole(BOOKS, OTHER),
            {},
            "14319570a9b30ba7acd8b41d21336d779a68bdc29866cf3659e0985f4758b15d",
            "02ee3109fa3fa98b012f9bc9004099ddb381dacfe368f6edaf00453a0f4d2f3a",
            ["shards-d4fd29f2e1e4eaed"],
        ),
        (
            Groups(BOOKS, OTHER),
            {"deduplicate": True},
            "e17f340fab2a2d94afb21700821a58e17babf2349fa3cbccbd8e3ca224bb1569",
            "3531b33b25ee5d7ac0a07f4da878769239086ff11479944e9babfac416173900",
            ["shards-21424bb829e29379", "shards-4e7e0d1db93f9aa1"],
        ),
        (
            Groups(BOOKS, val=Whole(OTHER[3:])),
            {},
            "a6d8a71908391a23071b4b076414b8cc9eca9336320809e7ec96415e32be2000",
            "4b45d73693e0de7a6f511efdb1517e09f6e3027dc3d58363b210ef22e6f42cb6",
            ["shards-4e410cb8009261bc", "shards-5461f81ea40919c4"],
        ),
    ],
    ids=["divided", "whole", "deduplicate", "validation"],
)
def test_without_a_mixture_keys_names_and_bytes_stay(
    tmp_path, source, options, key, manifest, names
):
    """Computed before there were mixtures: projects must not be prepared anew."""
    data = prepared(tmp_path, source, **options)
    assert data.key == key
    path = tmp_path / "manifest.json"
    written = json.loads(path.read_text())
    assert written.pop("sha256")
    earlier = json.dumps(written, indent=2).encode()  # before there was a sum of it
    assert hashlib.sha256(earlier).hexdigest() == manifest
    path.write_bytes(earlier)
    assert open_prepared(tmp_path).key == key
    assert sorted(folders(tmp_path)) == names
    assert not data.mixed
    assert data.train_streams == (data.train,)


def test_each_source_has_streams_of_its_own(tmp_path):
    data = prepared(tmp_path)
    assert list(data.mixed) == ["books", "wiki"]
    for name, texts in (("books", BOOKS + OTHER), ("wiki", WIKI)):
        train = [text for text in texts if not is_validation(text, 0.1)]
        val = [text for text in texts if is_validation(text, 0.1)]
        assert texts_of(data.mixed[name].train) == train
        assert texts_of(data.mixed[name].val) == val
        assert val
    assert data.train.documents == sum(each.train.documents for each in data.mixed.values())
    assert texts_of(data.val) == [text for each in data.val_streams for text in texts_of(each)]


def test_what_is_prepared_is_found_again(tmp_path):
    first = prepared(tmp_path)
    before = snapshot(tmp_path)
    second = prepared(tmp_path)
    assert (first.cached, second.cached) == (False, True)
    assert snapshot(tmp_path) == before
    opened = open_prepared(tmp_path)
    assert [texts_of(each.train) for each in opened.mixed.values()] == [
        texts_of(each.train) for each in first.mixed.values()
    ]


def test_workers_change_no_byte(tmp_path, monkeypatch):
    (tmp_path / "module").mkdir()
    (tmp_path / "module" / "golden.py").write_text(Path(__file__).read_text())
    monkeypatch.syspath_prepend(tmp_path / "module")
    for workers in (1, 2):
        prepared(tmp_path / str(workers), workers=workers, deduplicate=True)
    assert snapshot(tmp_path / "1") == snapshot(tmp_path / "2")


def test_a_source_that_joins_a_mixture_is_not_prepared_anew(tmp_path):
    prepared(tmp_path, Groups(BOOKS, OTHER))
    before = folders(tmp_path)
    prepared(tmp_path)
    assert before.items() <= folders(tmp_path).items()
    between = folders(tmp_path)
    prepared(tmp_path, mixture(books=Groups(BOOKS, OTHER), wiki=Whole([*WIKI, "one more\n"])))
    changed = folders(tmp_path).items() - between.items()
    assert len(changed) == 1


def test_an_interrupted_preparation_goes_on(tmp_path):
    class Failing(Whole):
        def documents(self):
            yield from super().documents()
            if armed:
                raise DataError("the line went dead")

    Failing.__module__, Failing.__qualname__ = Whole.__module__, Whole.__qualname__
    armed = [True]
    prepared(tmp_path / "straight")
    with pytest.raises(DataError, match="line went dead"):
        prepared(tmp_path / "broken", mixture(books=Groups(BOOKS, OTHER), wiki=Failing(WIKI)))
    done = folders(tmp_path / "broken")
    assert len(done) == 2
    armed.clear()
    prepared(tmp_path / "broken", mixture(books=Groups(BOOKS, OTHER), wiki=Failing(WIKI)))
    assert done.items() <= folders(tmp_path / "broken").items()
    assert snapshot(tmp_path / "broken") == snapshot(tmp_path / "straight")


@pytest.mark.parametrize(
    "changed",
    [
        mixture(books=Groups(BOOKS, OTHER), wiki=Whole(WIKI[1:])),
        mixture(books=Groups(BOOKS, OTHER), web=Whole(WIKI)),
        mixture(books=Groups(BOOKS, OTHER), wiki=Groups(WIKI)),
        mixture(books=Whole(WIKI), wiki=Groups(BOOKS, OTHER)),
        mixture(books=Groups(BOOKS, OTHER, val=Whole(WIKI[:9])), wiki=Whole(WIKI)),
        mixture(books=Groups(BOOKS, OTHER)),
        Groups(BOOKS, OTHER, WIKI),
    ],
    ids=["text", "name", "kind", "names exchanged", "validation", "one less", "no mixture"],
)
def test_what_the_tokens_depend_on_changes_the_key(changed):
    key = data_key(mixture(), Bytes(), 0.1)
    assert data_key(changed, Bytes(), 0.1, validation_source(changed)) != key
    assert data_key(mixture(), Bytes(), 0.1) == key


def test_the_order_in_which_sources_are_named_is_no_matter():
    turned = mixture(wiki=Whole(WIKI), books=Groups(BOOKS, OTHER))
    assert turned.fingerprint() == mixture().fingerprint()


def test_a_source_that_is_no_longer_split_is_other_text_to_a_tokenizer():
    apart = mixture(books=Groups(BOOKS, OTHER, val=Whole(WIKI[:9])), wiki=Whole(WIKI))
    assert apart.fingerprint() != mixture().fingerprint()


def test_only_what_has_no_validation_of_its_own_is_split(tmp_path):
    held = ["Kept apart from the rest.\n"] * 5
    source = mixture(books=Groups(BOOKS, val=Whole(held)), wiki=Whole(WIKI))
    data = prepared(tmp_path, source)
    assert texts_of(data.mixed["books"].train) == BOOKS
    assert texts_of(data.mixed["books"].val) == held
    kept = [text for text in WIKI if is_validation(text, 0.1)]
    assert texts_of(data.mixed["wiki"].val) == kept
    learnt = training_texts(source, val_split=0.1, val_source=validation_source(source))
    assert list(learnt) == [text for text in BOOKS + WIKI if text not in kept]


def test_equal_documents_are_on_one_side_whichever_source_they_stand_in(tmp_path):
    few = [text * 3 for text in WIKI[:2]]
    assert not any(is_validation(text, 0.1) for text in few)
    data = prepared(tmp_path, mixture(books=Groups([*BOOKS, *few]), wiki=Whole(few)))
    trained, kept_back = set(texts_of(data.train)), set(texts_of(data.val))
    assert set(few) <= trained
    assert kept_back
    assert not trained & kept_back


def test_a_source_without_text_to_train_on_is_named(tmp_path):
    kept_back = next(text for text in map(str, range(10**6, 2 * 10**6)) if is_validation(text, 0.1))
    with pytest.raises(DataError, match=r"data\.mix\.wiki: nothing is left to train on"):
        prepared(tmp_path, mixture(books=Groups(BOOKS), wiki=Whole([kept_back])))
    with pytest.raises(DataError, match=r"data\.mix\.wiki: the source for training holds no text"):
        prepared(tmp_path, mixture(books=Groups(BOOKS), wiki=Whole([])))


def test_repetitions_of_another_source_are_left_out(tmp_path):
    source = mixture(books=Groups(BOOKS), more=Groups(OTHER))
    data = prepared(tmp_path / "a", source, deduplicate=True)
    more = data.mixed["more"]
    assert data.duplicates == 3
    assert texts_of(more.train) == [t for t in OTHER[3:] if not is_validation(t, 0.1)]
    copied = mixture(books=Groups(BOOKS), copy=Groups(BOOKS[::-1]))
    with pytest.raises(DataError, match=r"data\.mix\.copy: nothing is left") as caught:
        prepared(tmp_path / "b", copied, deduplicate=True)
    assert "data.deduplicate=false" in caught.value.fixes[1]
    prepared(tmp_path / "b", copied)


def test_windows_never_reach_from_one_source_into_another(tmp_path):
    data = prepared(tmp_path)
    windows = Windows(data.train_streams, 33, shared=1, isolated=True)
    apart = [Windows(each, 33, shared=1, isolated=True) for each in data.train_streams]
    assert windows.counts == tuple(map(len, apart))
    assert len(windows) == sum(windows.counts)
    alone = [window for each in apart for window in each]
    for number, sample in enumerate(alone):
        assert np.array_equal(windows[number].tokens, sample.tokens)
        assert np.array_equal(windows[number].segments, sample.segments)
    for wrong in (-1, len(windows)):
        with pytest.raises(IndexError):
            windows[wrong]


@pytest.mark.parametrize("cut", [Windows, SlidingWindows])
def test_every_token_of_every_source_is_predicted_once(tmp_path, cut):
    data = prepared(tmp_path)
    stride = {} if cut is Windows else {"stride": 8}
    windows = cut(data.val_streams, 33, shared=1, **stride)
    predicted = 0
    for number in range(len(windows)):
        sample = windows[number]
        counted = np.ones(len(sample.tokens), bool) if sample.counted is None else sample.counted
        predicted += int(counted[1:].sum())
    assert predicted == sum(each.tokens - 1 for each in data.val_streams)


def test_a_check_says_which_source_a_file_is_of():
    source = mixture(books=Groups(BOOKS), more=Groups(OTHER, val=Whole(WIKI[:5])))
    report = check(Corpus((source,), 0.1))
    told = [(file.mixed, file.path, file.side, file.documents) for file in report.files]
    assert told == [
        ("books", "group 0.txt", "split", 60),
        ("more", "group 0.txt", "train", 63),
        ("more", "whole.txt", "val", 5),
    ]
    assert report.val_documents == 5 + sum(is_validation(text, 0.1) for text in BOOKS)
    assert report.skipped == ("left.out (1 groups)", "left.out (1 groups)")


def test_sizes_add_up_where_they_are_known():
    known = mixture(a=Groups(BOOKS), b=Groups(WIKI))
    assert known.total_bytes() == sum(map(len, BOOKS + WIKI))
    assert mixture().total_bytes() is None
    assert [each.text for each in known.documents()] == BOOKS + WIKI


@pytest.mark.parametrize("mixed", [["books"], ["books"] * 9])
def test_a_manifest_that_names_other_parts_is_damaged(tmp_path, mixed):
    prepared(tmp_path)
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "mixed": mixed}))
    with pytest.raises(DataError, match=r"manifest\.json"):
        open_prepared(tmp_path)


class Read(Groups):
    """One group of texts, each a file."""

    def files(self):
        return iter(self.groups[0])


def test_what_one_source_keeps_for_validation_no_other_trains_on():
    kept = Read(["/p/train.txt"], val=Read(["/p/val.txt"]))
    whole = Mixture({"a": kept, "b": Read(["/p/more.txt", "/p/val.txt"])})
    with pytest.raises(ConfigError, match=r"data\.mix\.b trains on a file that data\.mix\.a keeps"):
        validation_source(whole)
    apart = Read(["/p/more.txt"], val=Read(["/p/val.txt"]))
    for other in (apart, Groups(["/p/val.txt"])):
        assert validation_source(Mixture({"a": kept, "b": other})) is not None
