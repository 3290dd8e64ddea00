"""What this package brings: the callback `tensorboard`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from create_llm import hookimpl

if TYPE_CHECKING:
    from create_llm.hookspecs import Register


@hookimpl
def register_callbacks(register: Register) -> None:
    register(
        "tensorboard",
        "create_llm_tensorboard.callback:TensorBoard",
        summary="Curves and samples of each run as event files for TensorBoard.",
        config="create_llm_tensorboard.config:TensorBoardConfig",
    )
