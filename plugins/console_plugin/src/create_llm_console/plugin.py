"""What this package brings: the callback `console`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from create_llm import hookimpl

if TYPE_CHECKING:
    from create_llm.hookspecs import Register


@hookimpl
def register_callbacks(register: Register) -> None:
    register(
        "console",
        "create_llm_console.callback:Console",
        summary="Progress in the terminal: a live bar, epoch summaries, samples.",
        config="create_llm_console.config:ConsoleConfig",
    )
