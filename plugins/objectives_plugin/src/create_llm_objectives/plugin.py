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
