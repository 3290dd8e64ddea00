"""Between this module's parameters and the tensors of Hugging Face's Qwen3, Llama and GPT-2.

One table, `_layout`, says which of their tensors make up each of ours, so that writing, reading
and checking cannot disagree. Nothing is rounded: there and back is the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from create_llm_gpt.config import GPTConfig
from create_llm_gpt.hf import damaged, unreadable

_HEAD = "lm_head.weight"

_BUFFERS = (".rotary_emb.inv_freq", ".attn.bias", ".attn.masked_bias")
"""Ends of what old files hold besides weights: rotary frequencies, GPT-2's causal mask."""

_BARE = ("wte.", "wpe.", "h.", "ln_f.")
"""How the names start in GPT-2 files without a head, such as gpt2 itself."""


@dataclass(frozen=True, slots=True)
class _Piece:
    """One tensor of theirs: its name and shape, and whether it is the transpose of ours."""

    name: str
    shape: tuple[int, ...]
    transposed: bool = False

    @property
    def rows(self) -> int:
        """Of ours."""
        return self.shape[-1] if self.transposed else self.shape[0]

    def turned(self, tensor: Tensor) -> Tensor:
        """A view of ours as theirs, or of theirs as ours."""
        return tensor.t() if self.transposed else tensor


_Layout = dict[str, tuple[_Piece, ...]]
"""Our parameter → the tensors of theirs that, stacked by rows, are it."""


def to_hf_tensors(
    config: GPTConfig, vocab_size: int, state: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Views of the state dict under their names.

    GPT-2's matrices are transposed views: a copy of them all would double the model's memory at
    each checkpoint. `storage.tensors` writes them one by one; safetensors' own `save_file` asks
    for `contiguous()` first.
    """
    tensors: dict[str, Tensor] = {}
    for ours, pieces in _layout(config, vocab_size).items():
        parts = torch.split(state[ours], [piece.rows for piece in pieces])
        named = zip(pieces, parts, strict=True)
        tensors |= {piece.name: piece.turned(part) for piece, part in named}
    return tensors


def from_hf_tensors(
    config: GPTConfig, vocab_size: int, tensors: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """The state dict, contiguous; fused and transposed matrices are new, the others are shared.

    Raises:
        DataError: a tensor is missing, has another shape, or has no place in the model.
    """
    named = {_full_name(name): tensor for name, tensor in tensors.items()}
    layout = _layout(config, vocab_size)
    _refuse_strangers(named, {piece.name for pieces in layout.values() for piece in pieces})
    if config.tied:
        _refuse_another_head(named, layout["embedding.weight"][0].name)
    state = {}
    for ours, pieces in layout.items():
        parts = [piece.turned(_take(named, piece)) for piece in pieces]
        state[ours] = parts[0].contiguous() if len(parts) == 1 else torch.cat(parts)
    return state


def _full_name(name: str) -> str:
    return f"transformer.{name}" if name.startswith(_BARE) else name


def _take(tensors: Mapping[str, Tensor], piece: _Piece) -> Tensor:
    tensor = tensors.get(piece.name)
    if tensor is None:
        raise damaged(piece.name, f"the weights lack {piece.name}")
    if tuple(tensor.shape) != piece.shape:
        found, expected = list(tensor.shape), list(piece.shape)
        raise damaged(piece.name, f"{piece.name} is {found}; config.json makes it {expected}")
    return tensor


def _refuse_strangers(tensors: Mapping[str, Tensor], known: set[str]) -> None:
    # Some files repeat the shared matrix.
    for name in sorted(tensors.keys() - known - {_HEAD}):
        if not name.endswith(_BUFFERS):
            raise unreadable(name, f"with a tensor that has no place here, {name}")


def _refuse_another_head(tensors: Mapping[str, Tensor], embedding: str) -> None:
    head = tensors.get(_HEAD)
    if head is not None and embedding in tensors and not torch.equal(head, tensors[embedding]):
        raise damaged(_HEAD, f"config.json ties {_HEAD} to {embedding}, but they differ")


def _layout(config: GPTConfig, vocab_size: int) -> _Layout:
    layout = _LAYOUTS[config.form](config, vocab_size)
    if not config.tied:
        layout["lm_head.weight"] = (_Piece(_HEAD, (vocab_size, config.dim)),)
    return layout


def _llama(config: GPTConfig, vocab_size: int) -> _Layout:
    dim = config.dim
    layout: _Layout = {
        "embedding.weight": (_Piece("model.embed_tokens.weight", (vocab_size, dim)),)
    }
    for index in range(config.layers):
        for ours, pieces in _llama_block(config).items():
            layout[f"layers.{index}.{ours}.weight"] = tuple(
                _Piece(f"model.layers.{index}.{piece.name}.weight", piece.shape) for piece in pieces
            )
    layout["norm.weight"] = (_Piece("model.norm.weight", (dim,)),)
    return layout


def _llama_block(config: GPTConfig) -> _Layout:
    dim, ffn, head = config.dim, config.ffn_width, config.head_width
    queries, keys = config.heads * head, config.key_value_heads * head
    layout: _Layout = {
        "attention_norm": (_Piece("input_layernorm", (dim,)),),
        "attention.qkv": (
            _Piece("self_attn.q_proj", (queries, dim)),
            _Piece("self_attn.k_proj", (keys, dim)),
            _Piece("self_attn.v_proj", (keys, dim)),
        ),
        "attention.out": (_Piece("self_attn.o_proj", (dim, queries)),),
        "ffn_norm": (_Piece("post_attention_layernorm", (dim,)),),
        "ffn.gate_up": (_Piece("mlp.gate_proj", (ffn, dim)), _Piece("mlp.up_proj", (ffn, dim))),
        "ffn.down": (_Piece("mlp.down_proj", (dim, ffn)),),
    }
    if config.parts.head_norm:
        layout["attention.q_norm"] = (_Piece("self_attn.q_norm", (head,)),)
        layout["attention.k_norm"] = (_Piece("self_attn.k_norm", (head,)),)
    return layout


def _gpt2(config: GPTConfig, vocab_size: int) -> _Layout:
    dim, ffn = config.dim, config.ffn_width
    layout: _Layout = {
        "embedding.weight": (_Piece("transformer.wte.weight", (vocab_size, dim)),),
        "positions.weight": (_Piece("transformer.wpe.weight", (config.max_length, dim)),),
    }
    for index in range(config.layers):
        ours, theirs = f"layers.{index}", f"transformer.h.{index}"
        layout |= _biased(f"{ours}.attention_norm", f"{theirs}.ln_1", (dim,))
        layout |= _biased(f"{ours}.attention.qkv", f"{theirs}.attn.c_attn", (dim, 3 * dim))
        layout |= _biased(f"{ours}.attention.out", f"{theirs}.attn.c_proj", (dim, dim))
        layout |= _biased(f"{ours}.ffn_norm", f"{theirs}.ln_2", (dim,))
        layout |= _biased(f"{ours}.ffn.up", f"{theirs}.mlp.c_fc", (dim, ffn))
        layout |= _biased(f"{ours}.ffn.down", f"{theirs}.mlp.c_proj", (ffn, dim))
    return layout | _biased("norm", "transformer.ln_f", (dim,))


def _biased(ours: str, theirs: str, shape: tuple[int, ...]) -> _Layout:
    """A norm, or a matrix as their Conv1D keeps it: inputs by outputs, which nn.Linear turns."""
    return {
        f"{ours}.weight": (_Piece(f"{theirs}.weight", shape, transposed=len(shape) == 2),),
        f"{ours}.bias": (_Piece(f"{theirs}.bias", shape[-1:]),),
    }


_LAYOUTS: Mapping[str, Callable[[GPTConfig, int], _Layout]] = {
    "qwen3": _llama,
    "llama": _llama,
    "gpt2": _gpt2,
}
