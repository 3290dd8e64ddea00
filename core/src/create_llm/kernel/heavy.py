"""What no plugin may load before one of its parts is used."""

from __future__ import annotations

HEAVY = (
    "huggingface_hub",
    "numpy",
    "pydantic",
    "requests",
    "rich",
    "safetensors",
    "tensorboard",
    "tokenizers",
    "torch",
    "transformers",
    "wandb",
)
"""What costs tens of milliseconds or more to import; every command would pay for it."""
