"""What this package brings: the verb `serve`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from create_llm import hookimpl

if TYPE_CHECKING:
    from create_llm.hookspecs import Register


@hookimpl
def register_commands(register: Register) -> None:
    register(
        "serve",
        "create_llm_serve.command:command",
        summary="Answer requests of OpenAI's API with a model of your own.",
    )
