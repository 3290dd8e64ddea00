"""What this package brings: the verb `dashboard`, the callback, the kind `panels` and its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from create_llm import hookimpl
from create_llm.kernel.kinds import Kind

if TYPE_CHECKING:
    from create_llm.hookspecs import Register

KINDS = (
    Kind(
        "panels",
        "panel",
        "create_llm_dashboard.panel:Panel",
        "create_llm_dashboard.testing:PanelContract",
    ),
)

_PANELS = (
    ("progress", "How far the run is, and how long it still takes."),
    ("curves", "Training and validation loss over zones, with a verdict."),
    ("samples", "What the model writes while it learns."),
    ("warnings", "What went wrong or might, and what to do about it."),
    ("speed", "Tokens a second, learning rate, gradient norm, use of the machine."),
    ("machine", "Processor, memory and GPUs."),
    ("checkpoints", "The checkpoints that were written."),
    ("configuration", "The command, and every setting with its source."),
)


@hookimpl
def register_commands(register: Register) -> None:
    register(
        "dashboard",
        "create_llm_dashboard.command:command",
        summary="Watch runs in the browser, live or long over.",
    )


@hookimpl
def register_callbacks(register: Register) -> None:
    register(
        "dashboard",
        "create_llm_dashboard.callback:Dashboard",
        summary="Watch this run live in the browser.",
        config="create_llm_dashboard.config:DashboardConfig",
    )


@hookimpl
def register_panels(register: Register) -> None:
    for name, summary in _PANELS:
        register(name, f"create_llm_dashboard.panels.{name}:PANEL", summary=summary)
