"""A chat template as a Go template, which is what Ollama's Modelfile takes.

Jinja can say more than Go's templates do here. What is taken from it is what stands before and
after each message, by who speaks; whether that is all there is to it, is tried out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

from create_llm.data.chat import sandbox
from create_llm.data.chat.encoding import variables_of
from create_llm.data.chat.rendering import common_prefix
from create_llm.data.chat.template import ChatTemplate
from create_llm.data.tokenizer import Tokenizer
from create_llm.errors import DataError

_Roles = tuple[str, ...]
_MARK = re.compile("\ue000[0-9]+\ue001")
_TURNS = (
    ("user",),
    ("user", "assistant", "user"),
    ("user", "assistant", "user", "assistant", "user"),
)
_TRIED = [(*first, *turns) for turns in _TURNS for first in ((), ("system",))]
"""Conversations up to where the model answers; Ollama joins messages of the same role."""


@dataclass(frozen=True, slots=True)
class _Form:
    """What stands around messages; `head` only where the first is not the system's."""

    head: str
    before: Mapping[str, str]
    after: Mapping[str, str]
    prompt: str

    def pieces(self, roles: _Roles) -> list[str]:
        """The template's own text between the messages."""
        found = ["" if roles[0] == "system" else self.head]
        for role in roles:
            found[-1] += self.before[role]
            found.append(self.after[role])
        found[-1] += self.prompt
        return found


def go_template(template: ChatTemplate, tokenizer: Tokenizer) -> str | None:
    """None where Jinja says more than Go's template could."""
    rendered = _Rendered(template, tokenizer)
    try:
        expected = {roles: rendered.pieces(roles) for roles in _TRIED}
        candidates = list(_candidates(rendered))
    except DataError:  # it refuses such conversations
        return None
    for form in candidates:
        if all(form.pieces(roles) == pieces for roles, pieces in expected.items()):
            return _written(form)
    return None


class _Rendered:
    def __init__(self, template: ChatTemplate, tokenizer: Tokenizer) -> None:
        self._template, self._variables = template, variables_of(tokenizer)

    def pieces(self, roles: _Roles, *, prompt: bool = True) -> list[str]:
        """
        Raises:
            DataError: the template refuses the conversation.
        """
        messages = [{"role": r, "content": f"\ue000{n}\ue001"} for n, r in enumerate(roles)]
        given: dict[str, object] = {
            "messages": messages,
            "add_generation_prompt": prompt,
            "tools": None,
            "documents": None,
            **self._variables,
        }
        return _MARK.split(sandbox.render(self._template.source, self._template.name, given))


def _candidates(rendered: _Rendered) -> Iterator[_Form]:
    """Ways to share out what stands between two messages."""
    start, to_assistant, to_user, tail = rendered.pieces(("user", "assistant", "user"))
    system, after_system, _ = rendered.pieces(("system", "user"))
    last = rendered.pieces(("user",), prompt=False)[-1]
    both = all(each.startswith(last) for each in (to_assistant, tail))
    after_user = last if both else _begin_alike(to_assistant, tail)
    last = rendered.pieces(("user", "assistant"), prompt=False)[-1]
    befores = (start, to_user, after_system)
    common = reduce(_begin_alike, (each[::-1] for each in befores))[::-1]
    for before_user in (to_user.removeprefix(last), common):
        if not all(each.endswith(before_user) for each in befores):
            continue
        yield _Form(
            head=start.removesuffix(before_user),
            before={
                "system": system,
                "user": before_user,
                "assistant": to_assistant.removeprefix(after_user),
            },
            after={
                "system": after_system.removesuffix(before_user),
                "user": after_user,
                "assistant": to_user.removesuffix(before_user),
            },
            prompt=tail.removeprefix(after_user),
        )


def _begin_alike(one: str, other: str) -> str:
    return one[: common_prefix(one, other)]


def _written(form: _Form) -> str | None:
    texts = [form.head, form.prompt, *form.before.values(), *form.after.values()]
    if any("{{" in text or '"""' in text for text in texts):
        return None
    head = ""
    if form.head:
        head = f'{{{{ if ne (index .Messages 0).Role "system" }}}}{form.head}{{{{ end }}}}'
    return f"{head}{{{{ range .Messages }}}}{_turns(form)}{{{{ end }}}}{form.prompt}"


def _turns(form: _Form) -> str:
    roles: Sequence[str] = list(form.before)
    branches = [
        f'if eq .Role "{role}" }}}}{form.before[role]}{{{{ .Content }}}}{form.after[role]}'
        for role in roles
    ]
    return "{{ " + "{{ else ".join(branches) + "{{ end }}"
