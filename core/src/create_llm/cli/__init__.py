"""The `llm` command: one small file per verb, over the rooms of the core."""

from __future__ import annotations

from create_llm.cli.main import main

__all__ = ["main"]
