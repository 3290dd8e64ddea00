"""llm chat: talk to a trained model in the terminal."""

from __future__ import annotations

import contextlib
import io
import json
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from types import TracebackType
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
from create_llm.cli.terminal import steady, written
from create_llm.errors import CreateLLMError
from create_llm.interrupts import signal_of

if TYPE_CHECKING:
    from create_llm.api import Model
    from create_llm.cli.chat_session import Session

_GOODBYE = {"exit", "quit", "/exit", "/quit"}


@click.command(epilog="\b\nExample:\n  llm chat --temperature 0.8")
@click.argument("model", required=False)
@sampling_options
@device_option
@engine_option
@click.option(
    "--json", "as_json", is_flag=True, help="Each answer as one JSON object, on a line of stdout."
)
@click.pass_obj
def command(
    app: App,
    /,
    model: str | None,
    device: str,
    engine: str,
    as_json: bool,
    **sampling: Any,
) -> None:
    """Talk to MODEL; `exit`, `quit` or Ctrl-D ends. Works through a pipe, too.

    A model that was only trained on plain text continues the conversation as it would continue
    any text: it has not been taught to answer. /help lists what else can be typed.
    """
    from create_llm.cli.chat_session import Session

    bundle = bundle_called(app, model)
    check_sampling(sampling)
    opened = load_model(app, bundle, device, engine)
    session = Session(opened, sampling_for(bundle, sampling), app.root)
    _prepare_input()
    _greet(opened)
    prompt, answer = ("", _answer_as_json) if as_json else ("> ", _answer)
    while (line := _read(prompt)) is not None and line.strip().lower() not in _GOODBYE:
        if line.strip():
            _take(session, line.rstrip(), answer)


def _greet(opened: Model) -> None:
    if sys.stdin.isatty():
        name, size = opened.bundle.name, opened.bundle.info["parameters"]
        talks = "" if opened.text_model.template is None else ", has learnt conversations"
        what = f"{steady(name)}, {size:,} parameters{talks}"
        click.echo(f"{what}. exit, quit or Ctrl-D leaves; /help lists more.", err=True)
    if opened.text_model.template is None:
        say(
            "this model has no chat template: it goes on with the conversation as plain text, "
            "and was not taught to answer\n"
            '  try: train on conversations, with [data] chat_template = "chatml" and '
            '[objective] name = "sft"'
        )


def _take(session: Session, line: str, answer: Callable[[Session, str], None]) -> None:
    """Obey or answer a line. A mistake ends a script, and not a conversation."""
    try:
        if line.startswith("/") and not line.startswith("//"):
            session.obey(line)
        else:
            answer(session, line.removeprefix("/"))
    except CreateLLMError as error:
        if not sys.stdin.isatty():
            raise
        click.echo(steady(error.render()), err=True)


def _answer(session: Session, line: str) -> None:
    """Print the reply as it comes; Ctrl-C ends this reply, not the conversation."""
    notices: list[str] = []
    answer = session.answer(line, notices.append)
    empty = True
    with _UntilInterrupted(), contextlib.closing(answer):
        pieces = _without_space_behind(answer)
        with _spinner():
            first = next(pieces, "")
        empty = not first.strip()
        click.echo(written(first), nl=False)
        for piece in pieces:
            click.echo(written(piece), nl=False)
    if empty:
        click.echo("(an empty answer)", err=True)
    if not (empty and sys.stdout.isatty()):
        click.echo()
    for notice in notices:
        say(notice)


def _without_space_behind(pieces: Iterable[str]) -> Iterator[str]:
    """The same text without blank lines at its end: space waits for what comes after it."""
    waiting = ""
    for piece in pieces:
        waiting += piece
        if waiting.rstrip():
            yield waiting.rstrip()
            waiting = waiting[len(waiting.rstrip()) :]


def _answer_as_json(session: Session, line: str) -> None:
    """Print the whole reply as a line, with the keys that `llm generate --json` has."""
    pieces = session.answer(line, say)
    with _UntilInterrupted(), contextlib.closing(pieces):
        while True:
            try:
                next(pieces)
            except StopIteration as end:
                click.echo(json.dumps(asdict(end.value), ensure_ascii=False))
                return


class _UntilInterrupted:
    """On a terminal, lets Ctrl-C end what is being done and nothing else."""

    def __enter__(self) -> None:
        return

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        pressed = isinstance(error, KeyboardInterrupt) and signal_of(error) == signal.SIGINT
        return pressed and sys.stdin.isatty()


@contextlib.contextmanager
def _spinner() -> Iterator[None]:
    """Something that moves until the first token is there, for who watches."""
    if not (sys.stdout.isatty() and sys.stderr.isatty()):
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status("thinking"):
        yield


def _prepare_input() -> None:
    """Line editing and history on a terminal; any bytes through a pipe."""
    if sys.stdin.isatty():
        with contextlib.suppress(ImportError):  # Windows brings its own
            import readline  # noqa: F401 - importing it is what gives them to input()
    elif isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(encoding="utf-8", errors="replace")


def _read(prompt: str) -> str | None:
    """The person's next line, or None at the end; Ctrl-C forgets what was typed of it."""
    while True:
        with _UntilInterrupted():
            try:
                return input(prompt if sys.stdin.isatty() else "")
            except EOFError:
                return None
        click.echo()
