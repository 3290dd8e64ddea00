"""A model of your own making: the project is a package with an architecture to change."""

from __future__ import annotations

from create_llm.project.templates import Hardware, Template

CUSTOM = Template(
    name="custom",
    title="a model of your own making, with its code in the project",
    parameters=1_850_000,
    values={
        "plugins": ["console"],
        "model": {"max_length": 256, "layers": 4, "dim": 128},
        "tokenizer": {"name": "bpe", "vocab_size": 4096},
        "data": {"source": "text", "val_split": 0.1},
        "training": {
            "batch_size": 16,
            "gradient_accumulation_steps": 1,
            "learning_rate": 2e-3,
            "warmup_steps": 40,
            "max_steps": 1000,
            "eval_interval": 100,
            "save_interval": 100,
            "optimizer": "adamw",
            "weight_decay": 0.1,
        },
        "logging": {"log_interval": 10, "guard": True},
        "generation": {"prompt": "Once upon a time", "max_new_tokens": 100, "temperature": 0.8},
    },
    hardware=Hardware(min_ram_gb=4, recommended_gpu=None, can_run_on_cpu=True),
    time="a few minutes on two CPU cores, until you make it larger",
    first_changes=(
        "`src/`: the model is about forty lines that mix the tokens so far by learned weights. "
        "Change a layer and train again; `llm plugins test` says what breaks a promise.",
        "Its config class: each key that you add there is a key of `[model]`, checked and "
        "explained like all others.",
    ),
    package="architectures",
)
