"""The keys of the [model] section, each with what it is, what it costs and what to try."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from create_llm_gpt.forms import FORMS, Form

_FFN_MULTIPLE = 64
_ROPE_THETA = 10000.0
_MOST_LAYERS, _MOST_HEADS, _WIDEST = 10_000, 65_536, 2**31 - 1
"""Beyond every model there is; file formats count in 32 bits."""


class GPTConfig(BaseModel):
    """Shape of a decoder-only transformer. What is left out follows from `dim` and `heads`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_length: int = Field(
        default=512,
        ge=1,
        le=_WIDEST,
        description="The longest text, in tokens, that the model can look at at once.",
        json_schema_extra={
            "cost": "Time per token grows slowly with it, memory in proportion. The gpt2 form adds "
            "max_length x dim parameters, one vector for each position.",
            "try": "256 on a laptop; 1024 or more once there is a GPU.",
        },
    )
    layers: int = Field(
        default=12,
        ge=1,
        le=_MOST_LAYERS,
        description="How many transformer blocks stand one after another.",
        json_schema_extra={
            "cost": "Time and memory in proportion.",
            "try": "4 to 6 on a CPU; make the model wider (dim) as you make it deeper.",
        },
    )
    heads: int = Field(
        default=8,
        ge=1,
        le=_MOST_HEADS,
        description="How many attention heads each block has; each looks at the text its own way.",
        json_schema_extra={
            "cost": "None by itself: the heads share dim between them.",
            "try": "As many as give each head 32 to 128 dimensions (dim / heads).",
        },
    )
    kv_heads: int | None = Field(
        default=None,
        ge=1,
        le=_MOST_HEADS,
        description="How many heads hold keys and values; several query heads share one "
        "(grouped-query attention). Left out: one for each head, as the gpt2 form always has.",
        json_schema_extra={
            "cost": "Fewer make generation need less memory, at little loss of quality.",
            "try": "A quarter of heads for models that will read long texts.",
        },
    )
    dim: int = Field(
        default=512,
        ge=2,
        le=_WIDEST,
        description="Width of the model: how many numbers stand for one token between blocks.",
        json_schema_extra={
            "cost": "Parameters and time grow with its square.",
            "try": "256 on a CPU, 768 for about 100 million parameters.",
        },
    )
    head_dim: int | None = Field(
        default=None,
        ge=2,
        le=_WIDEST,
        description="Width of one attention head. Left out: dim / heads, as in the gpt2 form "
        "always.",
        json_schema_extra={
            "cost": "Attention's parameters and time grow in proportion.",
            "try": "Leave it out; some imported Qwen3 models set it to 128.",
        },
    )
    dropout: float = Field(
        default=0.1,
        ge=0.0,
        lt=1.0,
        description="Share of each block's output that is dropped at random while training, "
        "against learning a small corpus by heart. The gpt2 form also drops of the embedding.",
        json_schema_extra={
            "cost": "A few per cent of training time; none afterwards.",
            "try": "0.1 to 0.2 when the corpus is read many times, 0 when it is read once.",
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
            "try": "Leave it at 0 and use dropout.",
        },
    )
    form: Literal["qwen3", "llama", "gpt2"] = Field(
        default="qwen3",
        description="Which published family the model is built and saved as. llama: RMSNorm, "
        "rotary positions, SwiGLU. qwen3: also normalises each head's queries and keys, which "
        "keeps training stable at higher learning rates. gpt2: LayerNorm, learned positions, "
        "GELU, biases everywhere.",
        json_schema_extra={
            "cost": "qwen3 takes a few per cent more time than llama.",
            "try": "qwen3; llama where a tool does not read qwen3 yet; gpt2 where a tool or a "
            "comparison asks for GPT-2.",
        },
    )
    ffn_dim: int | None = Field(
        default=None,
        ge=1,
        le=_WIDEST,
        description="Inner width of the feed-forward layer. Left out: 8/3 of dim, rounded up to "
        f"a multiple of {_FFN_MULTIPLE}; in the gpt2 form 4 x dim.",
        json_schema_extra={
            "cost": "Two thirds of a block's parameters and time, in proportion.",
            "try": "Leave it out; llama.cpp takes every gpt2 model to be 4 x dim.",
        },
    )
    rope_theta: float = Field(
        default=_ROPE_THETA,
        gt=0.0,
        allow_inf_nan=False,
        description="Base of the rotary position embedding: how slowly its slowest wave turns. "
        "The gpt2 form has none.",
        json_schema_extra={
            "cost": "None.",
            "try": "10000; 100000 or more for contexts beyond 8192 tokens.",
        },
    )
    tied: bool = Field(
        default=True,
        description="Whether reading a token and predicting one share a single matrix.",
        json_schema_extra={
            "cost": "false adds vocabulary x dim parameters.",
            "try": "true below a billion parameters.",
        },
    )
    norm_eps: float = Field(
        default=1e-6,
        gt=0.0,
        allow_inf_nan=False,
        description="Small number that keeps the norms from dividing by zero.",
        json_schema_extra={"cost": "None.", "try": "Leave it."},
    )

    @property
    def parts(self) -> Form:
        """What the form is made of."""
        return FORMS[self.form]

    @property
    def key_value_heads(self) -> int:
        return self.kv_heads or self.heads

    @property
    def head_width(self) -> int:
        return self.head_dim or self.dim // self.heads

    @property
    def ffn_width(self) -> int:
        if self.ffn_dim is not None:
            return self.ffn_dim
        if self.parts.feed_forward == "gelu":
            return 4 * self.dim
        exact = -(-8 * self.dim // 3)
        return -(-exact // _FFN_MULTIPLE) * _FFN_MULTIPLE

    @model_validator(mode="after")
    def _fits(self) -> Self:
        self._check_form()
        if self.dim % self.heads:
            # An even head width suits every form.
            raise ValueError(
                f"dim {self.dim} is not divisible by heads {self.heads}; "
                f"try dim {_multiple_near(self.dim, 2 * self.heads)}"
            )
        if self.parts.positions == "rotary" and self.head_width % 2:
            source = "head_dim" if self.head_dim else f"dim {self.dim} / heads {self.heads} ="
            raise ValueError(
                f"{source} {self.head_width} is odd, and rotary positions turn pairs of numbers; "
                "make it even"
            )
        if self.kv_heads is not None and self.heads % self.kv_heads:
            choices = [str(n) for n in range(1, self.heads + 1) if self.heads % n == 0]
            raise ValueError(
                f"heads {self.heads} is not divisible by kv_heads {self.kv_heads}; "
                f"kv_heads can be {', '.join(choices)}"
            )
        return self

    def _check_form(self) -> None:
        """Refuse what the form has no place for, rather than pass over it."""
        others = "; leave it out, or choose the form qwen3 or llama"
        if not self.parts.free_heads and self.kv_heads is not None:
            raise ValueError(
                f"in the {self.form} form every head has keys and values of its own, so there is "
                f"no kv_heads{others}"
            )
        if not self.parts.free_heads and self.head_dim not in (None, self.dim / self.heads):
            raise ValueError(
                f"in the {self.form} form a head is dim / heads wide, and head_dim {self.head_dim} "
                f"is not {self.dim} / {self.heads}{others}"
            )
        if self.parts.positions != "rotary" and self.rope_theta != _ROPE_THETA:
            raise ValueError(
                f"the {self.form} form learns its positions, and rope_theta is for rotary ones"
                f"{others}"
            )


def _multiple_near(value: int, step: int) -> int:
    return max(round(value / step), 1) * step
