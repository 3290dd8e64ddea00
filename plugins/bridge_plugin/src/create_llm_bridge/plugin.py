"""What this package brings: the verb `bridge`; `models` is what it brings to the other program."""

from __future__ import annotations

from typing import TYPE_CHECKING

from create_llm import hookimpl

if TYPE_CHECKING:
    from create_llm.hookspecs import Register


@hookimpl
def register_commands(register: Register) -> None:
    register(
        "bridge",
        "create_llm_bridge.command:command",
        summary="Make models known to Simon Willison's llm.",
    )
