"""The engine that runs every bundle: the module itself, in torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from create_llm.kernel.registry import Registry
from create_llm.models.bundle import ModelBundle
from create_llm.models.engine import Notice

if TYPE_CHECKING:
    from create_llm.models.loaded import LoadedModel


class TorchEngine:
    rank: ClassVar[int] = 0

    def open(
        self, bundle: ModelBundle, registry: Registry, device: str, notice: Notice
    ) -> LoadedModel:
        from create_llm.models.layout import lay_out_for_decoding
        from create_llm.models.loaded import LoadedModel

        del notice
        loaded = LoadedModel.from_bundle(bundle, registry, device)
        lay_out_for_decoding(loaded.module)
        return loaded
