"""What this package brings: the verb `lm-eval`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from create_llm import hookimpl

if TYPE_CHECKING:
    from create_llm.hookspecs import Register


@hookimpl
def register_commands(register: Register) -> None:
    register(
        "lm-eval",
        "create_llm_lm_eval.command:command",
        summary="Score a model on the benchmarks of lm-evaluation-harness.",
    )
