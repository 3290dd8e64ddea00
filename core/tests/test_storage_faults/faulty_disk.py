"""A disk that fails where it is told to, and what the tests of it share."""

from __future__ import annotations

import os
from contextlib import suppress

from create_llm.errors import DataError
from create_llm.storage.checkpoints import CheckpointStore
from create_llm.storage.disk import Disk, DiskFile
from create_llm.storage.durable import Storage, verify

LIMIT = 2


class Killed(BaseException):
    """What nothing in the code under test expects, as nothing there expects SIGKILL."""


class FaultyFile(DiskFile):
    def __init__(self, path, disk):
        disk.operation("create", path)
        super().__init__(path)
        self._disk = disk

    def write(self, data):
        try:
            self._disk.operation("write", self.path)
        except BaseException:
            super().write(memoryview(data)[: len(data) // 2])
            raise
        super().write(data)

    def sync(self):
        self._disk.operation("sync", self.path)  # no crash here loses the system's own cache


class FaultyDisk(Disk):
    """Stands in for a disk of which the operations numbered `bad` end with `fault`.

    After Killed all others do so, too: the process is no more.
    """

    def __init__(self, bad=(), fault=None):
        self.log, self.bad, self.fault, self.dead = [], bad, fault, False

    def operation(self, what, *paths):
        if self.dead:
            raise Killed
        self.log.append((what, *(path.name for path in paths)))
        if len(self.log) - 1 in self.bad:
            self.dead = self.fault is Killed
            # An open file's errors come without its name.
            name = [] if what in ("write", "sync", "sync_folder") else [str(paths[0])]
            raise Killed if self.dead else OSError(self.fault, os.strerror(self.fault), *name)

    def create(self, path):
        return FaultyFile(path, self)

    def sync_folder(self, path):
        self.operation("sync_folder", path)


def _counted(name):
    def method(self, *paths):
        self.operation(name, *paths)
        return getattr(Disk, name)(self, *paths)

    return method


for _name in (
    "make_folder",
    "link",
    "rename",
    "unlink",
    "remove_folder",
):
    setattr(FaultyDisk, _name, _counted(_name))


def open_store(folder, disk=None):
    return CheckpointStore(folder, LIMIT, Storage(disk or FaultyDisk()))


def save(store, step):
    with store.commit(step) as writer:
        writer.write("model", [b"%d" % step, b"x" * 9])
        writer.write_json("state.json", {"step": step})


def hidden(folder):
    return [path.name for path in folder.iterdir() if path.name.startswith(".")]


def valid(store):
    """Steps that verify; their content is what was saved under that number."""
    found = []
    for step in store.steps():
        with suppress(DataError):
            verify(store.path(step))
            assert (store.path(step) / "model").read_bytes() == b"%d" % step + b"x" * 9
            found.append(step)
    return found
