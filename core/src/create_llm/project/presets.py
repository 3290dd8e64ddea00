"""The preset contract: a recipe to train with, by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Preset:
    """What `register_presets` names.

    Unlike a template, which a project starts from, it can be named for one run, and then its
    values are stronger than those of llm.toml.

    Attributes:
        title: what it is, in half a line.
        description: a few sentences: what it sets, and what that costs.
        use_cases: when to take it, a sentence each.
        values: as llm.toml nests them: section → key → value. None leaves a key unset, whatever
            llm.toml says. There is no [project] in it: a preset does not say what a project is.
    """

    name: str
    title: str
    description: str
    use_cases: tuple[str, ...]
    values: Mapping[str, Any]
