"""The best small model for a given time on a CPU: sizes and rates found by measuring."""

from __future__ import annotations

from typing import NamedTuple

from create_llm.project.presets import Preset


class Size(NamedTuple):
    """A model that so much time on two cores is enough for, when its text is a few megabytes."""

    seconds: float
    layers: int
    heads: int
    dim: int


SIZES = (
    Size(0, 4, 2, 128),
    Size(60, 4, 3, 192),
    Size(300, 5, 4, 256),
    Size(1200, 6, 5, 320),
)
_VOCABULARIES = ((0, 1024), (600_000, 2048), (3_000_000, 4096), (30_000_000, 8192))
"""From so many bytes of text on: each piece has to be seen often enough to be learnt."""


def sprint(seconds: float, text_bytes: int) -> Preset:
    """The preset for a run of so long on two cores, on so much text.

    Muon and a fall of the rate over the last third made the most of a few hundred steps, and a
    context of 256 tokens more of them than a longer one.
    """
    size = max(size for size in SIZES if size.seconds <= seconds)
    vocabulary = max(count for at_least, count in _VOCABULARIES if at_least <= text_bytes)
    return Preset(
        name="sprint",
        title="the most of a few minutes on a CPU",
        description=f"A model of {size.layers} layers and width {size.dim} with a vocabulary of "
        f"{vocabulary:,} pieces, trained by Muon for {seconds:g} seconds. Give it the "
        "time that there is: --max-seconds 600.",
        use_cases=(
            "To see in two minutes what a text has in it.",
            "To compare texts, tokenizers or machines in the same time.",
        ),
        values={
            "model": {
                "name": "gpt",
                "form": "qwen3",
                "max_length": 256,
                "layers": size.layers,
                "heads": size.heads,
                "kv_heads": None,
                "dim": size.dim,
                "head_dim": None,
                "ffn_dim": None,
                "dropout": 0.0,
                "attention_dropout": 0.0,
                "tied": True,
                "vocab_size": None,
            },
            "tokenizer": {"name": "bpe", "vocab_size": vocabulary},
            "data": {"source": "text", "max_length": None, "stride": None, "shuffle": True},
            "objective": {"name": "causal"},
            "training": {
                "batch_size": 16,
                "gradient_accumulation_steps": 1,
                "optimizer": "muon",
                "learning_rate": 4e-3,
                "min_learning_rate_ratio": 0.02,
                "warmup_steps": 15,
                "schedule": "wsd",
                "decay_ratio": 0.4,
                "weight_decay": 0.1,
                "gradient_clip": 1.0,
                "epochs": None,
                "max_steps": 100_000,
                "max_seconds": seconds,
                # The score and the checkpoint of the last step are enough for so short a run.
                "eval_interval": 100_000,
                "sample_interval": 100_000,
                "save_interval": 1_000,
            },
            "logging": {"log_interval": 10},
        },
    )


SPRINT = sprint(120, 1_000_000)
