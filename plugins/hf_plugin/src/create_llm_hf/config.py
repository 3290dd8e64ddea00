"""The keys of [deployment.huggingface]."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"


class HuggingFaceConfig(BaseModel):
    """Where on the Hub a model goes, and who can see it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    repo_name: str = Field(
        pattern=rf"^({_NAME}/)?{_NAME}$",
        examples=["my-llm"],
        description="The model's repository: NAME below your own account, or ORGANISATION/NAME.",
        json_schema_extra={
            "cost": "None; it is made when the model is sent, if it is not there.",
            "try": "The name of the project.",
        },
    )
    private: bool = Field(
        default=True,
        description="Whether only you and your organisation can see it. A public repository is "
        "never written to while this is true.",
        json_schema_extra={
            "cost": "Private repositories count towards the storage of your account.",
            "try": "Publish privately, look at it in the browser, then set false.",
        },
    )
    revision: str = Field(
        default="main",
        min_length=1,
        description="The branch that the commit goes to; made from main if it is not there.",
        json_schema_extra={
            "cost": "None.",
            "try": "Leave it; a branch v2 keeps a second model beside the first.",
        },
    )
    card: str | None = Field(
        default=None,
        min_length=1,
        examples=["CARD.md"],
        description="A file of the project that is sent as README.md, in place of the card that "
        "the model was written with.",
        json_schema_extra={
            "cost": "None; the model's own card stays in the model.",
            "try": "CARD.md, begun as a copy of the model's README.md.",
        },
    )
    license: str | None = Field(
        default=None,
        pattern=r"^[a-z0-9][a-z0-9.+-]*$",
        examples=["apache-2.0"],
        description="The licence that the card's metadata names, by the Hub's identifier.",
        json_schema_extra={
            "cost": "None; without it nobody else may use the model.",
            "try": "apache-2.0 or mit, as far as the texts it was trained on allow it.",
        },
    )
