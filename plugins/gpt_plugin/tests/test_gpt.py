"""The decoder: shapes, causality, gradients, initialisation, cache, and its estimates."""

from __future__ import annotations

from typing import Any, get_args

import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from create_llm.kernel.plugins import default_plugins
from create_llm.models.architecture import ModelOutput, count_parameters
from create_llm_gpt import forms as gpt_forms
from create_llm_gpt import model as gpt_model
from create_llm_gpt import one_token
from create_llm_gpt.architecture import GPT
from create_llm_gpt.cache import KeyValueCache
from create_llm_gpt.config import GPTConfig
from create_llm_gpt.model import GPTModel, Rotation
from create_llm_gpt.ops import rms_norm, rotate, swiglu

VOCAB = 61
SMALL = GPTConfig(max_length=32, layers=2, heads=4, kv_heads=2, dim=32, dropout=0.0)
FORMS = [
    SMALL,
    SMALL.model_copy(update={"form": "llama", "kv_heads": None, "tied": False}),
    GPTConfig(form="gpt2", max_length=32, layers=2, heads=4, dim=32, dropout=0.0),
]
LLAMA, GPT2 = FORMS[1:]


def made(config: GPTConfig = SMALL, seed: int = 1) -> GPTModel:
    architecture = GPT()
    module = architecture.build(config, VOCAB)
    architecture.init(module, seed)
    return module.eval()


def some_tokens(batch: int = 3, length: int = 20, seed: int = 0) -> Tensor:
    return torch.randint(0, VOCAB, (batch, length), generator=torch.Generator().manual_seed(seed))


def loss_of(module: nn.Module, tokens: Tensor) -> Tensor:
    output: ModelOutput = module(tokens)
    return F.cross_entropy(output.logits()[:, :-1].flatten(0, 1).float(), tokens[:, 1:].flatten())


def sees_the_future(module: nn.Module) -> bool:
    """Whether changing token 11 changes the logits of any token before it."""
    tokens = some_tokens()
    changed = tokens.clone()
    changed[:, 11] = (changed[:, 11] + 1) % VOCAB
    with torch.no_grad():
        before, after = module(tokens).logits(), module(changed).logits()
    assert not torch.allclose(before[:, 11:], after[:, 11:])
    return not torch.allclose(before[:, :11], after[:, :11], atol=1e-6)


def test_the_plugin_registers_it() -> None:
    part = default_plugins().registry.get("architectures", "gpt")
    assert part.load() is GPT
    assert part.config_model() is GPTConfig


@pytest.mark.parametrize("config", FORMS, ids=lambda config: config.form)
def test_shapes(config: GPTConfig) -> None:
    output = made(config)(some_tokens())
    assert output.hidden.shape == (3, 20, 32)
    assert output.logits().shape == (3, 20, VOCAB)
    assert len(GPT().blocks(made(config))) == config.layers


@pytest.mark.parametrize("config", FORMS, ids=lambda config: config.form)
def test_causal(config: GPTConfig) -> None:
    assert not sees_the_future(made(config))


def test_a_model_that_looks_ahead_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def looks_ahead(q: Tensor, k: Tensor, v: Tensor, *others: object) -> Tensor:
        heads = (part.transpose(1, 2) for part in (q, k, v))
        return F.scaled_dot_product_attention(*heads, enable_gqa=True).transpose(1, 2)

    monkeypatch.setattr(gpt_model, "causal_attention", looks_ahead)
    assert sees_the_future(made())


@pytest.mark.parametrize("config", FORMS, ids=lambda config: config.form)
def test_word_order_matters(config: GPTConfig) -> None:
    tokens = some_tokens()
    swapped = tokens.clone()
    swapped[:, [2, 7]] = tokens[:, [7, 2]]
    model = made(config)
    assert not torch.allclose(model(tokens).hidden[:, 15], model(swapped).hidden[:, 15], atol=1e-5)


@pytest.mark.parametrize("config", FORMS, ids=lambda config: config.form)
def test_gradients_reach_every_parameter(config: GPTConfig) -> None:
    model = made(config).train()
    loss_of(model, some_tokens()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize("config", FORMS, ids=lambda config: config.form)
def test_meta_build_allocates_nothing_and_fills_later(config: GPTConfig) -> None:
    with torch.device("meta"):
        model = GPT().build(config, VOCAB)
    assert all(tensor.is_meta for tensor in [*model.parameters(), *model.buffers()])
    real = made(config)
    assert count_parameters(GPT(), config, VOCAB) == sum(p.numel() for p in real.parameters())
    model.to_empty(device="cpu")
    model.load_state_dict(real.state_dict())
    assert torch.equal(model.eval()(some_tokens()).hidden, real(some_tokens()).hidden)


class OnlyMeta(TorchDispatchMode):
    """Lets no operation return a tensor of another device."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> object:
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            assert not isinstance(tensor, Tensor) or tensor.is_meta, f"{func}: {tensor.device}"
        return result


@pytest.mark.parametrize("config", FORMS, ids=lambda config: config.form)
def test_a_forward_makes_its_tensors_where_the_tokens_are(config: GPTConfig) -> None:
    """A table of positions made on the CPU would not meet a model on a GPU."""
    with torch.device("meta"):
        model, tokens = GPT().build(config, VOCAB), torch.zeros(2, 9, dtype=torch.long)
    with OnlyMeta():
        cache = GPT().new_cache(model, 2, 12)
        for n in (7, 2, 1):  # a prompt, more of it, and a token after it
            assert GPT().decode(model, tokens[:, :n], cache).is_meta


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("config", FORMS, ids=lambda config: config.form)
def test_cuda_equals_the_cpu(config: GPTConfig, dtype: torch.dtype) -> None:
    model, tokens = made(config), some_tokens()
    expected = model(tokens).logits().detach()
    model, tokens = model.to("cuda", dtype), tokens.cuda()
    near = float(expected.abs().max()) * (1e-3 if dtype == torch.float32 else 0.1)
    torch.testing.assert_close(model(tokens).logits().float().cpu(), expected, rtol=0, atol=near)
    cached = steps_with_cache(model, tokens, 7).float().cpu()
    torch.testing.assert_close(cached, expected[:, 6:], rtol=0, atol=near)
    loss_of(model.train(), tokens).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_initial_values() -> None:
    first, same, other = made(seed=1), made(seed=1), made(seed=2)
    for (name, a), b in zip(first.named_parameters(), same.parameters(), strict=True):
        assert torch.equal(a, b), name
    assert not torch.equal(first.embedding.weight, other.embedding.weight)
    assert first.embedding.weight.std().item() == pytest.approx(0.02, rel=0.1)
    down = first.get_parameter("layers.0.ffn.down.weight")
    assert down.std().item() == pytest.approx(0.02 / 2, rel=0.1)  # sqrt(2 · 2 layers)
    assert torch.equal(first.get_parameter("norm.weight"), torch.ones(32))
    gpt2 = dict(made(GPT2).named_parameters())
    biases = [parameter for name, parameter in gpt2.items() if name.endswith("bias")]
    assert len(biases) == 6 * GPT2.layers + 1  # of four matrices and two norms, and the last norm
    assert not any(bias.any() for bias in biases)
    assert torch.equal(gpt2["norm.weight"], torch.ones(32))
    assert gpt2["positions.weight"].std().item() == pytest.approx(0.02, rel=0.1)


def test_the_forms_are_made_of_what_the_families_are() -> None:
    forms = {config.form: dict(made(config).named_parameters()) for config in FORMS}
    assert set(forms) == set(gpt_forms.FORMS)
    assert set(forms) == set(get_args(GPTConfig.model_fields["form"].annotation))
    assert [form for form in forms if "positions.weight" in forms[form]] == ["gpt2"]
    assert [form for form in forms if "layers.0.attention.q_norm.weight" in forms[form]] == [
        "qwen3"
    ]
    biased = [form for form, names in forms.items() if any(n.endswith("bias") for n in names)]
    assert biased == ["gpt2"]
    assert forms["gpt2"]["positions.weight"].shape == (GPT2.max_length, GPT2.dim)


def steps_with_cache(model: GPTModel, tokens: Tensor, prefill: int) -> Tensor:
    """Logits [batch, length - prefill + 1, vocabulary]: a prompt at once, then token by token."""
    architecture = GPT()
    cache = architecture.new_cache(model, *tokens.shape)
    logits = [architecture.decode(model, tokens[:, :prefill], cache)]
    for index in range(prefill, tokens.shape[1]):
        assert cache.length == index
        logits.append(architecture.decode(model, tokens[:, index : index + 1], cache))
    return torch.stack(logits, dim=1)


@pytest.mark.parametrize("prefill", [1, 7])
@pytest.mark.parametrize("config", FORMS, ids=lambda config: config.form)
def test_cached_logits_equal_uncached(config: GPTConfig, prefill: int) -> None:
    model, tokens = made(config), some_tokens()
    expected = model(tokens).logits()[:, prefill - 1 :]
    cached = steps_with_cache(model, tokens, prefill)
    torch.testing.assert_close(cached, expected, rtol=1e-4, atol=1e-5)


def test_a_prompt_in_two_parts_equals_one() -> None:
    model, tokens, architecture = made(), some_tokens(), GPT()
    cache = architecture.new_cache(model, 3, 20)
    architecture.decode(model, tokens[:, :8], cache)
    logits = architecture.decode(model, tokens[:, 8:], cache)
    torch.testing.assert_close(logits, model(tokens).logits()[:, -1], rtol=1e-4, atol=1e-5)


def spread_attention(model: GPTModel) -> None:
    """Larger weights, so that attention is not nearly uniform and positions count."""
    with torch.no_grad():
        for block in model.layers:
            block.get_parameter("attention.qkv.weight").mul_(20)


def test_a_position_off_by_one_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    model, tokens = made(), some_tokens()
    spread_attention(model)
    expected = model(tokens).logits()[:, 6:]
    right = one_token.rotation_of

    def late(config: GPTConfig, places: Tensor) -> Rotation:
        return right(config, places + 1)

    torch.testing.assert_close(steps_with_cache(model, tokens, 7), expected, rtol=1e-4, atol=1e-5)
    monkeypatch.setattr(one_token, "rotation_of", late)
    assert not torch.allclose(steps_with_cache(model, tokens, 7), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("config", FORMS, ids=lambda config: config.form)
def test_rows_of_different_lengths_are_decoded_as_if_alone(config: GPTConfig) -> None:
    """Gathered, decoded, and gathered again without one of them and with a new one."""
    model, tokens, architecture = made(config), some_tokens(4), GPT()
    spread_attention(model)
    lengths = [9, 3, 1, 6]
    caches = [architecture.new_cache(model, 1, 20) for _ in lengths]
    for row, (cache, length) in enumerate(zip(caches, lengths, strict=True)):
        architecture.decode(model, tokens[row : row + 1, :length], cache)

    def decoded(cache: KeyValueCache, rows: list[int]) -> None:
        for _ in range(3):
            following = torch.stack([tokens[row, lengths[row]] for row in rows])[:, None]
            logits = architecture.decode(model, following, cache)
            for place, row in enumerate(rows):
                lengths[row] += 1
                alone = model(tokens[row : row + 1, : lengths[row]]).logits()[0, -1]
                torch.testing.assert_close(logits[place], alone, rtol=1e-4, atol=1e-5)

    first = architecture.gather([(caches[row], 0) for row in (0, 1, 2)])
    decoded(first, [0, 1, 2])
    assert (first.length, first.padding) == (12, (0, 6, 8))
    second = architecture.gather([(first, 2), (first, 1), (caches[3], 0)])
    assert second.length == 6
    decoded(second, [2, 1, 3])
    alone = architecture.gather([(second, 0)])
    assert not alone.padding
    decoded(alone, [2])


def test_a_row_that_looks_at_padding_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(KeyValueCache, "visible", lambda cache, count: None)
    with pytest.raises(AssertionError):
        test_rows_of_different_lengths_are_decoded_as_if_alone(SMALL)


def test_what_does_not_fit_is_refused() -> None:
    model, architecture = made(), GPT()
    with pytest.raises(ValueError, match="33 tokens do not fit max_length 32"):
        model(some_tokens(length=33))
    with pytest.raises(ValueError, match="exceeds max_length 32"):
        architecture.new_cache(model, 1, 33)
    cache = architecture.new_cache(model, 3, 8)
    architecture.decode(model, some_tokens(length=8), cache)
    with pytest.raises(ValueError, match="9 tokens do not fit the cache"):
        architecture.decode(model, some_tokens(length=1), cache)
    assert cache.length == 8


def test_overfits_one_batch() -> None:
    model, tokens = made().train(), some_tokens()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(120):
        optimizer.zero_grad()
        loss = loss_of(model, tokens)
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.1


def test_dropout_acts_only_while_training() -> None:
    config = SMALL.model_copy(update={"dropout": 0.2, "attention_dropout": 0.2})
    model, tokens = made(config), some_tokens()
    assert torch.equal(model(tokens).hidden, model(tokens).hidden)
    model.train()
    assert not torch.equal(model(tokens).hidden, model(tokens).hidden)


@pytest.mark.parametrize("config", FORMS, ids=lambda config: config.form)
def test_what_dropout_drops_of(config: GPTConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    """What attention and feed-forward add, in each block; in GPT-2 the embeddings' sum before."""
    shares: list[float] = []

    def watched(x: Tensor, share: float, training: bool) -> Tensor:
        assert training
        shares.append(share)
        return x

    monkeypatch.setattr(gpt_model, "dropout", watched)
    made(config.model_copy(update={"dropout": 0.3})).train()(some_tokens())
    expected = 2 * config.layers + (1 if config.form == "gpt2" else 0)
    assert shares == [0.3] * expected


@pytest.mark.parametrize("config", FORMS, ids=lambda config: config.form)
def test_bf16_autocast(config: GPTConfig) -> None:
    model, tokens = made(config).train(), some_tokens()
    exact = loss_of(model, tokens)
    with torch.autocast("cpu", torch.bfloat16):
        loss = loss_of(model, tokens)
        loss.backward()
    assert loss.item() == pytest.approx(exact.item(), rel=1e-2)
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("config", [SMALL, GPT2], ids=lambda config: config.form)
def test_traces_without_a_graph_break(config: GPTConfig) -> None:
    model, tokens = made(config), some_tokens()
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(tokens).logits(), model(tokens).logits())


def test_eager_cpu_operations_equal_their_definitions() -> None:
    generator = torch.Generator().manual_seed(0)
    # Queries reach them as a slice of qkv, not contiguous.
    wide = torch.randn(2, 5, 7, 8, generator=generator)
    angles = torch.randn(5, 1, 4, generator=generator)
    weight = torch.randn(8, generator=generator)

    def defined_rotation(x: Tensor) -> Tensor:
        cos, sin = (torch.cat((t, t), -1) for t in (angles.cos(), angles.sin()))
        return x * cos + torch.cat((-x[..., 4:], x[..., :4]), -1) * sin

    pairs = [
        (lambda x, w: rms_norm(x, w, 1e-6), lambda x, w: F.rms_norm(x, (8,), w, 1e-6)),
        (
            lambda x, w: rotate(x * w, angles.cos(), angles.sin()),
            lambda x, w: defined_rotation(x * w),
        ),
        (lambda x, w: swiglu(x * w), lambda x, w: F.silu((x * w)[..., :4]) * (x * w)[..., 4:]),
    ]
    for ours, defined in pairs:
        results = []
        for function in (ours, defined):
            x, w = wide.clone().requires_grad_(), weight.clone().requires_grad_()
            y = function(x[:, :, 1:5], w)
            (y * torch.arange(y.numel()).view(y.shape).sin()).sum().backward()
            results.append((y, x.grad, w.grad))
        torch.testing.assert_close(results[0], results[1])


@pytest.mark.parametrize("config", FORMS, ids=lambda config: config.form)
def test_parameter_groups_partition_the_parameters(config: GPTConfig) -> None:
    model = made(config)
    groups = GPT().param_groups(model)
    listed = [*groups.matrices, *groups.embeddings, *groups.norms]
    assert sorted(map(id, listed)) == sorted(map(id, model.parameters()))
    learned = config.form == "gpt2"
    assert len(groups.embeddings) == (1 if config.tied else 2) + learned
    assert len(groups.matrices) == 4 * config.layers
    assert all(parameter.ndim == 1 for parameter in groups.norms)


def test_flops_counts_weights_head_and_half_the_attention() -> None:
    config = GPTConfig(layers=2, heads=4, dim=64, ffn_dim=128)
    weights = 2 * (4 * 64 * 64 + 3 * 64 * 128) + 1000 * 64
    expected = 6 * weights + 6 * 2 * 64 * 256
    assert GPT().flops(config, 1000, 256) == expected
    untied = config.model_copy(update={"tied": False})
    assert GPT().flops(untied, 1000, 256) == expected
    # GPT-2's feed-forward has no gate, and its table of positions is only looked up.
    gpt2 = GPTConfig(form="gpt2", max_length=5000, layers=2, heads=4, dim=64)
    weights = 2 * (4 * 64 * 64 + 2 * 64 * 256) + 1000 * 64
    assert GPT().flops(gpt2, 1000, 256) == 6 * weights + 6 * 2 * 64 * 256


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"dim": 100, "heads": 8}, "dim 100 is not divisible by heads 8; try dim 96"),
        ({"dim": 24, "heads": 8}, "dim 24 / heads 8 = 3 is odd"),
        ({"head_dim": 33}, "head_dim 33 is odd"),
        ({"heads": 8, "kv_heads": 3}, "kv_heads can be 1, 2, 4, 8"),
        ({"dropout": 1.0}, "less than 1"),
        ({"layers": 0}, "greater than or equal to 1"),
        ({"form": "gpt3"}, "'qwen3', 'llama' or 'gpt2'"),
        ({"form": "gpt2", "kv_heads": 2}, "there is no kv_heads; leave it out"),
        ({"form": "gpt2", "head_dim": 128}, "head_dim 128 is not 512 / 8; leave it out"),
        ({"form": "gpt2", "rope_theta": 5e5}, "rope_theta is for rotary ones; leave it out"),
        ({"form": "gpt2", "dim": 100, "heads": 8}, "dim 100 is not divisible by heads 8"),
        ({"widht": 3}, "Extra inputs"),
    ],
)
def test_configurations_that_cannot_work(values: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        GPTConfig.model_validate(values)


def test_every_key_is_described() -> None:
    for name, field in GPTConfig.model_fields.items():
        assert field.description, name
        assert isinstance(field.json_schema_extra, dict), name
        assert set(field.json_schema_extra) == {"cost", "try"}, name
    assert GPTConfig(dim=512).ffn_width == 1408
    assert GPTConfig(dim=192).ffn_width == 512
    assert GPTConfig(dim=192, form="gpt2").ffn_width == 768


def test_what_the_gpt2_form_takes() -> None:
    """Heads of an odd width, and what a resolved configuration repeats of its defaults."""
    config = GPTConfig(form="gpt2", dim=36, heads=4, max_length=8, layers=1)
    assert GPTConfig.model_validate(config.model_dump()) == config
    assert GPTConfig(form="gpt2", dim=36, heads=4, head_dim=9).head_width == 9
    assert made(config)(some_tokens(length=8)).hidden.shape == (3, 8, 36)
