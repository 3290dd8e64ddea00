"""Durable folders: all or nothing, verified, rotated with care."""

from __future__ import annotations

import json
import os

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from create_llm.errors import DataError
from create_llm.storage.checkpoints import CheckpointStore
from create_llm.storage.durable import Storage, verify
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


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b"abd"),
        lambda path: path.write_bytes(b""),
        lambda path: path.unlink(),
    ],
    ids=["flipped", "truncated", "missing"],
)
def test_damage_is_found_and_named(tmp_path, damage):
    commit(tmp_path / "a", {"x": b"abc", "y": b"fine"})
    verify(tmp_path / "a")
    damage(tmp_path / "a" / "x")
    with pytest.raises(DataError, match="x is"):
        verify(tmp_path / "a")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 99, "files": {}}', '{"format": 1}'])
def test_a_manifest_that_cannot_be_trusted_is_refused(tmp_path, text):
    commit(tmp_path / "a", {"x": b"abc"})
    (tmp_path / "a" / "manifest.json").write_text(text)
    with pytest.raises(DataError):
        verify(tmp_path / "a")


def test_a_manifest_cannot_point_outside_its_folder(tmp_path):
    commit(tmp_path / "a", {"x": b"abc"})
    (tmp_path / "outside").write_bytes(b"abc")
    path = tmp_path / "a" / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["files"]["../outside"] = manifest["files"].pop("x")
    path.write_text(json.dumps(manifest))
    with pytest.raises(DataError):
        verify(tmp_path / "a")


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


def test_weights_that_are_not_finite_are_never_written():
    with pytest.raises(ValueError, match="w holds"):
        list(tensor_chunks({"w": torch.tensor([1.0, float("nan")])}))


def test_a_truncated_weight_file_is_bad_data(tmp_path):
    data = b"".join(bytes(chunk) for chunk in tensor_chunks({"w": torch.ones(8)}))
    (tmp_path / "m").write_bytes(data[:-3])
    with pytest.raises(DataError):
        load_tensors(tmp_path / "m")


@pytest.fixture
def store(tmp_path):
    return CheckpointStore(tmp_path / "run", limit=3, storage=Storage())


def save(store, step):
    with store.commit(step) as writer:
        writer.write("state", [str(step).encode()])
    store.rotate()


def test_rotation_keeps_the_newest_and_what_is_marked(store):
    for step in (10, 20):
        save(store, step)
    store.mark("best", 10, {"val_loss": 2.5})
    for step in (30, 40, 50):
        save(store, step)
    assert store.steps() == [30, 40, 50]
    assert (store.folder / "best" / "state").read_bytes() == b"10"
    assert store.marked("best") == {"step": 10, "val_loss": 2.5}
    verify(store.folder / "best")


def test_rotation_stops_when_the_newest_is_damaged(store):
    for step in (10, 20, 30):
        save(store, step)
    with store.commit(40) as writer:
        writer.write("state", [b"40"])
    (store.path(40) / "state").write_bytes(b"xx")
    with pytest.raises(DataError):
        store.rotate()
    assert store.steps() == [10, 20, 30, 40]


def test_a_limit_below_two_still_keeps_two(tmp_path):
    store = CheckpointStore(tmp_path / "run", limit=0, storage=Storage())
    for step in (1, 2, 3):
        save(store, step)
    assert store.steps() == [2, 3]


def test_the_newest_valid_checkpoint_is_found_and_damage_is_told(store):
    for step in (10, 20, 30):
        save(store, step)
    (store.path(30) / "state").write_bytes(b"xx")
    told = []
    assert store.newest_valid(told.append) == 20
    assert len(told) == 1
    assert "step-00000030" in told[0].what


def test_a_folder_that_may_not_be_replaced_stays(tmp_path):
    commit(tmp_path / "v1", {"x": b"first"})
    again = Storage().commit(tmp_path / "v1", replace=False)
    with pytest.raises(FileExistsError), again as writer:
        writer.write("x", [b"second"])
    assert (tmp_path / "v1" / "x").read_bytes() == b"first"
    assert [path.name for path in tmp_path.iterdir()] == ["v1"]


def test_the_staging_folder_of_a_live_process_is_left_alone(tmp_path):
    alive = tmp_path / f".tmp-a-{os.getppid()}"
    dead = tmp_path / ".tmp-a-999999999"
    alive.mkdir()
    dead.mkdir()
    commit(tmp_path / "a", {"x": b"1"})
    assert alive.exists()
    assert not dead.exists()
