"""llm runs use: choose the version that commands use by default."""

from __future__ import annotations

import json

import click

from create_llm.cli.app import App
from create_llm.cli.models import bundle_called
from create_llm.errors import ConfigError


@click.command("use", epilog="\b\nExample:\n  llm runs use v2")
@click.argument("version", metavar="V")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON on stdout.")
@click.pass_obj
def use(app: App, version: str, as_json: bool) -> None:
    """Make V the active version, after checking every byte of it. V: vN or the id of its run."""
    from create_llm.models.versions import active_version, set_active
    from create_llm.project.folder import find_project
    from create_llm.storage.durable import verify

    models = find_project(app.root).models
    bundle = bundle_called(app, version)
    if bundle.path.resolve().parent != models.resolve():
        raise ConfigError(
            f"{bundle.path} is not a version of this project",
            where=str(models),
            fixes=("see them: llm runs list", "name the folder itself: llm generate FOLDER"),
        )
    verify(bundle.path)
    before = active_version(models)
    set_active(models, bundle.name)
    if as_json:
        click.echo(json.dumps({"active": bundle.name, "before": before}))
    else:
        click.echo(f"{bundle.name} is active now" + (f"; it was {before}" if before else ""))
