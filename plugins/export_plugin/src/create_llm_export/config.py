"""The tables [export.gguf], [export.ollama] and [export.lmstudio] of llm.toml."""

from __future__ import annotations

import re
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator

Precision = Literal[
    "f32", "f16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "mxfp4", "tq2_0", "tq1_0"
]
"""What the package gguf can write; it reads the others of llama.cpp and cannot make them."""

_OF_LLAMA_CPP = re.compile(r"(i?q\d_?\w+|nvfp4)")


class Quantised(BaseModel):
    """What the exporters that write GGUF have in common."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    precision: Precision = Field(
        default="f16",
        description="What the matrices are written in. tq2_0 and tq1_0 hold three values only, "
        "for models that were trained so.",
        json_schema_extra={
            "cost": "Bytes per weight: f32 4, f16 and bf16 2, q8_0 1.06, q5_1 0.75, q4_0 0.56. "
            "Fewer make other texts; llm export --test says how different.",
            "try": "q8_0 for models from 100 million parameters on; f16 below.",
        },
    )
    force: bool = Field(
        default=False,
        description="Write a tokenizer that GGUF cannot carry exactly, as nearly as it can: some "
        "texts become other tokens than those the model has learnt.",
        json_schema_extra={
            "cost": "A model that understands less, more so the more texts differ.",
            "try": "Leave it, and train with the tokenizer bpe, which GGUF carries exactly.",
        },
    )

    @field_validator("precision", mode="before")
    @classmethod
    def _known(cls, given: object) -> object:
        """As llama.cpp spells it, too; what only its own program makes is said to be that."""
        name = given.lower() if isinstance(given, str) else given
        written = get_args(Precision)
        if isinstance(name, str) and name not in written and _OF_LLAMA_CPP.fullmatch(name):
            raise ValueError(
                f"{name} is made by llama.cpp alone, of a model in f16 or f32: llama-quantize "
                f"FROM.gguf TO.gguf {name.upper()}; written here are {', '.join(written)}"
            )
        return name


class GGUFConfig(Quantised):
    """A GGUF file."""

    vocabulary: Literal["tokenizer", "ids"] = Field(
        default="tokenizer",
        description="What the file holds of the tokenizer: all of it, or the numbers of the "
        "tokens alone, for a program that has the tokenizer from elsewhere.",
    )


class OllamaConfig(Quantised):
    """A GGUF file and a Modelfile."""

    name: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?(:[\w.-]+)?$",
        description="What Ollama calls the model; create-llm/MODEL by default.",
    )
    system: str | None = Field(
        default=None, description="A system message that begins every conversation."
    )


class LMStudioConfig(Quantised):
    """A GGUF file for LM Studio."""

    publisher: str = Field(
        default="create-llm",
        pattern=r"^[A-Za-z0-9][\w.-]*$",
        description="The folder that the model stands in, which LM Studio shows as its publisher.",
    )
    name: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9][\w.-]*$",
        description="What LM Studio calls the model; the name of the bundle by default.",
    )
