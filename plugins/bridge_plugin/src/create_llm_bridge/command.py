"""create-llm bridge: which models Simon Willison's llm knows, and by what names."""

from __future__ import annotations

import json
from pathlib import Path

import click

from create_llm.cli.app import App


@click.group(
    epilog="\b\nExamples:\n  create-llm bridge add .\n"
    "  create-llm bridge add models/v2 --name shakespeare\n"
    '  llm -m shakespeare "ROMEO:"'
)
def command() -> None:
    """Make models known to Simon Willison's llm, which is installed in this environment too.

    Both programs are called `llm`; this one is `create-llm` as well, and that one `python -m llm`.
    """


@command.command("add", epilog="\b\nExample:\n  create-llm bridge add models/v2 --name bard")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--name", help="What to call it there. Unset: the folder, or the project and the version."
)
@click.pass_obj
def add(app: App, folder: Path, name: str | None) -> None:
    """Register FOLDER: a model bundle, or a project with all of its versions, also later ones.

    A project's name stands for the version that is active when the model is asked. The model
    stays where it is. A name that was registered before now means this folder.
    """
    from create_llm_bridge.registered import file, is_project, read, with_versions, write

    path, place = file(), (app.root / folder).resolve()
    if not is_project(place):
        _check_bundle(place)
    models = read(path)
    chosen = name or _default_name(place)
    _check_name(chosen, dict(with_versions(models)))
    write(path, {**models, chosen: place})
    for known, where in with_versions({chosen: place}):
        click.echo(f"{known}  {where}")
    click.echo(f'ask it: python -m llm -m {chosen} "…"', err=True)


@command.command("list", epilog="\b\nExample:\n  create-llm bridge list --json")
@click.option("--json", "as_json", is_flag=True, help="Print the models as JSON on stdout.")
def show(as_json: bool) -> None:
    """What is registered: names and folders."""
    from create_llm_bridge.registered import file, read, with_versions

    path = file()
    models = dict(with_versions(read(path)))
    if as_json:
        listed = [{"name": name, "path": str(folder)} for name, folder in models.items()]
        click.echo(json.dumps({"file": str(path), "models": listed}, ensure_ascii=False))
        return
    if not models:
        click.echo("No models yet. Add one: create-llm bridge add FOLDER")
    for name, folder in models.items():
        click.echo(f"{name}  {folder}{'' if folder.is_dir() else '  (gone)'}")


@command.command("remove", epilog="\b\nExample:\n  create-llm bridge remove shakespeare")
@click.argument("name")
def remove(name: str) -> None:
    """Forget NAME; the model itself stays."""
    from create_llm.errors import ConfigError, did_you_mean
    from create_llm_bridge.registered import file, read, write

    path = file()
    models = read(path)
    if name not in models:
        raise ConfigError(
            f"no model is registered as '{name}'",
            where=str(path),
            fixes=(*did_you_mean(name, models), "see what there is: create-llm bridge list"),
        )
    del models[name]
    write(path, models)


def _check_bundle(folder: Path) -> None:
    """
    Raises:
        DataError: the folder is none.
    """
    from create_llm.models.bundle import ModelBundle

    ModelBundle.open(folder)


def _default_name(folder: Path) -> str:
    from create_llm_bridge.registered import is_project

    project = folder.parent.parent
    if folder.parent.name == "models" and is_project(project):
        return f"{project.name}/{folder.name}"
    return folder.name


def _check_name(name: str, ours: dict[str, Path]) -> None:
    """
    Raises:
        ConfigError: the other program could not be asked by that name, or means another's model.
    """
    from create_llm.errors import ConfigError

    if not name or name.startswith("-") or not name.isprintable() or " " in name:
        raise ConfigError(
            f"'{name}' cannot be a model's name: it must not be empty, begin with '-' or hold "
            "spaces",
            where="--name",
        )
    import llm  # type: ignore[import-not-found, unused-ignore]

    if name not in ours and name in llm.get_model_aliases():
        raise ConfigError(
            f"llm already has a model called '{name}'",
            where="--name",
            fixes=(f"choose another: --name my-{name}", "see them all: python -m llm models"),
        )
