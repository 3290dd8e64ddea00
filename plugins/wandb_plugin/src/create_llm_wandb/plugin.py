"""What this package brings: the callback `wandb`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from create_llm import hookimpl

if TYPE_CHECKING:
    from create_llm.hookspecs import Register


@hookimpl
def register_callbacks(register: Register) -> None:
    register(
        "wandb",
        "create_llm_wandb.callback:WandB",
        summary="Metrics and samples of each run to Weights & Biases, online or offline.",
        config="create_llm_wandb.config:WandBConfig",
    )
