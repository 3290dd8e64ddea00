"""The exporter `gguf`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from create_llm.errors import ConfigError
from create_llm.models.bundle import ModelBundle
from create_llm.models.export import FOLDER, Finding
from create_llm.storage.writers import FolderWriter
from create_llm_export.config import GGUFConfig
from create_llm_export.families import family_of
from create_llm_export.vocabulary import vocabulary_of

if TYPE_CHECKING:
    from create_llm_export.config import Quantised


class GGUF:
    def __init__(self, config: GGUFConfig) -> None:
        self._config = config

    def check(self, bundle: ModelBundle) -> None:
        check_form(bundle, self._config, "gguf", words=self._config.vocabulary == "tokenizer")

    def export(self, bundle: ModelBundle, writer: FolderWriter) -> tuple[str, ...]:
        name = file_name(bundle.name, self._config)
        write_model(bundle, writer, name, self._config, words=self._has_words)
        if not self._has_words:
            return ("give it tokens, by their numbers: it has no tokenizer",)
        return (
            f'with llama.cpp: llama-cli -m "{FOLDER}/{name}"',
            f'as a server: llama-server -m "{FOLDER}/{name}"',
            "in Ollama and LM Studio: llm export --to ollama, llm export --to lmstudio",
        )

    def test(self, bundle: ModelBundle, folder: Path) -> Sequence[Finding]:
        from create_llm_export.llama_comparison import compared

        return compared(bundle, file_in(folder), self._config, words=self._has_words)

    @property
    def _has_words(self) -> bool:
        return self._config.vocabulary == "tokenizer"


def check_form(bundle: ModelBundle, config: Quantised, section: str, *, words: bool = True) -> None:
    """
    Raises:
        ConfigError: GGUF cannot carry the model, or not exactly and nobody insists.
    """
    hf = bundle.hf_config()
    family_of(hf)
    if not words:
        return
    reasons = vocabulary_of(bundle.path, int(hf["vocab_size"])).reasons
    if reasons and not config.force:
        raise ConfigError(
            f"GGUF cannot carry this tokenizer exactly: {'; '.join(reasons)}",
            where=str(bundle.path),
            fixes=(
                "export it for transformers, which reads it as it is: --to hf",
                "train with the tokenizer bpe, which GGUF carries: --set tokenizer.name=bpe",
                f"write what comes nearest: --set export.{section}.force=true",
            ),
        )


def file_name(model: str, config: Quantised) -> str:
    """As models are customarily named, with the precision at the end."""
    return f"{model}-{config.precision.upper()}.gguf"


def file_in(folder: Path) -> Path:
    """The model of an export."""
    (path,) = folder.glob("*.gguf")
    return path


def write_model(
    bundle: ModelBundle, writer: FolderWriter, name: str, config: Quantised, *, words: bool = True
) -> None:
    """
    Raises:
        ConfigError: llama.cpp has no place for a tensor.
    """
    from create_llm_export.gguf_file import Form, write_gguf
    from create_llm_export.words import words_of

    form = Form(config.precision, words_of(bundle) if words else None)
    write_gguf(bundle, writer.folder / name, form)
    writer.adopt(name)
