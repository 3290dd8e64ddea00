"""Durable files and folders: all or nothing, and nothing left beside them."""

from __future__ import annotations

import errno
import os

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from create_llm.errors import DataError
from create_llm.storage.disk import Disk, DiskFile
from create_llm.storage.durable import Storage, verify
from create_llm.storage.manifest import hash_file
from create_llm.storage.tensors import load_tensors, tensor_chunks


def commit(folder, files):
    with Storage().commit(folder) as writer:
        for name, data in files.items():
            writer.write(name, [data])


class Failing(dict):
    """Files of which the second cannot be had."""

    def __init__(self, error):
        self.error = error

    def items(self):
        yield "x", b"new"
        raise self.error


def test_a_committed_folder_verifies_and_leaves_nothing_beside_it(tmp_path):
    commit(tmp_path / "a", {"x": b"1", "y": b"22"})
    assert {record.size for record in verify(tmp_path / "a").values()} == {1, 2}
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError, ValueError])
def test_a_failure_half_way_leaves_the_old_folder(tmp_path, error):
    commit(tmp_path / "a", {"x": b"old"})
    with pytest.raises(error):
        commit(tmp_path / "a", Failing(error))
    assert (tmp_path / "a" / "x").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


@settings(deadline=None)
@given(
    st.dictionaries(
        st.text("abc.", min_size=1, max_size=6),
        st.tuples(st.lists(st.integers(0, 4), max_size=3), st.sampled_from(["f", "b", "i", "u"])),
        max_size=4,
    )
)
def test_the_library_reads_what_we_stream(tmp_path_factory, shapes):
    dtypes = {"f": torch.float32, "b": torch.bfloat16, "i": torch.int64, "u": torch.uint8}
    tensors = {
        name: (torch.rand(shape) * 9).to(dtypes[dtype]) for name, (shape, dtype) in shapes.items()
    }
    path = tmp_path_factory.mktemp("t") / "m.safetensors"
    path.write_bytes(b"".join(bytes(chunk) for chunk in tensor_chunks(tensors)))
    loaded = load_file(path)
    assert loaded.keys() == tensors.keys()
    assert all(torch.equal(loaded[name], tensors[name]) for name in tensors)


_OTHERS = ("int8", "int16", "uint16", "uint32", "uint64", "complex64", "float8_e4m3fn")


@pytest.mark.parametrize("dtype", [getattr(torch, name) for name in _OTHERS], ids=str)
def test_whatever_the_library_reads_can_be_streamed(tmp_path, dtype):
    path = tmp_path / "m.safetensors"
    written = torch.ones(2, 2).to(dtype)
    path.write_bytes(b"".join(bytes(chunk) for chunk in tensor_chunks({"w": written})))
    loaded = load_tensors(path)["w"]
    assert loaded.dtype == dtype
    assert torch.equal(loaded.view(torch.uint8), written.view(torch.uint8))


@pytest.mark.parametrize("dtype", [torch.float8_e5m2, torch.complex64], ids=str)
def test_other_numbers_are_looked_at_too(dtype):
    with pytest.raises(ValueError, match="w holds"):
        list(tensor_chunks({"w": torch.tensor([1.0, float("inf")]).to(dtype)}))


def test_weights_that_are_not_finite_are_never_written():
    with pytest.raises(ValueError, match="w holds"):
        list(tensor_chunks({"w": torch.tensor([1.0, float("nan")])}))


def test_a_truncated_weight_file_is_bad_data(tmp_path):
    data = b"".join(bytes(chunk) for chunk in tensor_chunks({"w": torch.ones(8)}))
    (tmp_path / "m").write_bytes(data[:-3])
    with pytest.raises(DataError):
        load_tensors(tmp_path / "m")


def test_a_folder_that_may_not_be_replaced_stays(tmp_path):
    commit(tmp_path / "v1", {"x": b"first"})
    again = Storage().commit(tmp_path / "v1", replace=False)
    with pytest.raises(FileExistsError), again as writer:
        writer.write("x", [b"second"])
    assert (tmp_path / "v1" / "x").read_bytes() == b"first"
    assert [path.name for path in tmp_path.iterdir()] == ["v1"]


def test_a_replaced_folder_is_neither_merged_nor_followed(tmp_path):
    commit(tmp_path / "a", {"x": b"1", "y": b"2"})
    (tmp_path / "link").symlink_to(tmp_path / "a")
    commit(tmp_path / "link", {"z": b"3"})
    assert verify(tmp_path / "link").keys() == {"z"}
    assert verify(tmp_path / "a").keys() == {"x", "y"}
    commit(tmp_path / "a", {"x": b"4"})
    assert verify(tmp_path / "a").keys() == {"x"}


def test_a_file_is_hashed_on_its_way_and_small_pieces_are_gathered(tmp_path, monkeypatch):
    writes = []
    real = DiskFile.write
    monkeypatch.setattr(
        DiskFile, "write", lambda file, data: (writes.append(len(data)), real(file, data))
    )
    with Storage().create(tmp_path / "a") as file:
        for _ in range(1000):
            file.write(b"0123456789")
        file.write(memoryview(bytes(3 << 20)))
        file.write(b"end")
        record = file.commit()
    assert writes == [10_000, 3 << 20, 3]
    assert record == hash_file(tmp_path / "a")
    assert record.size == 10_003 + (3 << 20)


def test_a_file_that_is_not_committed_is_gone(tmp_path):
    with Storage().create(tmp_path / "a") as file:
        file.write(b"1")
    with pytest.raises(ValueError, match="no more"):
        Storage().write(tmp_path / "b", (b"1" if n < 3 else boom() for n in range(9)))
    assert list(tmp_path.iterdir()) == []


def boom():
    raise ValueError("no more")


def test_missing_parents_are_made_and_a_file_in_the_way_is_an_error(tmp_path):
    Storage().make_folder(tmp_path / "a" / "b" / "c")
    Storage().make_folder(tmp_path / "a" / "b" / "c")
    assert (tmp_path / "a" / "b" / "c").is_dir()
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError):
        Storage().make_folder(tmp_path / "file")


def test_each_new_folder_is_durable_before_anything_is_put_into_it(tmp_path):
    class Recording(Disk):
        def make_folder(self, path):
            super().make_folder(path)
            done.append(("made", path.name))

        def sync_folder(self, path):
            done.append(("synchronised", path.name))

    done = []
    Storage(Recording()).make_folder(tmp_path / "a" / "b")
    here = tmp_path.name
    assert done == [("made", "a"), ("synchronised", here), ("made", "b"), ("synchronised", "a")]


@pytest.mark.skipif(os.name == "nt", reason="folders are not synchronised there")
def test_a_disk_that_synchronises_no_folders_is_good_enough(tmp_path, monkeypatch):
    def refuse(descriptor):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", refuse)
    code = errno.EINVAL
    Disk().sync_folder(tmp_path)
    code = errno.EIO
    with pytest.raises(OSError, match="Input/output"):
        Disk().sync_folder(tmp_path)


DEAD = 999_999_999
DEAD = 999_999_999


def test_leftovers_of_the_dead_go_and_those_of_the_living_stay(tmp_path):
    long_ago, alive = tmp_path / f".tmp-b-{os.getppid()}", tmp_path / f".tmp-a-{os.getppid()}"
    dead = [
        tmp_path / f".tmp-a-{DEAD}",
        tmp_path / f".tmp-a+1-{DEAD}",
        tmp_path / f".tmp-a-{os.getpid()}",  # of a process that had our number before us
        long_ago,  # of one that had our parent's
    ]
    for path in (*dead, alive):
        (path / "sub").mkdir(parents=True)
        (path / "sub" / "x").touch()
    os.utime(long_ago, (0, 0))
    (tmp_path / f".tmp-file-{DEAD}").touch()
    (tmp_path / ".tmp-mine").mkdir()
    Storage().heal(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {alive.name, ".tmp-mine"}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_process_that_ended_and_was_not_waited_for_is_dead(tmp_path):
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    (tmp_path / f".tmp-a-{child}").mkdir()
    Storage().heal(tmp_path)
    os.waitpid(child, 0)
    assert list(tmp_path.iterdir()) == []


def test_a_commit_removes_the_leftovers_of_its_own_target_alone(tmp_path):
    for name in ("a", "a-b", "b"):
        (tmp_path / f".tmp-{name}-{DEAD}").mkdir()
    commit(tmp_path / "a", {"x": b"1"})
    Storage().replace_file(tmp_path / "b", b"1")
    assert {path.name for path in tmp_path.iterdir()} == {"a", "b", f".tmp-a-b-{DEAD}"}


def test_what_cannot_be_removed_is_in_nobodys_way(tmp_path, monkeypatch):
    stuck = tmp_path / f".tmp-a-{os.getpid()}"
    stuck.mkdir()

    def refuse(disk, path):
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))

    monkeypatch.setattr(Disk, "remove_folder", refuse)
    commit(tmp_path / "a", {"x": b"1"})
    monkeypatch.undo()
    assert {path.name for path in tmp_path.iterdir()} == {"a", stuck.name}
    Storage().heal(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
