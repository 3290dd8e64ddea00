"""llm chat: talk to a trained model in the terminal."""

from __future__ import annotations

import contextlib
import sys
from typing import Any

import click

from create_llm.cli.app import App
from create_llm.cli.models import open_model, sampling_options, say

_GOODBYE = {"exit", "quit"}


@click.command(epilog="\b\nExample:\n  llm chat --temperature 0.8")
@click.argument("model", required=False)
@sampling_options
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="cpu")
@click.pass_obj
def command(app: App, /, model: str | None, device: str, **sampling: Any) -> None:
    """Talk to MODEL; `exit`, `quit` or Ctrl-D ends. Works through a pipe, too.

    A model that was only trained on plain text continues the conversation as it would continue
    any text: it has not been taught to answer.
    """
    from create_llm.api import sampling_of
    from create_llm.models.conversation import Message, reply

    opened = open_model(app, model, device)
    settings = sampling_of(opened.bundle, **sampling)
    messages: list[Message] = []
    while (line := _read()) is not None:
        if line.strip().lower() in _GOODBYE:
            break
        messages.append(Message("user", line))
        stream = reply(opened.loaded, messages, settings, say)
        for piece in stream:
            click.echo(piece, nl=False)
        click.echo()
        messages.append(Message("assistant", stream.result().text.strip()))


def _read() -> str | None:
    """The person's next line, or None at the end."""
    if sys.stdin.isatty():
        with contextlib.suppress(ImportError):
            import readline  # noqa: F401 - importing it is what gives input() its line editing
    try:
        return input("> " if sys.stdin.isatty() else "")
    except EOFError:
        return None
