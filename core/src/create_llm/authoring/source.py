"""The folder that a distribution is built from, found from a file in it."""

from __future__ import annotations

import re
from pathlib import Path


def package_folder(file: Path, distribution: str) -> Path | None:
    """The folder above a file whose pyproject.toml says that it makes this distribution."""
    for folder in file.resolve().parents:
        project = folder / "pyproject.toml"
        if project.is_file() and normalised(_project_name(project)) == normalised(distribution):
            return folder
    return None


def normalised(distribution: str) -> str:
    """A distribution's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def _project_name(file: Path) -> str:
    import tomllib

    try:
        name = tomllib.loads(file.read_text(encoding="utf-8")).get("project", {}).get("name")
    except ValueError:  # somebody's half-written file, further up
        return ""
    return name if isinstance(name, str) else ""
