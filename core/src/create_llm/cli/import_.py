"""llm import: somebody else's model as a bundle of this project."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from create_llm.cli.app import App
from create_llm.cli.models import say
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

    target = _target(app, out)  # before anything is fetched
    part, name = find_importer(source, app.root, app.plugins.registry)
    imported: Imported = part.load()().read(name, app.root, app.plugins.registry, say)
    bundle = _written(app, imported, target)
    if as_json:
        click.echo(json.dumps(_as_dict(bundle)))
        return
    info = bundle.info
    click.echo(f"{info['architecture']}, {info['parameters']:,} parameters", err=True)
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


def _written(app: App, imported: Imported, target: Path | None) -> ModelBundle:
    from create_llm.models.importing import import_as_version, import_into
    from create_llm.models.versions import set_active
    from create_llm.project.folder import find_project

    if target is not None:
        return import_into(imported, target, app.plugins.registry)
    models = find_project(app.root).models
    bundle = import_as_version(imported, models, app.plugins.registry)
    set_active(models, bundle.name)
    return bundle


def _as_dict(bundle: ModelBundle) -> dict[str, object]:
    info = bundle.info
    return {
        "path": str(bundle.path),
        "from": info["imported"],
        "architecture": info["architecture"],
        "tokenizer": info["tokenizer"],
        "parameters": info["parameters"],
    }
