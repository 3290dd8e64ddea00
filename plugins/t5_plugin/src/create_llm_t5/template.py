"""10M parameters: a model that fills gaps in one's own text, on a laptop's CPU."""

from __future__ import annotations

from create_llm.project.templates import Hardware, Template

T5 = Template(
    name="t5",
    title="a model that fills gaps in your own text, on a laptop",
    parameters=10_000_000,
    values={
        "plugins": ["console"],
        "model": {
            "name": "t5",
            "max_length": 256,
            "layers": 4,
            "heads": 4,
            "dim": 256,
            "dropout": 0.1,
        },
        # A hundred of the 4,096 are the sentinels that stand for gaps.
        "tokenizer": {"name": "unigram", "vocab_size": 4096},
        "data": {"source": "text", "val_split": 0.1},
        "training": {
            "batch_size": 16,
            "gradient_accumulation_steps": 1,
            "learning_rate": 1e-3,
            "warmup_steps": 100,
            "max_steps": 1000,
            "eval_interval": 200,
            "save_interval": 100,
            "optimizer": "adamw",
            "weight_decay": 0.1,
        },
        "logging": {"log_interval": 5},
        "generation": {"prompt": "Once upon a time", "max_new_tokens": 100, "temperature": 0.8},
    },
    hardware=Hardware(min_ram_gb=4, recommended_gpu=None, can_run_on_cpu=True),
    # 1.4 seconds a step on one core, with bf16.
    time="10–30 minutes on a laptop's CPU (estimated)",
    first_changes=(
        "`training.max_steps`: 1,000 steps show that everything works; to fill gaps by what stands "
        "around them takes many more, and more text, because only one token in five is learnt "
        "from.",
        "`model.max_length`: how many tokens the model reads at once; 128 takes half of the time "
        "and of the memory for a step.",
        '`objective.mean_span`, in a section [objective] with name = "span": 3 makes a model for '
        "words that are missing, 8 or more one that continues a text for longer.",
    ),
)
