"""Chat templates: how a conversation is written out for a model.

A template is one Jinja text, kept beside the tokenizer as Hugging Face keeps it. What has to be
one token for it to work it says in a comment:

    {#- control tokens: <|im_start|> <|im_end|> -#}
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from create_llm.data.chat import sandbox
from create_llm.errors import ConfigError, DataError, did_you_mean
from create_llm.storage.durable import Storage

FILE = "chat_template.jinja"
PLAIN = "plain"
"""The one for conversations where none is chosen."""

_CONFIG = "tokenizer_config.json"
_DECLARED = re.compile(r"\{#-?\s*control tokens:(.*?)-?#\}", re.DOTALL)
_CUSTOMARY = re.compile(r"<\|[^\s<>|{}'\"]+\|>")


@dataclass(frozen=True, slots=True)
class ChatTemplate:
    """A conversation's form.

    Attributes:
        name: as messages call it: a shipped template's name, or a path.
        source: Jinja, given `messages` with `role` and `content`, `add_generation_prompt`, and
            `bos_token`, `eos_token` and so on as far as the tokenizer has them.
        control_tokens: spellings that the tokenizer must have as control tokens; to be asked for
            when it is trained.
    """

    name: str
    source: str
    control_tokens: tuple[str, ...] = ()


def shipped_templates() -> list[str]:
    """Names of the templates that come with the core."""
    return sorted(path.name.removesuffix(".jinja") for path in _shipped().iterdir())


def chat_template(name_or_path: str, root: Path | None = None) -> ChatTemplate:
    """The template of this name, or in this file.

    A file that declares no control tokens is taken to need those that it spells `<|…|>`.

    Args:
        root: the folder that a relative path starts from; the current one by default.

    Raises:
        ConfigError: there is neither.
        DataError: the file is no template.
    """
    names = shipped_templates()
    if name_or_path in names:
        source = (_shipped() / f"{name_or_path}.jinja").read_text(encoding="utf-8")
        return ChatTemplate(name_or_path, source, _declared(source) or ())
    path = (root or Path()) / name_or_path
    if not path.is_file():
        raise ConfigError(
            f"there is no chat template '{name_or_path}'",
            where="data.chat_template",
            fixes=(
                *did_you_mean(name_or_path, names),
                f"use one that is shipped: {', '.join(names)}",
                "or the path of a Jinja file, from the project's folder",
            ),
        )
    source = _read(path)
    sandbox.check(source, str(path))
    declared = _declared(source)
    guessed = tuple(dict.fromkeys(_CUSTOMARY.findall(source)))
    return ChatTemplate(str(path), source, guessed if declared is None else declared)


def save_chat_template(template: ChatTemplate, folder: Path) -> None:
    """Write the template beside a tokenizer, where Hugging Face's transformers looks for it."""
    Storage().replace_file(folder / FILE, template.source.encode())


def load_chat_template(folder: Path) -> ChatTemplate | None:
    """The template beside a tokenizer, in a file of its own or in tokenizer_config.json.

    None where there is none. What such a template spells it knows its tokenizer by: only control
    tokens that it declares have to be there.

    Raises:
        DataError: it cannot be read, or is no template.
    """
    path = folder / FILE
    source = _read(path) if path.is_file() else None
    if source is None:
        path = folder / _CONFIG
        source = _configured(path) if path.is_file() else None
    if source is None:
        return None
    sandbox.check(source, str(path))
    return ChatTemplate(str(path), source, _declared(source) or ())


def _shipped() -> Path:
    return Path(str(resources.files(__package__))) / "templates"


def _declared(source: str) -> tuple[str, ...] | None:
    """The control tokens that a template's comment lists; None where it has no such comment."""
    found = _DECLARED.search(source)
    return None if found is None else tuple(found[1].split())


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise DataError("the file is not UTF-8 text", where=str(path)) from error


def _configured(path: Path) -> str | None:
    """The template in tokenizer_config.json: a text, or a list of named ones."""
    try:
        config = json.loads(_read(path))
    except ValueError as error:
        raise DataError(f"the file is not JSON: {error}", where=str(path)) from error
    found = config.get("chat_template") if isinstance(config, dict) else None
    if isinstance(found, list):
        named = [entry for entry in found if isinstance(entry, dict)]
        found = next((e.get("template") for e in named if e.get("name") == "default"), None)
    return found if isinstance(found, str) else None
