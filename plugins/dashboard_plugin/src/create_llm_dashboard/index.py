"""What was read of a run's events, kept beside them, so that a long run opens at once.

`events.index.npz` holds the columns, the events that are no numbers, and up to which byte of
events.jsonl that is. It is used only where the file still begins, and goes on at that byte, as it
did: otherwise, or where anything of it cannot be read, the events are read anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from create_llm.storage.durable import Storage
from create_llm.storage.leftovers import temporary_name
from create_llm_dashboard.columns import Array, Columns

_SCHEMA = 2
_LOOKED_AT_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Indexed:
    """Attributes:
    read: bytes of events.jsonl that are in here.
    tables: table → column → values.
    others: the rest, as JSON has it.
    """

    read: int
    tables: Mapping[str, Mapping[str, Array]]
    others: Mapping[str, Any]


def read_index(events: Path, types: Mapping[str, Mapping[str, str]]) -> Indexed | None:
    """What is kept beside these events, if it is of this very file and whole.

    Raises:
        Exception: any, of a file that is damaged or another's.
    """
    with np.load(_path(events), allow_pickle=False) as kept:
        head = json.loads(kept["head"].tobytes())
        if head["schema"] != _SCHEMA or head["mark"] != _mark(events, head["read"]):
            return None
        tables = {
            table: {name: kept[f"{table}.{name}"] for name in columns}
            for table, columns in types.items()
        }
        if not _is_whole(tables, types):
            return None
        return Indexed(int(head["read"]), tables, head["others"])


def write_index(
    events: Path, read: int, tables: Mapping[str, Columns], others: Mapping[str, Any]
) -> None:
    """Keep what was read up to a byte; a folder that cannot be written to goes without."""
    path = _path(events)
    with contextlib.suppress(OSError), temporary_name(path, "tmp") as temporary:
        head = {"schema": _SCHEMA, "read": read, "mark": _mark(events, read), "others": others}
        arrays: dict[str, Any] = {"head": np.frombuffer(json.dumps(head).encode(), np.uint8)}
        for table, rows in tables.items():
            arrays |= {f"{table}.{name}": rows[name] for name in rows.names}
        Storage().heal(path.parent, path.name)
        try:
            # Straight into the file, since it may be as large as what was read, and without
            # waiting for the disk: what a power cut tears is found out by its checksums.
            with temporary.open("xb") as file:
                np.savez(file, **arrays)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def _is_whole(
    tables: Mapping[str, Mapping[str, Array]], types: Mapping[str, Mapping[str, str]]
) -> bool:
    """Whether all columns of a table are of their type and one length."""
    for table, columns in types.items():
        rows = tables[table]
        if any(rows[name].dtype != np.dtype(kind) for name, kind in columns.items()):
            return False
        if len({rows[name].shape for name in columns}) != 1:
            return False
    return True


def _mark(events: Path, read: int) -> str:
    """Of the first bytes of the file and of those before `read`; of a shorter file, its own."""
    with events.open("rb") as file:
        first = file.read(min(_LOOKED_AT_BYTES, read))
        file.seek(max(read - _LOOKED_AT_BYTES, 0))
        last = file.read(min(_LOOKED_AT_BYTES, read))
    return hashlib.sha256(first + b"\0" + last).hexdigest()


def _path(events: Path) -> Path:
    return events.with_name("events.index.npz")
