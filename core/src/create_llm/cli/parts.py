"""Parts that a command uses: found by name, with their table of llm.toml."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from create_llm.cli.app import App
from create_llm.errors import ConfigError, CreateLLMError
from create_llm.project.folder import CONFIG_NAME

if TYPE_CHECKING:
    from pydantic import BaseModel

    from create_llm.kernel.registry import Part


def configured_part(
    app: App, kind: str, name: str, *, where: str, **given: object
) -> tuple[Part, BaseModel | None]:
    """The part, and its options: those of its table, below what is given (and not None).

    Outside of a project the table is what `--set`, the environment and .env say of it.

    Raises:
        PluginError: there is no such part.
        ConfigError: a key is wrong, or one is missing.
    """
    from pydantic import ValidationError

    from create_llm.config.problems import fixes_for, in_plain_words

    part = app.plugins.registry.get(kind, name, where=where)
    model = part.config_model()
    section, table = _table(app, part)  # which refuses keys that the part does not have
    if model is None:
        return part, None
    table |= {name: value for name, value in given.items() if value is not None}
    try:
        return part, model(**table)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(map(str, (section, part.name, *first["loc"])))
        field = model.model_fields.get(str(first["loc"][0])) if first["loc"] else None
        raise ConfigError(
            f"{key} {in_plain_words(first)}",
            where=CONFIG_NAME,
            fixes=fixes_for(key, first, field),
        ) from error


def _table(app: App, part: Part) -> tuple[str, dict[str, object]]:
    """The section of the part's kind, and what is said there of the part."""
    from create_llm.config import load_config
    from create_llm.config.schema import PART_TABLES
    from create_llm.project.folder import project_around

    section = next(name for name, kind in PART_TABLES.items() if kind == part.kind)
    project = project_around(app.root)
    if project is None:
        tables = _tables_alone(app, section)
    else:
        tables = load_config(project.root, app.plugins, overrides=app.overrides).tables[section]
    return section, dict(tables.get(part.name, {}))


def _tables_alone(app: App, section: str) -> Mapping[str, Mapping[str, object]]:
    """Part → its table, without the rest of a configuration: no model is to be chosen here.

    Raises:
        ConfigError: there is no such section or key.
    """
    from create_llm.config.draft import Draft
    from create_llm.config.layers import dotenv_layer, environment_layer, set_layer
    from create_llm.config.problems import raise_all
    from create_llm.config.sections import check_shape
    from create_llm.config.tables import tables_of
    from create_llm.config.toml_file import TomlFile

    problems: list[CreateLLMError] = []
    around = [dotenv_layer(app.root / ".env"), environment_layer(os.environ)]
    layers = [*around, set_layer(app.overrides, problems)]
    draft = Draft.of(app.plugins, TomlFile(CONFIG_NAME), layers, problems, complete=True)
    check_shape(draft)
    tables = tables_of(draft, section)
    raise_all(problems)
    return tables
