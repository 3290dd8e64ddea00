"""What this package brings: templates and a preset, each a module of data, imported when chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from create_llm import hookimpl

if TYPE_CHECKING:
    from create_llm.hookspecs import Register

TEMPLATES = {
    "nano": "1M parameters: the whole journey in two minutes, on any computer.",
    "tiny": "10M parameters: a first model of your own text, on a laptop.",
    "small": "100M parameters: a fluent model of one kind of text, on one GPU.",
    "base": "1B parameters: a general base model, on several GPUs.",
    "custom": "A model of your own making: the project brings its architecture as a plugin.",
}


@hookimpl
def register_templates(register: Register) -> None:
    for name, summary in TEMPLATES.items():
        target = f"create_llm_templates.{name}:{name.upper()}"
        register(name, target, summary=summary)


PRESETS = {
    "pipeline": (
        "2 layers, 8,000 pieces, 20 passes: raw text to a model in one command.",
        "tokenizers/unigram",
    ),
    "sprint": ("The most of a few minutes on a CPU, with --max-seconds.", "tokenizers/bpe"),
}


@hookimpl
def register_presets(register: Register) -> None:
    for name, (summary, tokenizer) in PRESETS.items():
        register(
            name,
            f"create_llm_templates.{name}:{name.upper()}",
            summary=summary,
            requires=("architectures/gpt", "data_sources/text", "objectives/causal", tokenizer),
        )
