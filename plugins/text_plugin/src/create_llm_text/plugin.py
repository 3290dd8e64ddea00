"""What this package brings: the data source `text`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from create_llm import hookimpl

if TYPE_CHECKING:
    from create_llm.hookspecs import Register


@hookimpl
def register_data_sources(register: Register) -> None:
    register(
        "text",
        "create_llm_text.source:TextSource",
        summary="Your own files: text, CSV, JSON, JSON lines or Parquet, by default in data/raw.",
        config="create_llm_text.config:TextConfig",
    )
