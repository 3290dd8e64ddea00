"""`llm plugins install` and `uninstall`: plugins come and go with pip."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from create_llm.authoring.source import normalised
from create_llm.cli.app import App
from create_llm.cli.pip import install_with_pip, is_satisfied, run_pip
from create_llm.errors import ConfigError, PluginError, did_you_mean
from create_llm.kernel.catalogue import catalogue, distribution_of
from create_llm.kernel.entry_points import InstalledPlugin, installed_plugins
from create_llm.kernel.plugins import CORE, PluginRecord, unusable


@click.command("install")
@click.argument("names", nargs=-1, metavar="[NAME]…")
@click.option(
    "-e",
    "--editable",
    "editables",
    multiple=True,
    metavar="PATH",
    help="A folder with a package of your own: later changes count without installing again.",
)
@click.option("--upgrade", is_flag=True, help="Replace an installed version by the newest.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask about names that are not ours.")
@click.pass_obj
def install(
    app: App, names: tuple[str, ...], editables: tuple[str, ...], upgrade: bool, yes: bool
) -> None:
    """Install plugins with pip, into this environment.

    NAME is the short name of a first-party plugin or part, or anything pip accepts: the name of
    a distribution, a folder, a wheel, a URL. Plugins run with full trust: install what you trust.

    \b
    Examples: llm plugins install gpt
              llm plugins install --editable my-plugin
    """
    specifications = [_specification(name) for name in names]
    strangers = [name for name in specifications if _is_stranger(name)]
    arguments = _pip_arguments(app.root, specifications, editables)
    if strangers and not (yes or _trusted(strangers, app.root)):
        click.echo("nothing was installed")
        return
    before = set(installed_plugins())
    installed = install_with_pip([*(["--upgrade"] if upgrade else []), *arguments], app.root)
    asked = {*map(normalised, installed), *map(_bare, specifications)}
    _say_what_came_of(asked, before, something_installed=bool(installed))


def _say_what_came_of(
    asked: set[str], before: set[InstalledPlugin], *, something_installed: bool
) -> None:
    """
    Args:
        asked: names of the distributions that were installed or asked for, normalised.

    Raises:
        PluginError: a plugin of theirs, or a new one, does not load.
    """
    from create_llm.authoring.afresh import plugins_afresh

    records = [
        record
        for record in plugins_afresh()
        if normalised(record.plugin.distribution) in asked or record.plugin not in before
    ]
    failed = [record for record in records if record.status == "failed"]
    sound = [record.plugin for record in records if record not in failed]
    for plugin in sound:
        if plugin not in before:
            click.echo(f"plugin '{plugin.name}' ({plugin.distribution} {plugin.version}) is ready")
    again = ", ".join(plugin.name for plugin in sound if plugin in before)
    if again and something_installed:
        click.echo(f"installed; the plugins are those that were there before: {again}")
    elif again:
        click.echo(f"this was installed already, and nothing had to be done: {again}")
    if failed:
        raise _installed_but(failed)
    if not records:
        click.echo("what was installed brings no plugin")


def _installed_but(failed: list[PluginRecord]) -> PluginError:
    errors = [unusable(record) for record in failed]
    return PluginError(
        f"installed, but {'; '.join(error.what for error in errors)}",
        where=", ".join(filter(None, (error.where for error in errors))) or None,
        fixes=dict.fromkeys(fix for error in errors for fix in error.fixes),
    )


@click.command("uninstall")
@click.argument("names", nargs=-1, required=True, metavar="NAME…")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def uninstall(app: App, names: tuple[str, ...], yes: bool) -> None:
    """Remove plugins with pip, from this environment.

    NAME is the name of a plugin, as `llm plugins list` shows it, or of its distribution.

    \b
    Example: llm plugins uninstall gpt --yes
    """
    distributions = sorted({_installed_distribution(name, app) for name in names})
    if not (yes or _confirmed(distributions)):
        click.echo("nothing was removed")
        return
    run_pip(["uninstall", "--yes", "--", *distributions], app.root)
    left = {plugin.distribution for plugin in _installed_now()} & set(distributions)
    if left:
        raise PluginError(
            f"pip left this in place: {', '.join(sorted(left))}",
            fixes=("pip says above where it lies; remove it there",),
        )
    click.echo(f"removed: {', '.join(distributions)}")


def _specification(name: str) -> str:
    """What pip is given: a first-party short name in full, with its version if one is written."""
    if name.startswith("-"):
        raise ConfigError(
            f"'{name}' is an option of pip, not a plugin",
            fixes=("give names, folders or wheels: llm plugins install gpt",),
        )
    match = re.fullmatch(r"([A-Za-z0-9][A-Za-z0-9_-]*)((?:[\[=<>!~].*)?)", name)
    distribution = _first_party(match[1]) if match else None
    return f"{distribution}{match[2]}" if match and distribution else name


def _pip_arguments(
    root: Path, specifications: Sequence[str], editables: Sequence[str]
) -> list[str]:
    """Raises ConfigError where there is nothing to install, or a folder that is no package."""
    if not specifications and not editables:
        raise ConfigError(
            "what shall be installed?",
            fixes=("name a plugin: llm plugins install gpt", "or a folder: --editable my-plugin"),
        )
    folders = [_local_folder(root, specification) for specification in specifications]
    folders += [_package_folder(root, path) for path in editables]
    # An isolated build fetches what it needs, though it may be here; this one needs no network.
    ready = all(folder is not None and is_satisfied(_build_needs(folder)) for folder in folders)
    return [
        *(["--no-build-isolation"] if ready else []),
        *(word for path in editables for word in ("--editable", path)),
        "--",
        *specifications,
    ]


def _local_folder(root: Path, specification: str) -> Path | None:
    """The folder that pip would take a specification for, if any; extras may follow its name."""
    path = _without_extras(specification)
    named = "/" in path or os.sep in path or path.startswith(".")
    return root / path if named and (root / path).is_dir() else None


def _package_folder(root: Path, path: str) -> Path:
    folder = root / _without_extras(path)
    if _is_package(folder):
        return folder
    raise ConfigError(
        f"'{path}' is no folder with a package: it holds no pyproject.toml",
        where=str(folder),
        fixes=("check the path", "or make a package: llm plugins new my-plugin"),
    )


def _is_package(folder: Path) -> bool:
    return any((folder / name).is_file() for name in ("pyproject.toml", "setup.py"))


def _without_extras(specification: str) -> str:
    return re.sub(r"\[[^\]]*\]$", "", specification)


def _build_needs(folder: Path) -> list[str]:
    """What building the package takes, as its pyproject.toml says."""
    import tomllib

    try:
        text = (folder / "pyproject.toml").read_text(encoding="utf-8")
        needs = tomllib.loads(text)["build-system"]["requires"]
    except (FileNotFoundError, KeyError):
        needs = ["setuptools>=40.8.0"]  # what PEP 518 takes for granted
    except ValueError as error:
        raise ConfigError(
            f"pyproject.toml cannot be read: {error}",
            where=str(folder / "pyproject.toml"),
            fixes=("correct it",),
        ) from error
    return [str(need) for need in needs]


def _is_stranger(specification: str) -> bool:
    """A bare name that is not ours: easily a misspelling that somebody else has registered."""
    bare = re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*(?:[\[=<>!~].*)?", specification)
    name = re.split(r"[\[=<>!~]", specification, maxsplit=1)[0]
    ours = {*catalogue(), CORE.distribution, "create-llm"}
    return bool(bare) and not specification.endswith(".whl") and normalised(name) not in ours


def _first_party(name: str) -> str | None:
    """The first-party distribution of a plugin or part with this short name."""
    providers = [
        distribution
        for distribution, kinds in catalogue().items()
        if any(name in names for names in kinds.values())
    ]
    return distribution_of(name) or (providers[0] if len(providers) == 1 else None)


def _trusted(strangers: list[str], root: Path) -> bool:
    """Whether somebody says yes to names that the index may have from anybody."""
    local = [name for name in map(_without_extras, strangers) if _is_package(root / name)]
    fixes = [
        fix
        for name in local
        for fix in (
            f"to install the folder '{name}' instead: llm plugins install ./{name}",
            f"or, while you work on it: llm plugins install --editable {name}",
        )
    ]
    beside = f" (It is not the folder here: that is ./{local[0]}.)" if local else ""
    return _agreed(
        f"{', '.join(strangers)} is not one of create-llm's own packages, and whatever has that "
        f"name on the package index would run with your rights.{beside} Install it?",
        fixes,
    )


def _installed_distribution(name: str, app: App) -> str:
    """The distribution of an installed plugin.

    Raises:
        ConfigError: it is the core, or no plugin, or the name of several.
    """
    if normalised(name) in (CORE.name, CORE.distribution):
        raise ConfigError(
            "the core cannot remove itself",
            fixes=("to remove create-llm altogether: pip uninstall create-llm-core",),
        )
    records = [record.plugin for record in app.plugins.records if record.plugin is not CORE]
    exact = {p.distribution for p in records if normalised(p.distribution) == normalised(name)}
    found = exact or {p.distribution for p in records if p.name == name}
    if len(found) == 1:
        return found.pop()
    if found:
        raise ConfigError(
            f"several distributions have a plugin '{name}'",
            fixes=(f"write one of: {', '.join(sorted(found))}",),
        )
    raise ConfigError(
        f"no plugin '{name}' is installed",
        fixes=(*did_you_mean(name, [p.name for p in records]), "see: llm plugins list"),
    )


def _bare(specification: str) -> str:
    """The name in a specification, without extras and versions; nobody's, of a path."""
    return normalised(re.split(r"[\[=<>!~ ]", specification, maxsplit=1)[0])


def _confirmed(distributions: list[str]) -> bool:
    return _agreed(f"Remove {', '.join(distributions)}?")


def _agreed(question: str, fixes: Sequence[str] = ()) -> bool:
    if not sys.stdin.isatty():
        raise ConfigError(f"{question} Nobody can answer here", fixes=(*fixes, "say so: --yes"))
    for fix in fixes:
        click.echo(fix, err=True)
    return click.confirm(question, err=True)


def _installed_now() -> list[InstalledPlugin]:
    import importlib

    importlib.invalidate_caches()
    return installed_plugins()
