"""The whole pipeline at one fixed small size: from raw text to a model, in one command."""

from __future__ import annotations

from create_llm.project.presets import Preset

PIPELINE = Preset(
    name="pipeline",
    title="from raw text to a small model, in one command",
    description="A model of 2 layers and width 128 with a vocabulary of 8,000 pieces reads the "
    "text 20 times. It scores itself and writes a sample after each pass, and saves a checkpoint "
    "after every fifth. At least 2 GB of the disk must be free.",
    use_cases=(
        "The first run on a text of a few megabytes, in one language or several.",
        "A small model that is made the same way everywhere, to compare machines or texts by.",
    ),
    # Every key that decides what is learnt, so that the project's own change nothing; None leaves
    # a key unset, whatever they say.
    values={
        "model": {
            "name": "gpt",
            "form": "gpt2",  # the fewest passes over memory, which decide at this width
            "max_length": 128,
            "layers": 2,
            "heads": 4,
            "kv_heads": None,
            "dim": 128,
            "head_dim": None,
            "ffn_dim": 256,
            "dropout": 0.1,
            "vocab_size": None,
        },
        "tokenizer": {"name": "unigram", "vocab_size": 8000},
        "data": {
            "source": "text",
            "val_split": 0.1,
            "max_length": None,
            "stride": None,
            "shuffle": True,
        },
        "objective": {"name": "causal"},
        "training": {
            "batch_size": 32,
            "gradient_accumulation_steps": 1,
            "learning_rate": 3e-4,
            "min_learning_rate_ratio": 0.1,
            "warmup_steps": 100,
            "schedule": "cosine",
            "epochs": 20,
            # The 20 epochs end the run, however long the text is.
            "max_steps": 1_000_000,
            "optimizer": "adamw",
            "weight_decay": 0.1,
            "gradient_clip": 1.0,
            "eval_interval": "1ep",
            "sample_interval": "1ep",
            "save_interval": "5ep",
        },
        "checkpoints": {"min_free_gb": 2},
        "logging": {"log_interval": 20},
    },
)
