"""What this package brings: the data source and synthesizer `sample`, and `llm quickstart`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from create_llm import hookimpl

if TYPE_CHECKING:
    from create_llm.hookspecs import Register


@hookimpl
def register_data_sources(register: Register) -> None:
    register(
        "sample",
        "create_llm_sample.source:SampleSource",
        summary="Short stories in English and Spanish, made on the spot; no download.",
        config="create_llm_sample.config:SampleConfig",
    )


@hookimpl
def register_synthesizers(register: Register) -> None:
    register(
        "sample",
        "create_llm_sample.source:StorySynthesizer",
        summary="Short stories about a topic of your choice, made on the spot; works offline.",
        config="create_llm_sample.config:SynthConfig",
    )


@hookimpl
def register_commands(register: Register) -> None:
    register(
        "quickstart",
        "create_llm_sample.quickstart:command",
        summary="See the whole journey on the built-in stories, in a few minutes.",
    )
