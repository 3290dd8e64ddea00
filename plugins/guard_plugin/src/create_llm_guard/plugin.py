"""What this package brings: the callback `guard`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from create_llm import hookimpl

if TYPE_CHECKING:
    from create_llm.hookspecs import Register


@hookimpl
def register_callbacks(register: Register) -> None:
    register(
        "guard",
        "create_llm_guard.callback:Guard",
        summary="Says what goes wrong in a run and what helps, goes back where it may; a score.",
        config="create_llm_guard.config:GuardConfig",
    )
