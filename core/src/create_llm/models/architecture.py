"""The architecture contract, and the bases that keep a new model at thirty lines."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, TypeVar

import torch
from pydantic import BaseModel
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from create_llm.errors import PluginError

ConfigT = TypeVar("ConfigT", bound=BaseModel)
HFConfig = dict[str, Any]
"""A config.json in the Hugging Face form; its values are whatever JSON holds."""


@dataclass(frozen=True, slots=True)
class ModelOutput:
    """What a model's forward returns: hidden states, and the projection to logits.

    The two are kept apart so that an objective can project a chunk at a time: logits of a whole
    batch are often the largest tensor of a training step.

    Attributes:
        hidden: [batch, length, width], after the last norm.
        head: hidden states to logits [..., vocabulary].
        head_weight: [vocabulary, width], where the head is hidden · weightᵀ and nothing else; an
            objective can then make its gradient while the logits are there.
    """

    hidden: Tensor
    head: Callable[[Tensor], Tensor]
    head_weight: Tensor | None = None

    def logits(self) -> Tensor:
        return self.head(self.hidden)


@dataclass(frozen=True, slots=True)
class ParamGroups:
    """A model's parameters by what optimizers distinguish; each parameter stands in one group."""

    matrices: tuple[nn.Parameter, ...]
    embeddings: tuple[nn.Parameter, ...]
    norms: tuple[nn.Parameter, ...]


@contextlib.contextmanager
def on_meta() -> Iterator[None]:
    """Build modules without memory and without drawing numbers for their weights.

    torch draws normal numbers on the meta device by way of its compiler, whose import takes two
    seconds.
    """
    with torch.device("meta"), _Undrawn():
        yield


class _Undrawn(TorchFunctionMode):
    """Leaves tensors as they are where they were to be filled at random."""

    _FILLS = frozenset(
        {"normal_", "uniform_", "trunc_normal_", "xavier_normal_", "kaiming_normal_"}
    )

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = kwargs or {}
        if getattr(func, "__name__", "") in self._FILLS:
            return args[0] if args else given["tensor"]
        return func(*args, **given)


class Cache(Protocol):
    """What a model keeps of the tokens decoded so far, such as their keys and values."""

    @property
    def length(self) -> int:
        """Tokens in the cache."""
        ...


class Architecture(ABC):
    """One model family. Stateless: each method is a pure function of its arguments.

    `config_class` and `build` are all that a new one has to bring. The defaults suit a module
    that keeps its repeated layers in a `layers` ModuleList and its tokens in an `nn.Embedding`;
    override what your model does better, and Hugging Face's names in `to_hf` and `from_hf`.

    Attributes:
        config_class: the part's own pydantic model, as validated from the [model] section; it has
            a `max_length`: the longest sequence, in tokens, that the model can read at once.
        capabilities: of "causal", "masked", "seq2seq", "generate", and "isolated" where forward
            takes `segments` int64 [batch, length], rising numbers of the documents that the tokens
            belong to, and reads each as if it stood alone.
        default_objective: name of the objective it is trained with unless another is chosen.
    """

    config_class: ClassVar[type[BaseModel]]
    capabilities: ClassVar[frozenset[str]] = frozenset()
    default_objective: ClassVar[str]

    @abstractmethod
    def build(self, config: Any, vocab_size: int) -> nn.Module:
        """The module on the default device; allocates nothing under `torch.device("meta")`.

        Its forward takes the inputs that the objective's batches hold, `tokens` int64 [batch,
        length] first, and returns a `ModelOutput`.
        """

    def init(self, module: nn.Module, seed: int) -> None:
        """Fill every parameter in place: the same seed gives the same values on every device.

        Matrices from a normal distribution, biases zero, other vectors as norms have them.
        """
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for name, parameter in sorted(module.named_parameters()):
                if parameter.ndim >= 2:
                    values = torch.empty(parameter.shape).normal_(0.0, 0.02, generator=generator)
                    parameter.copy_(values)
                else:
                    is_bias = "bias" in name.rpartition(".")[2]  # also bias_ih_l0, as in nn.GRU
                    parameter.fill_(0.0 if is_bias else 1.0)

    def blocks(self, module: nn.Module) -> list[nn.Module]:
        """The repeated layers, for sharding, activation checkpointing and compilation."""
        layers = getattr(module, "layers", None)
        if not isinstance(layers, nn.ModuleList):
            raise PluginError(
                f"{type(module).__name__} keeps no ModuleList called 'layers'",
                where=type(self).__module__,
                fixes=(
                    "call its repeated layers so: self.layers = nn.ModuleList(…)",
                    f"or say which they are: override blocks in {type(self).__name__}",
                ),
            )
        return list(layers)

    def param_groups(self, module: nn.Module) -> ParamGroups:
        embedded = {id(p) for p in _embedding_parameters(module)}
        parameters = list(module.parameters())
        return ParamGroups(
            matrices=tuple(p for p in parameters if p.ndim >= 2 and id(p) not in embedded),
            embeddings=tuple(p for p in parameters if id(p) in embedded),
            norms=tuple(p for p in parameters if p.ndim < 2),
        )

    def flops(self, config: Any, vocab_size: int, length: int) -> float:
        """Floating-point operations of training on one token (forward and backward).

        Six per parameter that multiplies a token (Kaplan et al. 2020, 2001.08361).
        """
        with on_meta():
            module = self.build(config, vocab_size)
        groups = self.param_groups(module)
        weights = sum(p.numel() for p in groups.matrices)
        head = max((p.numel() for p in groups.embeddings), default=0)
        return 6.0 * (weights + head)

    def to_hf(
        self, config: Any, vocab_size: int, state: Mapping[str, Tensor]
    ) -> tuple[HFConfig, dict[str, Tensor]]:
        """The config.json and the tensors, named as Hugging Face's transformers reads them."""
        return {**config.model_dump(mode="json"), "vocab_size": vocab_size}, dict(state)

    def from_hf(
        self, hf_config: HFConfig, tensors: Mapping[str, Tensor]
    ) -> tuple[Any, int, dict[str, Tensor]]:
        """The inverse of `to_hf`: config, vocabulary size, state dict.

        Raises:
            DataError: a form this architecture does not read.
        """
        known = set(self.config_class.model_fields)
        values = {key: value for key, value in hf_config.items() if key in known}
        return self.config_class(**values), int(hf_config["vocab_size"]), dict(tensors)


class Decoder(Architecture):
    """An architecture that writes: it predicts the next token from a prompt and its own text."""

    @abstractmethod
    def begin(
        self, module: nn.Module, inputs: Mapping[str, Tensor], length: int
    ) -> tuple[Cache, Tensor]:
        """Read a prompt, as the objective's `prompt` makes it.

        Returns:
            A cache with room for `length` tokens, those of the prompt that are decoded among
            them, and the logits [batch, vocabulary] that follow.
        """

    @abstractmethod
    def decode(self, module: nn.Module, tokens: Tensor, cache: Cache) -> Tensor:
        """Logits [batch, vocabulary] that follow `tokens` [batch, n], which join the cache."""

    def gather(self, rows: Sequence[tuple[Cache, int]]) -> Cache | None:
        """One cache of rows of others, each a cache and the number of its row, to decode at once.

        The rows may differ in length; what is decoded for one does not depend on the others. The
        cache has room for as much as the roomiest of the given ones. Those are not used again.

        Returns:
            None, the default, from an architecture that decodes each text by itself.
        """
        del rows
        return None


@dataclass(slots=True)
class _TokenCache:
    """Keeps the tokens themselves: decoding recomputes, which any causal model can do."""

    rows: list[Tensor]

    @property
    def length(self) -> int:
        return max(len(row) for row in self.rows)


class CausalLM(Decoder):
    """Base of decoder-only models, which read from left to right and predict the next token.

    The module maps tokens [batch, length] to a `ModelOutput`. A model with a key-value cache
    overrides `new_cache` and `decode`, and `gather` to decode several texts at once.
    """

    capabilities = frozenset({"causal", "generate"})
    default_objective = "causal"

    def begin(
        self, module: nn.Module, inputs: Mapping[str, Tensor], length: int
    ) -> tuple[Cache, Tensor]:
        tokens = inputs["tokens"]
        cache = self.new_cache(module, tokens.shape[0], length)
        return cache, self.decode(module, tokens, cache)

    def new_cache(self, module: nn.Module, batch: int, length: int) -> Cache:
        """An empty cache for `batch` sequences of at most `length` tokens."""
        device = next(module.parameters()).device
        return _TokenCache([torch.empty(0, dtype=torch.long, device=device)] * batch)

    def decode(self, module: nn.Module, tokens: Tensor, cache: Cache) -> Tensor:
        assert isinstance(cache, _TokenCache)
        cache.rows = [torch.cat(pair) for pair in zip(cache.rows, tokens, strict=True)]
        # Padding stands behind the text, where a causal model cannot see it from.
        output: ModelOutput = module(nn.utils.rnn.pad_sequence(cache.rows, batch_first=True))
        ends = torch.tensor([len(row) - 1 for row in cache.rows], device=tokens.device)
        return output.head(output.hidden[torch.arange(len(ends), device=tokens.device), ends])

    def gather(self, rows: Sequence[tuple[Cache, int]]) -> Cache | None:
        kept = [cache.rows[row] for cache, row in rows if isinstance(cache, _TokenCache)]
        # A model with a cache of its own need not know how to gather.
        return _TokenCache(kept) if len(kept) == len(rows) else None


def _embedding_parameters(module: nn.Module) -> Iterator[Tensor]:
    for child in module.modules():
        if isinstance(child, nn.Embedding):
            yield child.weight


def count_parameters(architecture: Architecture, config: Any, vocab_size: int) -> int:
    """Trainable parameters (shared ones once), counted on the meta device: allocates nothing."""
    with on_meta():
        module = architecture.build(config, vocab_size)
    return sum(parameter.numel() for parameter in module.parameters())
