"""The template contract: a size of model to start a project from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Hardware:
    """What a template needs, in the words its README uses; memory in GB."""

    min_ram_gb: float
    recommended_gpu: str | None
    can_run_on_cpu: bool


@dataclass(frozen=True, slots=True)
class Template:
    """What `register_templates` names.

    Attributes:
        parameters: trainable parameters at the template's own vocabulary, within 5 %.
        values: as llm.toml nests them: section → key → value, and `plugins` above all sections.
        time: what training takes on the hardware it is meant for.
        first_changes: two or three sentences for the README: what to change first, and why.
        package: the kind of part that a project made from it brings itself, as a plugin of its own
            name; the template then leaves the choice of that part to the project.
        default: the one used where a project names none; one installed template says so.
    """

    name: str
    title: str
    parameters: int
    values: Mapping[str, Any]
    hardware: Hardware
    time: str
    first_changes: tuple[str, ...]
    default: bool = False
    package: str | None = None
