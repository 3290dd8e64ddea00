"""What this package brings: the synthesizer `synthex`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from create_llm import hookimpl

if TYPE_CHECKING:
    from create_llm.hookspecs import Register


@hookimpl
def register_synthesizers(register: Register) -> None:
    register(
        "synthex",
        "create_llm_synthex.synthesizer:SynthexSynthesizer",
        summary="Questions and answers from SynthexAI, Tanaos, or a service of your own.",
        config="create_llm_synthex.config:SynthexConfig",
    )
