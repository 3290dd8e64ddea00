"""What the verbs that use a model share: finding it, and the options of sampling."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from create_llm.cli.app import App
from create_llm.errors import ConfigError

if TYPE_CHECKING:
    from create_llm.api import Model

F = TypeVar("F", bound=Callable[..., Any])


def open_model(app: App, reference: str | None, device: str) -> Model:
    """Load the model that the command line names."""
    from create_llm.api import Model
    from create_llm.models.loaded import LoadedModel
    from create_llm.models.versions import find_bundle
    from create_llm.project.folder import find_project

    try:
        models: Path | None = find_project(app.root).models
    except ConfigError:
        if reference is None:
            raise
        models = None
    path = reference if reference is None else _from_root(app, reference)
    bundle = find_bundle(path, models)
    return Model(bundle, LoadedModel.from_bundle(bundle, app.plugins.registry, device))


def _from_root(app: App, reference: str) -> str:
    """A folder given on the command line, seen from where `-C` says the command runs."""
    folder = app.root / reference
    return str(folder) if folder.is_dir() else reference


def sampling_options(function: F) -> F:
    """--temperature and the rest; what is not given comes from the bundle."""
    options = (
        click.option("--max-new-tokens", "--max-length", type=int, help="Tokens to write at most."),
        click.option("--temperature", type=float, help="0: always the likeliest; 1: as learnt."),
        click.option("--top-k", type=int, help="Choose among the k likeliest tokens (0: all)."),
        click.option("--top-p", type=float, help="… among the likeliest that add up to p."),
        click.option("--seed", type=int, help="The same seed gives the same text."),
    )
    for option in reversed(options):
        function = option(function)
    return function


device_option = click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="cpu",
    show_default=True,
    help="Where the model runs.",
)


def say(notice: str) -> None:
    """A notice for the person, beside what a script may read from stdout."""
    click.echo(f"note: {notice}", err=True)
