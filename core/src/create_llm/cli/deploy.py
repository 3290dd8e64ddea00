"""llm deploy: show what publishing a model would do, then do it."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from create_llm.cli.app import App
from create_llm.cli.models import bundle_called
from create_llm.cli.parts import configured_part

if TYPE_CHECKING:
    from create_llm.kernel.registry import Part
    from create_llm.models.deploy import DeployTarget, Plan, PredictingTarget


@click.command(epilog="\b\nExample:\n  llm deploy v1 --to huggingface --dry-run")
@click.argument("model", required=False)
@click.option("--to", "target", required=True, help="Where; llm plugins list shows the targets.")
@click.option("--dry-run", is_flag=True, help="Only show the plan: files, sizes, hashes, calls.")
@click.option("--yes", is_flag=True, help="Do not ask before sending.")
@click.option("--predict", metavar="PROMPT", help="Send nothing; run what is deployed there.")
@click.option("--json", "as_json", is_flag=True, help="Print the plan or the result as JSON.")
@click.pass_obj
def command(
    app: App,
    model: str | None,
    target: str,
    dry_run: bool,
    yes: bool,
    predict: str | None,
    as_json: bool,
) -> None:
    """Publish MODEL (by default the active one). The plan comes first, made without a network."""
    if predict is not None and (model or dry_run):
        given = "MODEL" if model else "--dry-run"
        raise click.UsageError(f"leave {given} out: --predict asks what is deployed there.")
    part, options = configured_part(app, "deploy_targets", target, where="--to")
    bundle = None if predict is not None else bundle_called(app, model).path.resolve()
    with contextlib.chdir(app.root):  # so that -C holds for the paths of a target's options too
        deployer: DeployTarget = part.load()(options)
        if predict is not None:
            _predict(deployer, part, predict, as_json)
        elif bundle is not None:
            _deploy(deployer, part, bundle, dry_run, yes, as_json)


def _deploy(
    deployer: DeployTarget, part: Part, bundle: Path, dry_run: bool, yes: bool, as_json: bool
) -> None:
    with _named(part):
        plan = deployer.plan(bundle)
    if dry_run or not as_json:
        _show(plan, as_json=as_json)
    if dry_run:
        return
    if not yes and sys.stdin.isatty() and not click.confirm("Send this?", err=True):
        return
    with _named(part):
        url = deployer.apply(plan)
    click.echo(json.dumps({"url": url}) if as_json else url)


def _predict(deployer: DeployTarget, part: Part, prompt: str, as_json: bool) -> None:
    from create_llm.errors import ConfigError
    from create_llm.models.deploy import PredictingTarget

    if not isinstance(deployer, PredictingTarget):
        raise ConfigError(
            f"{part.name} keeps models and does not run them",
            where="--predict",
            fixes=("run it here: llm generate --prompt …",),
        )
    pieces = []
    for piece in _pieces(deployer, part, prompt):
        pieces.append(piece)
        if not as_json:
            click.echo(piece, nl=False)
    click.echo(json.dumps({"prompt": prompt, "text": "".join(pieces)}) if as_json else "")


def _pieces(deployer: PredictingTarget, part: Part, prompt: str) -> Iterator[str]:
    with _named(part):  # and not what is done with a piece, which may break off by itself
        yield from deployer.predict(prompt)


@contextlib.contextmanager
def _named(part: Part) -> Iterator[None]:
    """An error of the system does not say who met it.

    Raises:
        StorageError: it is about files.
        PluginError: it is about something else, such as a connection.
    """
    from create_llm.errors import PluginError, StorageError
    from create_llm.kernel.advice import place_of, repairs
    from create_llm.storage.problems import is_about_files, storage_error

    try:
        yield
    except OSError as error:
        who = f"deploy target '{part.name}' of {part.distribution}"
        if is_about_files(error):
            told = storage_error(error)
            raise StorageError(f"{who}: {told.what}", where=told.where, fixes=told.fixes) from error
        place = place_of(part.target.partition(":")[0], error)
        again = "if the service was out of reach: run the same command again"
        fixes = repairs(part.distribution, part.plugin, place or part.target)
        what = f"{who} failed: {type(error).__name__}: {error}"
        raise PluginError(what, where=place, fixes=(again, *fixes)) from error


def _show(plan: Plan, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(asdict(plan), default=str))
        return
    for file in plan.files:
        click.echo(f"{file.size:>14,}  {file.sha256[:12]}  {file.path}", err=True)
    for call in plan.calls:
        click.echo(call, err=True)
