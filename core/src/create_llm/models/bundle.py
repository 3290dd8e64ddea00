"""The model bundle: one folder that holds everything needed to use a model.

    model.safetensors, config.json     weights and shape, as Hugging Face's transformers reads them
    tokenizer.json, …                  whatever the tokenizer saves
    generation_config.json             sampling defaults
    README.md                          the model card
    create_llm.json                    parts, provenance, figures; the bundle's format version
    manifest.json                      sizes and SHA-256 of all of these

Opening a bundle imports no torch.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from create_llm.errors import DataError, PluginError
from create_llm.kernel.catalogue import install_command
from create_llm.kernel.kinds import KINDS
from create_llm.kernel.registry import Part, Registry
from create_llm.storage.durable import read_manifest
from create_llm.storage.manifest import MANIFEST

FORMAT = 1
INFO = "create_llm.json"
WEIGHTS = "model.safetensors"


@dataclass(frozen=True, slots=True)
class ModelBundle:
    """An opened bundle; `info` is what create_llm.json says."""

    path: Path
    info: dict[str, Any]

    @classmethod
    def open(cls, path: Path) -> ModelBundle:
        """Read what a bundle says of itself.

        Raises:
            DataError: the folder is no bundle, or one of a format this version cannot read.
        """
        if not (path / INFO).is_file():
            raise DataError(
                f"{path} is not a model bundle: it holds no {INFO}",
                fixes=("train one: llm train", "see what there is: ls models/"),
            )
        try:
            info: object = json.loads((path / INFO).read_text(encoding="utf-8"))
        except (ValueError, RecursionError) as error:
            raise DataError(f"the bundle is damaged: {error}", where=str(path / INFO)) from error
        if not isinstance(info, dict) or info.get("format") is None:
            raise DataError(
                f"the bundle is damaged: its {INFO} says no format",
                where=str(path / INFO),
                fixes=(f"put {path.name} back from a copy",),
            )
        if info["format"] != FORMAT:
            raise DataError(
                f"the bundle has format {info['format']!r:.40}; this version reads {FORMAT}",
                where=str(path / INFO),
                fixes=("update: llm plugins install create-llm-core --upgrade",),
            )
        return cls(path, info)

    @property
    def name(self) -> str:
        return self.path.name

    def part(self, kind: str, name: str, registry: Registry) -> Part:
        """The part called `name` that the model was made with, of the package that brought it.

        Raises:
            PluginError: that package is not installed.
        """
        package = self.info.get("packages", {}).get(kind)  # absent in bundles of 0.1.0
        found = [p for p in registry.parts(kind) if (p.name, p.distribution) == (name, package)]
        if package is None or found:
            full = f"{package}/{name}" if found else name
            return registry.get(kind, full, where=str(self.path))
        if any(part.name == name for part in registry.parts(kind)):
            return registry.get(kind, name, where=str(self.path))  # its package has a new name
        raise PluginError(
            f"the model needs the {KINDS[kind].singular} '{name}' of {package}, which is not "
            "installed or is switched off",
            where=str(self.path),
            fixes=(install_command(package), "see what is installed: llm plugins list"),
        )

    def hf_config(self) -> dict[str, Any]:
        """config.json."""
        config: dict[str, Any] = json.loads((self.path / "config.json").read_text("utf-8"))
        return config

    def sampling_defaults(self) -> dict[str, Any]:
        """generation_config.json."""
        text = (self.path / "generation_config.json").read_text("utf-8")
        values: dict[str, Any] = json.loads(text)
        return values

    def files(self) -> tuple[Path, ...]:
        """Its files, the manifest among them, by name: what a copy of the model takes. What else
        lies in the folder, such as an engine's cache or somebody's notes, is no part of it.

        Raises:
            DataError: the manifest is missing or damaged.
        """
        return tuple(self.path / name for name in sorted((*read_manifest(self.path), MANIFEST)))

    def weights_sha256(self) -> str:
        """SHA-256 over the contents of all weight files, in name order, as recorded."""
        records = read_manifest(self.path)
        names = sorted(name for name in records if name.endswith(".safetensors"))
        if len(names) == 1:
            return records[names[0]].sha256
        digest = hashlib.sha256()
        for name in names:
            digest.update((self.path / name).read_bytes())
        return digest.hexdigest()
