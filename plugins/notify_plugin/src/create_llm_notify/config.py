"""The callback's own keys in llm.toml."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Percent = Annotated[int, Field(ge=1, le=100)]


class NotifyConfig(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    milestones: tuple[Percent, ...] = Field(
        (25, 50, 75, 100),
        description=(
            "At how many percent of the run to notify; 100 is its completion. Pauses and errors "
            "are told in any case."
        ),
    )
    sound: bool = Field(
        True, description="Let the system play its own sound when the run is completed or fails."
    )
    title: bool = Field(
        True,
        description=(
            "Show the percentage in the terminal's title, and on the taskbar where the terminal "
            "can do so."
        ),
    )
