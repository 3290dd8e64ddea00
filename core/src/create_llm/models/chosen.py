"""Which objective a run or a bundle has: the one that was named, or its architecture's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from create_llm.config import Config
from create_llm.data.tokenizer import Tokenizer
from create_llm.errors import ConfigError, DataError
from create_llm.kernel.registry import Part, Registry
from create_llm.models.architecture import Architecture
from create_llm.models.bundle import ModelBundle
from create_llm.models.objective import Objective


@dataclass(frozen=True, slots=True)
class ChosenObjective:
    """An objective that waits for its tokenizer."""

    part: Part
    options: BaseModel | None

    @property
    def control_tokens(self) -> tuple[str, ...]:
        tokens: tuple[str, ...] = self.part.load().control_tokens
        return tokens

    def build(self, tokenizer: Tokenizer) -> Objective:
        objective: Objective = self.part.load()(self.options, tokenizer)
        return objective

    def as_dict(self) -> dict[str, Any]:
        """As a bundle keeps it."""
        options = self.options.model_dump(mode="json") if self.options else {}
        return {"name": self.part.name, **options}


def objective_of_run(config: Config, registry: Registry) -> ChosenObjective:
    """The objective that a configuration names, or the default of its architecture.

    Raises:
        ConfigError: an objective that cannot train that architecture, or not in the way that the
            configuration asks for.
        PluginError: the package that brings it is not installed.
    """
    architecture: type[Architecture] = config.model.part.load()
    chosen = _chosen(config, architecture, registry)
    if config.data.packing == "isolated":
        _refuse_unless_isolated(config, architecture, chosen.part.load())
    return chosen


def _refuse_unless_isolated(
    config: Config, architecture: type[Architecture], objective: type[Objective]
) -> None:
    if objective.isolates and "isolated" in architecture.capabilities:
        return
    what = f"model '{config.model.name}'" if objective.isolates else "the objective"
    raise ConfigError(
        f"{what} cannot keep the documents of a sequence apart",
        where=config.settings["data.packing"].source.label,
        fixes=("leave data.packing out: it is joined then",),
    )


def _chosen(
    config: Config, architecture: type[Architecture], registry: Registry
) -> ChosenObjective:
    selected = config.objective
    if selected is None:
        return default_objective(architecture, registry, config.model.name)
    trains: frozenset[str] = selected.part.load().trains
    if trains and not trains & architecture.capabilities:
        raise ConfigError(
            f"objective '{selected.name}' trains models that are {_listed(trains)}; "
            f"'{config.model.name}' is {_listed(architecture.capabilities)}",
            where=config.settings["objective.name"].source.label,
            fixes=(
                "leave objective.name out: an architecture knows what it is made for",
                "or choose another architecture: llm config explain model.name",
            ),
        )
    return ChosenObjective(selected.part, selected.options)


def _listed(capabilities: frozenset[str]) -> str:
    return " or ".join(sorted(capabilities - {"generate", "isolated"})) or "of no kind"


def objective_of_bundle(
    bundle: ModelBundle, architecture: Architecture, registry: Registry
) -> ChosenObjective:
    """The objective that a bundle was trained with.

    Raises:
        DataError: its options are not what the installed objective takes.
        PluginError: the package that brings it is not installed.
    """
    info = bundle.info
    if "objective" not in info:  # written by version 0.1.0
        return default_objective(type(architecture), registry, info["architecture"])
    options = dict(info["objective"])
    part = bundle.part("objectives", options.pop("name"), registry)
    try:
        model = part.config_model()
        return ChosenObjective(part, model(**options) if model else None)
    except ValidationError as error:
        raise DataError(
            f"the bundle's objective cannot be used: {error.errors()[0]['msg']}",
            where=str(bundle.path),
            fixes=(f"update {part.distribution}, or take the version that wrote the bundle",),
        ) from error


def default_objective(
    architecture: type[Architecture], registry: Registry, name: str
) -> ChosenObjective:
    """The objective that an architecture is trained with unless another is chosen.

    Raises:
        PluginError: the package that brings it is not installed.
    """
    where = f"the default of architecture '{name}'"
    part = registry.get("objectives", architecture.default_objective, where=where)
    model = part.config_model()
    return ChosenObjective(part, model() if model else None)
