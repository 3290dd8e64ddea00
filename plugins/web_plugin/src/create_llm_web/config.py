"""The keys of the [data] section of llm.toml that belong to the source `web`."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator

from create_llm_web.addresses import Address


def addresses(written: str | tuple[str, ...]) -> tuple[Address, ...]:
    """The addresses of a key, in the order in which they are read.

    Raises:
        ValueError: one cannot be used, none is given, or one comes twice.
    """
    found = [Address.parse(text) for text in ([written] if isinstance(written, str) else written)]
    if not found:
        raise ValueError("name at least one address")
    for address in found:
        if sum(other.url == address.url for other in found) > 1:
            raise ValueError(f"{address} is there twice")
    return tuple(found)


def _checked(written: str | tuple[str, ...]) -> str | tuple[str, ...]:
    addresses(written)
    return written


Addresses = Annotated[str | tuple[str, ...], AfterValidator(_checked)]


class WebConfig(BaseModel):
    """Which addresses are read, and how much may be downloaded."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    train_path: Addresses = Field(
        description="The http or https address of a text file, or a list of them; "
        "'#sha256=…' at the end of one says which content is expected.",
        json_schema_extra={
            "cost": "Downloaded once into data/web, and used from there without a network.",
            "try": "Add the checksum when the run must be reproducible: '…/book.txt#sha256=…'.",
        },
    )
    val_path: Addresses | None = Field(
        default=None,
        description="Addresses of the text kept for validation; without them, val_split of the "
        "documents is.",
        json_schema_extra={
            "cost": "None: nothing of train_path is held back then.",
            "try": "Set it when the text comes with a validation file of its own.",
        },
    )
    max_bytes: int = Field(
        default=2_000_000_000,
        ge=1,
        description="The largest download, in bytes, for each address.",
        json_schema_extra={
            "identity": False,
            "cost": "So much space on the disk, for each address.",
            "try": "Leave it; the error says how large the file is, if it is larger.",
        },
    )
    refresh: bool = Field(
        default=False,
        description="Whether to ask the server each time if the text has changed.",
        json_schema_extra={
            "identity": False,
            "cost": "Needs the network at each command; a text that has changed is downloaded, "
            "prepared and trained on anew.",
            "try": "Once, on the command line: --set data.refresh=true.",
        },
    )
    text: dict[str, object] = Field(
        default={},
        description="How the downloaded files are read: keys of the source `text`, "
        "such as text.separator.",
        json_schema_extra={
            "cost": "None.",
            "try": "Leave it out; set it as you would set the same keys for files of your own.",
        },
    )

    @field_validator("text")
    @classmethod
    def _without_paths(cls, text: dict[str, object]) -> dict[str, object]:
        if {"train_path", "val_path"} & set(text):
            raise ValueError("which texts are read, data.train_path and data.val_path say")
        return text
