"""A model in memory: module, tokenizer and the architecture that knows how to run them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from create_llm.config.hardware import devices
from create_llm.data.chat.template import ChatTemplate, load_chat_template
from create_llm.data.tokenizer import Tokenizer
from create_llm.errors import ConfigError
from create_llm.kernel.registry import Registry
from create_llm.models.architecture import Architecture, Decoder
from create_llm.models.bundle import WEIGHTS, ModelBundle
from create_llm.models.chosen import objective_of_bundle
from create_llm.models.decoding import Decoding
from create_llm.models.engine import Notice
from create_llm.models.objective import Objective
from create_llm.models.weights import Undrawn, load_weights
from create_llm.storage.durable import verify
from create_llm.storage.tensors import load_tensors


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """Everything that generation and evaluation need.

    Attributes:
        config: the architecture's own configuration, with `max_length`, the context in tokens.
        isolated: whether it has learnt to read each document of a window as if it stood alone.
        template: how conversations are written out for it; None where it has learnt none.
    """

    architecture: Architecture
    module: nn.Module
    config: Any
    tokenizer: Tokenizer
    objective: Objective
    device: torch.device
    isolated: bool = False
    template: ChatTemplate | None = None

    @classmethod
    def from_bundle(
        cls, bundle: ModelBundle, registry: Registry, device: str = "cpu"
    ) -> LoadedModel:
        """Verify every file of a bundle and bring the model into memory.

        Args:
            device: "cpu", "cuda", "mps" or "auto": the fastest there is.

        Raises:
            DataError: a file is missing or differs from what was written.
            ConfigError: there is no such device.
            PluginError: the architecture or tokenizer it needs is not installed.
        """
        place = _device(device)
        verify(bundle.path)
        where = str(bundle.path)
        info = bundle.info
        target = bundle.part("architectures", info["architecture"], registry).load()
        architecture: Architecture = target()
        tokenizer_type = bundle.part("tokenizers", info["tokenizer"], registry).load()
        tokenizer: Tokenizer = tokenizer_type.load(bundle.path)
        tensors = load_tensors(bundle.path / WEIGHTS)
        config, vocab_size, state = architecture.from_hf(bundle.hf_config(), tensors)
        with place, Undrawn():
            module = architecture.build(config, vocab_size)
        load_weights(module, state, where)
        module.eval()
        objective = objective_of_bundle(bundle, architecture, registry).build(tokenizer)
        # Not in the recipe of bundles from before there was a choice.
        isolated = info["recipe"]["data"].get("packing") == "isolated"
        return cls(
            architecture,
            module,
            config,
            tokenizer,
            objective,
            place,
            isolated,
            load_chat_template(bundle.path),
        )

    @property
    def generates(self) -> bool:
        """Whether it can continue a text."""
        return isinstance(self.architecture, Decoder)

    @property
    def stop_tokens(self) -> frozenset[int]:
        """Ids that end any text."""
        return self.objective.stop_tokens | {self.tokenizer.special.eos}

    @property
    def context(self) -> int:
        """The longest sequence the model can read at once, in tokens."""
        return int(self.config.max_length)

    @property
    def longest_prompt(self) -> int:
        """In tokens: the context, less what the objective adds to a prompt."""
        made = self.objective.prompt([self.tokenizer.special.eos])
        return self.context + 1 - max(tensor.shape[1] for tensor in made.values())

    def writer(self, notice: Notice, at_once: int = 1) -> Decoding:
        """Texts to be written by this model, at first none; however many, they are decoded
        together.

        Raises:
            ConfigError: the model only reads.
        """
        del at_once
        return Decoding(self, notice)


def _device(name: str) -> torch.device:
    """
    Raises:
        ConfigError: there is no such device, or not here.
    """
    if name == "cpu":  # without looking for a GPU, which takes its time
        return torch.device(name)
    here = devices(cuda=torch.cuda.is_available(), mps=torch.backends.mps.is_available())
    if name == "auto":
        return torch.device(here[0])
    if name in here:
        return torch.device(name)
    known = devices(cuda=True, mps=True)
    if name in known:
        raise ConfigError(
            "there is no usable GPU here", where="device", fixes=("leave it out to take the CPU",)
        )
    raise ConfigError(
        f"there is no device called '{name}'",
        where="device",
        fixes=(f"choose one of: {', '.join(('auto', *known))}",),
    )
