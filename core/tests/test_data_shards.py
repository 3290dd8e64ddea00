"""Token shards: what is read is what was written, and damage is noticed."""

import itertools
import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from create_llm.data.preparation.shard_writer import ShardWriter
from create_llm.data.shards import TokenShards
from create_llm.errors import DataError

EOS = 0


def write(folder, documents, *, vocab_size=300, file_tokens=4, counted=None):
    """Documents are lists of ids; `counted`, lists of flags beside them."""
    with ShardWriter(folder, vocab_size, EOS, file_tokens=file_tokens) as writer:
        for number, ids in enumerate(documents):
            writer.add(ids, counted[number] if counted else None, n_bytes=10 * len(ids))
        writer.close()
    return TokenShards.open(folder)


def stream_of(documents):
    return [EOS, *itertools.chain.from_iterable([*ids, EOS] for ids in documents)]


ids = st.lists(st.integers(1, 299), max_size=9)


@settings(deadline=None, max_examples=40)
@given(st.lists(ids, max_size=8), st.integers(1, 7), st.data())
def test_what_is_read_is_what_was_written(documents, file_tokens, data):
    with tempfile.TemporaryDirectory() as folder:
        shards = write(Path(folder) / "shards", documents, file_tokens=file_tokens)
        stream = stream_of(documents)
        start = data.draw(st.integers(0, len(stream)))
        stop = data.draw(st.integers(start, len(stream)))
        read = shards.read(start, stop)
        assert read.tolist() == stream[start:stop]
        assert read.dtype == np.int64
        assert (shards.tokens, shards.documents) == (len(stream), len(documents))
        assert shards.read_counted(start, stop) is None
        starts = shards.document_starts(0, len(documents)).tolist()
        assert [stream[at : at + len(d)] for at, d in zip(starts, documents, strict=True)] == (
            documents
        )
        shards.verify()


@settings(deadline=None, max_examples=40)
@given(st.lists(st.lists(st.booleans(), min_size=1, max_size=6), min_size=1, max_size=6))
def test_flags_are_kept_for_every_token(flags):
    with tempfile.TemporaryDirectory() as folder:
        documents = [[7] * len(document) for document in flags]
        shards = write(Path(folder) / "shards", documents, file_tokens=3, counted=flags)
        read = shards.read_counted(0, shards.tokens)
        if all(itertools.chain.from_iterable(flags)):
            assert read is None
            assert not list(Path(folder).rglob("counted-*"))
        else:
            # The EOS after a document counts when the document's last token does.
            expected = [True, *itertools.chain.from_iterable([*d, d[-1]] for d in flags)]
            assert read.tolist() == expected
            shards.verify()


@settings(deadline=None, max_examples=20)
@given(
    st.lists(st.lists(st.tuples(ids, st.booleans()), max_size=3), min_size=1, max_size=4),
    st.data(),
)
def test_several_folders_are_one_stream(groups, data):
    """Each document has its ids and whether they count."""

    def parted(number, group):
        documents, counted = [d for d, _ in group], [[flag] * len(d) for d, flag in group]
        return write(root / str(number), documents, counted=counted).folders[0]

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        joined = TokenShards([parted(number, group) for number, group in enumerate(groups)])
        everything = list(itertools.chain.from_iterable(groups))
        whole = TokenShards([parted("whole", everything)])
        assert joined.read(0, joined.tokens).tolist() == stream_of([d for d, _ in everything])
        start = data.draw(st.integers(0, whole.tokens))
        stop = data.draw(st.integers(start, whole.tokens))
        assert joined.read(start, stop).tolist() == whole.read(start, stop).tolist()
        flags = [shards.read_counted(start, stop) for shards in (joined, whole)]
        assert (flags[0] is None) == (flags[1] is None)
        assert flags[0] is None or flags[0].tolist() == flags[1].tolist()
        first = data.draw(st.integers(0, len(everything)))
        last = data.draw(st.integers(first, len(everything)))
        starts = [shards.document_starts(first, last).tolist() for shards in (joined, whole)]
        assert starts[0] == starts[1]
        assert (joined.tokens, joined.documents, joined.bytes) == (
            whole.tokens,
            whole.documents,
            whole.bytes,
        )
        joined.verify()


@pytest.mark.parametrize(("vocab_size", "dtype"), [(65_536, "uint16"), (65_537, "uint32")])
def test_ids_are_as_wide_as_the_vocabulary_needs(tmp_path, vocab_size, dtype):
    documents = [[vocab_size - 1, 1]]
    shards = write(tmp_path / "shards", documents, vocab_size=vocab_size, file_tokens=100)
    assert shards.folders[0].manifest.dtype == dtype
    assert shards.read(0, 4).tolist() == stream_of(documents)
    raw = (tmp_path / "shards" / "tokens-00000.bin").read_bytes()
    assert int.from_bytes(raw[len(raw) // 4 : len(raw) // 2], "little") == vocab_size - 1


def test_an_id_beyond_the_vocabulary_is_not_cut_down_to_fit(tmp_path):
    with pytest.raises(OverflowError):
        write(tmp_path / "shards", [[70_000]], vocab_size=300)


def test_the_manifest_counts_bytes_and_files(tmp_path):
    shards = write(tmp_path / "shards", [[1, 2, 3], [4]], file_tokens=4)
    assert shards.bytes == 40
    assert sorted(shards.folders[0].manifest.files) == [
        "documents.bin",
        "tokens-00000.bin",
        "tokens-00001.bin",
    ]
    on_disk = sum(p.stat().st_size for p in (tmp_path / "shards").glob("*.bin"))
    assert shards.disk_bytes == on_disk


def test_reading_outside_the_stream_is_refused(tmp_path):
    shards = write(tmp_path / "shards", [[1, 2, 3]])
    for start, stop in [(-1, 2), (3, 2), (0, 6)]:
        with pytest.raises(IndexError):
            shards.read(start, stop)
    with pytest.raises(IndexError):
        shards.document_starts(0, 2)


@pytest.mark.parametrize("name", ["tokens-00000.bin", "counted-00001.bin", "documents.bin"])
def test_a_flipped_bit_is_found_and_the_file_named(tmp_path, name):
    shards = write(tmp_path / "shards", [[1, 2, 3], [4]], counted=[[True, False, True], [True]])
    path = tmp_path / "shards" / name
    data = bytearray(path.read_bytes())
    data[1] ^= 1
    path.write_bytes(data)
    with pytest.raises(DataError, match=name) as caught:
        shards.verify()
    assert any("llm data prepare" in fix for fix in caught.value.fixes)


@pytest.mark.parametrize("name", ["tokens-00001.bin", "documents.bin", "manifest.json"])
@pytest.mark.parametrize("damage", ["missing", "short", "empty"])
def test_missing_and_short_files_are_found_on_opening(tmp_path, name, damage):
    write(tmp_path / "shards", [[1, 2, 3], [4, 5]])
    path = tmp_path / "shards" / name
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-1] if damage == "short" else b"")
    with pytest.raises(DataError, match=name) as caught:
        TokenShards.open(tmp_path / "shards")
    assert caught.value.exit_code == 65
    assert any("llm data prepare" in fix for fix in caught.value.fixes)


@pytest.mark.parametrize(
    "change",
    [{"tokens": 9}, {"tokens": -1}, {"format": 2}, {"dtype": "uint8"}, {"files": {}}, {"eos": []}],
)
def test_a_manifest_that_cannot_be_true_is_refused(tmp_path, change):
    write(tmp_path / "shards", [[1, 2, 3], [4, 5]])
    path = tmp_path / "shards" / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(DataError, match=r"manifest\.json"):
        TokenShards.open(tmp_path / "shards")


def test_a_file_cut_short_while_it_is_in_use_is_an_error_and_no_crash(tmp_path):
    shards = write(tmp_path / "shards", [[1, 2, 3], [4, 5]], file_tokens=100)
    path = tmp_path / "shards" / "tokens-00000.bin"
    path.write_bytes(path.read_bytes()[:6])
    assert shards.read(0, 3).tolist() == [0, 1, 2]
    with pytest.raises(DataError, match=r"tokens-00000\.bin ends too early"):
        shards.read(0, 4)
    path.unlink()
    with pytest.raises(DataError, match=r"tokens-00000\.bin is missing"):
        shards.read(0, 1)


def test_a_folder_is_not_usable_before_it_is_closed(tmp_path):
    with ShardWriter(tmp_path / "shards", 300, EOS) as writer:
        writer.add([1], None, 1)
        with pytest.raises(DataError, match=r"manifest\.json"):
            TokenShards.open(tmp_path / "shards")
        writer.close()
    assert TokenShards.open(tmp_path / "shards").tokens == 3
