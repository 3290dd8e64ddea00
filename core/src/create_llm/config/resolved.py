"""The resolved configuration: what the other rooms read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import BaseModel

from create_llm.config.schema import (
    CheckpointConfig,
    DataConfig,
    GenerationConfig,
    LoggingConfig,
    ProjectConfig,
    TrainingConfig,
)
from create_llm.config.values import Source
from create_llm.kernel.registry import Part


@dataclass(frozen=True, slots=True)
class Selected:
    """A part that the configuration chose.

    Attributes:
        options: its validated options; None where it takes none.
        name: as the configuration spells it: `name`, or `distribution/name`.
    """

    part: Part
    options: BaseModel | None
    name: str = ""

    def as_dict(self) -> dict[str, object]:
        """The options as JSON has them; secrets come as asterisks."""
        return {} if self.options is None else self.options.model_dump(mode="json", by_alias=True)


@dataclass(frozen=True, slots=True)
class MixedSource:
    """One source of a mixture: [data.mix.NAME]."""

    name: str
    weight: float
    source: Selected

    def as_dict(self) -> dict[str, object]:
        """Its table as JSON has it, with what it takes over from [data]."""
        return {"weight": self.weight, "source": self.source.name, **self.source.as_dict()}


@dataclass(frozen=True, slots=True)
class Setting:
    """One resolved value, where it came from, and whether it tells one run from another."""

    value: object
    source: Source
    identity: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Everything that llm.toml and the layers above and below it say, validated.

    `data.max_length`, `data.stride` and `training.sample_interval` are filled in where they were
    left to follow another key.

    Attributes:
        source: where the text comes from. With a mixture, what its sources take over: its options
            are None where it could not stand alone.
        mixture: the sources that are read instead, by name; empty without [data.mix].
        vocab_size: of the model; None: as many as the tokenizer has.
        objective: None: the architecture's default.
        callbacks: in the order they are called.
        plugins: the names in `plugins = […]`.
        switches: `[logging] NAME = true or false`, for callbacks.
        tables: section of a command's parts ("deployment") → part → what its table says, validated
            where the part is installed.
        settings: every resolved key, dotted, with its source.
    """

    project: ProjectConfig
    data: DataConfig
    training: TrainingConfig
    checkpoints: CheckpointConfig
    logging: LoggingConfig
    generation: GenerationConfig
    model: Selected
    vocab_size: int | None
    tokenizer: Selected
    source: Selected
    mixture: tuple[MixedSource, ...]
    objective: Selected | None
    plugins: tuple[str, ...]
    switches: Mapping[str, bool]
    callbacks: tuple[Selected, ...]
    tables: Mapping[str, Mapping[str, Mapping[str, object]]]
    settings: Mapping[str, Setting]

    def identity(self) -> dict[str, object]:
        """Dotted key → JSON value, for the keys whose change makes another run."""
        return {key: setting.value for key, setting in self.settings.items() if setting.identity}

    def as_dict(self) -> dict[str, object]:
        """All of it, nested as llm.toml nests it: JSON values, no secrets."""
        chosen = {"model": self.model, "tokenizer": self.tokenizer, "objective": self.objective}
        named: dict[str, dict[str, object]] = {
            section: {"name": part.name or part.part.name, **part.as_dict()}
            if part
            else {"name": None}
            for section, part in chosen.items()
        }
        named["model"]["vocab_size"] = self.vocab_size
        return {
            "plugins": list(self.plugins),
            "project": self.project.model_dump(mode="json"),
            **named,
            "data": {
                **self.data.model_dump(mode="json"),
                **self.source.as_dict(),
                "mix": {each.name: each.as_dict() for each in self.mixture},
            },
            "training": self.training.model_dump(mode="json"),
            "checkpoints": self.checkpoints.model_dump(mode="json"),
            "logging": {**self.logging.model_dump(mode="json"), **self.switches},
            "generation": self.generation.model_dump(mode="json"),
            "callbacks": {callback.part.name: callback.as_dict() for callback in self.callbacks},
            **{
                section: {name: dict(table) for name, table in parts.items()}
                for section, parts in self.tables.items()
                if parts
            },
        }
