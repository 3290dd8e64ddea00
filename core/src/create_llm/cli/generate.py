"""llm generate: continue prompts with a trained model."""

from __future__ import annotations

import json
import secrets
import shlex
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import click

from create_llm.cli.app import App
from create_llm.cli.models import (
    bundle_called,
    check_sampling,
    device_option,
    engine_option,
    load_model,
    sampling_for,
    sampling_options,
    say,
)
from create_llm.cli.terminal import written
from create_llm.errors import ConfigError

if TYPE_CHECKING:
    from create_llm.models.bundle import ModelBundle
    from create_llm.models.generation import TextBatch
    from create_llm.models.sampling import Sampling

_SEEDS = 2**32
"""As many as are short enough to type again."""


@click.command(
    epilog='\b\nExamples:\n  llm generate --prompt "Once upon a time"\n'
    '  llm generate v2 --prompt "ROMEO:" --temperature 0.8 --seed 1'
)
@click.argument("model", required=False)
@click.option("--prompt", "prompts", multiple=True, help="Text to continue; may be repeated.")
@sampling_options
@device_option
@engine_option
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON on stdout.")
@click.pass_obj
def command(
    app: App,
    /,
    model: str | None,
    prompts: tuple[str, ...],
    device: str,
    engine: str,
    as_json: bool,
    **sampling: Any,
) -> None:
    """Continue a prompt with MODEL: a bundle folder, vN or a run id; by default the active one.

    Without a prompt the model begins a text of its own. Several prompts are continued at once,
    and shown one after the other.
    """
    texts = _texts(prompts)
    bundle = _bundle(app, model, prompted=bool(prompts))
    check_sampling(sampling)
    from create_llm.models.generation import Prompt, TextBatch

    opened = load_model(app, bundle, device, engine)
    settings = _with_seed(sampling_for(bundle, sampling), texts)
    read = [Prompt.of(text, opened.text_model) for text in texts]
    notices: list[str] = []
    batch = TextBatch(opened.text_model, read, settings, notices.append)
    if as_json:
        for _ in batch:
            continue
    else:
        _show(batch, texts)
    for notice in dict.fromkeys(notices):
        say(notice)
    if as_json:
        results = [asdict(result) for result in batch.results()]
        about = {"model": str(bundle.path), "engine": opened.engine, "seed": settings.seed}
        click.echo(json.dumps({**about, "results": results}, ensure_ascii=False))


def _bundle(app: App, model: str | None, *, prompted: bool) -> ModelBundle:
    """
    Raises:
        ConfigError: there is no such model; what was named may have been meant as the prompt.
    """
    try:
        return bundle_called(app, model)
    except ConfigError as error:
        if model is None or prompted:
            raise
        fix = f"a prompt needs its option: llm generate --prompt {shlex.quote(model)}"
        raise ConfigError(error.what, where=error.where, fixes=(*error.fixes, fix)) from error


def _with_seed(settings: Sampling, prompts: Sequence[str]) -> Sampling:
    """With a seed that can be told, so that what was written can be had again. A prompt that is
    given twice is to get two texts: then each draws its own, and there is none to tell."""
    if settings.seed is not None or len(set(prompts)) < len(prompts):
        return settings
    return replace(settings, seed=secrets.randbelow(_SEEDS))


def _texts(prompts: Sequence[str]) -> list[str]:
    """The prompts as text, or an empty one where none is given.

    Raises:
        ConfigError: one is empty, as a variable of a shell that was never set is.
    """
    if not all(prompts):
        raise ConfigError(
            "the prompt is empty",
            where="--prompt",
            fixes=(
                "give the words to go on from: --prompt 'Once upon'",
                "or leave --prompt out: the model then begins a text of its own",
            ),
        )
    # Bytes that are not UTF-8 come as lone surrogates, which nothing can write out again.
    read = [text.encode("utf-8", "surrogateescape").decode("utf-8", "replace") for text in prompts]
    return read or [""]


def _show(batch: TextBatch, prompts: Sequence[str]) -> None:
    """Print the texts as they come; a blank line parts two."""
    for number, pieces in enumerate(batch.in_order()):
        prompt = written(prompts[number])
        click.echo(prompt if number == 0 else f"\n{prompt}", nl=False)
        for piece in pieces:
            click.echo(written(piece), nl=False)
        click.echo()
