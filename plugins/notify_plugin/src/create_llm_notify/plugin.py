"""What this package brings: the callback `notify`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from create_llm import hookimpl

if TYPE_CHECKING:
    from create_llm.hookspecs import Register


@hookimpl
def register_callbacks(register: Register) -> None:
    register(
        "notify",
        "create_llm_notify.callback:Notify",
        summary="Desktop notifications of how far a run is and how it ended; title and taskbar.",
        config="create_llm_notify.config:NotifyConfig",
    )
