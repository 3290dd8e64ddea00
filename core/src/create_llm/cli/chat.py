"""llm chat: talk to a trained model in the terminal."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from create_llm.cli.app import App
from create_llm.cli.models import device_option, open_model, sampling_options, say

if TYPE_CHECKING:
    from create_llm.api import Model
    from create_llm.models.conversation import Message
    from create_llm.models.generation import Sampling

_GOODBYE = {"exit", "quit"}


@click.command(epilog="\b\nExample:\n  llm chat --temperature 0.8")
@click.argument("model", required=False)
@sampling_options
@device_option
@click.pass_obj
def command(app: App, /, model: str | None, device: str, **sampling: Any) -> None:
    """Talk to MODEL; `exit`, `quit` or Ctrl-D ends. Works through a pipe, too.

    A model that was only trained on plain text continues the conversation as it would continue
    any text: it has not been taught to answer.
    """
    from create_llm.api import sampling_of
    from create_llm.models.conversation import Message

    opened = open_model(app, model, device)
    settings = sampling_of(opened.bundle, **sampling)
    if sys.stdin.isatty():
        click.echo(
            f"{opened.bundle.path.name}, {opened.bundle.info['parameters']:,} parameters. It goes "
            "on with the text of this conversation; exit, quit or Ctrl-D leaves.",
            err=True,
        )
    messages: list[Message] = []
    while (line := _read()) is not None:
        if line.strip().lower() in _GOODBYE:
            break
        if line.strip():
            messages.append(Message("user", line))
            messages.append(Message("assistant", _answer(opened, messages, settings)))


def _answer(model: Model, messages: list[Message], settings: Sampling) -> str:
    """Print the reply as it comes; Ctrl-C ends this reply, not the conversation."""
    from create_llm.models.conversation import reply

    notices: list[str] = []
    # Each turn draws from a seed of its own, so that equal turns need not get equal replies.
    seed = None if settings.seed is None else settings.seed + len(messages)
    stream = reply(model.loaded, messages, replace(settings, seed=seed), notices.append)
    with contextlib.suppress(KeyboardInterrupt):
        for piece in stream:
            click.echo(piece, nl=False)
    click.echo()
    for notice in notices:
        say(notice)
    return stream.result().text.strip()


def _read() -> str | None:
    """The person's next line, or None at the end."""
    if sys.stdin.isatty():
        with contextlib.suppress(ImportError):
            import readline  # noqa: F401 - importing it is what gives input() its line editing
    try:
        return input("> " if sys.stdin.isatty() else "")
    except EOFError:
        return None
