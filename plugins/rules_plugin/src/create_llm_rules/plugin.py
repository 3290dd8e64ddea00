"""What this package brings: the synthesizer `rules`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from create_llm import hookimpl

if TYPE_CHECKING:
    from create_llm.hookspecs import Register


@hookimpl
def register_synthesizers(register: Register) -> None:
    register(
        "rules",
        "create_llm_rules.synthesizer:RulesSynthesizer",
        summary="Questions and answers made from your own text by rules; works offline.",
        config="create_llm_rules.config:RulesConfig",
    )
