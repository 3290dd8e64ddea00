"""A disk that loses power: it records what is asked of it and rebuilds what could be left.

`RecordingDisk` performs every operation in a real folder and logs it. `Crash` rebuilds, from a
prefix of that log, a folder as it could be found after the machine stopped there.

After SIGKILL the page cache survives: everything before the stop is there, the operation that it
interrupted is not, or is half there. After a power loss only these hold, the rules of POSIX as the
strictest file systems read them:

- What was written to a file before a `sync` of that file that returned is there.
- A change of names (create, make folder, link, rename, unlink, remove folder) before a
  `sync_folder` of the folder it happened in that returned is there. Synchronising a file makes
  its data durable, not its name; synchronising a folder makes its names durable, not what is in
  the files, nor the folder's own name in its parent.
- Anything else may be there or not, each independently of the others: a later write or rename
  may survive an earlier one (reordering). Where a lost write stood before one that survived, or
  the length reached the disk and the data did not, there are zeroes. A write may be torn: its
  first bytes are there, the others are lost or zeroes.
- One rename is atomic: both names change, or neither.

A third kind of crash is a disk that lies: it calls data synchronised that it then loses. No
protocol can promise that nothing is lost there; that damage is never taken for a checkpoint can
be, and is, demanded.
"""

from __future__ import annotations

import base64
import json
import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from create_llm.storage.disk import Disk, DiskFile

ROOT = 0


@dataclass(frozen=True, slots=True)
class Names:
    """One atomic change of names: (folder, name) → node, or None for a name that goes."""

    changes: tuple[tuple[int, str, int | None], ...]


@dataclass(frozen=True, slots=True)
class Write:
    node: int
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class SyncFile:
    node: int


@dataclass(frozen=True, slots=True)
class SyncFolder:
    node: int


@dataclass(frozen=True, slots=True)
class Note:
    """Not an operation: what the caller had been told by then."""

    what: str
    name: str
    step: int


Entry = Names | Write | SyncFile | SyncFolder | Note


def write_log(log: Iterable[Entry], path: Path) -> None:
    """Keep a log as JSON lines."""
    with path.open("w", encoding="utf-8") as file:
        for entry in log:
            fields = asdict(entry)
            if isinstance(entry, Write):
                fields["data"] = base64.b64encode(entry.data).decode()
            file.write(json.dumps([type(entry).__name__, fields]) + "\n")


def read_log(path: Path) -> list[Entry]:
    """The inverse of `write_log`."""
    kinds = {kind.__name__: kind for kind in (Names, Write, SyncFile, SyncFolder, Note)}
    log: list[Entry] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        name, fields = json.loads(line)
        if name == "Write":
            fields["data"] = base64.b64decode(fields["data"])
        if name == "Names":
            fields["changes"] = tuple(tuple(change) for change in fields["changes"])
        log.append(kinds[name](**fields))
    return log


@dataclass(slots=True)
class Tree:
    """Folders and files by number; a file is a node without entries of its own."""

    folders: dict[int, dict[str, int]] = field(default_factory=lambda: {ROOT: {}})

    def find(self, parts: Sequence[str]) -> int:
        node = ROOT
        for part in parts:
            node = self.folders[node][part]
        return node

    def apply(self, names: Names) -> None:
        for folder, name, node in names.changes:
            entries = self.folders.setdefault(folder, {})
            if node is None:
                entries.pop(name, None)
            else:
                entries[name] = node


class RecordingFile(DiskFile):
    """Logs each write after it has happened."""

    def __init__(self, path: Path, disk: RecordingDisk, node: int) -> None:
        super().__init__(path)
        self._disk, self._node, self._offset = disk, node, 0

    def write(self, data: bytes | memoryview) -> None:
        super().write(data)
        content = bytes(memoryview(data).cast("B"))
        self._disk.log.append(Write(self._node, self._offset, content))
        self._offset += len(content)

    def sync(self) -> None:
        super().sync()
        self._disk.log.append(SyncFile(self._node))


class RecordingDisk(Disk):
    """Performs operations below `root` and logs them in the order in which they ended."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.log: list[Entry] = []
        self._tree = Tree()
        self._next = ROOT
        self._lock = threading.RLock()

    def note(self, what: str, name: str = "", step: int = 0) -> None:
        self.log.append(Note(what, name, step))

    def create(self, path: Path) -> DiskFile:
        with self._lock:
            node = self._new_node()
            file = RecordingFile(path, self, node)
            self._record((path, node))
            return file

    def make_folder(self, path: Path) -> None:
        with self._lock:
            super().make_folder(path)
            for folder in (*reversed(path.parents), path):
                if folder.is_relative_to(self.root):
                    self._node(folder)

    def link(self, source: Path, target: Path) -> None:
        with self._lock:
            super().link(source, target)
            self._record((target, self._node(source)))

    def rename(self, source: Path, target: Path) -> None:
        with self._lock:
            super().rename(source, target)
            self._record((target, self._node(source)), (source, None))

    def unlink(self, path: Path) -> None:
        with self._lock:
            super().unlink(path)
            self._record((path, None))

    def remove_folder(self, path: Path) -> None:
        with self._lock:
            super().remove_folder(path)
            self._record((path, None))

    def sync_folder(self, path: Path) -> None:
        with self._lock:
            for child in path.iterdir():  # folders that were not made through this disk
                if child.is_dir():
                    self._node(child)
            super().sync_folder(path)
            self.log.append(SyncFolder(self._node(path)))

    def _node(self, path: Path) -> int:
        """The number of a file or folder; one that somebody else made is logged as it is now."""
        parts = path.relative_to(self.root).parts
        try:
            return self._tree.find(parts)
        except KeyError:
            node = self._new_node()
            if path.is_dir():
                self._tree.folders[node] = {}
            self._record((path, node))
            if path.is_file():
                self.log.append(Write(node, 0, path.read_bytes()))
            return node

    def _new_node(self) -> int:
        self._next += 1
        return self._next

    def _record(self, *changes: tuple[Path, int | None]) -> None:
        names = Names(tuple((self._node(path.parent), path.name, node) for path, node in changes))
        self._tree.apply(names)
        self.log.append(names)


@dataclass(frozen=True, slots=True)
class Crash:
    """A folder as it could be found.

    Attributes:
        stop: how many entries of the log had happened.
        kind: "kill", "power" or "lie".
        how: which of the unsynchronised operations survived, in words.
        kept: for each entry before the stop, the bytes of a write that are there followed by
            zeroes up to the second number; None where nothing of the entry is there. Changes of
            names are there when this is not None.
    """

    stop: int
    kind: str
    how: str
    kept: Mapping[int, tuple[int, int] | None]

    def build(self, log: Sequence[Entry], root: Path) -> None:
        """Write the folder below `root`, where none of it is yet."""
        tree = Tree()
        files: defaultdict[int, bytearray] = defaultdict(bytearray)
        for number, entry in enumerate(log[: self.stop + 1]):
            kept = self.kept.get(number) if number in self.kept else self._usual(number, entry)
            if kept is None:
                continue
            if isinstance(entry, Names):
                tree.apply(entry)
            elif isinstance(entry, Write):
                _put(files[entry.node], entry, *kept)
        _write_tree(tree, files, ROOT, root, folders_of(log))

    def _usual(self, number: int, entry: Entry) -> tuple[int, int] | None:
        if number >= self.stop:
            return None
        length = len(entry.data) if isinstance(entry, Write) else 0
        return length, length


def _put(content: bytearray, write: Write, true: int, length: int) -> None:
    end = write.offset + length
    content.extend(bytes(max(0, end - len(content))))
    content[write.offset : write.offset + true] = write.data[:true]
    content[write.offset + true : end] = bytes(length - true)


def folders_of(log: Iterable[Entry]) -> frozenset[int]:
    """The nodes that are folders: those in which names change."""
    changes = (change for entry in log if isinstance(entry, Names) for change in entry.changes)
    synced = (entry.node for entry in log if isinstance(entry, SyncFolder))
    return frozenset(folder for folder, _, _ in changes) | frozenset(synced)


def _write_tree(
    tree: Tree, files: Mapping[int, bytearray], node: int, path: Path, folders: frozenset[int]
) -> None:
    for name, child in tree.folders.get(node, {}).items():
        if child in folders:
            (path / name).mkdir(exist_ok=True)
            _write_tree(tree, files, child, path / name, folders)
        else:
            (path / name).write_bytes(bytes(files.get(child, b"")))
