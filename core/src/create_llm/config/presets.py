"""Presets as layers: those that packages bring, and those that a project has saved."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from create_llm.config.javascript import read_static
from create_llm.config.layers import without_aliases
from create_llm.config.problems import shown
from create_llm.config.schema import PART_TABLES, SECTIONS
from create_llm.config.toml_file import read_toml
from create_llm.config.toml_lines import line_of
from create_llm.config.values import (
    Entries,
    KeyPath,
    Layer,
    Source,
    Value,
    dotted,
    leaves,
    under,
)
from create_llm.errors import ConfigError, CreateLLMError, PluginError, did_you_mean
from create_llm.kernel.registry import Part, Registry
from create_llm.project.presets import Preset

PRESET_KEY = ("project", "preset")

FOLDER = Path("training", "presets")
"""Where a project keeps its own."""

_SUFFIXES = (".toml", ".json")
_ABOUT: dict[str, Callable[[object], bool]] = {
    "title": lambda value: isinstance(value, str),
    "description": lambda value: isinstance(value, str),
    "use_cases": lambda value: isinstance(value, list) and all(isinstance(v, str) for v in value),
}
"""What a file says of itself, above all sections, and whether a value will do."""


def preset_layer(
    registry: Registry,
    root: Path,
    naming: Entries,
    layer: Layer,
    problems: list[CreateLLMError],
) -> Entries:
    """The values of the preset that `naming` names, if it names one.

    It is an installed one, a file of the project's training/presets, or the path of such a file,
    relative to the project.
    """
    chosen = naming.get(PRESET_KEY)
    if chosen is None or not chosen.data or not isinstance(chosen.data, str):
        return {}  # the schema says what is wrong with anything else
    try:
        entries = _found(registry, root, chosen.data, chosen.source.label, layer)
    except CreateLLMError as error:
        problems.append(error)
        return {}
    entries = without_aliases(_without_about(entries, problems), problems)
    return _without_project(entries, problems)


def _found(registry: Registry, root: Path, name: str, where: str, layer: Layer) -> Entries:
    if name.endswith(_SUFFIXES):
        return _read(root, Path(name), where, layer)
    saved = [file for file in _saved(root) if file.stem == name]
    parts = [part for part in registry.parts("presets") if part.name == name]
    if saved and len(saved) + len(parts) > 1:
        raise _several(name, saved, parts, where)
    if saved:
        return _read(root, saved[0], where, layer)
    if not parts and did_you_mean(name, [file.stem for file in _saved(root)]):
        # The registry would suspect a plugin that failed to load of having had it.
        raise _unknown(registry, root, name, where)
    try:
        preset = _load(registry.get("presets", name, where=where))
    except ConfigError as error:
        raise error if parts else _unknown(registry, root, name, where) from None
    source = Source(f"preset {preset.name}", layer)
    return {path: Value(value, source) for path, value in leaves(preset.values)}


def _saved(root: Path) -> list[Path]:
    """The files of the project's own presets, relative to it."""
    files = sorted((root / FOLDER).glob("*"))
    return [FOLDER / file.name for file in files if file.suffix in _SUFFIXES]


def _load(part: Part) -> Preset:
    preset = part.load()
    if isinstance(preset, Preset):
        return preset
    raise PluginError(
        f"preset '{part.name}' is not a Preset",
        where=f"'{part.target}', registered by {part.distribution}",
        fixes=(
            f"update it: llm plugins install {part.distribution} --upgrade",
            "or choose another: llm plugins list",
        ),
    )


def _read(root: Path, file: Path, where: str, layer: Layer) -> Entries:
    """
    Raises:
        ConfigError: there is no such file, or it is not data.
        StorageError: it cannot be read.
    """
    if not _is_file(root / file):
        raise ConfigError(
            f"there is no preset file '{file}'",
            where=where,
            fixes=(f"paths are relative to the project: {root}", *_one_of(_saved(root))),
        )
    values, line = _toml(root / file) if file.suffix == ".toml" else _json(root / file)
    return {
        path: Value(value, Source(f"preset {file.stem} ({file}:{line(path)})", layer))
        for path, value in values.items()
    }


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name too long for any file
        return False


_Data = tuple[dict[KeyPath, object], Callable[[KeyPath], int]]


def _toml(path: Path) -> _Data:
    file = read_toml(path)
    values = {key: value.data for key, value in file.entries.items()}
    return values, lambda key: line_of(file.lines, key)


def _json(path: Path) -> _Data:
    data = read_static(path)
    for skipped in data.skipped:
        raise ConfigError(
            f"{dotted(skipped.path) or 'the file'} is not plain data: it {skipped.reason}",
            where=f"{path.name}:{skipped.place.line}",
            fixes=("write the value itself", "or take it out"),
        )
    return dict(leaves(data.table)), lambda key: data.places[key].line


def _without_about(entries: Entries, problems: list[CreateLLMError]) -> Entries:
    """The settings, without what a file says of itself and what is neither."""
    settings = {}
    for path, value in entries.items():
        fits = _ABOUT.get(path[0])
        if fits and not (len(path) == 1 and fits(value.data)):
            problems.append(
                ConfigError(
                    f"{dotted(path)} must be text, or for use_cases a list of texts, "
                    f"got {shown(value.data)}",
                    where=value.source.label,
                    fixes=('for example: title = "Quick try"', "or leave it out"),
                )
            )
        elif not fits and len(path) == 1 and path[0] not in _homes():
            problems.append(_stray(path[0], value))
        elif not fits:
            settings[path] = value
    return settings


def _homes() -> list[str]:
    return [*SECTIONS, *PART_TABLES, "plugins"]


def _stray(name: str, value: Value) -> ConfigError:
    known = [*_ABOUT, *_homes()]
    near = did_you_mean(name, known)
    return ConfigError(
        f"'{name}' stands outside any section of the preset",
        where=value.source.label,
        fixes=(*near, f"above the sections can stand: {', '.join(_ABOUT)}, plugins"),
    )


def _without_project(entries: Entries, problems: list[CreateLLMError]) -> Entries:
    for path, value in under(entries, "project").items():
        problems.append(
            ConfigError(
                f"a preset cannot set {dotted(path)}",
                where=value.source.label,
                fixes=("take it out", "what a project is, its llm.toml says: [project]"),
            )
        )
    return {path: value for path, value in entries.items() if path[0] != "project"}


def _several(name: str, saved: list[Path], parts: list[Part], where: str) -> ConfigError:
    choices = [*map(str, saved), *(f"{part.distribution}/{part.name}" for part in parts)]
    return ConfigError(
        f"several presets are called '{name}'",
        where=where,
        fixes=(f"write one of: {', '.join(choices)}", f"or rename the file {saved[0]}"),
    )


def _unknown(registry: Registry, root: Path, name: str, where: str) -> ConfigError:
    installed, saved = registry.names("presets"), _saved(root)
    return ConfigError(
        f"there is no preset called '{name}'",
        where=where,
        fixes=(
            *did_you_mean(name, [*installed, *(file.stem for file in saved)]),
            f"installed are: {', '.join(installed) or 'none'}",
            *_one_of(saved),
            f"or save one as {FOLDER / f'{name}.toml'}: the sections of llm.toml that it is about"
            if Path(name).name == name
            else "a file's path ends in .toml or .json",
        ),
    )


def _one_of(saved: list[Path]) -> tuple[str, ...]:
    return (f"saved are: {', '.join(map(str, saved))}",) if saved else ()
