"""100M parameters: one GPU, an evening."""

from __future__ import annotations

from create_llm.project.templates import Hardware, Template

SMALL = Template(
    name="small",
    title="a fluent model of one kind of text, on one GPU",
    parameters=100_000_000,
    values={
        "plugins": ["console"],
        "model": {
            "name": "gpt",
            "max_length": 1024,
            "layers": 12,
            "heads": 12,
            "kv_heads": 4,
            "dim": 768,
            "dropout": 0.0,
        },
        "tokenizer": {"name": "bpe", "vocab_size": 32_000},
        "data": {"source": "text", "val_split": 0.005},
        # 131,072 tokens a step, 0.98 billion in all.
        "training": {
            "batch_size": 8,
            "gradient_accumulation_steps": 16,
            "learning_rate": 6e-4,
            "warmup_steps": 500,
            "max_steps": 7500,
            "eval_interval": 500,
            "save_interval": 250,
            "optimizer": "adamw",
            "weight_decay": 0.1,
        },
        "logging": {"log_interval": 10, "guard": True},
        "generation": {"prompt": "Once upon a time", "max_new_tokens": 100, "temperature": 0.8},
    },
    hardware=Hardware(
        min_ram_gb=16,
        recommended_gpu="one with 12 GB or more (RTX 3090, RTX 4090, A100)",
        can_run_on_cpu=False,
    ),
    # At 45,000 to 140,000 tokens a second.
    time="2–6 hours on one GPU (estimated)",
    first_changes=(
        "`training.batch_size`: 8 is meant for 12 GB; with 24 GB take 16 and halve "
        "`gradient_accumulation_steps`: the same model, faster.",
        "`training.max_steps`: the 7,500 steps read a billion tokens, about 4 GB of text; "
        "with less text, take fewer, so that it is read at most four times.",
        "`tokenizer.vocab_size`: 32,000 suits 100 MB of text and more; below that, 8,192.",
    ),
)
