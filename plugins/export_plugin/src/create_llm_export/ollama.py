"""The exporter `ollama`."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from create_llm.errors import ConfigError, PluginError
from create_llm.models.bundle import ModelBundle
from create_llm.models.export import FOLDER, Finding
from create_llm.storage.writers import FolderWriter
from create_llm_export.config import OllamaConfig
from create_llm_export.gguf_exporter import check_form, file_in, file_name, write_model
from create_llm_export.programs import run

MODELFILE = "Modelfile"


class Ollama:
    def __init__(self, config: OllamaConfig) -> None:
        self._config = config

    def check(self, bundle: ModelBundle) -> None:
        check_form(bundle, self._config, "ollama")
        if '"""' in (self._config.system or ""):
            raise ConfigError(
                'a Modelfile cannot hold three quotation marks (""") in a system message',
                where="export.ollama.system",
                fixes=("write them otherwise", "leave it out, and say it in each conversation"),
            )

    def export(self, bundle: ModelBundle, writer: FolderWriter) -> tuple[str, ...]:
        from create_llm_export.modelfile import modelfile_of

        file, name = file_name(bundle.name, self._config), self._name(bundle)
        modelfile = modelfile_of(bundle, self._config.system)
        write_model(bundle, writer, file, self._config)
        writer.write(MODELFILE, [modelfile.text(file).encode()])
        untold = (
            "its chat template says more than Ollama's own form can: Ollama has to read the one "
            "in the GGUF file, so try a conversation"
        )
        return (
            "install Ollama, if it is not there: https://ollama.com/download",
            f'then: ollama create {name} -f "{FOLDER}/{MODELFILE}"',
            f"and talk to it: ollama run {name}",
            *((untold,) if modelfile.template is None else ()),
        )

    def test(self, bundle: ModelBundle, folder: Path) -> Sequence[Finding]:
        """Makes the model in Ollama, where it stays, and compares what it writes."""
        from create_llm_export.modelfile import modelfile_of
        from create_llm_export.ollama_api import OllamaService
        from create_llm_export.ollama_comparison import compared

        name, program = self._name(bundle), shutil.which("ollama")
        service = OllamaService()
        if program is not None:
            _create(program, name, folder)
        elif os.environ.get("OLLAMA_HOST"):
            request = modelfile_of(bundle, self._config.system).request()
            service.create(name, file_in(folder), request)
        else:
            raise PluginError(
                "Ollama is not installed here",
                fixes=(
                    "install it: https://ollama.com/download",
                    "or say where it runs: OLLAMA_HOST=host:port",
                    "try the file in llama.cpp: llm export --to gguf --test",
                ),
            )
        return compared(bundle, service, name, exact=self._config.precision == "f32")

    def _name(self, bundle: ModelBundle) -> str:
        return self._config.name or f"create-llm/{bundle.name}"


def _create(program: str, name: str, folder: Path) -> None:
    """
    Raises:
        PluginError: Ollama could not.
    """
    run(
        [program, "create", name, "-f", MODELFILE],
        where=folder / MODELFILE,
        fixes=("start it: ollama serve", f"try it by hand: ollama create {name} -f {MODELFILE}"),
        cwd=folder,
    )
