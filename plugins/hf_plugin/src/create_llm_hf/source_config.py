"""The keys of the [data] section of llm.toml that belong to the source `hf`."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator

_SCHEME = "hf://"
_WRITTEN = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?(@.+)?")


def dataset_name(written: str) -> tuple[str, str | None]:
    """The repository and revision of ORG/NAME, ORG/NAME@REVISION, also behind hf:// or
    hf://datasets/.

    Raises:
        ValueError: it cannot be one.
    """
    bare = written.removeprefix(_SCHEME).removeprefix("datasets/").rstrip("/")
    if not _WRITTEN.fullmatch(bare):
        raise ValueError("a dataset is written ORG/NAME, or ORG/NAME@REVISION")
    name, _, revision = bare.partition("@")
    return name, revision or None


def _checked(written: str) -> str:
    dataset_name(written)
    return written


class HuggingFaceDataConfig(BaseModel):
    """Which dataset is read, and which part of it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    train_path: Annotated[str, AfterValidator(_checked)] = Field(
        description="The dataset: ORG/NAME, as its page is called; @REVISION behind it names a "
        "commit, tag or branch.",
        examples=["ORG/NAME"],
        json_schema_extra={
            "cost": "Downloaded once into data/hf, and used from there without a network.",
            "try": "roneneldan/TinyStories; add @ and a commit when the run must be reproducible.",
        },
    )
    subset: str | None = Field(
        default=None,
        min_length=1,
        description="Which of the dataset's configurations; without it, its default one.",
        json_schema_extra={
            "cost": "None.",
            "try": "What the page of the dataset offers as Subset; the error lists them.",
        },
    )
    split: str = Field(
        default="train",
        min_length=1,
        description="The split to train on.",
        json_schema_extra={
            "cost": "None.",
            "try": "Leave it; the error lists what there is.",
        },
    )
    validation: str | None = Field(
        default=None,
        min_length=1,
        description="The split to score on; without it, that called validation, if there is one, "
        "else val_split of the documents.",
        json_schema_extra={
            "cost": "None: nothing of the split trained on is held back then.",
            "try": "Leave it; test only for a last comparison.",
        },
    )
    streaming: bool = Field(
        default=False,
        description="Whether each file is removed again when it has been read.",
        json_schema_extra={
            "cost": "Only one file is on the disk at a time, but each reading downloads it anew: "
            "the tokenizer's and the preparation's.",
            "try": "true where the dataset does not fit on the disk.",
        },
    )
    max_bytes: int = Field(
        default=20_000_000_000,
        ge=1,
        description="The most to download, in bytes; with streaming, of a single file.",
        json_schema_extra={
            "identity": False,
            "cost": "So much space on the disk.",
            "try": "Leave it; the error says how large the dataset is, if it is larger.",
        },
    )
    text: dict[str, object] = Field(
        default={},
        description="How the files are read: keys of the source `text`, such as text.columns.",
        json_schema_extra={
            "cost": "None.",
            "try": "Leave it out; set it as you would set the same keys for files of your own.",
        },
    )

    @field_validator("text")
    @classmethod
    def _without_paths(cls, text: dict[str, object]) -> dict[str, object]:
        if {"train_path", "val_path"} & set(text):
            raise ValueError("which files are read, the dataset and its split say")
        return text
