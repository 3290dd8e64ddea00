"""What this package brings: the exporters `hf`, `gguf`, `ollama` and `lmstudio`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from create_llm import hookimpl

if TYPE_CHECKING:
    from create_llm.hookspecs import Register


@hookimpl
def register_exporters(register: Register) -> None:
    register(
        "hf",
        "create_llm_export.hf:HuggingFace",
        summary="A folder that Hugging Face's transformers opens, with a model card.",
    )
    register(
        "gguf",
        "create_llm_export.gguf_exporter:GGUF",
        summary="One GGUF file for llama.cpp and the programs that are built on it.",
        config="create_llm_export.config:GGUFConfig",
    )
    register(
        "ollama",
        "create_llm_export.ollama:Ollama",
        summary="A GGUF file with the Modelfile that Ollama makes a model from.",
        config="create_llm_export.config:OllamaConfig",
    )
    register(
        "lmstudio",
        "create_llm_export.lmstudio:LMStudio",
        summary="A GGUF file for LM Studio, as its folder of models holds it.",
        config="create_llm_export.config:LMStudioConfig",
    )
