"""The contract of architectures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from create_llm.models.architecture import Architecture, Decoder, HFConfig, ModelOutput
from create_llm.storage.durable import Storage
from create_llm.storage.tensors import load_tensors, tensor_chunks
from create_llm.testing.base import PartContract

_CAPABILITIES = frozenset({"causal", "masked", "seq2seq", "generate", "isolated"})
_LONG = 48
_HF_INPUTS = {
    "tokens": "input_ids",
    "decoder_tokens": "decoder_input_ids",
    "attention_mask": "attention_mask",
}


class ArchitectureContract(PartContract):
    """A model family. In `options`, choose a model of a few thousand parameters, without dropout.

    Attributes:
        vocab_size: of the models built.
        steps, learning_rate: of AdamW, within which the model must learn one batch by heart.
        tolerance: how much logits that should be equal may differ, relative to the largest one.
        decoded: the input that is decoded token by token; "decoder_tokens" where the prompt is
            read by an encoder of its own.
    """

    kind = "architectures"
    vocab_size: ClassVar[int] = 61
    steps: ClassVar[int] = 150
    learning_rate: ClassVar[float] = 3e-3
    tolerance: ClassVar[float] = 1e-4
    decoded: ClassVar[str] = "tokens"

    def inputs(self, tokens: Tensor) -> Mapping[str, Tensor]:
        """The arguments of the model's forward for tokens int64 [batch, length]."""
        return {"tokens": tokens}

    def test_says_what_it_can(self) -> None:
        """It is an `Architecture`, and its capabilities are words that core knows."""
        architecture = self._architecture()
        assert isinstance(architecture, Architecture)
        assert architecture.capabilities, "capabilities are empty"
        unknown = architecture.capabilities - _CAPABILITIES
        assert not unknown, f"{sorted(unknown)} are not among {sorted(_CAPABILITIES)}"
        decodes = isinstance(architecture, Decoder)
        assert decodes == ("generate" in architecture.capabilities), "only a Decoder generates"
        assert isinstance(architecture.default_objective, str)
        assert getattr(self.config(), "max_length", 0) >= 1, "its config has no max_length"

    def test_shapes(self) -> None:
        """Hidden states [batch, length, width] and logits [batch, length, vocabulary], at any
        length from 1 to `max_length`."""
        module = self._built()
        for length in (1, 2, self._length()):
            output = self._output(module, self._tokens(3, length))
            assert output.hidden.shape[:2] == (3, length)
            assert output.hidden.ndim == 3
            assert output.logits().shape == (3, length, self.vocab_size)

    def test_causal(self) -> None:
        """Where causality is claimed, no logits depend on a later token: else training is a
        lookup and generation is noise."""
        self._needs("causal")
        module, tokens = self._built(), self._tokens(2, self._length(_LONG))
        for mode in (module.eval(), module.train()):
            before = self._same_chance(mode, tokens)
            for place in range(1, tokens.shape[1]):
                changed = tokens.clone()
                changed[:, place] = (changed[:, place] + 1) % self.vocab_size
                after = self._same_chance(mode, changed)
                same = self._close(before[:, :place], after[:, :place])
                assert same, f"changing token {place} changes logits before it"

    def test_reads_every_token(self) -> None:
        """The logits of the last place depend on each token that it may look at."""
        module, tokens = self._built(), self._tokens(1, self._length())
        before = self._logits(module, tokens)[:, -1]
        for place in range(tokens.shape[1]):
            changed = tokens.clone()
            changed[:, place] = (changed[:, place] + 1) % self.vocab_size
            after = self._logits(module, changed)[:, -1]
            assert not torch.equal(before, after), f"token {place} has no effect"

    def test_rows_do_not_see_each_other(self) -> None:
        """A sequence's logits are the same whatever else is in the batch."""
        module, tokens = self._built(), self._tokens(3, self._length())
        together = self._logits(module, tokens)
        alone = torch.cat([self._logits(module, row[None]) for row in tokens])
        assert self._close(together, alone)

    def test_gradients_reach_every_parameter(self) -> None:
        """A parameter without a gradient is never trained, and breaks distributed training."""
        module = self._built()
        loss = _cross_entropy(self._output(module, self._tokens(3, self._length())))
        torch.autograd.backward(loss)
        dead = [name for name, p in module.named_parameters() if p.grad is None or not p.grad.any()]
        assert not dead, f"no gradient reaches {', '.join(dead)}"

    def test_builds_on_the_meta_device(self) -> None:
        """Under `torch.device("meta")` nothing is allocated: parameters are counted that way."""
        with torch.device("meta"):
            module = self._architecture().build(self.config(), self.vocab_size)
        placed = {**dict(module.named_parameters()), **dict(module.named_buffers())}
        real = [name for name, tensor in placed.items() if not tensor.is_meta]
        assert not real, f"allocated on the meta device: {', '.join(real)}"

    def test_init_fills_everything(self) -> None:
        """A run builds on the meta device, allocates, then calls `init`: after it nothing of the
        garbage in between is left, buffers included."""
        module = self._from_meta(seed=1)
        assert torch.isfinite(self._logits(module, self._tokens(1, self._length()))).all()
        tensors = {**dict(module.named_parameters()), **dict(module.named_buffers())}
        unset = [name for name, tensor in tensors.items() if not torch.isfinite(tensor).all()]
        assert not unset, f"init leaves {', '.join(unset)} as allocated"

    def test_init_is_a_function_of_the_seed(self) -> None:
        """The same seed gives the same parameters, whatever the global generator did before."""
        torch.manual_seed(11)
        first = self._built(seed=1).state_dict()
        torch.manual_seed(22)
        again, other = self._built(seed=1).state_dict(), self._built(seed=2).state_dict()
        assert all(torch.equal(first[name], again[name]) for name in first), "not reproducible"
        assert any(not torch.equal(first[name], other[name]) for name in first), "ignores the seed"

    def test_blocks_are_parts_of_the_module(self) -> None:
        """The repeated layers are submodules, each once: they are wrapped where they stand."""
        module = self._built()
        blocks, within = self._architecture().blocks(module), {id(m) for m in module.modules()}
        assert blocks, "there are no blocks"
        assert all(id(block) in within for block in blocks), "a block is no part of the module"
        assert len({id(block) for block in blocks}) == len(blocks), "a block stands there twice"

    def test_param_groups_divide_the_parameters(self) -> None:
        """Each parameter stands in exactly one group, or it is trained twice or never."""
        module = self._built()
        groups = self._architecture().param_groups(module)
        grouped = [id(p) for p in (*groups.matrices, *groups.embeddings, *groups.norms)]
        names = {id(p): name for name, p in module.named_parameters()}
        missing = [name for key, name in names.items() if grouped.count(key) != 1]
        assert not missing, f"not in exactly one group: {', '.join(missing)}"
        assert len(grouped) == len(names), "a group holds what is no parameter of the module"
        assert all(p.ndim >= 2 for p in groups.matrices), "a vector among the matrices"

    def test_estimates_are_sensible(self) -> None:
        """Operations cover the matrices: 2 forward and 4 backward for each."""
        architecture, config, vocabulary = self._architecture(), self.config(), self.vocab_size
        matrices = architecture.param_groups(self._built()).matrices
        least = 6.0 * sum(p.numel() for p in matrices)
        assert architecture.flops(config, vocabulary, self._length()) >= least

    def test_overfits_one_batch(self) -> None:
        """Given one batch again and again, it learns it by heart; what cannot, cannot learn."""
        torch.manual_seed(0)
        module, tokens = self._built().train(), self._tokens(2, min(self._length(), 16))
        optimizer = torch.optim.AdamW(module.parameters(), lr=self.learning_rate)
        losses = []
        for _ in range(self.steps):
            optimizer.zero_grad()
            loss = _cross_entropy(self._output(module, tokens))
            torch.autograd.backward(loss)
            optimizer.step()
            losses.append(loss.item())
        assert losses[-1] < 0.2 * losses[0], f"{losses[0]:.2f} nats became {losses[-1]:.2f}"

    def test_documents_are_read_as_if_alone(self) -> None:
        """With `segments`, documents that stand in one row have the logits of each by itself."""
        self._needs("isolated")
        module, tokens = self._built(), self._tokens(2, self._length())
        parts = _pieces(tokens.shape[1])
        numbers = torch.repeat_interleave(torch.arange(len(parts)), torch.tensor(parts))
        with torch.no_grad():
            joined = module(**self.inputs(tokens), segments=numbers.expand_as(tokens)).logits()
        alone = [self._logits(module, piece) for piece in torch.split(tokens, parts, dim=1)]
        assert self._close(joined, torch.cat(alone, dim=1)), "a document sees another"

    def test_cached_equals_uncached(self) -> None:
        """Decoding piece by piece gives the logits of reading all at once; so nothing that is
        still to come is seen."""
        architecture, module = self._architecture(), self._built()
        if not isinstance(architecture, Decoder):
            pytest.skip(f"'{self.name}' does not generate")
        tokens = self._tokens(2, self._length())
        full, read = self._logits(module, tokens), 0
        for piece in torch.split(tokens, _pieces(tokens.shape[1]), dim=1):
            with torch.no_grad():
                if read == 0:
                    prompt = {**self.inputs(tokens), self.decoded: piece}
                    cache, logits = architecture.begin(module, prompt, tokens.shape[1])
                else:
                    logits = architecture.decode(module, piece, cache)
            read += piece.shape[1]
            assert cache.length == read, f"{cache.length} tokens in the cache, not {read}"
            assert self._close(logits, full[:, read - 1]), f"other logits after {read} tokens"

    def test_hugging_face_form_and_back(self) -> None:
        """`from_hf` undoes `to_hf`, bit for bit: every checkpoint passes through both."""
        state = self._built().state_dict()
        hf_config, tensors = self._to_hf(state)
        config, vocabulary, back = self._architecture().from_hf(hf_config, tensors)
        assert config == self.config()
        assert vocabulary == self.vocab_size
        assert back.keys() == state.keys()
        wrong = [name for name in state if not torch.equal(state[name], back[name])]
        assert not wrong, f"changed on the way: {', '.join(wrong)}"

    def test_safetensors_and_back(self, tmp_path: Path) -> None:
        """config.json is JSON and the tensors survive their file: so a bundle is kept."""
        hf_config, tensors = self._to_hf(self._built().state_dict())
        assert json.loads(json.dumps(hf_config)) == hf_config, "config.json is not plain JSON"
        Storage().write(tmp_path / "model.safetensors", tensor_chunks(tensors))
        loaded = load_tensors(tmp_path / "model.safetensors")
        assert loaded.keys() == tensors.keys()
        assert all(torch.equal(loaded[name], tensors[name]) for name in tensors)

    def test_equal_logits_in_transformers(self, tmp_path: Path) -> None:
        """Where config.json names a class of Hugging Face's transformers, that class opens the
        model, finds every tensor, and computes the same logits."""
        module, tokens = self._built(), self._tokens(2, self._length())
        hf_config, tensors = self._to_hf(module.state_dict())
        if not hf_config.get("architectures"):
            pytest.skip(f"'{self.name}' claims no form of Hugging Face's")
        pytest.importorskip("transformers", reason="transformers is not installed")
        Storage().write(tmp_path / "model.safetensors", tensor_chunks(tensors))
        (tmp_path / "config.json").write_text(json.dumps(hf_config), encoding="utf-8")
        theirs = hf_logits(tmp_path, hf_config["architectures"][0], self.inputs(tokens))
        assert self._close(self._logits(module, tokens), theirs), "transformers computes others"

    def _architecture(self) -> Architecture:
        architecture: Architecture = self.part().load()()
        return architecture

    def _needs(self, capability: str) -> None:
        if capability not in self._architecture().capabilities:
            pytest.skip(f"'{self.name}' does not claim to be '{capability}'")

    def _built(self, seed: int = 1) -> nn.Module:
        """In evaluation mode, on the CPU."""
        architecture = self._architecture()
        module = architecture.build(self.config(), self.vocab_size)
        architecture.init(module, seed)
        return module.eval()

    def _from_meta(self, seed: int) -> nn.Module:
        """As a run builds it, with what is allocated made to stand out."""
        architecture = self._architecture()
        with torch.device("meta"):
            module = architecture.build(self.config(), self.vocab_size)
        module.to_empty(device="cpu")
        with torch.no_grad():
            for tensor in (*module.parameters(), *module.buffers()):
                tensor.fill_(torch.nan if tensor.is_floating_point() else 0)
        architecture.init(module, seed)
        return module.eval()

    def _to_hf(self, state: Mapping[str, Tensor]) -> tuple[HFConfig, dict[str, Tensor]]:
        return self._architecture().to_hf(self.config(), self.vocab_size, state)

    def _length(self, most: int = 12) -> int:
        config: Any = self.config()
        return min(int(config.max_length), most)

    def _same_chance(self, module: nn.Module, tokens: Tensor) -> Tensor:
        """Logits, with what is drawn in training the same each time."""
        torch.manual_seed(3)
        return self._logits(module, tokens)

    def _tokens(self, batch: int, length: int) -> Tensor:
        generator = torch.Generator().manual_seed(7)
        return torch.randint(0, self.vocab_size, (batch, length), generator=generator)

    def _output(self, module: nn.Module, tokens: Tensor) -> ModelOutput:
        output = module(**self.inputs(tokens))
        assert isinstance(output, ModelOutput), f"forward returns {type(output).__name__}"
        return output

    @torch.no_grad()
    def _logits(self, module: nn.Module, tokens: Tensor) -> Tensor:
        return self._output(module, tokens).logits()

    def _close(self, one: Tensor, other: Tensor) -> bool:
        largest = float(torch.maximum(one.abs().max(), other.abs().max()))
        return torch.allclose(one, other, atol=self.tolerance * largest, rtol=0.0)


def hf_logits(folder: Path, class_name: str, inputs: Mapping[str, Tensor]) -> Tensor:
    """What a class of transformers computes from a folder, which must hold all its tensors."""
    import transformers

    opened = getattr(transformers, class_name).from_pretrained(
        folder, output_loading_info=True, attn_implementation="eager"
    )
    module, loading = opened
    wrong = {state: sorted(names) for state, names in loading.items() if names}
    assert not wrong, f"{class_name} finds other tensors: {wrong}"
    named = {_HF_INPUTS[name]: tensor for name, tensor in inputs.items()}
    with torch.no_grad():
        logits: Tensor = module.eval()(**named).logits
    return logits


def _cross_entropy(output: ModelOutput) -> Tensor:
    """Mean loss of labels that are fixed for each place, but follow from nothing."""
    logits = output.logits().flatten(0, 1).float()
    generator = torch.Generator().manual_seed(3)
    labels = torch.randint(0, logits.shape[1], (logits.shape[0],), generator=generator)
    return F.cross_entropy(logits, labels)


def _pieces(length: int) -> list[int]:
    """A prompt, then single tokens with a longer piece between them."""
    sizes = [length // 2, 1, 1, 2]
    while sum(sizes) < length:
        sizes.append(1)
    return sizes if sum(sizes) == length else [1] * length
