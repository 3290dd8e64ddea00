"""The options: which service, which model, how it is asked."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from create_llm.responses import is_this_machine


def _service(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be an http or https address, such as https://api.openai.com/v1")
    if parts.username or parts.password or parts.query:
        raise ValueError("must hold no password and no query: llm.toml is no place for a secret")
    return url.rstrip("/")


Address = Annotated[str, AfterValidator(_service)]


class ServiceConfig(BaseModel):
    """What holds for any service."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    base_url: Address = Field(description="The service's address, with its /v1.")
    model: str = Field(min_length=1, description="The model to ask, as the service calls it.")
    api_key_env: str = Field(
        pattern=r"^([A-Za-z_][A-Za-z0-9_]*)?$",
        description="The variable, in the environment or .env, with the key; empty: none is sent.",
    )
    pairs_per_request: int = Field(
        default=5, ge=1, le=50, description="Questions and answers to ask for at once."
    )
    temperature: float | None = Field(
        default=None,
        ge=0,
        le=2,
        description="How daring the model is; unset: as the service has it.",
    )
    json_mode: bool = Field(
        default=False,
        description="Demand JSON by response_format, which not every service and model knows.",
    )
    input_price: float | None = Field(
        default=None, ge=0, description="US dollars for a million tokens in, for the estimate."
    )
    output_price: float | None = Field(
        default=None, ge=0, description="US dollars for a million tokens out, for the estimate."
    )
    timeout: float = Field(
        default=120.0, gt=0, description="Seconds of silence after which a request is tried again."
    )
    longest_wait: float = Field(
        default=600.0,
        ge=0,
        description="Seconds that a busy service may ask to wait; beyond, the command ends.",
    )

    @property
    def in_the_clear(self) -> bool:
        """Whether what is sent can be read on its way: http to another machine."""
        parts = urlsplit(self.base_url)
        return parts.scheme == "http" and not is_this_machine(parts.hostname or "")


class OpenAIConfig(ServiceConfig):
    base_url: Address = Field(
        default="https://api.openai.com/v1",
        description="The service's address, with its /v1; any that speaks OpenAI's API.",
    )
    api_key_env: str = Field(
        default="OPENAI_API_KEY",
        pattern=r"^([A-Za-z_][A-Za-z0-9_]*)?$",
        description="The variable, in the environment or .env, with the key; empty: none is sent.",
    )


class GroqConfig(ServiceConfig):
    base_url: Address = Field(
        default="https://api.groq.com/openai/v1", description="The service's address."
    )
    model: str = Field(
        default="openai/gpt-oss-20b",
        min_length=1,
        description="The model to ask, as Groq calls it.",
    )
    api_key_env: str = Field(
        default="GROQ_API_KEY",
        pattern=r"^([A-Za-z_][A-Za-z0-9_]*)?$",
        description="The variable, in the environment or .env, with the key.",
    )
