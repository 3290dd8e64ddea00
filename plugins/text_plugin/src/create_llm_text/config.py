"""The keys of the [data] section of llm.toml that belong to the source `text`."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

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
        '{ prompt = "title", completion = "body" }; without it, their names and values tell.',
        json_schema_extra={
            "cost": "None.",
            "try": "Leave it; set it when llm data check says that it cannot tell.",
        },
    )
