"""llm fill: guess what is missing from a text."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from create_llm.cli.app import App
from create_llm.cli.models import device_option, open_model


@click.command(
    epilog='\b\nExamples:\n  llm fill "The <mask> sat on the mat"\n'
    '  llm fill "To be, or <mask> to <mask>." v2 --top 3 --json'
)
@click.argument("text")
@click.argument("model", required=False)
@click.option(
    "--top",
    type=click.IntRange(min=1),
    default=5,
    show_default=True,
    help="How many guesses to show for each gap.",
)
@device_option
@click.option("--json", "as_json", is_flag=True, help="Print the guesses as JSON on stdout.")
@click.pass_obj
def command(
    app: App, /, text: str, model: str | None, top: int, device: str, as_json: bool
) -> None:
    """Guess what stands in the gaps of TEXT, which are written <mask>.

    MODEL is a bundle folder, vN or a run id, by default the active one; it must be one that
    guesses masked tokens, such as bert. A gap is one token: a word, or a part of a rare one.
    """
    from create_llm_bert.gaps import fill

    opened = open_model(app, model, device)
    filled = fill(opened.loaded, text, top)
    if as_json:
        result = {"model": str(opened.bundle.path), "prompt": text, **asdict(filled)}
        click.echo(json.dumps(result, ensure_ascii=False))
        return
    click.echo(filled.text)
    for number, guesses in enumerate(filled.gaps, start=1):
        click.echo(f"\ngap {number}")
        for guess in guesses:
            # Quoted, so that spaces are seen and control characters do not reach the terminal.
            click.echo(f"  {guess.probability:7.2%}  {guess.token!r}")
