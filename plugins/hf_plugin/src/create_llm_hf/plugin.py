"""What this package brings: the Hub as a deploy target, an importer and a data source, and an
architecture that runs the models of transformers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from create_llm import hookimpl

if TYPE_CHECKING:
    from create_llm.hookspecs import Register


@hookimpl
def register_deploy_targets(register: Register) -> None:
    register(
        "huggingface",
        "create_llm_hf.deploy:HuggingFace",
        summary="A model repository on the Hugging Face Hub, private by default.",
        config="create_llm_hf.config:HuggingFaceConfig",
    )


@hookimpl
def register_importers(register: Register) -> None:
    register(
        "hf",
        "create_llm_hf.importer:HuggingFaceImporter",
        summary="A model in Hugging Face's form: a repository of the Hub, or a folder.",
        requires=("tokenizers/bpe", "objectives/causal"),
    )


@hookimpl
def register_architectures(register: Register) -> None:
    register(
        "transformers",
        "create_llm_hf.architecture:TransformersCausalLM",
        summary="A causal language model of Hugging Face's transformers, as it is there.",
        config="create_llm_hf.architecture_config:TransformersConfig",
    )


@hookimpl
def register_data_sources(register: Register) -> None:
    register(
        "hf",
        "create_llm_hf.source:HuggingFaceSource",
        summary="A dataset of the Hugging Face Hub, downloaded once into data/hf.",
        config="create_llm_hf.source_config:HuggingFaceDataConfig",
        requires=("data_sources/text",),
        schemes=("hf",),
    )
