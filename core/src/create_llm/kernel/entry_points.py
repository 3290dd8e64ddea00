"""The installed plugins, as entry points say, from a cache that notices installs.

Reading the metadata of every installed distribution costs about 30 ms for a hundred of them, on
every command. The result changes only when a folder on `sys.path` changes, so it is kept in the
user's cache folder under a key made of those folders and their modification times.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass

GROUP = "create_llm.plugins"


@dataclass(frozen=True, slots=True)
class InstalledPlugin:
    """One entry point of the group: the plugin's name, its module, and who ships it."""

    name: str
    module: str
    distribution: str
    version: str


def installed_plugins() -> list[InstalledPlugin]:
    """All installed plugins, sorted by name, then distribution."""
    path = _cache_path()
    cached = _read(path)
    if cached is not None:
        return cached
    found = sorted(set(_scan()), key=lambda plugin: (plugin.name, plugin.distribution))
    _write(path, found)
    return found


def _scan() -> Iterator[InstalledPlugin]:
    from importlib.metadata import entry_points

    for entry in entry_points(group=GROUP):
        distribution = entry.dist
        name = distribution.name if distribution else "unknown"
        version = distribution.version if distribution else "unknown"
        yield InstalledPlugin(entry.name, entry.value, name, version)


def _cache_path() -> str:
    home = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    folder = home or os.path.join(os.path.expanduser("~"), ".cache")  # noqa: PTH111, PTH118
    state = repr([(entry, _modified(entry)) for entry in sys.path])
    key = hashlib.sha256(state.encode("utf-8", "surrogateescape")).hexdigest()[:24]
    return os.path.join(folder, "create-llm", f"plugins-{key}.json")  # noqa: PTH118


def _modified(folder: str) -> int | None:
    try:
        return os.stat(folder or ".").st_mtime_ns  # noqa: PTH116
    except OSError:
        return None


def _read(path: str) -> list[InstalledPlugin] | None:
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123
            return [InstalledPlugin(**entry) for entry in json.load(file)]
    except (OSError, ValueError, TypeError):
        return None


def _write(path: str, plugins: list[InstalledPlugin]) -> None:
    # A cache that cannot be written only costs time: read-only homes are common in containers.
    with contextlib.suppress(OSError):
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)  # noqa: PTH103, PTH120
        temporary = f"{path}.{os.getpid()}"
        with open(temporary, "w", encoding="utf-8") as file:  # noqa: PTH123
            json.dump([asdict(plugin) for plugin in plugins], file)
        os.replace(temporary, path)  # noqa: PTH105
