"""The callback's own keys in llm.toml."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Policy = Literal["pause", "auto", "warn"]


class GuardConfig(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    on_anomaly: Policy | None = Field(
        None,
        description=(
            "What happens when a run is being spoilt. pause: it is saved and stops; auto: it goes "
            "back to its last stable checkpoint and learns more carefully; warn: it goes on. "
            "Unset: pause where somebody sits at a terminal, auto where nobody does."
        ),
    )
    max_remedies: int = Field(
        3, ge=0, le=20, description="How often `auto` may do that in one run, resumes included."
    )
