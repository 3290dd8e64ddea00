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
_TIED = "tie_word_embeddings"
_OF_RUNNING = frozenset(
    {
        "attn_implementation",
        "experts_implementation",
        "use_kernels",
        "fusion_config",
        "distributed_config",
        "transformers_weights",
        "return_dict",
        "output_attentions",
        "output_hidden_states",
        "num_labels",
        "id2label",
        "label2id",
    }
)
"""Keys that say how transformers is to load and run a model, with kernels that it fetches if need
be, what it is to return, and what classifiers call their classes: nothing of the model itself."""
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
        kept: dict[str, Any] = _of_the_model(hf)
        return kept

    def untied(self) -> TransformersConfig:
        """The same with a matrix of its own for the head."""
        hf = {**self.hf, _TIED: False}
        text = hf.get("text_config")
        return TransformersConfig(
            hf={**hf, "text_config": {**text, _TIED: False}} if isinstance(text, dict) else hf
        )

    @property
    def max_length(self) -> int:
        """The longest sequence, in tokens."""
        text = self.hf.get("text_config")
        both = (self.hf, text if isinstance(text, dict) else {})
        found = (values.get(key) for values in both for key in _LENGTHS)
        return next((n for n in found if isinstance(n, int) and 0 < n < 2**31), _UNLIMITED)


def _is_of_the_model(key: str) -> bool:
    return not key.startswith("_") and key not in _OF_RUNNING


def _of_the_model(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _of_the_model(each) for key, each in value.items() if _is_of_the_model(key)}
    return [_of_the_model(each) for each in value] if isinstance(value, list) else value
