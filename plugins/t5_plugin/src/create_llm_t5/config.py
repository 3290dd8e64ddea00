"""The keys of the [model] section, each with what it is, what it costs and what to try."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

_FFN_MULTIPLE = 64


class T5Config(BaseModel):
    """Shape of an encoder-decoder. What is left out follows from the other keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_length: int = Field(
        default=512,
        ge=4,
        description="The longest text, in tokens, that the encoder reads while training. "
        "Positions are relative, so that a longer one can be read as well.",
        json_schema_extra={
            "cost": "Memory of attention grows with its square.",
            "try": "256 on a laptop, 512 once there is a GPU.",
        },
    )
    layers: int = Field(
        default=8,
        ge=1,
        description="How many blocks the encoder has, one after another; the decoder as well, "
        "unless decoder_layers says otherwise.",
        json_schema_extra={
            "cost": "Time and memory in proportion.",
            "try": "4 on a CPU; make the model wider (dim) as you make it deeper.",
        },
    )
    decoder_layers: int | None = Field(
        default=None,
        ge=1,
        description="How many blocks the decoder has. Left out: as many as the encoder.",
        json_schema_extra={
            "cost": "Time per written token in proportion; each has a third more parameters than "
            "one of the encoder.",
            "try": "Leave it out; fewer make writing faster. With more than layers, generate() of "
            "transformers 5.23 fails.",
        },
    )
    heads: int = Field(
        default=6,
        ge=1,
        description="How many attention heads each block has; each looks at the text its own way.",
        json_schema_extra={
            "cost": "None by itself where head_dim is left out: the heads share dim between them.",
            "try": "As many as give each head 32 to 64 dimensions.",
        },
    )
    dim: int = Field(
        default=384,
        ge=1,
        description="Width of the model: how many numbers stand for one token between blocks.",
        json_schema_extra={
            "cost": "Parameters and time grow with its square.",
            "try": "256 on a CPU, 512 for about 80 million parameters.",
        },
    )
    head_dim: int | None = Field(
        default=None,
        ge=1,
        description="Width of one attention head. Left out: dim / heads.",
        json_schema_extra={
            "cost": "Attention's parameters and time grow in proportion.",
            "try": "Leave it out; the published T5 models set it to 64.",
        },
    )
    ffn_dim: int | None = Field(
        default=None,
        ge=1,
        description="Inner width of the feed-forward layer. Left out: 8/3 of dim in the form "
        f"v1.1, rounded up to a multiple of {_FFN_MULTIPLE}, and 4 times dim in v1.0, which has "
        "two matrices instead of three.",
        json_schema_extra={
            "cost": "Half or more of a block's parameters and time, in proportion.",
            "try": "Leave it out.",
        },
    )
    form: Literal["v1.1", "v1.0"] = Field(
        default="v1.1",
        description="Which generation of T5 the feed-forward layers are of: v1.1 gates them with "
        "a GELU, v1.0 has a plain ReLU.",
        json_schema_extra={
            "cost": "None: both have the same number of parameters.",
            "try": "v1.1, as the later T5 models are.",
        },
    )
    tied: bool = Field(
        default=False,
        description="Whether reading a token and predicting one share a single matrix, as in v1.0.",
        json_schema_extra={
            "cost": "false adds vocabulary x dim parameters; true learns more slowly, because T5 "
            "then scales what reaches the matrix down.",
            "try": "false, as in v1.1; true for the form of the first T5s.",
        },
    )
    dropout: float = Field(
        default=0.1,
        ge=0.0,
        lt=1.0,
        description="Share of embeddings, attention weights and each block's output that is "
        "dropped at random while training, against learning a small corpus by heart.",
        json_schema_extra={
            "cost": "Some of the training time and of its memory; none afterwards.",
            "try": "0.1 when the corpus is read many times, 0 when it is read once.",
        },
    )
    position_buckets: int = Field(
        default=32,
        ge=4,
        description="How many distances between two tokens each attention head tells apart; near "
        "ones are exact, far ones share a bucket.",
        json_schema_extra={"cost": "Next to nothing.", "try": "Leave it."},
    )
    position_distance: int = Field(
        default=128,
        ge=2,
        description="From how many tokens on all distances are the same to the model.",
        json_schema_extra={"cost": "None.", "try": "Leave it; more for texts with long threads."},
    )
    norm_eps: float = Field(
        default=1e-6,
        gt=0.0,
        description="Small number that keeps the norms from dividing by zero.",
        json_schema_extra={"cost": "None.", "try": "Leave it."},
    )

    @property
    def decoder_depth(self) -> int:
        return self.decoder_layers or self.layers

    @property
    def head_width(self) -> int:
        return self.head_dim or self.dim // self.heads

    @property
    def inner_width(self) -> int:
        """Of all heads together."""
        return self.heads * self.head_width

    @property
    def ffn_width(self) -> int:
        if self.ffn_dim is not None:
            return self.ffn_dim
        if self.form == "v1.0":
            return 4 * self.dim
        exact = -(-8 * self.dim // 3)
        return -(-exact // _FFN_MULTIPLE) * _FFN_MULTIPLE

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.head_dim is None and self.dim % self.heads:
            near = max(round(self.dim / self.heads), 1) * self.heads
            raise ValueError(
                f"dim {self.dim} is not divisible by heads {self.heads}; "
                f"try dim {near}, or set head_dim"
            )
        if self.position_distance <= self.position_buckets // 2:
            raise ValueError(
                f"position_distance {self.position_distance} must be more than half of "
                f"position_buckets {self.position_buckets}, which hold one distance each"
            )
        return self
