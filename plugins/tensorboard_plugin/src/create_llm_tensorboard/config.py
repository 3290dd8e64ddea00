"""The callback's own keys in llm.toml."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class TensorBoardConfig(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    samples: bool = Field(
        True, description="Also write the texts that the model writes while it learns."
    )
