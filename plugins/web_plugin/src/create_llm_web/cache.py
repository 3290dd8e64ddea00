"""What has been downloaded, each address in a folder of its own.

    data/web/
      .gitignore      nothing in here belongs into a repository
      <key>/          key: from the address; the text, download.json, and manifest.json with its
                      size and SHA-256
      <key>.part …    a download that is not complete

Below the project and not in the user's cache folder, so that a project that is copied to a machine
without a network takes its text along; not in data/raw, which belongs to the person.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import click
from pydantic import BaseModel, ConfigDict, ValidationError

from create_llm.data.preparation.prepare import Progress
from create_llm.errors import DataError, NetworkError
from create_llm.storage.durable import Storage, verify
from create_llm.storage.locks import try_lock, wait_for_lock
from create_llm.storage.manifest import MANIFEST, FileRecord, hash_file
from create_llm_web.addresses import Address
from create_llm_web.client import Client
from create_llm_web.content import file_name
from create_llm_web.download import Download, Patience, Received
from create_llm_web.part import Part

_RECORD = "download.json"
_IGNORE_ALL = b"# downloaded by llm, as llm.toml says\n*\n"


class Record(BaseModel):
    """download.json.

    Attributes:
        address: as messages show it.
        name: of the text's file.
        fetched: UTC, ISO 8601.
    """

    model_config = ConfigDict(frozen=True)

    format: Literal[1] = 1
    address: str
    name: str
    etag: str | None
    last_modified: str | None
    fetched: str

    @property
    def conditions(self) -> Mapping[str, str]:
        """Headers that ask for the text only if it is another one now."""
        pairs = {"If-None-Match": self.etag, "If-Modified-Since": self.last_modified}
        return {name: value for name, value in pairs.items() if value}


@dataclass(frozen=True, slots=True)
class _Kept:
    record: Record
    file: Path
    sha256: str


@dataclass(frozen=True)
class Cache:
    """The folder data/web of a project.

    Args:
        max_bytes: the largest download.
        refresh: whether to ask the server about what is here already.
        bars: entered when something is downloaded.
    """

    folder: Path
    max_bytes: int
    refresh: bool
    bars: Callable[[], AbstractContextManager[Progress]]
    client: Callable[[], Client] = Client
    patience: Patience = field(default_factory=Patience)
    storage: Storage = field(default_factory=Storage)

    def file(self, address: Address) -> Path:
        """The text of an address, downloaded unless it is here, intact, and what is expected.

        Raises:
            NetworkError, CredentialsError: it has to be downloaded and cannot be.
            DataError: what the server sends is no text, too much, or not what '#sha256=' says.
        """
        self._make_folder()
        with self._one_at_a_time(address):
            kept = self._kept(address)
            if kept is None or self.refresh or address.sha256 not in (None, kept.sha256):
                kept = self._fetch(address, kept)
            return kept.file

    def _make_folder(self) -> None:
        self.storage.make_folder(self.folder)
        ignore = self.folder / ".gitignore"
        if not ignore.exists():
            self.storage.replace_file(ignore, _IGNORE_ALL)

    @contextlib.contextmanager
    def _one_at_a_time(self, address: Address) -> Iterator[None]:
        """Let other processes that want the same text wait here; they then find it."""
        with (self.folder / f"{address.key}.lock").open("ab") as file:
            if not try_lock(file):
                click.echo(f"waiting for another process to download {address}", err=True)
                wait_for_lock(file)
            yield

    def _kept(self, address: Address) -> _Kept | None:
        """What is here of an address, every byte of it checked."""
        folder = self.folder / address.key
        self.storage.heal(self.folder, address.key)
        if not folder.is_dir():
            return None
        try:
            files = verify(folder)
            record = Record.model_validate_json((folder / _RECORD).read_bytes())
            return _Kept(record, folder / record.name, files[record.name].sha256)
        except (DataError, ValidationError, KeyError, FileNotFoundError):
            click.echo(f"what was downloaded from {address} is damaged: once more", err=True)
            return None

    def _fetch(self, address: Address, kept: _Kept | None) -> _Kept:
        part = Part(self.folder / f"{address.key}.part", self.storage)
        expected = kept if kept and address.sha256 in (None, kept.sha256) else None
        known = expected.record.conditions if expected else {}
        try:
            with self.bars() as progress:
                received = Download(
                    self.client(), address, part, self.max_bytes, progress, known, self.patience
                ).run()
        except NetworkError as error:
            if expected:
                use = f"use the copy of {expected.record.fetched}: leave out data.refresh"
                error.fixes = (use, *error.fixes)
            raise
        if expected and not received.changed:
            return expected
        return self._keep(address, part, received)

    def _keep(self, address: Address, part: Part, received: Received) -> _Kept:
        """Put a complete part in the place of what was there."""
        found = hash_file(part.path)
        _check_sum(address, part, found)
        name = file_name(address.url, received.kind, part.head())
        if name.lower() in (_RECORD, MANIFEST):
            name = f"text-{name}"
        record = Record(
            address=str(address),
            name=name,
            etag=received.etag,
            last_modified=received.last_modified,
            fetched=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        folder = self.folder / address.key
        with self.storage.commit(folder) as out:
            out.link(name, part.path, found)
            out.write_json(_RECORD, record.model_dump())
        part.discard()
        return _Kept(record, folder / name, found.sha256)


def _check_sum(address: Address, part: Part, found: FileRecord) -> None:
    if address.sha256 in (None, found.sha256):
        return
    part.discard()
    raise DataError(
        f"the text is not the one that '#sha256=' names: its SHA-256 is {found.sha256}",
        where=str(address),
        fixes=(
            "find out whether the text was changed or is damaged before you use it",
            f"to use it, end the address in #sha256={found.sha256}",
        ),
    )
