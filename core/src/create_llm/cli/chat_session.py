"""A conversation in the terminal: what was said, how the model samples, and the commands."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from create_llm.cli.models import say
from create_llm.errors import ConfigError, StorageError, did_you_mean, nearest

if TYPE_CHECKING:
    from create_llm.api import Model
    from create_llm.models.conversation import Message
    from create_llm.models.generation import Completion
    from create_llm.models.sampling import Sampling

_NUMBERS: dict[str, Callable[[str], float]] = {
    "max_new_tokens": int,
    "temperature": float,
    "top_k": int,
    "top_p": float,
    "min_p": float,
    "repetition_penalty": float,
    "seed": int,
}
"""The settings that can be changed, and what they are."""


class Session:
    """One conversation with one model."""

    def __init__(self, model: Model, sampling: Sampling, root: Path) -> None:
        """
        Args:
            root: the folder that paths of files start from.
        """
        self._model, self._sampling, self._root = model, sampling, root
        self._messages: list[Message] = []
        self._own_files: set[Path] = set()

    def answer(self, text: str, notice: Callable[[str], None]) -> Generator[str, None, Completion]:
        """The model's answer, piece by piece, and then all of it; the conversation goes on from as
        much as came.

        Raises:
            CreateLLMError: there can be no answer; the conversation is what it was.
        """
        from create_llm.models.conversation import Message, reply

        asked = [*self._messages, Message("user", text)]
        # Each turn draws from a seed of its own, so that equal turns need not get equal replies.
        seed = self._sampling.seed
        seed = None if seed is None else (seed + len(asked)) % 2**63
        stream = reply(self._model.text_model, asked, replace(self._sampling, seed=seed), notice)
        try:
            yield from stream
        finally:
            done = stream.result()
            if done.tokens:
                self._messages = [*asked, Message("assistant", done.text.strip())]
        return done

    def obey(self, line: str) -> None:
        """Carry out a line such as "/system Be brief."

        Raises:
            ConfigError: there is no such command, or it cannot be done with what is given.
        """
        word, _, given = line[1:].partition(" ")
        known = {name: act for name, _, _, act in self._commands()}
        meant = [name for name in known if name.startswith(word)] if word else []
        if word not in known and len(meant) != 1:
            near = [f"/{name}" for name in meant] or [f"/{n}" for n in [nearest(word, known)] if n]
            raise ConfigError(
                f"/{word} is no command",
                fixes=(
                    *([f"did you mean {' or '.join(near)}?"] if near else []),
                    "see what there is: /help",
                    "to say something that begins with /, begin with //",
                ),
            )
        known[word if word in known else meant[0]](given.strip())

    def _commands(self) -> tuple[tuple[str, str, str, Callable[[str], None]], ...]:
        """Name, what it takes, what it does."""
        return (
            ("help", "", "this list", self._help),
            ("reset", "", "forget the conversation; the system message stays", self._reset),
            ("system", "[TEXT]", "show the system message, or set it", self._system),
            ("save", "FILE", "write the conversation as JSON, as chat data has it", self._save),
            ("load", "FILE", "go on with a conversation that was saved", self._load),
            (
                "settings",
                "[NAME VALUE]",
                "show how the model samples, or change it",
                self._settings,
            ),
        )

    def _help(self, _: str) -> None:
        for name, takes, does, _act in self._commands():
            click.echo(f"  {f'/{name} {takes}':<24}{does}", err=True)
        click.echo(f"  {'exit, quit, Ctrl-D':<24}leave; Ctrl-C ends an answer", err=True)

    def _reset(self, _: str) -> None:
        self._messages = self._rules()
        say("the conversation begins anew")

    def _system(self, text: str) -> None:
        from create_llm.models.conversation import Message

        if text:
            rest = self._messages[len(self._rules()) :]
            self._messages = [Message("system", text), *rest]
        rules = self._rules()
        say(f"system: {rules[0].content}" if rules else "there is no system message")

    def _rules(self) -> list[Message]:
        """The system message, if there is one."""
        return [message for message in self._messages[:1] if message.role == "system"]

    def _save(self, name: str) -> None:
        from create_llm.models.conversation import save_conversation

        path = self._path(name, "/save FILE")
        if path.exists() and path not in self._own_files:
            raise ConfigError(
                "there is a file of that name", where=str(path), fixes=("choose another name",)
            )
        with _file_errors():
            save_conversation(self._messages, path)
        self._own_files.add(path)
        say(f"{len(self._messages)} messages are in {path}")

    def _load(self, name: str) -> None:
        from create_llm.models.conversation import load_conversation

        path = self._path(name, "/load FILE")
        with _file_errors():
            self._messages = load_conversation(path)
        self._own_files.add(path)
        say(f"{len(self._messages)} messages from {path}")

    def _path(self, name: str, usage: str) -> Path:
        if not name:
            raise ConfigError("which file?", fixes=(usage,))
        try:
            return (self._root / Path(name).expanduser()).resolve()
        except RuntimeError as error:  # ~somebody, who has no home here
            raise ConfigError(f"{error}", where=name, fixes=("give the whole path",)) from error

    def _settings(self, given: str) -> None:
        if given:
            self._sampling = _changed(self._sampling, given)
        for name, value in asdict(self._sampling).items():
            click.echo(f"  {name:<20}{'none' if value in (None, ()) else value}", err=True)


@contextlib.contextmanager
def _file_errors() -> Iterator[None]:
    """What the system refuses, in words, as the conversation goes on after it."""
    from create_llm.storage.problems import storage_error

    try:
        yield
    except OSError as error:
        told = storage_error(error)
        # The conversation goes on: there is no command to run again.
        raise StorageError(told.what, where=told.where, fixes=("name another file",)) from error


def _changed(sampling: Sampling, given: str) -> Sampling:
    """
    Raises:
        ConfigError: no such setting, or one that cannot have that value.
    """
    name, _, value = given.replace("=", " ").partition(" ")
    name = name.replace("-", "_")
    if name == "stop":
        return replace(sampling, stop=(value.strip(),) if value.strip() else ())
    if name not in _NUMBERS:
        raise ConfigError(
            f"'{name}' is no setting that can be changed here",
            fixes=(*did_you_mean(name, _NUMBERS), f"there are: {', '.join((*_NUMBERS, 'stop'))}"),
        )
    try:
        number: Any = _NUMBERS[name](value)
    except ValueError as error:
        raise ConfigError(
            f"{name} must be a number, got '{value.strip()}'",
            fixes=(f"/settings {name} {getattr(sampling, name)}",),
        ) from error
    return replace(sampling, **{name: number})
