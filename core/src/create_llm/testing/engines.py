"""The contract of engines."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from pathlib import Path

import pytest

from create_llm.errors import ConfigError, DataError
from create_llm.models.bundle import WEIGHTS, ModelBundle
from create_llm.models.engine import Engine, TextModel, Writer
from create_llm.models.loaded import LoadedModel
from create_llm.models.sampling import Sampling
from create_llm.storage.durable import verify
from create_llm.testing.bundles import BundleContract
from create_llm.testing.imports import loaded_by

_PROMPTS = ("The quick", "a time", "sea", "Once upon a time there was a lazy dog.")
_TOKENS = 12
_GREEDY = Sampling(max_new_tokens=_TOKENS, temperature=0)

Texts = dict[int, list[int | None]]
"""What was written, by key; None where the writer said that no more can come."""


class EngineContract(BundleContract):
    """Runs a model that writes. Compared with the module itself, in torch.

    Attributes:
        model, tokenizer: as `BundleContract` has them; parts that the engine can run, and a model
            with a head of its own: where it is tied, random weights only repeat the last token.
    """

    kind = "engines"

    def test_is_asked_without_torch(self) -> None:
        """Its class imports nothing heavy: `auto` asks every engine, whichever then runs."""
        engine = self._engine()
        assert isinstance(engine.rank, int), f"rank is {engine.rank!r}, no number"
        module = type(engine).__module__
        heavy = sorted({"torch", "transformers", "numpy"} & loaded_by(module))
        assert not heavy, f"import {module} also loads {', '.join(heavy)}"

    def test_says_what_the_module_says(self, tmp_path: Path) -> None:
        """Context, longest prompt, ids that end a text and the template are the model's own."""
        bundle = self.bundle(tmp_path)
        here, torch = self._open(bundle), self._in_torch(bundle)
        assert here.generates
        for name in ("context", "longest_prompt", "stop_tokens", "template"):
            told, known = getattr(here, name), getattr(torch, name)
            assert told == known, f"{name} is {told}, and the module has {known}"
        texts = list(_PROMPTS)
        assert here.tokenizer.encode_batch(texts) == torch.tokenizer.encode_batch(texts)

    def test_greedy_text_is_that_of_torch(self, tmp_path: Path) -> None:
        """At temperature 0 it writes the tokens that the module itself writes."""
        bundle = self.bundle(tmp_path)
        here, torch = self._open(bundle), self._in_torch(bundle)
        for prompt in _prompts(here):
            expected = _written(torch, [prompt], _GREEDY)
            assert _written(here, [prompt], _GREEDY) == expected, f"after the ids {prompt}"

    def test_texts_do_not_see_each_other(self, tmp_path: Path) -> None:
        """Several texts at once are what each would be alone."""
        opened = self._open(self.bundle(tmp_path))
        prompts = _prompts(opened)
        together = _written(opened, prompts, _GREEDY)
        for key, prompt in enumerate(prompts):
            alone = _written(opened, [prompt], _GREEDY)[0]
            assert together[key] == alone, f"the text after {prompt} differs beside others"

    def test_texts_come_and_go(self, tmp_path: Path) -> None:
        """One begins while another is written, and goes on when that one is dropped."""
        opened = self._open(self.bundle(tmp_path))
        first, second, *_ = _prompts(opened)
        alone = _written(opened, [second], _GREEDY)[0]
        writer = opened.writer(_silent, at_once=2)
        writer.add(7, first, _GREEDY)
        begun = _steps(writer, 3)
        writer.add(9, second, _GREEDY)
        begun = _steps(writer, 3, begun)
        writer.drop(7)
        assert len(writer) == 1
        begun = _steps(writer, _TOKENS - 3, begun)
        writer.drop(9)
        assert len(writer) == 0
        assert len(begun[7]) == 6, f"6 steps gave {len(begun[7])} tokens"
        assert begun[9] == alone, "the second text differs from what it is alone"

    def test_a_seed_decides(self, tmp_path: Path) -> None:
        """The same seed gives the same text, another seed another one, in and out of company."""
        opened = self._open(self.bundle(tmp_path))
        prompts = _prompts(opened)
        drawn = [_written(opened, prompts, _warm(seed)) for seed in (1, 1, 2)]
        assert drawn[0] == drawn[1], "the same seed gives two texts"
        assert drawn[0] != drawn[2], "another seed gives the same texts"
        assert _written(opened, prompts[:1], _warm(1))[0] == drawn[0][0]

    def test_sampling_keeps_the_likeliest(self, tmp_path: Path) -> None:
        """Where top-k, top-p or min-p leave one token, it is the likeliest, however warm."""
        opened = self._open(self.bundle(tmp_path))
        prompt = _prompts(opened)[0]
        greedy = _written(opened, [prompt], _GREEDY)
        for kept in ({"top_k": 1}, {"top_p": 1e-6}, {"min_p": 1.0}):
            values = {"temperature": 5.0, "top_k": 0, "top_p": 1.0, **kept}
            sampling = Sampling(max_new_tokens=_TOKENS, seed=3, **values)  # type: ignore[arg-type]
            assert _written(opened, [prompt], sampling) == greedy, f"{kept} keeps others"

    def test_writes_past_the_context(self, tmp_path: Path) -> None:
        """A text that outgrows the context goes on, or ends with None; either is told once."""
        opened = self._open(self.bundle(tmp_path))
        told: list[str] = []
        most = opened.context + 5
        writer = opened.writer(told.append)
        writer.add(0, _prompts(opened)[0], Sampling(max_new_tokens=most, temperature=0))
        written = _steps(writer, most)[0]
        assert len(written) == most or written[-1] is None, f"silent after {len(written)} tokens"
        assert len(told) == len(set(told)) <= 1, f"told {len(told)} times"

    def test_a_penalty_counts_what_is_read(self, tmp_path: Path) -> None:
        """Past the context it forgets tokens as the model does, and the text is that of torch."""
        bundle = self.bundle(tmp_path)
        here, torch = self._open(bundle), self._in_torch(bundle)
        most = 3 * here.context
        sampling = Sampling(max_new_tokens=most, temperature=0, repetition_penalty=1.5)
        prompt = _prompts(here)[0]
        assert _written(here, [prompt], sampling) == _written(torch, [prompt], sampling)

    def test_refuses_a_damaged_bundle(self, tmp_path: Path) -> None:
        """Weights that are not those that were written are never run."""
        bundle = self.bundle(tmp_path)
        self._open(bundle)
        weights = bundle.path / WEIGHTS
        data = bytearray(weights.read_bytes())
        data[-1] ^= 1
        weights.write_bytes(data)
        with pytest.raises(DataError):
            self._open(bundle)

    def test_refuses_what_it_cannot_run(self, tmp_path: Path) -> None:
        """A device that there is not is an error in words."""
        with pytest.raises(ConfigError):
            self._open(self.bundle(tmp_path), "abacus")

    def test_leaves_the_bundle_alone(self, tmp_path: Path) -> None:
        """What it keeps for itself stands beside the bundle's files, which stay what they were."""
        bundle = self.bundle(tmp_path)
        before = verify(bundle.path)
        _written(self._open(bundle), _prompts(self._open(bundle)), _GREEDY)
        assert verify(bundle.path) == before

    def test_needs_no_network(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """It opens a bundle and writes where nothing can be reached."""

        def refused(*arguments: object, **named: object) -> None:
            raise OSError("the network, while a model writes")

        for name in ("connect", "connect_ex", "sendto"):
            monkeypatch.setattr(socket.socket, name, refused)
        monkeypatch.setattr(socket, "getaddrinfo", refused)
        opened = self._open(self.bundle(tmp_path))
        assert _written(opened, _prompts(opened), _GREEDY)

    def _engine(self) -> Engine:
        engine: Engine = self.part().load()()
        return engine

    def _open(self, bundle: ModelBundle, device: str = "cpu") -> TextModel:
        return self._engine().open(bundle, self.registry(), device, _silent)

    def _in_torch(self, bundle: ModelBundle) -> LoadedModel:
        return LoadedModel.from_bundle(bundle, self.registry())


def _prompts(model: TextModel) -> list[list[int]]:
    ids = model.tokenizer.encode_batch(list(_PROMPTS))
    return [each[: model.longest_prompt] for each in ids]


def _warm(seed: int) -> Sampling:
    return Sampling(max_new_tokens=_TOKENS, temperature=1.5, top_k=0, top_p=1.0, seed=seed)


def _written(model: TextModel, prompts: Sequence[Sequence[int]], sampling: Sampling) -> Texts:
    writer = model.writer(_silent, len(prompts))
    for key, prompt in enumerate(prompts):
        writer.add(key, prompt, sampling)
    written = _steps(writer, sampling.max_new_tokens)
    for key, tokens in written.items():
        if tokens[-1] is not None:
            writer.drop(key)
    return written


def _steps(writer: Writer, count: int, begun: Texts | None = None) -> Texts:
    written = {} if begun is None else begun
    for _ in range(count):
        for key, token in writer.step():
            written.setdefault(key, []).append(token)
    return written


def _silent(notice: str) -> None:
    del notice
