"""The settings of the source and of the synthesizer, as they appear in ``llm.toml``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Languages = Annotated[
    tuple[Literal["en", "es"], ...],
    Field(
        min_length=1,
        description="The languages of the stories, taken in turn: en (English), es (Spanish).",
    ),
]
Seed = Annotated[
    int,
    Field(description="Another number gives other stories; the same number, the same stories."),
]


class SampleConfig(BaseModel):
    """How much sample text to make, in which languages."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    size_mb: float = Field(
        default=3.0,
        gt=0,
        le=1000,
        description="How much text to make, in megabytes (one is 1,000,000 bytes of UTF-8).",
    )
    languages: Languages = ("en", "es")
    seed: Seed = 0


class SynthConfig(BaseModel):
    """In which languages the synthesizer writes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    languages: Languages = ("en", "es")
    seed: Seed = 0
