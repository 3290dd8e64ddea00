"""What the verbs that use a model share: finding it, and the options of sampling."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from create_llm.cli.app import App
from create_llm.cli.terminal import steady
from create_llm.errors import ConfigError

if TYPE_CHECKING:
    from create_llm.api import Model
    from create_llm.models.bundle import ModelBundle
    from create_llm.models.sampling import Sampling

F = TypeVar("F", bound=Callable[..., Any])


TORCH = "torch"
"""The engine of those verbs that need the module itself."""


def open_model(app: App, reference: str | None, device: str, engine: str = TORCH) -> Model:
    """Load the model that the command line names."""
    return load_model(app, bundle_called(app, reference), device, engine)


def load_model(app: App, bundle: ModelBundle, device: str, engine: str = TORCH) -> Model:
    from create_llm.api import open_model

    # A device that is not there is refused by one engine after the other: the last one's error
    # tells all. Else a notice comes at once, as one may say why it takes long.
    notices: list[str] = []
    later = device not in ("auto", "cpu")
    with flags_named():
        model = open_model(
            bundle, app.plugins.registry, device, engine, notices.append if later else say
        )
    for notice in notices:
        say(notice)
    return model


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
    if reference is None:
        _refuse_while_the_first_is_trained(app, models)
        return find_bundle(None, models)
    try:
        return find_bundle(_from_root(app, reference), models)
    except ConfigError as error:
        raise _with_what_was_meant(app, reference, models, error) from error


def _refuse_while_the_first_is_trained(app: App, models: Path | None) -> None:
    """
    Raises:
        ConfigError: there is no model, and a run that will make one is under way.
    """
    from create_llm.cli.found_runs import live_runs, runs_of_project
    from create_llm.models.versions import active_version
    from create_llm.runs.report import read_progress

    if models is None or active_version(models) is not None:
        return
    for run in live_runs(runs_of_project(app)):
        progress = read_progress(run.events)
        total = f" of {progress.total_steps}" if progress.total_steps else ""
        raise ConfigError(
            f"there is no trained model here yet: a run is under way ({progress.step}{total})",
            where=str(run.path),
            fixes=("see how far it is: llm runs show",),
        )


def _with_what_was_meant(
    app: App, reference: str, models: Path | None, error: ConfigError
) -> ConfigError:
    """The error with the version of nearly that name, or the path that was looked at."""
    from create_llm.models.versions import versions

    known = versions(models) if models else []
    meant = (f"did you mean '{reference.lower()}'?",) if reference.lower() in known else ()
    is_path = "/" in reference or "\\" in reference
    where = str((app.root / reference).resolve()) if is_path else error.where
    return ConfigError(error.what, where=where, fixes=dict.fromkeys((*meant, *error.fixes)))


def check_sampling(given: Mapping[str, Any]) -> None:
    """What the command line says by itself, before a model is brought into memory for it.

    Raises:
        ConfigError: a number that cannot be.
    """
    from create_llm.models.sampling import Sampling

    with flags_named():
        Sampling(**{name: value for name, value in given.items() if value is not None})


def sampling_for(bundle: ModelBundle, given: Mapping[str, Any]) -> Sampling:
    """The sampling settings of the command line, with the bundle's defaults behind them."""
    from create_llm.api import sampling_of

    with flags_named():
        return sampling_of(bundle, **given)


@contextlib.contextmanager
def flags_named() -> Iterator[None]:
    """Errors about an argument name it as it is called from Python; here it is an option."""
    from create_llm.models.sampling import Sampling

    try:
        yield
    except ConfigError as error:
        if error.where not in ("device", "engine", *Sampling.__dataclass_fields__):
            raise
        flag = f"--{error.where.replace('_', '-')}"
        raise type(error)(error.what, where=flag, fixes=error.fixes) from error


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
    type=click.Choice(["auto", "cpu", "cuda", "mps"]),
    default="cpu",
    show_default=True,
    help="Where the model runs; auto takes a GPU if it can.",
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
    click.echo(f"note: {steady(notice)}", err=True)
