"""Parts that a command uses: found by name, with their table of llm.toml."""

from __future__ import annotations

from typing import TYPE_CHECKING

from create_llm.cli.app import App
from create_llm.errors import ConfigError

if TYPE_CHECKING:
    from pydantic import BaseModel

    from create_llm.kernel.registry import Part


def configured_part(
    app: App, kind: str, name: str, *, where: str, **given: object
) -> tuple[Part, BaseModel | None]:
    """The part, and its options: those of its table, below what is given (and not None).

    Raises:
        PluginError: there is no such part.
        ConfigError: a key is wrong, or one is missing.
    """
    from pydantic import ValidationError

    part = app.plugins.registry.get(kind, name, where=where)
    model = part.config_model()
    if model is None:
        return part, None
    section, table = _table(app, part)
    table |= {name: value for name, value in given.items() if value is not None}
    try:
        return part, model(**table)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, (section, part.name, *first["loc"])))
        raise ConfigError(
            f"{key}: {first['msg']}",
            where="llm.toml",
            fixes=(f"set it: --set {key}=…", f"see what it takes: llm config explain {key}"),
        ) from error


def _table(app: App, part: Part) -> tuple[str, dict[str, object]]:
    """The section of the part's kind, and what the project says there of the part."""
    from create_llm.config import load_config
    from create_llm.config.schema import PART_TABLES
    from create_llm.project.folder import find_project

    section = next(name for name, kind in PART_TABLES.items() if kind == part.kind)
    project = find_project(app.root)
    config = load_config(project.root, app.plugins, overrides=app.overrides)
    return section, dict(config.tables[section].get(part.name, {}))
