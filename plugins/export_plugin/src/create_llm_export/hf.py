"""The exporter `hf`: what a bundle has of Hugging Face's form, and a card that fits it."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from create_llm.errors import ConfigError
from create_llm.models.bundle import ModelBundle
from create_llm.models.card import CARD, card_for_transformers
from create_llm.models.export import FOLDER, Finding
from create_llm.storage.durable import read_manifest
from create_llm.storage.writers import FolderWriter
from create_llm_export.families import as_it_is

_LINKED = (
    "*.safetensors",
    "*.safetensors.index.json",
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "tokenizer.model",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "chat_template.jinja",
    "LICENSE*",
    "NOTICE*",
)
_NEEDED = ("config.json", "tokenizer.json", "tokenizer_config.json")


class HuggingFace:
    def __init__(self, config: None) -> None:
        del config

    def check(self, bundle: ModelBundle) -> None:
        class_of(bundle)
        missing = sorted(set(_NEEDED) - set(read_manifest(bundle.path)))
        if missing:
            raise ConfigError(
                f"transformers needs {', '.join(missing)}, which the model does not have",
                where=str(bundle.path),
                fixes=(as_it_is(bundle.hf_config()), "train with the tokenizer bpe"),
            )

    def export(self, bundle: ModelBundle, writer: FolderWriter) -> tuple[str, ...]:
        for name, record in sorted(read_manifest(bundle.path).items()):
            if any(fnmatchcase(name, pattern) for pattern in _LINKED):
                writer.link(name, bundle.path / name, record)
            elif name == CARD:
                writer.write(CARD, [_card(bundle).encode()])
        return (
            f'in Python: transformers.{class_of(bundle)}.from_pretrained("{FOLDER}")',
            "to put it on the Hub: llm deploy --to huggingface",
        )

    def test(self, bundle: ModelBundle, folder: Path) -> Sequence[Finding]:
        from create_llm_export.hf_comparison import compared

        return compared(bundle, folder)


def class_of(bundle: ModelBundle) -> str:
    """The class of transformers that opens the model.

    Raises:
        ConfigError: config.json names none.
    """
    named = bundle.hf_config().get("architectures") or []
    if not named:
        raise ConfigError(
            f"transformers does not know the architecture '{bundle.info['architecture']}'",
            where=str(bundle.path / "config.json"),
            fixes=(as_it_is({}), "train a model that it knows: gpt, bert, t5"),
        )
    return str(named[0])


def _card(bundle: ModelBundle) -> str:
    text = (bundle.path / CARD).read_text("utf-8")
    return card_for_transformers(text, class_of(bundle), "path/to/this/folder")
