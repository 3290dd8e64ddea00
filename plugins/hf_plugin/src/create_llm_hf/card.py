"""README.md as it goes to the Hub: the model's own card, or one of the project."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from create_llm.errors import ConfigError
from create_llm.models.bundle import ModelBundle
from create_llm.models.card import CARD, card_for_transformers
from create_llm.project.folder import project_around
from create_llm_hf.config import HuggingFaceConfig

_KEY = "deployment.huggingface.card"


@dataclass(frozen=True, slots=True)
class Card:
    """
    Attributes:
        source: the file that it was made from.
        data: UTF-8.
    """

    source: Path
    data: bytes


def sent_card(
    bundle: ModelBundle, records: Collection[str], config: HuggingFaceConfig
) -> Card | None:
    """What stands in the repository as README.md; the bundle's own stays as it is.

    Args:
        records: the names of the files that the bundle was written with.

    Raises:
        ConfigError: there is no such file, or what it says of itself cannot be read.
    """
    if config.card is not None:
        path = _of_project(config.card)
        return Card(path, _licensed(_text(path), config.license, path).encode())
    path = bundle.path / CARD
    if CARD not in records and config.license is None:
        return None
    text = _text(path) if CARD in records else ""
    named = bundle.hf_config().get("architectures") if "config.json" in records else None
    if named:
        text = card_for_transformers(text, str(named[0]), _full(config.repo_name))
    return Card(path, _licensed(text, config.license, path).encode())


def _full(repo_name: str) -> str:
    """Whose account it is below is known only to the service."""
    return repo_name if "/" in repo_name else f"ACCOUNT/{repo_name}"


def _of_project(name: str) -> Path:
    project = project_around(Path.cwd())
    path = (project.root if project else Path.cwd()) / name
    if not path.is_file():
        raise ConfigError(
            f"there is no card {name}",
            where=f"{_KEY} = {path}",
            fixes=("write one", "or leave the key out: then the model's own card is sent"),
        )
    return path


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode()
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"the card is not written in UTF-8: {error}",
            where=str(path),
            fixes=("save it in UTF-8",),
        ) from error


def _licensed(text: str, identifier: str | None, path: Path) -> str:
    """With the licence in the metadata, in place of another that stands there."""
    if identifier is None:
        return text
    if not text.lstrip().startswith("---"):
        return f"---\nlicense: {identifier}\n---\n\n{text}"
    from huggingface_hub import ModelCard
    from yaml import YAMLError  # type: ignore[import-untyped]

    try:
        card = ModelCard(text)
    except (ValueError, YAMLError) as error:
        raise ConfigError(
            f"the metadata of the card cannot be read: {' '.join(str(error).split())[:200]}",
            where=str(path),
            fixes=("mend what stands between the two lines of ---, which is YAML",),
        ) from error
    card.data["license"] = identifier
    return str(card)
