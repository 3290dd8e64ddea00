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
    from create_llm.models.bundle import ModelBundle

F = TypeVar("F", bound=Callable[..., Any])


TORCH = "torch"
"""The engine of those verbs that need the module itself."""


def open_model(app: App, reference: str | None, device: str, engine: str = TORCH) -> Model:
    """Load the model that the command line names."""
    return load_model(app, bundle_called(app, reference), device, engine)


def load_model(app: App, bundle: ModelBundle, device: str, engine: str = TORCH) -> Model:
    from create_llm.api import open_model

    return open_model(bundle, app.plugins.registry, device, engine, say)


def bundle_called(app: App, reference: str | None) -> ModelBundle:
    """The bundle that the command line names, which costs next to nothing."""
    from create_llm.models.versions import find_bundle
    from create_llm.project.folder import find_project

    try:
        models: Path | None = find_project(app.root).models
    except ConfigError:
        if reference is None:
            raise
        models = None
    path = reference if reference is None else _from_root(app, reference)
    return find_bundle(path, models)


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
        click.option("--min-p", type=float, help="… that are p times as likely as the likeliest."),
        click.option(
            "--repetition-penalty", type=float, help="Above 1: rather not what was said before."
        ),
        click.option("--stop", multiple=True, help="End before this text; may be repeated."),
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


engine_option = click.option(
    "--engine",
    metavar="auto|torch|…",
    default="auto",
    show_default=True,
    help="What runs the model; auto takes the fastest installed one that can.",
)


def say(notice: str) -> None:
    """A notice for the person, beside what a script may read from stdout."""
    click.echo(f"note: {notice}", err=True)
