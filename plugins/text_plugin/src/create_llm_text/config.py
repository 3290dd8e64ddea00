"""The keys of the [data] section of llm.toml that belong to the source `text`."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class TextConfig(BaseModel):
    """Where the text is, and how it is divided into documents."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    train_path: str = Field(
        default="data/raw",
        min_length=1,
        description="A text file, or a folder of .txt and .md files, read with its subfolders.",
        json_schema_extra={
            "cost": "More text takes longer to prepare; memory stays the same.",
            "try": "Leave it and copy your files into data/raw.",
        },
    )
    val_path: str | None = Field(
        default=None,
        min_length=1,
        description="Text kept for validation; without it, val_split of the documents is.",
        json_schema_extra={
            "cost": "None: nothing of train_path is held back then.",
            "try": "Set it when you want to compare models on a text that stays the same.",
        },
    )
    separator: str | None = Field(
        default=None,
        min_length=1,
        description="What stands between two documents of a file, such as '<|endoftext|>'; "
        "without it, files are divided into blocks of whole lines, at most 16 KB each.",
        json_schema_extra={
            "cost": "None.",
            "try": "Set it when your files hold many texts that do not belong together.",
        },
    )
