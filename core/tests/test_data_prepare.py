"""Preparing a corpus: the split, the cache, and what an interruption leaves behind."""

import hashlib
import json
import os
import tracemalloc

import pytest

from create_llm.data.documents import Document, Origin, Segment
from create_llm.data.mixture import Mixture
from create_llm.data.preparation.ingredients import data_key, tokenizer_sha256
from create_llm.data.preparation.prepare import prepare
from create_llm.data.preparation.prepared import open_prepared
from create_llm.data.split import is_validation
from create_llm.data.tokenizer import SpecialTokens
from create_llm.data.training_texts import training_texts
from create_llm.errors import DataError

EOS = 256


class Bytes:
    """Ids are the bytes of the text; 256 ends a document."""

    special = SpecialTokens(eos=EOS, named={"</s>": EOS})

    def __init__(self, vocab_size=257):
        self.vocab_size = vocab_size

    def encode_batch(self, texts):
        return [list(text.encode("utf-8", "replace")) for text in texts]

    def decode(self, ids):
        return bytes(i for i in ids if i < EOS).decode("utf-8", "replace")

    def token(self, token_id):
        return str(token_id)

    def save(self, folder):
        (folder / "tokenizer.json").write_text(json.dumps({"size": self.vocab_size}))


class Lines(Bytes):
    """One id a line, so that much text is few tokens."""

    def encode_batch(self, texts):
        return [[7] * text.count("\n") for text in texts]


class Texts:
    """Documents from a list, or from a function that yields them."""

    def __init__(self, texts):
        self.texts = texts

    def documents(self):
        texts = self.texts() if callable(self.texts) else self.texts
        for number, text in enumerate(texts):
            segments = text if isinstance(text, tuple) else (Segment("text", text),)
            yield Document(segments, Origin("texts", number + 1))

    def fingerprint(self):
        return hashlib.sha256(repr(self.texts).encode()).hexdigest()

    def total_bytes(self):
        return None


CORPUS = [f"Block {number}: {'água y fuego, ' * (number % 7)}\n" for number in range(200)]


def snapshot(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def decoded(shards):
    """The documents of a side, as text."""
    ids = shards.read(0, shards.tokens).tolist()
    assert ids[0] == ids[-1] == EOS
    text, documents = [], []
    for token in ids[1:]:
        if token == EOS:
            documents.append(bytes(text).decode())
            text = []
        else:
            text.append(token)
    return documents


def test_documents_are_split_before_they_are_packed(tmp_path):
    data = prepare(tmp_path, Texts(CORPUS), Bytes(), val_split=0.1)
    train, val = decoded(data.train), decoded(data.val)
    assert train == [text for text in CORPUS if not is_validation(text, 0.1)]
    assert val == [text for text in CORPUS if is_validation(text, 0.1)]
    assert val
    everything = bytes(data.train.read(0, data.train.tokens).clip(0, 255).tolist())
    assert not any(text.encode() in everything for text in val)


def test_the_tokenizer_learns_from_the_training_side_alone(tmp_path):
    data = prepare(tmp_path, Texts(CORPUS), Bytes(), val_split=0.1)
    assert list(training_texts(Texts(CORPUS), val_split=0.1)) == decoded(data.train)


@pytest.mark.parametrize("val_split", [1e-6, 1 - 1e-6])
def test_neither_side_is_empty_and_the_tokenizer_sees_the_same_split(tmp_path, val_split):
    data = prepare(tmp_path, Texts(CORPUS), Bytes(), val_split=val_split)
    assert min(data.train.documents, data.val.documents) == 1
    assert list(training_texts(Texts(CORPUS), val_split=val_split)) == decoded(data.train)


def test_bytes_are_those_of_the_text(tmp_path):
    data = prepare(tmp_path, Texts(CORPUS), Bytes(), val_split=0.1)
    assert data.train.bytes + data.val.bytes == sum(len(text.encode()) for text in CORPUS)
    assert data.train.tokens == 1 + data.train.bytes + data.train.documents


def test_only_text_that_carries_loss_counts(tmp_path):
    chats = [
        (Segment("text", f"{n}? ", loss=False), Segment("text", f"answer {n}")) for n in range(60)
    ]
    data = prepare(tmp_path, Texts(chats), Bytes(), val_split=0.2)
    answers = sum(len(chat[1].text) for chat in chats)
    assert data.train.bytes + data.val.bytes == answers
    flags = data.train.read_counted(0, data.train.tokens)
    ids = data.train.read(0, data.train.tokens)
    counted = [i for i, flag in zip(ids.tolist(), flags.tolist(), strict=True) if flag][1:]
    assert "".join("|" if i == EOS else chr(i) for i in counted) == "".join(
        f"{chat[1].text}|" for chat in chats if not is_validation(chat[0].text + chat[1].text, 0.2)
    )


def test_a_validation_source_is_used_whole_and_nothing_is_split(tmp_path):
    held = ["Kept apart from the rest. " * 3]
    data = prepare(tmp_path, Texts(CORPUS), Bytes(), val_split=0.5, val_source=Texts(held))
    assert (decoded(data.train), decoded(data.val)) == (CORPUS, held)
    assert list(training_texts(Texts(CORPUS), val_split=0.5, val_source=Texts(held))) == CORPUS


def test_what_is_prepared_is_not_prepared_again(tmp_path):
    first = prepare(tmp_path, Texts(CORPUS), Bytes(), val_split=0.1)
    before = snapshot(tmp_path)
    second = prepare(tmp_path, Texts(CORPUS), Bytes(), val_split=0.1)
    assert (first.cached, second.cached) == (False, True)
    assert first.key == second.key == open_prepared(tmp_path).key
    assert snapshot(tmp_path) == before


def test_preparing_twice_gives_the_same_bytes(tmp_path):
    prepare(tmp_path / "a", Texts(CORPUS), Bytes(), val_split=0.1)
    prepare(tmp_path / "b", Texts(CORPUS), Bytes(), val_split=0.1)
    assert snapshot(tmp_path / "a") == snapshot(tmp_path / "b")


@pytest.mark.parametrize(
    "changed",
    [
        {"source": Texts([*CORPUS, "one more document\n"])},
        {"tokenizer": Bytes(vocab_size=70_000)},
        {"val_split": 0.2},
        {"val_source": Texts(["validation text " * 10])},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_whatever_the_tokens_depend_on_changes_the_key(tmp_path, changed):
    plain = {"source": Texts(CORPUS), "tokenizer": Bytes(), "val_split": 0.1, "val_source": None}
    first = prepare(tmp_path, **plain)
    second = prepare(tmp_path, **{**plain, **changed})
    assert not second.cached
    assert second.key == data_key(**{**plain, **changed}) != first.key
    assert (second.division == first.division) is ("tokenizer" in changed)
    kept = {folder.path.parent for data in (first, second) for folder in data.train.folders}
    assert set(tmp_path.glob("shards-*")) == kept


@pytest.mark.parametrize("damage", ["flip", "cut", "remove"])
def test_damaged_shards_are_written_again(tmp_path, damage):
    first = prepare(tmp_path, Texts(CORPUS), Bytes(), val_split=0.1)
    before = snapshot(tmp_path)
    path = first.train.folders[0].path / "tokens-00000.bin"
    data = path.read_bytes()
    if damage == "remove":
        path.unlink()
    else:
        path.write_bytes(data[:-2] if damage == "cut" else bytes([data[0] ^ 4]) + data[1:])
    assert not prepare(tmp_path, Texts(CORPUS), Bytes(), val_split=0.1).cached
    assert snapshot(tmp_path) == before


def test_parts_in_another_order_are_noticed(tmp_path):
    source = Mixture({"a": Texts(CORPUS), "b": Texts(CORPUS[:-4])})
    prepare(tmp_path, source, Bytes(), val_split=0.1)
    path = tmp_path / "manifest.json"
    before = path.read_bytes()
    manifest = json.loads(before)
    path.write_text(json.dumps({**manifest, "parts": manifest["parts"][::-1]}))
    with pytest.raises(DataError, match=r"manifest\.json has been changed"):
        open_prepared(tmp_path)
    assert not prepare(tmp_path, source, Bytes(), val_split=0.1).cached
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "text", ["", "{", "[" * 100_000, '{"format": 1}', '{"shards": "../../elsewhere"}']
)
def test_a_damaged_manifest_is_an_error_to_readers_and_no_obstacle_to_preparing(tmp_path, text):
    prepare(tmp_path, Texts(CORPUS), Bytes(), val_split=0.1)
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(DataError, match=r"manifest\.json"):
        open_prepared(tmp_path)
    prepare(tmp_path, Texts(CORPUS), Bytes(), val_split=0.1)
    assert open_prepared(tmp_path).train.documents


def test_nothing_prepared_is_said_plainly(tmp_path):
    with pytest.raises(DataError, match="not been prepared") as caught:
        open_prepared(tmp_path)
    assert caught.value.fixes == ("llm data prepare",)


def test_an_interrupted_source_leaves_the_old_data(tmp_path):
    old = prepare(tmp_path, Texts(CORPUS), Bytes(), val_split=0.1)
    before = snapshot(tmp_path)

    def broken_off():
        yield from CORPUS * 4
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(tmp_path, Texts(broken_off), Bytes(), val_split=0.1)
    assert snapshot(tmp_path) == before
    assert open_prepared(tmp_path).key == old.key


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_a_failure_anywhere_leaves_the_old_data_or_the_new(tmp_path, monkeypatch, call, error):
    """Break off at the first, second, third … call until one preparation gets through."""
    new = Texts([*CORPUS, "something new\n"])
    real, calls = getattr(os, call), 0

    def failing(*arguments, **named):
        nonlocal calls
        calls += 1
        if calls == fail_at:
            raise error
        return real(*arguments, **named)

    finished = False
    for fail_at in range(1, 100):
        folder = tmp_path / str(fail_at)
        keys = {prepare(folder, Texts(CORPUS), Bytes(), val_split=0.1).key}
        keys.add(data_key(new, Bytes(), 0.1))
        calls = 0
        with monkeypatch.context() as patch:
            patch.setattr(os, call, failing)
            try:
                prepare(folder, new, Bytes(), val_split=0.1)
                finished = calls < fail_at
            except type(error) as caught:
                assert caught is error  # noqa: PT017
        left = open_prepared(folder)
        left.train.verify()
        left.val.verify()
        assert left.key in keys
        assert not list(folder.glob(".tmp-shards-*"))
        if finished:
            break
        assert prepare(folder, new, Bytes(), val_split=0.1).key == data_key(new, Bytes(), 0.1)
        assert len(list(folder.glob("*shards-*"))) <= 2
    assert finished
    assert fail_at > 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_process_killed_anywhere_leaves_the_old_data_or_the_new(tmp_path, call):
    """As above, but nothing can be tidied up: the process is gone at its n-th call."""
    new = Texts([*CORPUS, "something new\n"])
    killed, kill_at = True, 0
    while killed:
        kill_at += 1
        folder = tmp_path / str(kill_at)
        prepare(folder, Texts(CORPUS), Bytes(), val_split=0.1)
        killed = _killed_at(call, kill_at, lambda: prepare(folder, new, Bytes(), val_split=0.1))  # noqa: B023
        left = open_prepared(folder)
        left.train.verify()
        left.val.verify()
        assert prepare(folder, new, Bytes(), val_split=0.1).key == data_key(new, Bytes(), 0.1)
        assert len(list(folder.glob("*shards-*"))) <= 2
        assert not list(folder.glob(".tmp-shards-*"))
    assert kill_at > 1


def _killed_at(call, number, action):
    """Whether a child process that dies at its `number`-th call of os.`call` got that far."""
    child = os.fork()
    if child == 0:
        real, calls = getattr(os, call), 0

        def deadly(*arguments, **named):
            nonlocal calls
            calls += 1
            if calls == number:
                os._exit(9)
            return real(*arguments, **named)

        setattr(os, call, deadly)
        code = 1
        try:
            action()
            code = 0
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, 9)
    return code == 9


def test_leftovers_of_a_killed_process_are_removed(tmp_path):
    prepare(tmp_path, Texts(CORPUS), Bytes(), val_split=0.1)
    before = snapshot(tmp_path)
    for name in (".tmp-shards-0123456789abcdef-77", "shards-0123456789abcdef"):
        (tmp_path / name / "val").mkdir(parents=True)
        (tmp_path / name / "val" / "tokens-00000.bin").write_bytes(b"\0" * 64)
        os.utime(tmp_path / name, (1, 1))
    assert prepare(tmp_path, Texts(CORPUS), Bytes(), val_split=0.1).cached
    assert snapshot(tmp_path) == before


def test_what_a_live_run_may_be_reading_stays(tmp_path):
    for number in range(3):
        old = prepare(tmp_path, Texts([*CORPUS, f"{number}\n" * 9]), Bytes(), val_split=0.1)
        prepare(tmp_path, Texts([*CORPUS, f"{number}\n" * 10]), Bytes(), val_split=0.1)
        old.train.verify()
        assert len(list(tmp_path.glob("shards-*"))) == 2


@pytest.mark.parametrize("texts", [[], ["tiny"], ["tiny", "words"], ["", ""]])
def test_too_little_text_is_an_error(tmp_path, texts):
    with pytest.raises(DataError, match="bytes of text") as caught:
        prepare(tmp_path, Texts(texts), Bytes(), val_split=0.1)
    assert caught.value.exit_code == 65
    assert 2 <= len(caught.value.fixes) <= 3
    assert not snapshot(tmp_path)


@pytest.mark.parametrize(
    ("train", "val", "missing"), [(CORPUS, [], "validation"), ([], CORPUS, "training")]
)
def test_an_empty_side_is_an_error(tmp_path, train, val, missing):
    with pytest.raises(DataError, match=f"source for {missing} holds no text"):
        prepare(tmp_path, Texts(train), Bytes(), val_split=0.1, val_source=Texts(val))


def test_lone_surrogates_are_counted_and_do_no_harm(tmp_path):
    texts = [f"{number} half a pair: \ud83d" for number in range(30)]
    data = prepare(tmp_path, Texts(texts), Bytes(), val_split=0.3)
    expected = sum(len(text.encode("utf-8", "surrogatepass")) for text in texts)
    assert data.train.bytes + data.val.bytes == expected


def test_progress_counts_up_to_the_size_of_the_text(tmp_path):
    told = []
    prepare(
        tmp_path,
        Texts(CORPUS * 3),
        Bytes(),
        val_split=0.1,
        progress=lambda *arguments: told.append(arguments),
    )
    done = [done for _, done, _ in told]
    assert len(done) == 4  # 600 documents, 256 at once, and that it is all
    assert done == sorted(done)
    assert done[-1] == sum(len(text.encode()) for text in CORPUS * 3)


def test_the_manifest_says_what_was_prepared(tmp_path):
    source, tokenizer = Texts(CORPUS), Bytes()
    data = prepare(tmp_path, source, tokenizer, val_split=0.1)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["key"] == data.key
    assert manifest["source"].endswith(source.fingerprint())
    assert manifest["tokenizer"] == tokenizer_sha256(tokenizer)
    assert manifest["val_split"] == 0.1
    for side in ("train", "val"):
        shards = getattr(data, side)
        assert manifest[side] == {
            "tokens": shards.tokens,
            "documents": shards.documents,
            "bytes": shards.bytes,
        }


def test_memory_does_not_grow_with_the_corpus(tmp_path):
    def peak(megabytes):
        line = "x" * 1023 + "\n"
        blocks = range(megabytes * 64)
        source = Texts(lambda: (f"{block}\n" + line * 16 for block in blocks))
        tracemalloc.start()
        prepare(tmp_path / str(megabytes), source, Lines(), val_split=0.1)
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    small, large = peak(4), peak(16)
    assert large - small < 2e6


class Sized(Texts):
    """Texts that know their size."""

    def total_bytes(self):
        return sum(len(text.encode()) for text in self.texts)


def test_of_a_large_corpus_a_sample_is_learnt_from_the_same_each_time(monkeypatch):
    texts = [f"Document {number}.\n" for number in range(4000)]
    everything = list(training_texts(Sized(texts), val_split=0.1))
    monkeypatch.setattr("create_llm.data.training_texts.SAMPLE_BYTES", 20_000)
    sample = list(training_texts(Sized(texts), val_split=0.1))
    assert sample == list(training_texts(Sized(texts), val_split=0.1))
    assert sample == [text for text in everything if text in set(sample)]
    expected = 20_000 / Sized(texts).total_bytes()
    assert 0.85 < len(sample) / len(everything) / expected < 1.15
    # Not the beginning: the end of the text is in it as well as the middle.
    places = [everything.index(text) / len(everything) for text in sample]
    assert 0.45 < sum(places) / len(places) < 0.55


def test_of_a_corpus_of_unknown_size_the_beginning_is_learnt_from(monkeypatch):
    texts = [f"Document {number}.\n" for number in range(4000)]
    everything = list(training_texts(Texts(texts), val_split=0.1))
    monkeypatch.setattr("create_llm.data.training_texts.SAMPLE_BYTES", 20_000)
    sample = list(training_texts(Texts(texts), val_split=0.1))
    assert sample == everything[: len(sample)]
    assert 20_000 <= sum(map(len, sample)) < 20_100


def test_the_tokenizer_learns_each_text_once_when_equal_ones_are_dropped():
    texts = [*CORPUS, *CORPUS]
    once = list(training_texts(Texts(texts), val_split=0.1, deduplicate=True))
    assert once == list(training_texts(Texts(CORPUS), val_split=0.1))


@pytest.mark.parametrize("name", ["part.json", "manifest.json", "train/manifest.json"])
def test_a_damaged_record_is_noticed_and_the_part_written_again(tmp_path, name):
    data = prepare(tmp_path, Texts(CORPUS), Bytes(), val_split=0.1)
    before = snapshot(tmp_path)
    path = data.train.folders[0].path.parent / name
    text = path.read_text()
    digit = next(i for i, c in enumerate(text) if c.isdigit() and i > len(text) // 2)
    path.write_text(text[:digit] + str((int(text[digit]) + 1) % 10) + text[digit + 1 :])
    with pytest.raises(DataError, match="is damaged") as caught:
        open_prepared(tmp_path)
    assert caught.value.fixes == ("write it again: llm data prepare",)
    assert not prepare(tmp_path, Texts(CORPUS), Bytes(), val_split=0.1).cached
    assert snapshot(tmp_path) == before


class Editing(Bytes):
    """While it encodes, somebody adds to the text."""

    def __init__(self, source):
        super().__init__()
        self.source = source

    def encode_batch(self, texts):
        self.source.texts = [*CORPUS, "one more"]
        return super().encode_batch(texts)


def test_a_text_that_changes_while_it_is_prepared_is_not_taken_for_either(tmp_path):
    source = Texts(CORPUS)
    with pytest.raises(DataError, match="changed while it was being prepared"):
        prepare(tmp_path, source, Editing(source), val_split=0.1)
    assert list(tmp_path.iterdir()) == []
    assert not prepare(tmp_path, source, Bytes(), val_split=0.1).cached
