"""The encoder-decoder: what sees what, its cache, and its configuration."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError
from torch import Tensor

from create_llm.models.architecture import count_parameters
from create_llm_t5.architecture import T5
from create_llm_t5.config import T5Config
from create_llm_t5.model import Stack, T5Model

VOCAB = 61
SMALL = T5Config(
    max_length=16, layers=2, heads=4, dim=32, dropout=0.0, position_buckets=8, position_distance=12
)
FORMS = [SMALL, SMALL.model_copy(update={"form": "v1.0", "tied": True, "decoder_layers": 1})]


def made(config: T5Config = SMALL, seed: int = 1) -> T5Model:
    """With positions that count: T5 begins with hardly any bias."""
    architecture = T5()
    model = architecture.build(config, VOCAB)
    architecture.init(model, seed)
    with torch.no_grad():
        for stack in (model.encoder, model.decoder):
            stack.position_bias.weight.mul_(5)
    return model.eval()


def some_tokens(batch: int = 2, length: int = 14, seed: int = 0) -> Tensor:
    return torch.randint(0, VOCAB, (batch, length), generator=torch.Generator().manual_seed(seed))


def changed_at(tokens: Tensor, place: int) -> Tensor:
    changed = tokens.clone()
    changed[:, place] = (changed[:, place] + 1) % VOCAB
    return changed


@torch.no_grad()
def logits_of(model: T5Model, source: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
    return model(source, target, mask).logits()


def padded(source: Tensor, by: int) -> tuple[Tensor, Tensor]:
    """With padding behind it, and the mask that says so."""
    mask = torch.ones_like(source, dtype=torch.bool)
    return F.pad(source, (0, by), value=3), F.pad(mask, (0, by), value=False)


@pytest.mark.parametrize("config", FORMS, ids=lambda config: config.form)
def test_padding_the_encoder_changes_nothing(config: T5Config) -> None:
    model, source, target = made(config), some_tokens(), some_tokens(length=6, seed=2)
    expected = logits_of(model, source, target)
    longer, mask = padded(source, 5)
    torch.testing.assert_close(logits_of(model, longer, target, mask), expected)
    assert not torch.allclose(logits_of(model, longer, target), expected, atol=1e-3)


def test_each_row_has_a_mask_of_its_own() -> None:
    model, source, target = made(), some_tokens(), some_tokens(length=6, seed=2)
    mask = torch.ones_like(source, dtype=torch.bool)
    mask[1, 9:] = False
    together = logits_of(model, source, target, mask)
    torch.testing.assert_close(together[:1], logits_of(model, source[:1], target[:1]))
    torch.testing.assert_close(together[1:], logits_of(model, source[1:, :9], target[1:]))


def test_the_decoder_does_not_look_ahead() -> None:
    model, source, target = made(), some_tokens(), some_tokens(seed=2)
    before = logits_of(model, source, target)
    for place in range(1, target.shape[1]):
        after = logits_of(model, source, changed_at(target, place))
        torch.testing.assert_close(after[:, :place], before[:, :place])
        assert not torch.allclose(after[:, place:], before[:, place:], atol=1e-3)


def test_a_decoder_that_looks_ahead_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    model, source, target = made(), some_tokens(), some_tokens(seed=2)
    monkeypatch.setattr(model.decoder, "causal", False)
    before = logits_of(model, source, target)
    after = logits_of(model, source, changed_at(target, 8))
    assert not torch.allclose(after[:, :8], before[:, :8], atol=1e-3)


@torch.no_grad()
def test_the_encoder_looks_both_ways() -> None:
    model, source = made(), some_tokens()
    before = model.encode(source, None)
    for place in (0, 7, 13):
        after = model.encode(changed_at(source, place), None)
        differs = (after - before).abs().amax((0, 2)) > 1e-4
        assert differs.all(), f"places that do not see token {place}: {(~differs).nonzero()}"


def test_word_order_matters_in_both() -> None:
    model, source, target = made(), some_tokens(), some_tokens(seed=2)
    expected = logits_of(model, source, target)[:, -1]
    order = torch.tensor([0, 1, 7, 3, 4, 5, 6, 2, *range(8, 14)])
    assert not torch.allclose(
        logits_of(model, source[:, order], target)[:, -1], expected, atol=1e-3
    )
    assert not torch.allclose(
        logits_of(model, source, target[:, order])[:, -1], expected, atol=1e-3
    )


def test_position_bias_of_a_part_is_that_of_the_whole() -> None:
    model = made()
    for stack in (model.encoder, model.decoder):
        whole = stack.bias(0, 30)
        assert torch.equal(stack.bias(21, 30), whole[:, :, 21:])
        assert stack.bias(0, 30).unique().numel() > 4 * 3
    assert whole[0, 0].triu(1).isinf().sum() == 30 * 29 / 2


def steps_with_cache(
    model: T5Model, source: Tensor, target: Tensor, prompt: int, mask: Tensor | None = None
) -> Tensor:
    """Logits [batch, length - prompt + 1, vocabulary]: a prompt at once, then token by token."""
    architecture, inputs = T5(), {"tokens": source, "decoder_tokens": target[:, :prompt]}
    if mask is not None:
        inputs["attention_mask"] = mask
    cache, first = architecture.begin(model, inputs, target.shape[1])
    logits = [first]
    for index in range(prompt, target.shape[1]):
        assert cache.length == index
        logits.append(architecture.decode(model, target[:, index : index + 1], cache))
    return torch.stack(logits, dim=1)


@pytest.mark.parametrize("prompt", [1, 2, 7])
@pytest.mark.parametrize("config", FORMS, ids=lambda config: config.form)
def test_cached_logits_equal_uncached(config: T5Config, prompt: int) -> None:
    model, target = made(config), some_tokens(length=20, seed=2)
    source, mask = padded(some_tokens(), 4)
    expected = logits_of(model, source, target, mask)[:, prompt - 1 :]
    cached = steps_with_cache(model, source, target, prompt, mask)
    torch.testing.assert_close(cached, expected, rtol=1e-4, atol=1e-5)


def test_a_position_off_by_one_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    model, source, target = made(), some_tokens(), some_tokens(length=20, seed=2)
    expected = logits_of(model, source, target)
    right = Stack.bias

    def late(self: Stack, start: int, end: int) -> Tensor:
        return right(self, start - 1, end)[:, :, :-1] if start else right(self, start, end)

    monkeypatch.setattr(Stack, "bias", late)
    assert not torch.allclose(steps_with_cache(model, source, target, 1), expected, atol=1e-3)


def test_the_encoder_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model, calls = made(), []
    for module in (model.encoder.norm, *(block.cross.kv for block in model.decoder.layers)):
        module.register_forward_hook(lambda *_: calls.append(1))
    steps_with_cache(model, some_tokens(), some_tokens(length=20), 2)
    assert len(calls) == 1 + SMALL.layers


def test_what_does_not_fit_the_cache_is_refused() -> None:
    model, architecture = made(), T5()
    inputs = {"tokens": some_tokens(), "decoder_tokens": some_tokens(length=8)}
    cache, _ = architecture.begin(model, inputs, 8)
    with pytest.raises(ValueError, match="9 tokens do not fit the cache, which has room for 8"):
        architecture.decode(model, some_tokens(length=1), cache)
    assert cache.length == 8


def test_texts_longer_than_max_length_are_read() -> None:
    model, target = made(), some_tokens(length=40, seed=2)
    source = some_tokens(length=SMALL.max_length + 24)
    assert logits_of(model, source, target).isfinite().all()


def test_generation_keeps_no_graph() -> None:
    inputs = {"tokens": some_tokens(), "decoder_tokens": some_tokens(length=8)}
    cache, logits = T5().begin(made(), inputs, 8)
    assert not logits.requires_grad
    assert not any(tensor.requires_grad for layer in cache.layers for tensor in layer.own)


def test_initial_values() -> None:
    """Each matrix keeps the size of what it is given; unscaled scores begin small as well."""
    config = T5Config(layers=1, heads=4, dim=256)
    model, tokens = made(config), some_tokens(batch=8)
    attention = model.encoder.layers[0].get_parameter("attention.qkv.weight")
    assert attention[:256].std().item() == pytest.approx((256 * 64) ** -0.5, rel=0.05)
    assert attention[256:].std().item() == pytest.approx(256**-0.5, rel=0.05)
    assert model.embedding.weight.std().item() == pytest.approx(1.0, rel=0.05)
    assert logits_of(model, tokens, tokens).std().item() == pytest.approx(1.0, rel=0.1)
    assert torch.equal(model.decoder.norm.weight, torch.ones(256))


@pytest.mark.parametrize("config", FORMS, ids=lambda config: config.form)
def test_bf16_autocast(config: T5Config) -> None:
    model, target = made(config).train(), some_tokens(seed=2)
    source, mask = padded(some_tokens(), 4)

    def loss() -> Tensor:
        logits = model(source, target, mask).logits().float()
        return F.cross_entropy(logits.flatten(0, 1), target.flatten())

    exact = loss().item()
    with torch.autocast("cpu", torch.bfloat16):
        value = loss()
        torch.autograd.backward(value)
    assert value.item() == pytest.approx(exact, rel=2e-2)
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def gaps(seed: int) -> tuple[Tensor, Tensor]:
    """32 texts that count on from some token, with a gap, and the three tokens that stood there."""
    generator = torch.Generator().manual_seed(seed)
    texts = (torch.randint(20, (32, 1), generator=generator) + torch.arange(12)) % 20 + 5
    first = torch.randint(1, 9, (32, 1), generator=generator)
    hidden = (torch.arange(12) >= first) & (torch.arange(12) < first + 3)
    return texts.masked_fill(hidden, 1), texts[hidden].view(32, 3)


@pytest.mark.parametrize("config", FORMS, ids=lambda config: config.form)
def test_learns_to_fill_a_gap_from_what_the_encoder_reads(config: T5Config) -> None:
    def loss(source: Tensor, wanted: Tensor) -> Tensor:
        logits = model(source, F.pad(wanted[:, :-1], (1, 0))).logits()
        return F.cross_entropy(logits.flatten(0, 1), wanted.flatten())

    model = made(config).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for step in range(100):
        optimizer.zero_grad()
        torch.autograd.backward(loss(*gaps(step)))
        optimizer.step()
    source, wanted = gaps(1000)
    learnt, without = loss(source, wanted).item(), loss(source.roll(1, 0), wanted).item()
    assert learnt < 0.3
    assert without > 5 * learnt


def test_dropout_acts_only_while_training() -> None:
    model = made(SMALL.model_copy(update={"dropout": 0.2}))
    source, target = some_tokens(), some_tokens(seed=2)
    assert torch.equal(logits_of(model, source, target), logits_of(model, source, target))
    model.train()
    assert not torch.equal(logits_of(model, source, target), logits_of(model, source, target))


def test_traces_without_a_graph_break() -> None:
    model = made()
    source, mask = padded(some_tokens(), 4)
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    expected = logits_of(model, source, source, mask)
    torch.testing.assert_close(compiled(source, source, mask).logits(), expected)


@pytest.mark.parametrize("config", FORMS, ids=lambda config: config.form)
def test_parameter_groups(config: T5Config) -> None:
    groups = T5().param_groups(made(config))
    assert len(groups.embeddings) == (3 if config.tied else 4)
    assert len(groups.matrices) == 4 * config.layers + 7 * config.decoder_depth
    assert all(parameter.ndim == 1 for parameter in groups.norms)


def test_both_forms_have_the_same_size() -> None:
    sizes = [
        count_parameters(T5(), T5Config(dim=384, heads=6, form=form), 1000)
        for form in ("v1.1", "v1.0")
    ]
    assert sizes[0] == sizes[1]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"dim": 100, "heads": 8},
            "dim 100 is not divisible by heads 8; try dim 96, or set head_dim",
        ),
        ({"position_buckets": 32, "position_distance": 16}, "position_distance 16 must be more"),
        ({"position_buckets": 3}, "greater than or equal to 4"),
        ({"dropout": 1.0}, "less than 1"),
        ({"form": "v2"}, "'v1.1' or 'v1.0'"),
        ({"widht": 3}, "Extra inputs"),
    ],
)
def test_configurations_that_cannot_work(values: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        T5Config.model_validate(values)


def test_every_key_is_described() -> None:
    for name, field in T5Config.model_fields.items():
        assert field.description, name
        assert isinstance(field.json_schema_extra, dict), name
        assert set(field.json_schema_extra) == {"cost", "try"}, name
