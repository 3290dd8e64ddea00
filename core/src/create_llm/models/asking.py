"""A question as a model knows questions: a conversation's turn, or the beginning of a text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from create_llm.models.conversation import Message, form_of
from create_llm.models.engine import Notice, TextModel
from create_llm.models.generation import Prompt


def asked(model: TextModel, messages: Sequence[Message], notice: Notice) -> Prompt:
    """The messages up to where the model's answer begins; for a model that knows no
    conversations, the last message, which it goes on with. Its `text` is the last message.

    Where that is longer than what the model reads at once, its end, and `notice` hears of it.

    Raises:
        DataError: the model's template refuses the messages.
    """
    if model.template is None:
        return Prompt.end_of(messages[-1].content, model, notice)
    prompt, most = form_of(model).prompt(messages), model.longest_prompt
    if len(prompt.ids) > most:
        notice(
            f"the question has {len(prompt.ids)} tokens and the model reads {most}: "
            "only its end is used"
        )
    return replace(prompt, ids=prompt.ids[-most:])
