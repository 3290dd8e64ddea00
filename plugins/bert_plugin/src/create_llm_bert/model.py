"""The module: a post-norm encoder with learned positions (Devlin et al. 2018, 1810.04805)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from create_llm.models.architecture import ModelOutput
from create_llm_bert.config import BERTConfig

TOKEN_TYPES = 2
"""Rows of the table of token types: BERT's first and second text. Here all is the first."""


class Attention(nn.Module):
    def __init__(self, config: BERTConfig) -> None:
        super().__init__()
        self.heads, self.dropout = config.heads, config.attention_dropout
        self.qkv = nn.Linear(config.dim, 3 * config.dim)
        self.out = nn.Linear(config.dim, config.dim)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        batch, length, dim = x.shape
        qkv = self.qkv(x).view(batch, length, 3, self.heads, dim // self.heads)
        q, k, v = (part.transpose(1, 2) for part in qkv.unbind(2))
        dropout = self.dropout if self.training else 0.0
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropout)
        # A view: the fused kernels write [batch, length, heads, head_dim].
        joined: Tensor = self.out(attended.transpose(1, 2).reshape(batch, length, dim))
        return joined


class FeedForward(nn.Module):
    def __init__(self, config: BERTConfig) -> None:
        super().__init__()
        self.up = nn.Linear(config.dim, config.ffn_width)
        self.down = nn.Linear(config.ffn_width, config.dim)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.down(F.gelu(self.up(x)))
        return out


class Block(nn.Module):
    def __init__(self, config: BERTConfig) -> None:
        super().__init__()
        self.dropout = config.dropout
        self.attention = Attention(config)
        self.attention_norm = nn.LayerNorm(config.dim, config.norm_eps)
        self.ffn = FeedForward(config)
        self.ffn_norm = nn.LayerNorm(config.dim, config.norm_eps)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """x [batch, length, dim]; mask bool [batch, 1, 1, length], True where there is text."""
        attended = F.dropout(self.attention(x, mask), self.dropout, self.training)
        x = self.attention_norm(x + attended)
        out: Tensor = self.ffn_norm(x + F.dropout(self.ffn(x), self.dropout, self.training))
        return out


class Embeddings(nn.Module):
    def __init__(self, config: BERTConfig, vocab_size: int) -> None:
        super().__init__()
        self.dropout = config.dropout
        self.tokens = nn.Embedding(vocab_size, config.dim)
        self.positions = nn.Embedding(config.max_length, config.dim)
        self.types = nn.Embedding(TOKEN_TYPES, config.dim)
        self.norm = nn.LayerNorm(config.dim, config.norm_eps)

    def forward(self, tokens: Tensor) -> Tensor:
        places = self.positions.weight[: tokens.shape[1]] + self.types.weight[0]
        return F.dropout(self.norm(self.tokens(tokens) + places), self.dropout, self.training)


class Head(nn.Module):
    """Hidden states to logits, by the table of token embeddings and a bias for each token."""

    def __init__(self, config: BERTConfig, vocab_size: int) -> None:
        super().__init__()
        self.dense = nn.Linear(config.dim, config.dim)
        self.norm = nn.LayerNorm(config.dim, config.norm_eps)
        self.bias = nn.Parameter(torch.zeros(vocab_size))

    def forward(self, hidden: Tensor, table: Tensor) -> Tensor:
        return F.linear(self.norm(F.gelu(self.dense(hidden))), table, self.bias)


class BERTModel(nn.Module):
    """tokens [batch, length] to hidden states, and the head that projects them."""

    def __init__(self, config: BERTConfig, vocab_size: int) -> None:
        super().__init__()
        self.config = config
        self.embeddings = Embeddings(config, vocab_size)
        self.layers = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.head = Head(config, vocab_size)

    def forward(self, tokens: Tensor, attention_mask: Tensor | None = None) -> ModelOutput:
        """
        Args:
            tokens: int64 [batch, length].
            attention_mask: bool [batch, length], True where there is text; each row has some.
                None: everywhere. What stands where there is none changes nothing elsewhere.

        Raises:
            ValueError: more tokens than `max_length`.
        """
        length = tokens.shape[1]
        if length > self.config.max_length:
            raise ValueError(f"{length} tokens do not fit max_length {self.config.max_length}")
        mask = None if attention_mask is None else attention_mask[:, None, None, :]
        x = self.embeddings(tokens)
        for block in self.layers:
            x = block(x, mask)
        return ModelOutput(hidden=x, head=self.project)

    def project(self, hidden: Tensor) -> Tensor:
        """Hidden states [..., dim] to logits [..., vocabulary]."""
        logits: Tensor = self.head(hidden, self.embeddings.tokens.weight)
        return logits
