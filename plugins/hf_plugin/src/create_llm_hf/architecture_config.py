"""The keys of the [model] section for the architecture `transformers`."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

_LENGTHS = (
    "max_position_embeddings",
    "n_positions",
    "n_ctx",
    "max_sequence_length",
    "seq_length",
    "max_seq_len",
)
_UNLIMITED = 2048
"""For models that say no length: recurrent ones and those with relative positions."""


class TransformersConfig(BaseModel):
    """A model of transformers, by its config.json."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    hf: dict[str, Any] = Field(
        description="config.json: model_type, and the keys that this type of model has in "
        "transformers.",
        json_schema_extra={
            "cost": "What the model costs: layers, widths and vocabulary are in here.",
            "try": "Import a model, llm import hf:ORG/NAME, and leave this as it comes.",
        },
    )

    @field_validator("hf")
    @classmethod
    def _has_a_type(cls, hf: dict[str, Any]) -> dict[str, Any]:
        if not isinstance(hf.get("model_type"), str):
            raise ValueError("model_type has to say which model of transformers it is")
        return hf

    @property
    def max_length(self) -> int:
        """The longest sequence, in tokens."""
        text = self.hf.get("text_config") or {}
        found = (values.get(key) for values in (self.hf, text) for key in _LENGTHS)
        return next((n for n in found if isinstance(n, int) and 0 < n < 2**31), _UNLIMITED)
