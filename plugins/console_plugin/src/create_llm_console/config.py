"""The callback's own keys in llm.toml."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class ConsoleConfig(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    style: Literal["auto", "live", "plain"] = Field(
        "auto",
        description=(
            "live: a progress bar; plain: one line each time the loss is logged; auto: live on a "
            "terminal, plain in a file, a pipe, or where NO_COLOR or TERM=dumb ask for it."
        ),
    )
    samples: bool = Field(True, description="Show the texts that the model writes while it learns.")
