"""llm generate: continue prompts with a trained model."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from create_llm.cli.app import App
from create_llm.cli.models import device_option, open_model, sampling_options, say

if TYPE_CHECKING:
    from create_llm.models.generation import TextStream


@click.command(
    epilog='\b\nExamples:\n  llm generate --prompt "Once upon a time"\n'
    '  llm generate v2 --prompt "ROMEO:" --temperature 0.8 --seed 1'
)
@click.argument("model", required=False)
@click.option("--prompt", "prompts", multiple=True, help="Text to continue; may be repeated.")
@sampling_options
@device_option
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON on stdout.")
@click.pass_obj
def command(
    app: App,
    /,
    model: str | None,
    prompts: tuple[str, ...],
    device: str,
    as_json: bool,
    **sampling: Any,
) -> None:
    """Continue a prompt with MODEL: a bundle folder, vN or a run id; by default the active one.

    Without a prompt the model begins a text of its own.
    """
    from create_llm.api import sampling_of
    from create_llm.models.generation import TextStream

    opened = open_model(app, model, device)
    settings = sampling_of(opened.bundle, **sampling)
    results: list[dict[str, object]] = []
    notices: list[str] = []
    for number, prompt in enumerate(prompts or ("",)):
        stream = TextStream(opened.loaded, prompt, settings, notices.append)
        _show(stream, prompt, first=number == 0, silent=as_json)
        results.append(asdict(stream.result()))
    for notice in dict.fromkeys(notices):
        say(notice)
    if as_json:
        click.echo(json.dumps({"results": results}, ensure_ascii=False))


def _show(stream: TextStream, prompt: str, *, first: bool, silent: bool) -> None:
    """Run the stream to its end, printing it as it comes; a blank line parts two texts."""
    if silent:
        for _ in stream:
            continue
        return
    click.echo(prompt if first else f"\n{prompt}", nl=False)
    for piece in stream:
        click.echo(piece, nl=False)
    click.echo()
