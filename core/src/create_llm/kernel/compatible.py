"""Which releases of a package go together."""

from __future__ import annotations

import re


def compatible_range(version: str) -> str:
    """From this release to the next that may break: the next minor before 1.0, then major."""
    match = re.match(r"(\d+)\.(\d+)", version)
    if match is None:
        return ""
    major, minor = int(match[1]), int(match[2])
    following = f"{major + 1}" if major else f"0.{minor + 1}"
    return f">={major}.{minor},<{following}"
