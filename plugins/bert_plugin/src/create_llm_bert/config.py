"""The keys of the [model] section, each with what it is, what it costs and what to try."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class BERTConfig(BaseModel):
    """Shape of an encoder."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_length: int = Field(
        default=512,
        ge=1,
        description="The longest text, in tokens, that the model can look at at once.",
        json_schema_extra={
            "cost": "Memory in proportion, and one row of parameters for each place.",
            "try": "128 for sentences; 512 for pages.",
        },
    )
    layers: int = Field(
        default=12,
        ge=1,
        description="How many transformer blocks stand one after another.",
        json_schema_extra={
            "cost": "Time and memory in proportion.",
            "try": "4 to 6 on a CPU; make the model wider (dim) as you make it deeper.",
        },
    )
    heads: int = Field(
        default=12,
        ge=1,
        description="How many attention heads each block has; each looks at the text its own way.",
        json_schema_extra={
            "cost": "None by itself: the heads share dim between them.",
            "try": "As many as give each head 64 dimensions (dim / heads).",
        },
    )
    dim: int = Field(
        default=768,
        ge=2,
        description="Width of the model: how many numbers stand for one token between blocks.",
        json_schema_extra={
            "cost": "Parameters and time grow with its square.",
            "try": "256 on a CPU, 768 for about 110 million parameters.",
        },
    )
    ffn_dim: int | None = Field(
        default=None,
        ge=1,
        description="Inner width of the feed-forward layer. Left out: 4 times dim.",
        json_schema_extra={
            "cost": "Two thirds of a block's parameters and time, in proportion.",
            "try": "Leave it out.",
        },
    )
    dropout: float = Field(
        default=0.1,
        ge=0.0,
        lt=1.0,
        description="Share of each block's output that is dropped at random while training, "
        "against learning a small corpus by heart.",
        json_schema_extra={
            "cost": "A few per cent of training time; none afterwards.",
            "try": "0.1 when the corpus is read many times, 0 when it is read a few times.",
        },
    )
    attention_dropout: float = Field(
        default=0.0,
        ge=0.0,
        lt=1.0,
        description="Share of attention weights that are dropped at random while training.",
        json_schema_extra={
            "cost": "On a CPU it rules the fused attention kernel out: attention takes several "
            "times as long and keeps a length x length matrix for each head.",
            "try": "Leave it at 0 and use dropout; the first BERT had 0.1.",
        },
    )
    norm_eps: float = Field(
        default=1e-12,
        gt=0.0,
        description="Small number that keeps the norms from dividing by zero.",
        json_schema_extra={"cost": "None.", "try": "Leave it."},
    )

    @property
    def ffn_width(self) -> int:
        return self.ffn_dim or 4 * self.dim

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.dim % self.heads:
            near = max(round(self.dim / self.heads), 1) * self.heads
            raise ValueError(
                f"dim {self.dim} is not divisible by heads {self.heads}; try dim {near}"
            )
        return self
