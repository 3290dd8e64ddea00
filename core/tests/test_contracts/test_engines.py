"""The contract of engines: the core's own engine keeps it, and planted faults are seen."""

from __future__ import annotations

import pytest

from create_llm.kernel.plugins import default_plugins
from create_llm.kernel.registry import Registry
from create_llm.models.decoding import Decoding
from create_llm.models.loaded import LoadedModel
from create_llm.testing import EngineContract

MODEL = {"name": "gpt", "layers": 2, "heads": 2, "dim": 32, "max_length": 32, "tied": False}
TOKENIZER = {"name": "bpe", "vocab_size": 300}


class TestTorch(EngineContract):
    name = "torch"
    model = MODEL
    tokenizer = TOKENIZER


class Sound:
    """The module itself, as it stands for planted faults."""

    rank = 5
    writer = Decoding

    def open(self, bundle, registry, device, notice):
        loaded = LoadedModel.from_bundle(bundle, registry, device)
        kind, made = type(self).writer, type(loaded)
        body = {"writer": lambda self, notice, at_once=1: kind(self, notice), "__slots__": ()}
        return type("Planted", (made,), body)(
            **{name: getattr(loaded, name) for name in made.__dataclass_fields__}
        )


class Contract(EngineContract):
    model = MODEL
    tokenizer = TOKENIZER

    @classmethod
    def registry(cls) -> Registry:
        return default_plugins().registry


class Crowded(Decoding):
    """The second of several texts gets the first one's tokens."""

    def step(self):
        given = super().step()
        return [(key, given[0][1]) for key, _ in given]


class Unseeded(Decoding):
    def add(self, key, ids, sampling):
        super().add(key, ids, sampling)
        self._rows[key].generator.seed()


class Hot(Decoding):
    """Hears nothing of top-k and the others."""

    def _choose(self, row):
        row.logits = row.logits * 0 + row.ids[-1]
        return super()._choose(row)


class Grudging(Decoding):
    """Penalizes what the model forgot."""

    def _slide(self, row):
        super()._slide(row)
        row.begin = 0


class Chatty(Decoding):
    def _slide(self, row):
        self._notice("slides")
        super()._slide(row)


@pytest.mark.parametrize(
    ("writer", "broken"),
    [
        (Decoding, set()),
        (Crowded, {"texts_do_not_see_each_other", "texts_come_and_go"}),
        (Unseeded, {"a_seed_decides"}),
        (Hot, {"greedy_text_is_that_of_torch"}),
        (Chatty, {"writes_past_the_context"}),
        (Grudging, {"a_penalty_counts_what_is_read"}),
    ],
)
def test_a_fault_is_seen(writer, broken, failures):
    engine = type("Engine", (Sound,), {"writer": writer, "__module__": "create_llm.hookspecs"})
    assert broken <= failures(Contract, engine)
    if not broken:
        assert failures(Contract, engine) == set()
