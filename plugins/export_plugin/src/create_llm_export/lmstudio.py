"""The exporter `lmstudio`."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from create_llm.models.bundle import ModelBundle
from create_llm.models.export import FOLDER, Finding
from create_llm.storage.writers import FolderWriter
from create_llm_export.config import LMStudioConfig
from create_llm_export.gguf_exporter import check_form, file_in, file_name, write_model


class LMStudio:
    def __init__(self, config: LMStudioConfig) -> None:
        self._config = config

    def check(self, bundle: ModelBundle) -> None:
        check_form(bundle, self._config, "lmstudio")

    def export(self, bundle: ModelBundle, writer: FolderWriter) -> tuple[str, ...]:
        place, file = self._place(bundle), file_name(bundle.name, self._config)
        write_model(bundle, writer, file, self._config)
        return (
            f'with its command: lms import --copy --user-repo {place} "{FOLDER}/{file}"',
            "or write it where LM Studio looks at once: "
            f"llm export {bundle.name} --to lmstudio --out ~/.lmstudio/models/{place}",
            "then choose the model in LM Studio, or: lms chat",
        )

    def test(self, bundle: ModelBundle, folder: Path) -> Sequence[Finding]:
        """LM Studio runs GGUF files in llama.cpp: that is what the file is tried in. Where its
        command is, LM Studio gets the model, as a link to the file."""
        from create_llm_export.llama_comparison import compared
        from create_llm_export.lms import imported

        file = file_in(folder)
        findings = compared(bundle, file, self._config)
        program = shutil.which("lms")
        if program is None or not all(finding.same is not False for finding in findings):
            return findings
        return [*findings, imported(program, file, self._place(bundle))]

    def _place(self, bundle: ModelBundle) -> str:
        return f"{self._config.publisher}/{self._config.name or bundle.name}"
