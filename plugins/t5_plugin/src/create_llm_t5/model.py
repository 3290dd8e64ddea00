"""The module: an encoder and a decoder with relative positions, shared by the blocks of each."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from create_llm.models.architecture import ModelOutput
from create_llm_t5.config import T5Config
from create_llm_t5.layers import DecoderBlock, EncoderBlock, LayerCache


@dataclass(frozen=True, slots=True)
class DecoderCache:
    """A text that the encoder has read, and what has been written since.

    Attributes:
        encoded: [batch, source, dim].
        mask: bool [batch, 1, 1, source]; None where all of the source is text.
        capacity: how many tokens can be decoded.
    """

    encoded: Tensor
    mask: Tensor | None
    layers: tuple[LayerCache, ...]
    capacity: int

    @property
    def length(self) -> int:
        return self.layers[0].length


class Stack(nn.Module):
    """The encoder's or the decoder's blocks, and the position bias that they share."""

    def __init__(self, config: T5Config, blocks: Iterable[nn.Module], *, causal: bool) -> None:
        super().__init__()
        self.causal, self.distance = causal, config.position_distance
        self.position_bias = nn.Embedding(config.position_buckets, config.heads)
        self.layers = nn.ModuleList(blocks)
        self.norm = nn.RMSNorm(config.dim, config.norm_eps)

    def bias(self, start: int, end: int) -> Tensor:
        """What is added to the scores of positions start … end, [1, heads, end - start, end]."""
        table = self.position_bias
        places = torch.arange(end, device=table.weight.device)
        relative = places - places[start:, None]
        buckets = _buckets(relative, table.num_embeddings, self.distance, both=not self.causal)
        bias: Tensor = table(buckets).permute(2, 0, 1)[None]
        return bias.masked_fill(relative > 0, -torch.inf) if self.causal else bias.contiguous()


class T5Model(nn.Module):
    """Two texts to the hidden states of the second, and the head that projects them."""

    def __init__(self, config: T5Config, vocab_size: int) -> None:
        super().__init__()
        self.config = config
        self.drop = nn.Dropout(config.dropout)
        self.embedding = nn.Embedding(vocab_size, config.dim)
        encoder = (EncoderBlock(config) for _ in range(config.layers))
        self.encoder = Stack(config, encoder, causal=False)
        decoder = (DecoderBlock(config) for _ in range(config.decoder_depth))
        self.decoder = Stack(config, decoder, causal=True)
        self.lm_head = None if config.tied else nn.Linear(config.dim, vocab_size, bias=False)

    def forward(
        self, tokens: Tensor, decoder_tokens: Tensor, attention_mask: Tensor | None = None
    ) -> ModelOutput:
        """
        Args:
            tokens: int64 [batch, source], for the encoder.
            decoder_tokens: int64 [batch, length].
            attention_mask: bool [batch, source], false where `tokens` holds padding.

        Returns:
            The decoder's hidden states [batch, length, dim].
        """
        mask = None if attention_mask is None else attention_mask[:, None, None]
        return self.decode(decoder_tokens, self.encode(tokens, mask), mask)

    def encode(self, tokens: Tensor, mask: Tensor | None) -> Tensor:
        """[batch, source, dim] of tokens [batch, source]; mask as in `DecoderCache`."""
        bias = self.encoder.bias(0, tokens.shape[1])
        if mask is not None:
            bias = torch.where(mask, bias, -torch.inf)
        x = self.drop(self.embedding(tokens))
        for block in self.encoder.layers:
            x = block(x, bias)
        encoded: Tensor = self.drop(self.encoder.norm(x))
        return encoded

    def decode(
        self,
        tokens: Tensor,
        encoded: Tensor,
        mask: Tensor | None,
        cache: DecoderCache | None = None,
    ) -> ModelOutput:
        """Of tokens [batch, length]; with a cache they follow what it holds, and join it.

        Raises:
            ValueError: more tokens than the cache has room for.
        """
        start = 0 if cache is None else cache.length
        end = start + tokens.shape[1]
        if cache is not None and end > cache.capacity:
            raise ValueError(
                f"{end} tokens do not fit the cache, which has room for {cache.capacity}"
            )
        bias = self.decoder.bias(start, end)
        x = self.drop(self.embedding(tokens))
        for index, block in enumerate(self.decoder.layers):
            x = block(x, bias, encoded, mask, None if cache is None else cache.layers[index])
        return ModelOutput(hidden=self.drop(self.decoder.norm(x)), head=self.project)

    def project(self, hidden: Tensor) -> Tensor:
        """Hidden states [..., dim] to logits [..., vocabulary]."""
        if self.lm_head is None:
            # T5's own scale: its embeddings are of size 1, which a head would make logits of.
            return F.linear(hidden * self.config.dim**-0.5, self.embedding.weight)
        logits: Tensor = self.lm_head(hidden)
        return logits


def _buckets(relative: Tensor, count: int, distance: int, *, both: bool) -> Tensor:
    """Which of `count` buckets each relative position (key - query) falls into, as in T5.

    Half of them hold one distance each; those of the other half grow with the logarithm up to
    `distance`. With `both`, half of all are for keys that come later.
    """
    count, relative = (count // 2, relative) if both else (count, relative.clamp(max=0))
    later, relative = (relative > 0) * count, relative.abs()
    exact = count // 2
    # 1 keeps the logarithm finite where `where` discards it.
    ratio = torch.log(relative.clamp(min=1).float() / exact) / math.log(distance / exact)
    grown = (exact + (ratio * (count - exact)).long()).clamp(max=count - 1)
    return later + torch.where(relative < exact, relative, grown)
