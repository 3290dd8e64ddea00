"""Small parts for the tests of the configuration, targets of a registry built by conftest.py."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from create_llm.project.presets import Preset
from create_llm.project.templates import Hardware, Template

HARDWARE = Hardware(min_ram_gb=2, recommended_gpu=None, can_run_on_cpu=True)


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class NetConfig(Strict):
    max_length: int = Field(default=64, ge=1, description="The longest sequence.")
    layers: int = Field(
        default=2,
        ge=1,
        description="How many layers.",
        json_schema_extra={"cost": "Time.", "try": "Two."},
    )
    dropout: float = Field(default=0.0, ge=0, lt=1)
    fused: bool = Field(default=True, json_schema_extra={"identity": False})

    @model_validator(mode="after")
    def _even(self) -> NetConfig:
        if self.layers % 2:
            raise ValueError(f"layers {self.layers} is odd")
        return self


class OtherNetConfig(Strict):
    max_length: int = 32
    width: int = 8


class PiecesConfig(Strict):
    vocab_size: int = Field(default=300, ge=256)
    min_frequency: int = 2
    special_tokens: tuple[str, ...] = ("<pad>", "</s>")


class LettersConfig(Strict):
    vocab_size: int = 256


class FilesConfig(Strict):
    train_path: str = "data/raw"
    weights: dict[str, float] = {}


class StoriesConfig(Strict):
    size_mb: float
    languages: tuple[Literal["en", "es"], ...] = ("en",)


class BoardConfig(Strict):
    port: int = Field(default=6006, description="Where it listens.")
    password: SecretStr | None = None


class HubConfig(Strict):
    repo_name: str
    private: bool = True


SMALL = Template(
    name="small",
    title="small",
    parameters=10_000_000,
    values={
        "plugins": ["watch", "absent"],
        "model": {"name": "net", "layers": 4},
        "tokenizer": {"name": "pieces", "min_frequency": 3},
        "data": {"source": "files"},
        "training": {"batch_size": 16, "learning_rate": 1e-3},
        "logging": {"not_installed": True},
    },
    hardware=HARDWARE,
    time="a minute",
    first_changes=(),
    default=True,
)
LARGE = Template(
    name="large",
    title="large",
    parameters=1_000_000_000,
    values={**SMALL.values, "training": {"batch_size": 64}},
    hardware=HARDWARE,
    time="a day",
    first_changes=(),
)
WRONG = "not a template"


def preset(name: str, values: dict[str, object]) -> Preset:
    return Preset(name, name, "A recipe.", ("For tests.",), values)


QUICK = preset(
    "quick",
    {
        "training": {"batch_size": 2, "max_steps": 50, "save_interval": "5ep", "epochs": None},
        "tokenizer": {"type": "letters"},
    },
)
WIDE = preset("wide", {"model": {"layers": 8}, "data": {"max_length": None, "stride": None}})
ODD = preset("odd", {"model": {"layers": 3}})
OWNER = preset("owner", {"project": {"template": "absent"}, "training": {"seed": 1}})
SAME = preset("same", {"training": {"batch_size": 16}})
