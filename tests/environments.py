"""Python environments that hold some distributions, what they require, and nothing else."""

from __future__ import annotations

import re
import sysconfig
import venv
from collections.abc import Iterable
from functools import cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution, distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

HERE = Path(sysconfig.get_path("purelib"))


def bare(folder: Path) -> Path:
    """A new environment without any distribution; returns its python."""
    venv.create(folder, symlinks=True)
    (python,) = (
        path for path in folder.glob("*/python*") if re.fullmatch(r"python(\.exe)?", path.name)
    )
    return python


def site_of(folder: Path) -> Path:
    paths = {"base": str(folder), "platbase": str(folder)}
    return Path(sysconfig.get_path("purelib", "venv", vars=paths))


def share_requirements(site: Path, *more: str) -> None:
    """Link from this environment what the distributions in `site`, and `more`, require.

    What is there stays; what is not installed here is left out, as where pip was told --no-deps.
    """
    there = list(distributions(path=[str(site)]))
    entries = {entry for name in _closure(there, more) for entry in _entries(name)}
    for entry in sorted(entries):
        if not (site / entry).exists() and (HERE / entry).exists():
            (site / entry).symlink_to(HERE / entry)


def _closure(roots: Iterable[Distribution], more: Iterable[str]) -> set[str]:
    """Canonical names of all that these distributions lead to, without themselves."""
    known = {canonicalize_name(root.name) for root in roots}
    queue = [*more, *(name for root in roots for name in requirements(root))]
    found: set[str] = set()
    while queue:
        name = canonicalize_name(queue.pop())
        if name not in known | found:
            found.add(name)
            queue.extend(_required(name))
    return found


def requirements(installed: Distribution) -> list[str]:
    """Names of what a distribution requires on this machine, without its extras."""
    wanted = [Requirement(line) for line in installed.requires or ()]
    return [w.name for w in wanted if w.marker is None or w.marker.evaluate({"extra": ""})]


@cache
def _required(name: str) -> tuple[str, ...]:
    try:
        return tuple(requirements(distribution(name)))
    except PackageNotFoundError:
        return ()


@cache
def _entries(name: str) -> frozenset[str]:
    """What a distribution has in site-packages, at the top."""
    try:
        files = distribution(name).files or ()
    except PackageNotFoundError:
        return frozenset()
    return frozenset(file.parts[0] for file in files) - {"..", "__pycache__"}
