"""What this package brings. Every `llm` command imports this module, so it stays light."""

from __future__ import annotations

from typing import TYPE_CHECKING

from create_llm import hookimpl

if TYPE_CHECKING:
    from create_llm.hookspecs import Register


@hookimpl
def register_callbacks(register: Register) -> None:
    register(
        "diary",
        "create_llm_haiku.diary:Diary",
        summary="A diary of the run: what the model scored, and what it wrote.",
    )


@hookimpl
def register_data_sources(register: Register) -> None:
    register(
        "poems",
        "create_llm_haiku.poems:Poems",
        summary="Poems: each file of a folder is one.",
        config="create_llm_haiku.config:PoemsConfig",
    )


@hookimpl
def register_architectures(register: Register) -> None:
    register(
        "gated-conv",
        "create_llm_haiku.model:GatedConv",
        summary="Gated convolutions over the last few tokens; no attention.",
        config="create_llm_haiku.config:GatedConvConfig",
    )
