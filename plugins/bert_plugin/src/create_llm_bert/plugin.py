"""What this package brings: the architecture and the template ``bert``, the verb ``fill``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from create_llm import hookimpl

if TYPE_CHECKING:
    from create_llm.hookspecs import Register


@hookimpl
def register_architectures(register: Register) -> None:
    register(
        "bert",
        "create_llm_bert.architecture:BERT",
        summary="Encoder that guesses masked tokens from both sides (BERT).",
        config="create_llm_bert.config:BERTConfig",
    )


@hookimpl
def register_templates(register: Register) -> None:
    register(
        "bert",
        "create_llm_bert.template:BERT",
        summary="10M parameters: a model that fills gaps in a text, on a laptop.",
    )


@hookimpl
def register_commands(register: Register) -> None:
    register(
        "fill", "create_llm_bert.fill:command", summary="Guess what is missing from a sentence."
    )
