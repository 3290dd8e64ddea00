"""Durable writes: everything of a run that must survive goes through `Storage`.

A folder is committed as a whole: files are written into a temporary sibling and synchronised, a
manifest with their sizes and SHA-256 follows, the folder is synchronised and renamed, and then
its parent. A folder that has to give way is renamed aside before and removed after, so that at
every instant the old one or the new one is there, if only under a name that `heal` puts right.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

from create_llm.storage.disk import Disk
from create_llm.storage.leftovers import Leftover, leftovers, temporary_name
from create_llm.storage.manifest import FileRecord, read_manifest, verify
from create_llm.storage.problems import too_little_space
from create_llm.storage.writers import FileWriter, FolderWriter, about

__all__ = ["FolderWriter", "Storage", "read_manifest", "verify"]


class Storage:
    """The only door to durable files; its `Disk` is where faults can be injected.

    Errors of the system come as OSError with the file's name. Whatever fails, what was committed
    before stays, and nothing temporary does; if the disk refuses even its removal, the next
    writer of the same target, or `heal`, removes it.

    Attributes:
        placing: held while one folder takes the place of another; whoever holds it, in this
            process, finds one of the two.
    """

    def __init__(self, disk: Disk | None = None) -> None:
        self.disk = disk if disk is not None else Disk()
        self.placing = threading.RLock()

    def create(self, path: Path) -> FileWriter:
        """Begin a new file, to be used as a context manager and committed."""
        return FileWriter(self.disk, path)

    def write(self, path: Path, chunks: Iterable[bytes | memoryview]) -> FileRecord:
        """Write and synchronise a new file; hashed on the way."""
        with self.create(path) as file:
            for chunk in chunks:
                file.write(chunk)
            return file.commit()

    def replace_file(self, path: Path, data: bytes) -> None:
        """Write a small file so that readers see the old content or the new, never a mix."""
        self.heal(path.parent, path.name)
        with self._temporary(path) as temporary:
            self.write(temporary, [data])
            self.disk.rename(temporary, path)
            self.sync_folder(path.parent)

    def make_folder(self, path: Path) -> None:
        """Make a folder and the parents it lacks, durably; one that is there is fine."""
        missing = []
        while not path.is_dir():
            missing.append(path)
            path = path.parent
        for folder in reversed(missing):
            try:
                self.disk.make_folder(folder)
            except FileExistsError:
                if not folder.is_dir():  # else another process was faster
                    raise
            self.sync_folder(folder.parent)

    @contextlib.contextmanager
    def commit(self, final: Path, *, replace: bool = True) -> Iterator[FolderWriter]:
        """Write the folder `final`, all or nothing; an existing one is replaced at the end.

        Raises:
            FileExistsError: there is one, and `replace` is False.
        """
        self.make_folder(final.parent)
        self.heal(final.parent, final.name)
        with self._temporary(final) as temporary:
            self.disk.make_folder(temporary)
            writer = FolderWriter(self.disk, temporary)
            yield writer
            writer.write_manifest()
            self.sync_folder(temporary)
            self._put_in_place(temporary, final, replace=replace)

    def remove(self, folder: Path) -> None:
        """Remove a committed folder; renamed first, so that nobody sees it half gone."""
        with temporary_name(folder, "tmp") as doomed:
            self._rename_durably(folder, doomed)
            self._erase(doomed)

    def heal(self, folder: Path, name: str | None = None) -> None:
        """Put right what dead writers left in a folder, of the target `name` or of all.

        A folder that was moved aside and has no successor gets its name back; what else they left
        is removed, where the disk allows it.
        """
        for left in leftovers(folder, name):
            with contextlib.suppress(FileNotFoundError):  # another process was faster
                self._put_right(left)

    def sync_folder(self, folder: Path) -> None:
        with about(folder):
            self.disk.sync_folder(folder)

    def ensure_free(self, path: Path, needed: int, what: str) -> None:
        """Check that the disk of `path` has `needed` bytes free for `what` ("a checkpoint").

        Raises:
            StorageError: it has less; says how much to free.
        """
        existing = path.absolute()
        while not existing.exists():
            existing = existing.parent
        free = self.disk.free_bytes(existing)
        if free < needed:
            raise too_little_space(path, free, needed, what)

    def _put_right(self, left: Leftover) -> None:
        if left.kind == "tmp":
            self._discard(left.path)
        elif os.path.lexists(left.target):
            self._drop(left.path, left.target)
        else:
            self._rename_durably(left.path, left.target)

    def _put_in_place(self, temporary: Path, final: Path, *, replace: bool) -> None:
        if replace and os.path.lexists(final):
            self._exchange(temporary, final)
            return
        try:
            self.disk.rename(temporary, final)
        except OSError as error:  # the system's word for a folder that is not empty differs
            if final.exists():
                raise FileExistsError(f"{final} exists already") from error
            raise
        self.sync_folder(final.parent)

    def _exchange(self, temporary: Path, final: Path) -> None:
        with temporary_name(final, "old") as aside:
            with self.placing:
                self.disk.rename(final, aside)
                try:
                    self.sync_folder(final.parent)
                    self.disk.rename(temporary, final)
                except BaseException:
                    with contextlib.suppress(OSError):  # then `heal` does it
                        self.disk.rename(aside, final)
                    raise
            self.sync_folder(final.parent)
            with contextlib.suppress(OSError):  # the new one stands, which is what was asked for
                self._drop(aside, final)

    def _drop(self, aside: Path, final: Path) -> None:
        """Remove what `final` replaced; what is half removed never has a name that can return."""
        self.sync_folder(final.parent)
        with temporary_name(final, "tmp") as doomed:
            self._rename_durably(aside, doomed)
            self._discard(doomed)

    def _rename_durably(self, source: Path, target: Path) -> None:
        self.disk.rename(source, target)
        # Else a power cut could undo it and not what follows.
        self.sync_folder(target.parent)

    @contextlib.contextmanager
    def _temporary(self, final: Path) -> Iterator[Path]:
        with temporary_name(final, "tmp") as temporary:
            try:
                yield temporary
            except BaseException:
                self._discard(temporary)
                raise

    def _discard(self, path: Path) -> None:
        """Remove what nobody needs. A disk that refuses costs space and no more, until `heal`."""
        with contextlib.suppress(OSError):
            if os.path.lexists(path):
                self._erase(path)

    def _erase(self, path: Path) -> None:
        if path.is_symlink() or not path.is_dir():
            self.disk.unlink(path)
            return
        for child in sorted(path.iterdir()):
            self._erase(child)
        self.disk.remove_folder(path)
