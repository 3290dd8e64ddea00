"""What this package brings: the architecture named ``t5``, and a template for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from create_llm import hookimpl

if TYPE_CHECKING:
    from create_llm.hookspecs import Register


@hookimpl
def register_architectures(register: Register) -> None:
    register(
        "t5",
        "create_llm_t5.architecture:T5",
        summary="Encoder-decoder transformer, in the T5 form.",
        config="create_llm_t5.config:T5Config",
    )


@hookimpl
def register_templates(register: Register) -> None:
    register(
        "t5",
        "create_llm_t5.template:T5",
        summary="10M parameters: a model that fills gaps in your own text, on a laptop.",
    )
