"""What no plugin may load before one of its parts is used."""

from __future__ import annotations

HEAVY = (
    "huggingface_hub",
    "jinja2",
    "numpy",
    "pyarrow",
    "pydantic",
    "requests",
    "rich",
    "safetensors",
    "sentencepiece",
    "tensorboard",
    "tiktoken",
    "tokenizers",
    "torch",
    "transformers",
    "wandb",
)
"""What costs tens of milliseconds or more to import; every command would pay for it."""
