"""The keys of the [data] section of llm.toml that belong to the source `text`."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import InitErrorDetails

from create_llm.errors import nearest

ColumnField = Literal[
    "text", "messages", "prompt", "input", "completion", "system", "chosen", "rejected"
]


class Columns(BaseModel):
    """Which column of a file of rows is what, where their names do not say it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    text: str | None = Field(default=None, description="The column of plain text.")
    messages: str | None = Field(
        default=None, description="The column of conversations: lists of messages."
    )
    prompt: str | None = Field(
        default=None, description="The column of questions or instructions, which are context."
    )
    completion: str | None = Field(
        default=None, description="The column of answers, which the model learns to produce."
    )
    system: str | None = Field(
        default=None, description="The column of system messages, beside prompt or messages."
    )
    chosen: str | None = Field(default=None, description="The column of the better answers.")
    rejected: str | None = Field(default=None, description="The column of the worse answers.")

    @model_validator(mode="before")
    @classmethod
    def _known(cls, values: object) -> object:
        """Names the key that was meant, at the place of the one that is wrong."""
        known = cls.model_fields
        wrong = [key for key in values if key not in known] if isinstance(values, dict) else []
        if wrong:
            errors = [_unknown(str(key), known) for key in wrong]
            raise ValidationError.from_exception_data(cls.__name__, errors)
        return values

    @model_validator(mode="after")
    def _one_structure(self) -> Self:
        given = set(self.named())
        allowed: tuple[tuple[set[str], set[str]], ...] = (
            ({"text"}, set()),
            ({"messages"}, {"system"}),
            ({"prompt", "completion"}, {"system"}),
            ({"chosen", "rejected"}, {"prompt", "system"}),
        )
        if not any(needed <= given <= needed | more for needed, more in allowed):
            raise ValueError(
                "should be text, or messages, or prompt and completion, or chosen and rejected; "
                "system may stand beside the last three, prompt beside the last"
            )
        return self

    def named(self) -> dict[ColumnField, str]:
        """The fields that are given, with their columns."""
        columns: dict[ColumnField, str | None] = {
            "text": self.text,
            "messages": self.messages,
            "prompt": self.prompt,
            "completion": self.completion,
            "system": self.system,
            "chosen": self.chosen,
            "rejected": self.rejected,
        }
        return {field: column for field, column in columns.items() if column is not None}


def _unknown(key: str, known: Collection[str]) -> InitErrorDetails:
    match = nearest(key, known)
    near = f"did you mean '{match}'? There" if match else "there"
    error = ValueError(f"there is no such key; {near} are {', '.join(known)}")
    return InitErrorDetails(type="value_error", loc=(key,), input=key, ctx={"error": error})


def _explained() -> str:
    """What each key of `columns` is for, in one line."""
    fields = Columns.model_fields.items()
    each = (f"{name}: {(field.description or '').rstrip('.')}" for name, field in fields)
    return "; ".join(each)


class TextConfig(BaseModel):
    """Where the text is, and how it is divided into documents."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    train_path: str = Field(
        default="data/raw",
        min_length=1,
        description="A file, or a folder of files, read with its subfolders: .txt, .md, .csv, "
        ".tsv, .json, .jsonl and .parquet, also compressed (.gz, .zst).",
        json_schema_extra={
            "cost": "More text takes longer to prepare; memory stays the same.",
            "try": "Leave it and copy your files into data/raw.",
        },
    )
    val_path: str | None = Field(
        default=None,
        min_length=1,
        description="Text kept for validation; without it, the files named val or validation "
        "beside those named train are, and else val_split of the documents.",
        json_schema_extra={
            "cost": "None: nothing of train_path is held back then.",
            "try": "Set it when you want to compare models on a text that stays the same.",
        },
    )
    separator: str | None = Field(
        default=None,
        min_length=1,
        description="What stands between two documents of a text file, such as '<|endoftext|>'; "
        "without it, files are divided into blocks of whole lines, at most 16 KB each.",
        json_schema_extra={
            "cost": "None.",
            "try": "Set it when your files hold many texts that do not belong together.",
        },
    )
    columns: Columns | None = Field(
        default=None,
        description="Which column of your .csv, .json, .jsonl or .parquet files is what, such as "
        '{ prompt = "title", completion = "body" }; without it, their names and values tell. '
        f"Its keys: {_explained()}.",
        json_schema_extra={
            "cost": "None.",
            "try": "Leave it; set it when llm data check says that it cannot tell.",
        },
    )
