"""10M parameters: an encoder of one's own text, on a laptop's CPU."""

from __future__ import annotations

from create_llm.project.templates import Hardware, Template

BERT = Template(
    name="bert",
    title="a model that fills gaps in your own kind of text, on a laptop",
    parameters=10_000_000,
    values={
        "plugins": ["console"],
        "model": {
            "name": "bert",
            "max_length": 64,
            "layers": 6,
            "heads": 5,
            "dim": 320,
            "dropout": 0.1,
        },
        "tokenizer": {"name": "wordpiece", "vocab_size": 8192},
        "data": {"source": "text", "val_split": 0.1},
        "training": {
            "batch_size": 64,
            "gradient_accumulation_steps": 1,
            "learning_rate": 1e-3,
            "warmup_steps": 200,
            "max_steps": 1500,
            "eval_interval": 250,
            "save_interval": 250,
            "optimizer": "adamw",
            "weight_decay": 0.01,
        },
        "logging": {"log_interval": 10},
    },
    hardware=Hardware(min_ram_gb=4, recommended_gpu=None, can_run_on_cpu=True),
    # 6.1 million tokens at 1,500 (fp32) to 2,400 (bf16) a second.
    time="45–70 minutes on one CPU core, less on several",
    first_changes=(
        "`training.max_steps`: it first learns how frequent each word is, and only then to look "
        "beside a gap; more steps pay off for as long as the validation loss falls.",
        "`model.max_length`: how many tokens the model sees around a gap; 64 is enough for a "
        "sentence or two, 256 with a quarter of the `training.batch_size` for whole paragraphs.",
        'What it is for: `llm fill "The <mask> sat on the mat"` guesses what is missing. It does '
        "not write: `llm generate` and `llm chat` need a template such as `tiny`.",
    ),
)
