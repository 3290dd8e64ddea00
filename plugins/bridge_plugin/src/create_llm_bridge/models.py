"""What Simon Willison's llm loads: our models as models of its own."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, dropwhile
from pathlib import Path
from typing import TYPE_CHECKING

import llm  # type: ignore[import-not-found, unused-ignore]
from llm.parts import TextPart  # type: ignore[import-not-found, unused-ignore]
from pydantic import Field

from create_llm.errors import CreateLLMError
from create_llm_bridge.registered import file, read, with_versions

if TYPE_CHECKING:
    from create_llm.api import Model
    from create_llm.models.conversation import Message
    from create_llm.models.generation import TextStream


@llm.hookimpl  # type: ignore[untyped-decorator, unused-ignore]
def register_models(register: Callable[[llm.Model], None]) -> None:
    """Every registered bundle, and every version of the registered projects."""
    try:
        models = read(file())
    except CreateLLMError as error:
        # An exception would end every command of the other program, whatever model it is about.
        print(error.render(), file=sys.stderr)
        return
    for name, folder in with_versions(models):
        register(BundleModel(name, folder))


class BundleModel(llm.Model):  # type: ignore[misc, unused-ignore]
    """One of our models.

    A prompt alone is continued, as by `create-llm generate`, unless the model has learnt a chat
    template; with a system prompt or earlier turns it is a conversation, as in `create-llm chat`.
    """

    can_stream = True

    class Options(llm.Options):  # type: ignore[misc, unused-ignore]
        """What is left out comes from the bundle. The limits are checked by create-llm."""

        temperature: float | None = Field(
            default=None, description="0: always the likeliest token; 1: as learnt."
        )
        top_p: float | None = Field(
            default=None, description="Choose among the likeliest tokens that add up to p."
        )
        top_k: int | None = Field(
            default=None, description="Choose among the k likeliest tokens; 0: all."
        )
        max_tokens: int | None = Field(default=None, description="Tokens to write at most.")
        seed: int | None = Field(default=None, description="The same seed gives the same text.")
        stop: str | None = Field(default=None, description="End before this text.")

    def __init__(self, model_id: str, folder: Path) -> None:
        """
        Args:
            folder: a bundle's, or a project's for the version that is active when it is asked.
        """
        self.model_id = model_id
        self.folder = folder
        self._opened: Model | None = None

    def __str__(self) -> str:
        return f"create-llm: {self.model_id}"

    def execute(
        self,
        prompt: llm.Prompt,
        stream: bool,
        response: llm.Response,
        conversation: llm.Conversation | None,
    ) -> Iterator[str]:
        """Answer piece by piece.

        Raises:
            llm.ModelError: whatever create-llm has to say, in its words.
        """
        try:
            messages = [_message(message) for message in prompt.messages]
            text, is_turn = self._answer(messages, prompt.options.model_dump(exclude_none=True))
            yield from _without_space_in_front(text) if is_turn else text
            response.set_usage(output=text.result().tokens)
        except CreateLLMError as error:
            raise llm.ModelError(str(error)) from error

    def _answer(
        self, messages: list[Message], options: dict[str, object]
    ) -> tuple[TextStream, bool]:
        """The text to come, and whether it is a turn of a conversation."""
        from create_llm.api import load, sampling_of
        from create_llm.models.conversation import reply
        from create_llm.models.generation import TextStream

        # Kept: the other program's `chat` asks one model again and again.
        self._opened = model = self._opened or load(self.folder)
        sampling = sampling_of(model.bundle, **_by_our_names(options))
        if len(messages) == 1 and model.text_model.template is None:
            return TextStream(model.text_model, messages[0].content, sampling, _say), False
        return reply(model.text_model, messages, sampling, _say), True


def _by_our_names(options: dict[str, object]) -> dict[str, object]:
    given = dict(options)
    if "max_tokens" in given:
        given["max_new_tokens"] = given.pop("max_tokens")
    if "stop" in given:
        given["stop"] = (given["stop"],)
    return given


def _message(message: llm.Message) -> Message:
    from create_llm.models.conversation import Message

    parts = (part.text for part in message.parts if isinstance(part, TextPart))
    return Message(message.role, "".join(parts))


def _without_space_in_front(pieces: Iterable[str]) -> Iterator[str]:
    """A turn begins with its first word; what is between it and the header is the template's."""
    rest = dropwhile(lambda piece: not piece.strip(), pieces)
    first = next(rest, "")
    return chain((first.lstrip(),), rest)


def _say(notice: str) -> None:
    print(f"note: {notice}", file=sys.stderr)
