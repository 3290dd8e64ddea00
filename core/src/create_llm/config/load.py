"""From llm.toml and the layers around it to one validated configuration."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from create_llm.config.addresses import with_source_of_address
from create_llm.config.attached import attached
from create_llm.config.checks import check_lengths, check_precision, check_vocabulary, filled_in
from create_llm.config.draft import Draft
from create_llm.config.hardware import Hardware, detect
from create_llm.config.layers import (
    dotenv_layer,
    environment_layer,
    flag_layer,
    hardware_layer,
    set_layer,
    template_layer,
    without_aliases,
)
from create_llm.config.mixture import (
    is_mixed,
    mixture_of,
    taken_over,
    without_replaced_mixture,
)
from create_llm.config.presets import preset_layer
from create_llm.config.problems import raise_all
from create_llm.config.resolved import Config, Selected
from create_llm.config.schema import (
    COMMAND_TABLES,
    MIX,
    SECTIONS,
    CheckpointConfig,
    DataConfig,
    GenerationConfig,
    LoggingConfig,
    ModelConfig,
    ProjectConfig,
    TrainingConfig,
)
from create_llm.config.sections import check_shape, core_keys, part_of
from create_llm.config.settings import settings_of
from create_llm.config.tables import tables_of
from create_llm.config.toml_file import read_toml
from create_llm.config.values import Entries, KeyPath, Layer, Value, merge
from create_llm.errors import CreateLLMError
from create_llm.kernel.plugins import Plugins
from create_llm.project.folder import CONFIG_NAME
from create_llm.project.own_plugin import plugins_of_project

ModelT = TypeVar("ModelT", bound=BaseModel)
Sections = Mapping[str, BaseModel | None]


def load_config(
    root: Path,
    plugins: Plugins,
    *,
    flags: Mapping[str, tuple[object, str]] = {},
    overrides: Sequence[str] = (),
    environ: Mapping[str, str] = os.environ,
    hardware: Hardware | None = None,
    given: Mapping[KeyPath, Value] = {},
) -> Config:
    """The configuration of the project in `root`, validated whole.

    Strongest first: flags, `--set`, the preset that one of these names (project.preset), the
    environment (CREATE_LLM_SECTION__KEY), .env, llm.toml, the preset that one of these names, the
    template, what follows from the hardware, the schema's defaults. An option of a part that a
    stronger layer has replaced by another part is left out.

    Args:
        flags: dotted key → (value, the flag as typed); None for a flag that was not given.
        overrides: "section.key=value", each.
        hardware: None: this machine.
        given: stronger than all of these.

    Raises:
        ConfigError: everything that is wrong, each with its place; a ConfigProblems once the
            file could be read.
        PluginError: a part or plugin that a person named is missing or has failed.
        StorageError: a file cannot be read.
    """
    problems: list[CreateLLMError] = []
    registry = plugins.registry
    file = read_toml(root / CONFIG_NAME)
    project = _named_by_schema(
        [file.entries, dotenv_layer(root / ".env"), environment_layer(environ)], problems
    )
    command = _named_by_schema(
        [set_layer(overrides, problems), flag_layer(flags), dict(given)], problems
    )
    known = len(problems)
    standing = preset_layer(registry, root, merge(project), Layer.PROJECT_PRESET, problems)
    called = preset_layer(registry, root, merge(command), Layer.PRESET, problems)
    stronger = [standing, *project, called, *command]
    above = merge(stronger)
    template = without_aliases(template_layer(registry, above, problems), problems)
    complete = len(problems) == known
    derived = hardware_layer(hardware or detect(), template | above)
    layers = with_source_of_address([derived, template, *stronger], registry, problems)
    layers = without_replaced_mixture(layers)
    own = plugins_of_project(root)
    return _resolve(Draft.of(plugins, file, layers, problems, complete=complete, own_plugins=own))


def _named_by_schema(layers: list[Entries], problems: list[CreateLLMError]) -> list[Entries]:
    return [without_aliases(entries, problems) for entries in layers]


def _resolve(draft: Draft) -> Config:
    check_shape(draft)
    core = {name: core_keys(draft, name) for name in SECTIONS}
    mixed = is_mixed(draft)
    parts = {name: part_of(draft, name, partial=mixed and name == MIX[0]) for name in SECTIONS}
    mixture = mixture_of(draft, parts["data"])
    callbacks = attached(draft)
    tables = {section: tables_of(draft, section) for section in COMMAND_TABLES}
    _check_together(draft, core, parts)
    raise_all(draft.problems)

    model, vocab_size = _chosen(parts, "model"), _section(core, ModelConfig).vocab_size
    data, training, followed = filled_in(
        _section(core, DataConfig), _section(core, TrainingConfig), model
    )
    source = _chosen(parts, "data")
    followed |= taken_over(mixture, source, draft.entries)
    config = Config(
        project=_section(core, ProjectConfig),
        data=data,
        training=training,
        checkpoints=_section(core, CheckpointConfig),
        logging=_section(core, LoggingConfig),
        generation=_section(core, GenerationConfig),
        model=model,
        vocab_size=vocab_size,
        tokenizer=_chosen(parts, "tokenizer"),
        source=source,
        mixture=mixture,
        objective=parts["objective"],
        plugins=callbacks.plugins,
        switches=callbacks.switches,
        callbacks=callbacks.callbacks,
        tables=tables,
        settings={},
    )
    return replace(config, settings=settings_of(config, draft.entries, followed))


def _check_together(draft: Draft, core: Sections, parts: Mapping[str, Selected | None]) -> None:
    """What only sections that are valid by themselves can be asked."""
    match core:
        case {"data": DataConfig() as data}:
            check_lengths(draft, data, parts["model"])
    match core:
        case {"model": ModelConfig() as model}:
            check_vocabulary(draft, model, parts["tokenizer"])
    match core:
        case {"training": TrainingConfig() as training}:
            check_precision(draft, training)


def _section(core: Sections, model: type[ModelT]) -> ModelT:
    """The section of this type; `raise_all` has seen to it that there is one."""
    return next(section for section in core.values() if isinstance(section, model))


def _chosen(parts: Mapping[str, Selected | None], section: str) -> Selected:
    selected = parts[section]
    assert selected is not None  # `raise_all` has seen to it
    return selected
