"""The options: where the service is, and which of two protocols it speaks."""

from __future__ import annotations

from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, model_validator

from create_llm.responses import is_this_machine

TANAOS = "https://synthex.tanaos.com"


class SynthexConfig(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    base_url: str = Field(
        default="", description="The service's address; SynthexAI publishes none, so there is none."
    )
    backend: Literal["samples", "tanaos"] = Field(
        default="samples",
        description="What is spoken: the contract of the README, or that of Tanaos' client.",
    )
    samples_per_request: int = Field(
        default=10, ge=1, le=500, description="Questions and answers to ask for at once."
    )
    timeout: float = Field(
        default=120.0, gt=0, description="Seconds of silence after which a request is tried again."
    )
    longest_wait: float = Field(
        default=600.0,
        ge=0,
        description="Seconds that a busy service, or a job of Tanaos, may take at most.",
    )

    @model_validator(mode="after")
    def _is_a_service(self) -> Self:
        parts = urlsplit(self.address)
        if not self.address:
            return self  # whoever asks says so: other commands do not need one
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("base_url must be an http or https address")
        if parts.username or parts.password or parts.query:
            raise ValueError("base_url must hold no password and no query")
        if parts.scheme == "http" and not is_this_machine(parts.hostname):
            raise ValueError("base_url must be https: the key would be sent for everybody to read")
        return self

    @property
    def address(self) -> str:
        """Where the service is, without a slash at its end."""
        return (self.base_url or (TANAOS if self.backend == "tanaos" else "")).rstrip("/")
