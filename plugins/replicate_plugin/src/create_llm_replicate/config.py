"""The keys of [deployment.replicate]."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

_NAME = r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?"
FULL_NAME = rf"{_NAME}/{_NAME}"

_GPUS = ("gpu-l40s", "gpu-a100-large", "gpu-h100")
HARDWARE = (
    *("cpu", "cpu-small", "gpu-t4", "gpu-a40-small", "gpu-a40-large"),
    *(f"{gpu}{times}" for gpu in _GPUS for times in ("", "-2x", "-4x", "-8x")),
)
"""What the service has been seen to list; it may have come to list others."""


class ReplicateConfig(BaseModel):
    """Where on Replicate a model goes, who can see it, and what it runs on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model_name: str = Field(
        pattern=rf"^({_NAME}/)?{_NAME}$",
        examples=["my-llm"],
        description="The model: NAME below your own account, or ORGANISATION/NAME; small letters.",
        json_schema_extra={
            "cost": "None; it is made when the model is deployed, if it is not there.",
            "try": "The name of the project.",
        },
    )
    visibility: Literal["private", "public"] = Field(
        default="private",
        description="Who can see and run it. A public model is never pushed to while this is "
        "private.",
        json_schema_extra={
            "cost": "A private model is paid for while it waits, a public one while it runs.",
            "try": "Deploy privately, try it, then set public under another name.",
        },
    )
    hardware: str = Field(
        default="cpu",
        pattern=r"^[a-z0-9-]+$",
        description="What it runs on, as Replicate calls it: cpu, gpu-t4, gpu-l40s. Anything but "
        "cpu puts CUDA into the image.",
        json_schema_extra={
            "cost": "See https://replicate.com/pricing; an image with CUDA is several GB larger.",
            "try": "cpu up to some ten million parameters.",
        },
    )
    folder: str = Field(
        default="exports/replicate",
        min_length=1,
        description="Where the Cog packages are written, each in a folder called like its model.",
        json_schema_extra={"cost": "The weights are linked, not copied.", "try": "Leave it."},
    )

    @property
    def gpu(self) -> bool:
        return not self.hardware.startswith("cpu")
