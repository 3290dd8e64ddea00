"""The keys of llm.toml that belong to these parts. Each says what it is for."""

from pydantic import BaseModel, ConfigDict, Field


class PoemsConfig(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    train_path: str = Field(default="data/raw", description="The folder with the poems.")
    pattern: str = Field(default="*.md", description="Which of its files are poems.")


class GatedConvConfig(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    max_length: int = Field(default=64, ge=1, description="Tokens that are read at once.")
    layers: int = Field(default=4, ge=1, description="How many layers stand one after another.")
    dim: int = Field(default=64, ge=1, description="Width: how many numbers stand for a token.")
    kernel: int = Field(default=5, ge=1, description="How many tokens each layer looks at.")
