"""The manifest of a folder: damage is found, and nothing in it is trusted."""

from __future__ import annotations

import errno
import hashlib
import json
import os

import pytest

from create_llm.errors import DataError
from create_llm.storage import manifest as manifests
from create_llm.storage.durable import Storage, verify


def commit(folder, files):
    with Storage().commit(folder) as writer:
        for name, data in files.items():
            writer.write(name, [data])


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


def manifest(files, **more):
    return json.dumps({"format": 1, "files": files, **more})


GOOD = {"size": 3, "sha256": hashlib.sha256(b"abc").hexdigest()}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "[" * 100_000,
        '{"format": 1}',
        '{"format": 99, "files": {}}',
        manifest({}),
        manifest([]),
        manifest({"x": None}),
        manifest({"x": GOOD, "y": GOOD}),
        manifest({"x": GOOD, "..": GOOD}),
        manifest({"x": GOOD, "": GOOD}),
        manifest({"x": GOOD, "sub/y": GOOD}),
        manifest({"x": GOOD, "..\\y": GOOD}),
        manifest({"x": GOOD, "C:y": GOOD}),
        manifest({"x": GOOD, "y\0": GOOD}),
        manifest({"x": GOOD, "manifest.json": GOOD}),
        manifest({"x": {"size": 3}}),
        manifest({"x": {**GOOD, "size": "3"}}),
        manifest({"one": {"size": True, "sha256": hashlib.sha256(b"1").hexdigest()}}),
        manifest({"x": {**GOOD, "size": -3}}),
        manifest({"x": {**GOOD, "size": 3.0}}),
        manifest({"x": {**GOOD, "size": 4}}),
        manifest({"x": {**GOOD, "sha256": 7}}),
        manifest({"x": {**GOOD, "sha256": "abc"}}),
        manifest({"x": {**GOOD, "sha256": GOOD["sha256"].upper()}}),
        manifest({"x": GOOD}, padding=" " * (17 << 20)),
    ],
    ids=lambda text: text[:60],
)
def test_a_manifest_that_cannot_be_trusted_is_refused(tmp_path, text):
    commit(tmp_path / "a", {"x": b"abc", "one": b"1"})
    (tmp_path / "a" / "sub").mkdir()
    (tmp_path / "a" / "sub" / "y").write_bytes(b"abc")
    (tmp_path / "a" / "manifest.json").write_text(text)
    with pytest.raises(DataError) as caught:
        verify(tmp_path / "a")
    assert caught.value.where.startswith(str(tmp_path / "a"))
    assert len(caught.value.fixes) == 2


def test_a_manifest_by_hand_is_as_good_and_other_files_do_not_matter(tmp_path):
    commit(tmp_path / "a", {"x": b"abc"})
    (tmp_path / "a" / "manifest.json").write_text(manifest({"x": GOOD}, more=1))
    (tmp_path / "a" / ".DS_Store").write_bytes(b"?")
    assert verify(tmp_path / "a").keys() == {"x"}


def test_a_manifest_cannot_point_outside_its_folder(tmp_path):
    commit(tmp_path / "a", {"x": b"abc"})
    (tmp_path / "outside").write_bytes(b"abc")
    (tmp_path / "a" / "manifest.json").write_text(manifest({"../outside": GOOD}))
    with pytest.raises(DataError, match=r"\.\./outside"):
        verify(tmp_path / "a")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs links and pipes")
@pytest.mark.parametrize("name", ["x", "manifest.json"])
@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_only_regular_files_of_the_folder_itself_count(tmp_path, name, kind):
    commit(tmp_path / "a", {"x": b"abc"})
    path = tmp_path / "a" / name
    path.rename(tmp_path / "elsewhere")
    if kind == "link":
        path.symlink_to(tmp_path / "elsewhere")
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
    with pytest.raises(DataError, match=f"{name} is not a regular file"):
        verify(tmp_path / "a")


def failing_with(code):
    def fail(path):
        raise OSError(code, os.strerror(code), str(path))

    return fail


def test_what_the_disk_cannot_read_is_damage_and_what_is_not_allowed_is_not(tmp_path, monkeypatch):
    commit(tmp_path / "a", {"x": b"abc"})
    monkeypatch.setattr(manifests, "blocks", failing_with(errno.EIO))
    with pytest.raises(DataError, match="x cannot be read"):
        verify(tmp_path / "a")
    monkeypatch.setattr(manifests, "blocks", failing_with(errno.EMFILE))
    with pytest.raises(OSError, match="Too many open files"):
        verify(tmp_path / "a")
