"""Which first-party package provides which part, so that a missing one can be named.

catalogue.json is generated from the packages themselves (`make catalogue`) and a test compares
the two; nothing in the core depends on what it lists.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

FILE = Path(__file__).with_name("catalogue.json")


@cache
def catalogue() -> dict[str, dict[str, list[str]]]:
    """distribution → kind → names, for every first-party package."""
    # Not importlib.resources: it would cost every command 6 ms.
    entries: dict[str, dict[str, list[str]]] = json.loads(FILE.read_text("utf-8"))
    return entries


def providers_of(kind: str, name: str) -> list[str]:
    """The first-party distributions that provide a part, installed or not."""
    return [dist for dist, kinds in catalogue().items() if name in kinds.get(kind, [])]


def distribution_of(plugin: str) -> str | None:
    """The first-party distribution whose plugin has this short name."""
    distribution = f"create-llm-{plugin}"
    return distribution if distribution in catalogue() else None


def install_command(distribution: str) -> str:
    return f"llm plugins install {distribution.removeprefix('create-llm-')}"
