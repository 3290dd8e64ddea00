"""1B parameters: several GPUs, days."""

from __future__ import annotations

from create_llm.project.templates import Hardware, Template

BASE = Template(
    name="base",
    title="a general base model, on several GPUs",
    parameters=1_000_000_000,
    values={
        "plugins": ["console"],
        "model": {
            "name": "gpt",
            "max_length": 2048,
            "layers": 20,
            "heads": 16,
            "kv_heads": 4,
            "dim": 2048,
            "dropout": 0.0,
        },
        "tokenizer": {"name": "bpe", "vocab_size": 50_304},
        "data": {"source": "text", "val_split": 0.001},
        # 524,288 tokens a step, 20 billion in all: 20 a parameter (Hoffmann et al. 2022,
        # arXiv 2203.15556).
        "training": {
            "batch_size": 8,
            "gradient_accumulation_steps": 32,
            "learning_rate": 3e-4,
            "warmup_steps": 1000,
            "max_steps": 38_000,
            "eval_interval": 500,
            "save_interval": 500,
            "optimizer": "adamw",
            "weight_decay": 0.1,
        },
        "logging": {"log_interval": 10, "guard": True},
        "generation": {"prompt": "Once upon a time", "max_new_tokens": 100, "temperature": 0.8},
    },
    hardware=Hardware(
        min_ram_gb=64,
        recommended_gpu="4 to 8 with 80 GB each (A100, H100)",
        can_run_on_cpu=False,
    ),
    # At 80,000 to 230,000 tokens a second, on all GPUs together.
    time="1–3 days on 4 to 8 GPUs (estimated)",
    first_changes=(
        "Try the text and the tokenizer with `llm new trial --template small` first: a mistake "
        "found there costs hours, here days.",
        "`training.max_steps`: the 38,000 steps read 20 billion tokens, about 80 GB of text; "
        "with less text, take fewer, so that it is read at most four times.",
        "`training.batch_size` and `gradient_accumulation_steps`: their product stays; a larger "
        "`batch_size` is faster as long as it fits.",
    ),
)
