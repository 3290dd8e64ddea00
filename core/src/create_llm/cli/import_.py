"""llm import: somebody else's model as a bundle of this project."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from create_llm.cli.app import App
from create_llm.cli.models import say
from create_llm.cli.units import seen_from_here
from create_llm.errors import ConfigError

if TYPE_CHECKING:
    from create_llm.models.bundle import ModelBundle
    from create_llm.models.importing import Imported


@click.command(
    epilog="\b\nExamples:\n  llm import hf:HuggingFaceTB/SmolLM2-135M\n"
    "  llm import ../some-model --out models/other"
)
@click.argument("source")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="The folder to write; by default the next version in models/, which becomes active.",
)
@click.option("--json", "as_json", is_flag=True, help="Print what was written as JSON on stdout.")
@click.pass_obj
def command(app: App, source: str, out: Path | None, as_json: bool) -> None:
    """Read the model SOURCE, NAME:WHAT or a folder, and write it as one of ours.

    NAME is an importer, as llm plugins list shows them: hf:ORG/NAME is a repository on Hugging
    Face, hf:ORG/NAME@REVISION a certain state of it.
    """
    from create_llm.models.importing import find_importer

    target, before = _target(app, out), _active(app)  # before anything is fetched
    named = _named(app) if target is None else frozenset()
    part, name = find_importer(source, app.root, app.plugins.registry)
    imported: Imported = part.load()().read(name, app.root, app.plugins.registry, say)
    bundle = _written(app, imported, target, named)
    if as_json:
        click.echo(json.dumps(_as_dict(bundle)))
        return
    _tell(app, bundle, before, active=target is None)
    click.echo(str(bundle.path))


def _target(app: App, out: Path | None) -> Path | None:
    """The folder of --out; None: the next version of the project.

    Raises:
        ConfigError: there is something, or neither --out nor a project.
    """
    from create_llm.project.folder import find_project

    if out is None:
        try:
            find_project(app.root)
        except ConfigError as error:
            error.fixes = ("name a folder to write: --out FOLDER", *error.fixes)
            raise
        return None
    folder = (app.root / out.expanduser()).resolve()
    if folder.exists():
        raise ConfigError(
            "there is something in that place already",
            where=str(folder),
            fixes=("choose another: --out FOLDER", "or move it away"),
        )
    return folder


def _named(app: App) -> frozenset[str]:
    """The versions that the project's runs and models speak of."""
    from create_llm.cli.found_runs import runs_of_project
    from create_llm.project.folder import find_project
    from create_llm.runs.origin import versions_named

    return versions_named(find_project(app.root).models, runs_of_project(app))


def _written(
    app: App, imported: Imported, target: Path | None, named: frozenset[str]
) -> ModelBundle:
    from create_llm.models.importing import import_as_version, import_into
    from create_llm.models.versions import set_active
    from create_llm.project.folder import find_project

    if target is not None:
        return import_into(imported, target, app.plugins.registry)
    models = find_project(app.root).models
    bundle = import_as_version(imported, models, app.plugins.registry, named)
    set_active(models, bundle.name)
    return bundle


def _active(app: App) -> str | None:
    """The version that commands use by default, where there is one."""
    from create_llm.models.versions import active_version
    from create_llm.project.folder import project_around

    project = project_around(app.root)
    return active_version(project.models) if project else None


def _tell(app: App, bundle: ModelBundle, before: str | None, *, active: bool) -> None:
    """What it is, whether commands use it now, and what it is good for."""
    from create_llm.models.architecture import Decoder

    info, place = bundle.info, seen_from_here(bundle.path)
    part = bundle.part("architectures", info["architecture"], app.plugins.registry)
    use = "generate" if isinstance(part.load()(), Decoder) else "evaluate"
    saved, following = f"Saved as {place}", f"Next: llm {use} {shlex.quote(str(place))}"
    if active:
        instead = f", in place of {before}" if before else ""
        saved, following = f"{saved}, the active model now{instead}", f"Next: llm {use}"
    click.echo(f"{info['architecture']}, {info['parameters']:,} parameters", err=True)
    click.echo(saved, err=True)
    click.echo(following, err=True)
    if active and before:
        click.echo(f"To use {before} again: llm runs use {before}", err=True)


def _as_dict(bundle: ModelBundle) -> dict[str, object]:
    info = bundle.info
    return {
        "path": str(bundle.path),
        **info["imported"],
        "architecture": info["architecture"],
        "tokenizer": info["tokenizer"],
        "parameters": info["parameters"],
    }
