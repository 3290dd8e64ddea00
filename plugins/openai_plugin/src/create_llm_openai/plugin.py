"""What this package brings: the synthesizers `openai` and `groq`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from create_llm import hookimpl

if TYPE_CHECKING:
    from create_llm.hookspecs import Register


@hookimpl
def register_synthesizers(register: Register) -> None:
    register(
        "openai",
        "create_llm_openai.synthesizer:OpenAISynthesizer",
        summary="Questions and answers from any service that speaks OpenAI's API.",
        config="create_llm_openai.config:OpenAIConfig",
    )
    register(
        "groq",
        "create_llm_openai.synthesizer:GroqSynthesizer",
        summary="Questions and answers from the models that Groq serves.",
        config="create_llm_openai.config:GroqConfig",
    )
