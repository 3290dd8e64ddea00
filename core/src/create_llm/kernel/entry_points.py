"""The installed plugins, as entry points say, from a cache that notices installs.

Reading the metadata of every installed distribution costs about 30 ms for a hundred of them, on
every command. The result changes only when a folder on `sys.path` changes, so it is kept in the
user's cache folder: one file for each `sys.path`, valid while its folders' modification times are
those that it carries.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.metadata import Distribution

GROUP = "create_llm.plugins"

# Two changes of a folder within one tick of the file system's clock have one modification time.
# Ticks last up to two seconds, so what was read from a folder that changed this recently is not
# kept.
TICK_NS = 2_000_000_000


@dataclass(frozen=True, slots=True)
class InstalledPlugin:
    """One entry point of the group: the plugin's name, its module, and who ships it."""

    name: str
    module: str
    distribution: str
    version: str


def installed_plugins() -> list[InstalledPlugin]:
    """All installed plugins, sorted by name, then distribution."""
    # Before the scan: an install during it then makes the cache stale, not wrong.
    folders = {folder: _modified(folder) for folder in sys.path}
    path = _cache_path()
    cached = _read(path, folders)
    if cached is not None:
        return cached
    found = sorted(set(_scan()), key=lambda plugin: (plugin.name, plugin.distribution))
    if max(folders.values(), default=0) < time.time_ns() - TICK_NS:
        _write(path, folders, found)
    return found


def _scan() -> Iterator[InstalledPlugin]:
    from importlib.metadata import entry_points

    for entry in entry_points(group=GROUP):
        name, version = _field(entry.dist, "Name"), _field(entry.dist, "Version")
        yield InstalledPlugin(entry.name, entry.value, name, version)


def _field(distribution: Distribution | None, key: str) -> str:
    # A half-removed distribution still has entry points, but no metadata.
    if distribution is None or key not in distribution.metadata:
        return "unknown"
    return distribution.metadata[key]


def _cache_path() -> str:
    home = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    folder = home or os.path.join(os.path.expanduser("~"), ".cache")  # noqa: PTH111, PTH118
    # Not hashlib: it loads OpenSSL, 2 ms. Two paths with one checksum only share a file.
    key = zlib.crc32("\0".join(sys.path).encode("utf-8", "surrogateescape"))
    return os.path.join(folder, "create-llm", f"plugins-{key:08x}.json")  # noqa: PTH118


def _modified(folder: str) -> int:
    """Nanoseconds; 0 for a folder that is not there."""
    try:
        return os.stat(folder or ".").st_mtime_ns  # noqa: PTH116
    except OSError:
        return 0


def _read(path: str, folders: dict[str, int]) -> list[InstalledPlugin] | None:
    """What the cache holds for these folders as they are now, or None."""
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123
            content = json.load(file)
        texts = (text for entry in content["plugins"] for text in entry.values())
        if content["folders"] != folders or not all(isinstance(text, str) for text in texts):
            return None
        return [InstalledPlugin(**entry) for entry in content["plugins"]]
    except (OSError, ValueError, TypeError, LookupError, AttributeError):
        return None


def _write(path: str, folders: dict[str, int], plugins: list[InstalledPlugin]) -> None:
    content = {"folders": folders, "plugins": [asdict(plugin) for plugin in plugins]}
    # A cache that cannot be written only costs time: read-only homes are common in containers.
    with contextlib.suppress(OSError):
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)  # noqa: PTH103, PTH120
        temporary = f"{path}.{os.getpid()}"
        with open(temporary, "w", encoding="utf-8") as file:  # noqa: PTH123
            json.dump(content, file)
        os.replace(temporary, path)  # noqa: PTH105
