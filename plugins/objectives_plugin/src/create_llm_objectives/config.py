"""The [objective] section of llm.toml, for the objectives of this package."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class MaskedConfig(BaseModel):
    """Guessing masked tokens."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    probability: float = Field(
        default=0.15,
        gt=0.0,
        lt=1.0,
        description="Share of the tokens that the model has to guess.",
        json_schema_extra={
            "cost": "More give more to learn from each step, and less to guess it by.",
            "try": "0.15; up to 0.4 for large models.",
        },
    )


class SpanConfig(BaseModel):
    """Guessing spans that were cut out."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    density: float = Field(
        default=0.15,
        gt=0.0,
        lt=1.0,
        description="Share of the tokens that are cut out for the model to write.",
        json_schema_extra={
            "cost": "More give more to learn from each step, and less to guess it by.",
            "try": "0.15; 0.5 makes a model that writes longer pieces.",
        },
    )
    mean_span: float = Field(
        default=3.0,
        ge=1.0,
        description="How many tokens a span has on average.",
        json_schema_extra={
            "cost": "Longer spans make the task harder, and the sequences shorter.",
            "try": "3; 8 or more for a model that is to write.",
        },
    )
