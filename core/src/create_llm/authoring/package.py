"""The files of a new plugin: a small package of one working part, to be changed into another.

Skeletons are text files with `$` placeholders, below skeletons/: `common` is for all kinds, the
folder of a kind has what differs, and in skeleton.toml what the README says about it.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from string import Template

from create_llm import __version__
from create_llm.authoring.names import PluginName
from create_llm.errors import ConfigError, did_you_mean
from create_llm.kernel.compatible import compatible_range
from create_llm.kernel.kinds import KINDS
from create_llm.kernel.plugins import CORE

SKELETONS = Path(__file__).with_name("skeletons")

_COMMON = "common"
_FACTS = "skeleton.toml"
_SUFFIX = ".tmpl"
_RENAMED = {"gitignore": ".gitignore"}
_OURS = "create-llm-"
_CONFIG = "src/module/config.py"
_CONFIG_ROW = "| `src/{module}/config.py` | its keys in `llm.toml`, described and checked |\n"


@dataclass(frozen=True, slots=True)
class Use:
    """How a part is put to use: lines of llm.toml ("toml") or a command ("sh")."""

    language: str
    text: str


def kind_called(text: str) -> str:
    """The name of a kind, from its plural or singular, with dashes, blanks or underscores.

    Raises:
        ConfigError: there is no such kind.
    """
    plain = text.strip().lower().replace("_", "-").replace(" ", "-")
    for kind in KINDS.values():
        if plain in (kind.written, kind.name.replace("_", "-")):
            return kind.name
    names = [kind.written for kind in KINDS.values()]
    raise ConfigError(
        f"there is no kind of part called '{text}'",
        where="--kind",
        fixes=(*did_you_mean(text, names), f"choose one of: {', '.join(names)}"),
    )


def package_files(kind: str, name: PluginName) -> dict[str, str]:
    """Path → text of every file of a package that brings one part of this kind."""
    texts = {path: _read(file) for path, file in _skeleton_files(kind)}
    values = _values(kind, name, has_config=_CONFIG in texts)
    return {
        path.replace("/module/", f"/{name.module}/"): Template(text).substitute(values)
        for path, text in texts.items()
    }


def use_of(kind: str, name: PluginName) -> Use:
    """What to write, or to run, so that the new part is used."""
    values = _values(kind, name, has_config=False)
    return Use(values["language"], values["use"])


def _skeleton_files(kind: str) -> Iterator[tuple[str, Path]]:
    """Paths in the package, and the files that they are made from."""
    for folder in (SKELETONS / _COMMON, SKELETONS / kind):
        for file in sorted(folder.rglob(f"*{_SUFFIX}")):
            path = file.relative_to(folder).as_posix().removesuffix(_SUFFIX)
            yield _RENAMED.get(path, path), file


def _values(kind: str, name: PluginName, *, has_config: bool) -> dict[str, str]:
    facts = tomllib.loads(_read(SKELETONS / kind / _FACTS))
    needed = (CORE.distribution, *facts.get("dependencies", ()))
    return {
        "name": name.plugin,
        "distribution": name.distribution,
        "module": name.module,
        "singular": KINDS[kind].singular,
        "summary": facts["summary"],
        "body": facts["body"],
        "about": facts["about"],
        "language": facts["language"],
        "use": Template(facts["use"]).substitute(name=name.plugin),
        "dependencies": ", ".join(f'"{_required(package)}"' for package in needed),
        "config_row": _CONFIG_ROW.format(module=name.module) if has_config else "",
    }


def _required(package: str) -> str:
    """Packages of ours as they go with this release; others stand in a skeleton with theirs."""
    return f"{package}{compatible_range(__version__)}" if package.startswith(_OURS) else package


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")
