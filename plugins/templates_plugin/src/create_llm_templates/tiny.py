"""10M parameters: a model of one's own text, on a laptop's CPU."""

from __future__ import annotations

from create_llm.project.templates import Hardware, Template

TINY = Template(
    name="tiny",
    title="a model of your own text, on a laptop",
    parameters=10_000_000,
    values={
        "plugins": ["console"],
        "model": {
            "name": "gpt",
            "max_length": 256,
            "layers": 7,
            "heads": 5,
            "dim": 320,
            "dropout": 0.1,
        },
        "tokenizer": {"name": "bpe", "vocab_size": 4096},
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
        "logging": {"log_interval": 5, "guard": True},
        "generation": {"prompt": "Once upon a time", "max_new_tokens": 100, "temperature": 0.8},
    },
    hardware=Hardware(min_ram_gb=4, recommended_gpu=None, can_run_on_cpu=True),
    # 4.1 million tokens at 2,300 to 6,800 a second.
    time="10–30 minutes on a laptop's CPU",
    first_changes=(
        "`training.max_steps`: with more than 5 MB of text, 3,000 steps pay off; with less than "
        "1 MB, stop earlier, when the validation loss starts to rise.",
        "`model.dropout`: 0.1 keeps a small text from being learnt by heart; with more than "
        "20 MB, 0.0 learns faster.",
        "`model.max_length`: how many tokens the model sees at once; 512 takes about twice the "
        "memory and helps texts with long threads.",
    ),
    default=True,
)
