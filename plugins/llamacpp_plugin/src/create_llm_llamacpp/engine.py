"""The engine `llamacpp`."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from create_llm.kernel.registry import Registry
from create_llm.models.bundle import ModelBundle
from create_llm.models.engine import CannotRun, Notice

if TYPE_CHECKING:
    from create_llm_llamacpp.model import LlamaModel


class LlamaCpp:
    """Runs models of the families that llama.cpp knows, on the CPU."""

    rank: ClassVar[int] = 10

    def open(
        self, bundle: ModelBundle, registry: Registry, device: str, notice: Notice
    ) -> LlamaModel:
        from create_llm.data.chat.template import load_chat_template
        from create_llm.storage.durable import verify
        from create_llm_llamacpp.cached import converted
        from create_llm_llamacpp.model import LlamaModel

        if device != "cpu":
            raise CannotRun(f"it runs on the CPU, not on '{device}'", where="--device")
        verify(bundle.path)
        path, facts = converted(bundle, registry, notice)
        part = bundle.part("tokenizers", bundle.info["tokenizer"], registry)
        tokenizer = part.load().load(bundle.path)
        return LlamaModel(path, facts, tokenizer, load_chat_template(bundle.path))
