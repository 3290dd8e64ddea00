"""Files that one data source brings here and another one reads."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ValidationError

from create_llm.data.source import DataSource
from create_llm.errors import ConfigError
from create_llm.kernel.plugins import default_plugins

_OWN = ("train_path", "val_path")
"""Keys of the reading source that whoever hands on sets itself."""


def handed_on(reader: str, file: Path, options: Mapping[str, object], root: Path) -> DataSource:
    """The installed data source `reader` over one file inside of `root`.

    Args:
        options: its other keys, as a person writes them: [data.<reader>] of llm.toml.

    Raises:
        PluginError: it is not installed.
        ConfigError: it has no such key, or not with this value.
    """
    part = default_plugins().registry.get("data_sources", reader)
    model = part.config_model()
    assert model is not None  # it has a train_path, at least
    config = _options(reader, model, {**options, "train_path": file.relative_to(root).as_posix()})
    source: DataSource = part.load()(config, root)
    return source


def _options(reader: str, model: type[BaseModel], values: Mapping[str, object]) -> BaseModel:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        keys = [name for name in model.model_fields if name not in _OWN]
        found = error.errors(include_url=False)[0]
        key = ".".join(map(str, ("data", reader, *found["loc"])))
        raise ConfigError(
            f"{key} cannot be used: {found['msg']}",
            where="llm.toml",
            fixes=(f"the source '{reader}' has: {', '.join(keys)}",),
        ) from error
