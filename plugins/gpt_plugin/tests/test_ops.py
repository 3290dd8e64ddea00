"""The functions with gradients of their own, beside torch's."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from create_llm_gpt import attention
from create_llm_gpt.attention import causal_attention, weights_kept
from create_llm_gpt.ops import dropout, gelu, rms_norm


def heads(length: int, count: int, dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(length * 10 + count)
    values = torch.randn(2, length, count, 8, generator=generator, dtype=torch.float64)
    return values.to(dtype).requires_grad_()


def by_torch(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    parts = (part.transpose(1, 2) for part in (q, k, v))
    out = F.scaled_dot_product_attention(*parts, is_causal=True, enable_gqa=True)
    return out.transpose(1, 2)


def gradients(out: Tensor, *inputs: Tensor) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(5)
    upstream = torch.randn(out.shape, generator=generator, dtype=torch.float64).to(out.dtype)
    return torch.autograd.grad(out, inputs, upstream)


@pytest.mark.parametrize("length", [1, 2, 127, 128, 129, 256, 300])
@pytest.mark.parametrize("kv_heads", [1, 4])
def test_attention_and_its_gradients(length: int, kv_heads: int) -> None:
    q, k, v = heads(length, 4), heads(length, kv_heads), heads(length + 1, kv_heads)[:, 1:]
    assert attention._pays(q)
    mine, torchs = causal_attention(q, k, v, 0.0), by_torch(q, k, v)
    torch.testing.assert_close(mine, torchs)
    for got, wanted in zip(gradients(mine, q, k, v), gradients(torchs, q, k, v), strict=True):
        torch.testing.assert_close(got, wanted)


@pytest.mark.parametrize("weights_are_kept", [True, False])
def test_attention_within_segments(weights_are_kept: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of documents of 100, 1 and 199 tokens, and in the second row one more beginning."""
    monkeypatch.setattr(attention, "_MOST_WEIGHTS", 1 << 27 if weights_are_kept else 0)
    lengths = (100, 1, 199)
    segments = torch.repeat_interleave(torch.arange(3), torch.tensor(lengths)).repeat(2, 1)
    segments[1, 250:] += 1
    q, k, v = heads(300, 4), heads(300, 2), heads(301, 2)[:, 1:]
    joined = causal_attention(q, k, v, 0.0, segments)
    rows = []
    for row, sizes in enumerate((lengths, (100, 1, 149, 50))):
        parts = [part[row : row + 1].split(sizes, dim=1) for part in (q, k, v)]
        rows.append(torch.cat([by_torch(*part) for part in zip(*parts, strict=True)], dim=1))
    alone = torch.cat(rows)
    torch.testing.assert_close(joined, alone)
    for got, wanted in zip(gradients(joined, q, k, v), gradients(alone, q, k, v), strict=True):
        torch.testing.assert_close(got, wanted)


def test_attention_in_bf16_is_as_near_as_torchs_own() -> None:
    exact = [heads(256, count) for count in (4, 4, 4)]
    rounded = [part.detach().bfloat16().requires_grad_() for part in exact]
    wanted = gradients(by_torch(*exact), *exact)
    errors = []
    for function in (lambda q, k, v: causal_attention(q, k, v, 0.0), by_torch):
        got = gradients(function(*rounded), *rounded)
        pairs = zip(got, wanted, strict=True)
        errors.append(max(float((g.double() - w).abs().max()) for g, w in pairs))
    assert errors[0] < 2 * errors[1]


def test_the_weights_kept_are_those_of_the_past(monkeypatch: pytest.MonkeyPatch) -> None:
    assert weights_kept(2, 4, 128) == 2 * 4 * 128 * 128
    assert weights_kept(2, 4, 256) == 2 * 4 * (128 * 128 + 128 * 256)
    monkeypatch.setattr(attention, "_MOST_WEIGHTS", 1000)
    assert weights_kept(2, 4, 256) == 0
    q = heads(256, 4)
    torch.testing.assert_close(causal_attention(q, q, q, 0.0), by_torch(q, q, q))


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_rms_norm_and_its_gradients(dtype: torch.dtype) -> None:
    x = heads(40, 3, dtype)
    weight = torch.linspace(0.5, 1.5, 8, dtype=torch.float64).requires_grad_()
    mine = rms_norm(x, weight, 1e-6)
    wide = x.detach().double().requires_grad_()
    torchs = F.rms_norm(wide, (8,), weight, 1e-6)
    near = {"atol": 1e-9, "rtol": 1e-9} if dtype == torch.float64 else {"atol": 0.1, "rtol": 0.05}
    torch.testing.assert_close(mine.double(), torchs, **near)
    got, wanted = gradients(mine, x, weight), gradients(torchs, wide, weight)
    torch.testing.assert_close(got[0].double(), wanted[0], **near)
    assert F.cosine_similarity(got[1], wanted[1], dim=0) > 0.999


def test_gelu_is_the_approximation_of_gpt2_as_far_as_bf16_can_tell() -> None:
    x = torch.linspace(-9, 9, 20_001, dtype=torch.float64).bfloat16()
    wanted = F.gelu(x.double(), approximate="tanh")
    assert torch.equal(gelu(x.float()), F.gelu(x.float(), approximate="tanh"))
    rounding = wanted.abs() / 2**8
    error = (gelu(x).double() - wanted).abs()
    assert bool((error <= rounding + 5e-4).all())


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_dropout_keeps_the_mean_and_drops_its_share(share: float) -> None:
    torch.manual_seed(3)
    x = torch.ones(200, 1001).requires_grad_()
    out = dropout(x, share, training=True)
    dropped = float((out == 0).double().mean())
    assert dropped == pytest.approx(round(256 * share) / 256, abs=0.005)
    assert float(out.detach().mean()) == pytest.approx(1.0, abs=0.01)
    (grad,) = torch.autograd.grad(out.sum(), x)
    assert torch.equal(grad, out)
    torch.manual_seed(3)
    assert torch.equal(dropout(x, share, training=True), out)
    assert dropout(x, share, training=False) is x
