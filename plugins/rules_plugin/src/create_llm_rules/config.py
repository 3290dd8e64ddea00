"""The options of the rules."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Kind = Literal["definition", "number", "word", "next"]


class RulesConfig(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    pairs_per_passage: int = Field(
        default=3, ge=1, description="Questions from each passage, before others have their turn."
    )
    kinds: tuple[Kind, ...] = Field(
        default=("definition", "number", "word", "next"),
        min_length=1,
        description="The rules: what things are, a missing number, a missing word, what is next.",
    )
