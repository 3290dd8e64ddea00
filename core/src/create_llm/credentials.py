"""The one way to a secret of a service: environment, .env, the provider's login, a question.

A secret is never written down here and never part of a message: `Secret` shows where it came from,
not what it is. Where it is sent, `reveal` says so in the code.
"""

from __future__ import annotations

import getpass
import os
import re
import sys
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from urllib.parse import quote

from create_llm.config.dotenv import read_dotenv
from create_llm.errors import CredentialsError
from create_llm.project.folder import project_around

_SENDABLE = re.compile(r"[!-~]+")
"""Printable ASCII without blanks: anything else cannot stand in a header, or would end it."""

_TELLING = 8
"""Characters of base64; fewer stand in any text."""


@dataclass(frozen=True, slots=True)
class Secret:
    """A token or key; `repr`, `str` and formatting give its source and nothing of its value.

    Attributes:
        source: where it was found, for messages: "environment GROQ_API_KEY", ".env:3".
    """

    _value: str = field(repr=False)
    source: str

    def reveal(self) -> str:
        """The secret itself, to hand to the client that sends it."""
        return self._value

    def hide(self, text: str, limit: int | None = None) -> str:
        """A text that may quote the secret (a service's answer, say) without it.

        Taken out as it is, spread over blanks and lines, percent-encoded, and as base64, also
        of something longer that it is a part of ("user:key").

        Args:
            limit: characters to keep; what is cut first could leave a part of the secret.
        """
        hidden = _quotes_of(self._value).sub("***", text)
        return hidden if limit is None else hidden[:limit]

    def __str__(self) -> str:
        return repr(self)


@cache
def _quotes_of(value: str) -> re.Pattern[str]:
    """Every form in which a text may quote a value."""
    forms = {value, quote(value, safe=""), *(_base64(value, before) for before in range(3))}
    spread = (r"\s*".join(map(re.escape, form)) for form in sorted(forms, key=len, reverse=True))
    return re.compile("|".join(spread), re.IGNORECASE)  # %2f, %2F


def _base64(value: str, before: int) -> str:
    """What base64 makes of a value with so many bytes before it, as far as these and those behind
    have no part in its characters; the value itself where that is next to nothing."""
    data = value.encode()
    text = b64encode(bytes(before) + data).decode()
    own = text[-(-before * 8 // 6) : (before + len(data)) * 8 // 6]
    return own if len(own) >= _TELLING else value


def credential(
    name: str,
    *,
    env: str,
    help: str,
    project: Path | None = None,
    login: Callable[[], str | None] | None = None,
    login_name: str = "",
) -> Secret:
    """The secret of a service, from the first place that has it.

    Looked for in the environment, the project's .env and the provider's own login; then a person
    at a terminal is asked for it, unseen, and what they type is kept nowhere.

    Args:
        name: the service, as messages call it: "Groq".
        env: the variable in the environment and in .env: "GROQ_API_KEY".
        help: where a person gets one, an address or a command.
        project: the folder that holds .env; by default that of the project around the current one.
        login: what the provider's own login has stored, None without one.
        login_name: what the login is called: "hf auth login".

    Raises:
        CredentialsError: there is none, or it cannot be one.
        ConfigError, StorageError: .env cannot be read.
    """
    secret = find_credential(env, project=project, login=login, login_name=login_name)
    if secret is None and sys.stdin.isatty() and sys.stderr.isatty():
        secret = _asked(f"{name} needs a key ({help}). {env}, not shown: ")
    if secret is None:
        raise _missing(name, env, help, login_name)
    if not _SENDABLE.fullmatch(secret.reveal()):
        raise CredentialsError(
            f"the key for {name} holds characters that no key has (blanks, line breaks, accents)",
            where=secret.source,
            fixes=("copy it once more, the whole of it and nothing else", f"get one: {help}"),
        )
    return secret


def find_credential(
    env: str,
    *,
    project: Path | None = None,
    login: Callable[[], str | None] | None = None,
    login_name: str = "",
) -> Secret | None:
    """As `credential`, for what works without one too: asks nobody, and None where there is none.

    Raises:
        ConfigError, StorageError: .env cannot be read.
    """
    value = os.environ.get(env, "").strip()
    if value:
        return Secret(value, f"environment {env}")
    root = project if project is not None else _root()
    variable = read_dotenv(root / ".env").get(env) if root else None
    if variable is not None and variable.value.strip():
        return Secret(variable.value.strip(), f".env:{variable.line}")
    stored = (login() or "").strip() if login else ""
    return Secret(stored, login_name or "the provider's login") if stored else None


def refused(name: str, secret: Secret, help: str, *, why: str) -> CredentialsError:
    """The error where a service does not take a secret.

    Args:
        why: what the service says; the secret is taken out, should it be quoted.
    """
    return CredentialsError(
        f"{name} refuses the key: {secret.hide(why)}",
        where=secret.source,
        fixes=("check that it is whole and was not taken back", f"get another: {help}"),
    )


def _root() -> Path | None:
    project = project_around(Path.cwd())
    return project.root if project else None


def _asked(question: str) -> Secret | None:
    try:
        typed = getpass.getpass(question).strip()
    except EOFError:
        return None
    return Secret(typed, "the terminal") if typed else None


def _missing(name: str, env: str, help: str, login_name: str) -> CredentialsError:
    login = (f"or log in: {login_name}",) if login_name else ()
    return CredentialsError(
        f"{name} needs a key, and there is none",
        where=f"{env}, in the environment or in the project's .env",
        fixes=(
            f"get one: {help}",
            f"put it into .env, which is kept out of git: {env}=…",
            *login,
        ),
    )
