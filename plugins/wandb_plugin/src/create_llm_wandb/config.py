"""The callback's own keys in llm.toml."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Mode = Literal["online", "offline", "disabled"]


class WandBConfig(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    project: str | None = Field(
        None,
        description="The project at Weights & Biases; without one WANDB_PROJECT, or wandb's own.",
    )
    entity: str | None = Field(
        None, description="The user or team that owns it; without one WANDB_ENTITY, or your own."
    )
    mode: Mode = Field(
        "online",
        description=(
            "online: sent while the run goes on; offline: kept in the run's folder, to send with "
            "`wandb sync`; disabled: nothing is recorded. WANDB_MODE wins over it."
        ),
    )
    tags: tuple[str, ...] = Field((), description="Labels to find the run by.")
    samples: bool = Field(
        True, description="Also log the texts that the model writes while it learns."
    )
