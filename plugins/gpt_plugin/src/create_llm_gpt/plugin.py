"""What this package brings: the architecture named ``gpt``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from create_llm import hookimpl

if TYPE_CHECKING:
    from create_llm.hookspecs import Register


@hookimpl
def register_architectures(register: Register) -> None:
    register(
        "gpt",
        "create_llm_gpt.architecture:GPT",
        summary="Decoder-only transformer, in the Qwen3, Llama or GPT-2 form.",
        config="create_llm_gpt.config:GPTConfig",
    )
