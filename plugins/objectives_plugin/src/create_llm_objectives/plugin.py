"""Registers the objectives of this package."""

from __future__ import annotations

from create_llm.hookspecs import Register, hookimpl


@hookimpl
def register_objectives(register: Register) -> None:
    register(
        "causal",
        "create_llm_objectives.causal:CausalObjective",
        summary="Predict the next token (GPT-style pretraining).",
    )
    register(
        "sft",
        "create_llm_objectives.sft:SFTObjective",
        summary="Predict the assistant's turns of conversations (supervised fine-tuning).",
    )
    register(
        "masked",
        "create_llm_objectives.masked:MaskedObjective",
        summary="Guess masked tokens from both sides (BERT-style pretraining).",
        config="create_llm_objectives.config:MaskedConfig",
    )
    register(
        "span",
        "create_llm_objectives.span:SpanObjective",
        summary="Write the spans that were cut out of a text (T5-style pretraining).",
        config="create_llm_objectives.config:SpanConfig",
    )
