"""The callback's own keys in llm.toml."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class DashboardConfig(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    port: int = Field(
        5000,
        ge=0,
        le=65535,
        description="The port to listen at, or the next one that is free; 0 takes any.",
    )
    open_browser: bool = Field(
        True, description="Open the browser when a run starts, where somebody sits at a screen."
    )
