"""What this package brings: the engine `llamacpp`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from create_llm import hookimpl

if TYPE_CHECKING:
    from create_llm.hookspecs import Register


@hookimpl
def register_engines(register: Register) -> None:
    register(
        "llamacpp",
        "create_llm_llamacpp.engine:LlamaCpp",
        summary="llama.cpp: several times as fast as torch on a CPU, in a fraction of the memory.",
        requires=("exporters/gguf",),
    )
