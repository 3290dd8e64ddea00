"""1M parameters: small enough that the whole journey is a demo."""

from __future__ import annotations

from create_llm.project.templates import Hardware, Template

NANO = Template(
    name="nano",
    title="a first look, in two minutes",
    parameters=1_000_000,
    values={
        "plugins": ["console"],
        "model": {
            "name": "gpt",
            "max_length": 256,
            "layers": 4,
            "heads": 4,
            "dim": 128,
            "ffn_dim": 320,
            "dropout": 0.0,
        },
        "tokenizer": {"name": "bpe", "vocab_size": 2048},
        "data": {"source": "text", "val_split": 0.1},
        "training": {
            "batch_size": 16,
            "gradient_accumulation_steps": 1,
            "learning_rate": 3e-3,
            "warmup_steps": 40,
            "max_steps": 400,
            "eval_interval": 100,
            "save_interval": 100,
            "optimizer": "adamw",
            "weight_decay": 0.1,
        },
        "logging": {"log_interval": 10, "guard": True},
        "generation": {"prompt": "Once upon a time", "max_new_tokens": 100, "temperature": 0.8},
    },
    hardware=Hardware(min_ram_gb=2, recommended_gpu=None, can_run_on_cpu=True),
    time="about two minutes on two CPU cores",
    first_changes=(
        "`training.max_steps`: 400 steps only show that everything works; with 2,000 the text "
        "gets noticeably better, in five times the time.",
        "The template: a model of 1M parameters learns spelling and short phrases, not stories. "
        "`llm new another --template tiny` makes one ten times its size.",
    ),
)
