"""The Cog package: everything that `cog push` makes an image of.

cog.yaml, requirements.txt, run.py    how to build the image and how to run the model
*.whl                                 packages that no index has
model/                                the bundle, without what it tells of this machine
"""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from create_llm.errors import ConfigError, DataError
from create_llm.kernel.plugins import default_plugins
from create_llm.models.bundle import INFO, ModelBundle
from create_llm.models.deploy import PlannedFile
from create_llm.models.exporting import refuse_inside_a_model
from create_llm.models.secrets import refuse_secrets
from create_llm.storage.durable import Storage, read_manifest, verify
from create_llm.storage.manifest import FileRecord
from create_llm_replicate.config import ReplicateConfig
from create_llm_replicate.distributions import needed_by, requirements_txt, wheels
from create_llm_replicate.runner import runner_of

COG = "0.23.1"
"""The Cog that runs the model in the image; the tests serve a model with it."""

_COG_FILE, _RUNNER = "cog.yaml", "run.py"
_PUBLIC = ("format", "architecture", "tokenizer", "objective", "packages", "parameters")
"""What create_llm.json says of the model; the rest tells of runs, paths and texts."""


@dataclass(frozen=True)
class CogPackage:
    """A verified bundle as a Cog package, in memory except for the weights."""

    bundle: ModelBundle
    records: dict[str, FileRecord]
    config: ReplicateConfig

    @classmethod
    def of(cls, bundle: Path, config: ReplicateConfig) -> CogPackage:
        """
        Raises:
            DataError: the bundle is damaged.
        """
        opened = ModelBundle.open(bundle)
        return cls(opened, verify(bundle), config)

    @cached_property
    def fingerprint(self) -> str:
        """Of everything inside; stands in the model's schema, so that the service can be asked
        whether it has this very package."""
        parts = [f"{file.path} {file.sha256}" for file in self._planned(self._made)]
        digest = hashlib.sha256("\n".join([*parts, runner_of(self.bundle, "")]).encode())
        return digest.hexdigest()[:16]

    def files(self) -> tuple[PlannedFile, ...]:
        """Every file of the package, in the order of their names."""
        return self._planned({**self._made, _RUNNER: self._runner()})

    def refuse_secrets(self) -> None:
        """
        Raises:
            DataError: something of it is a secret.
        """
        sent = [self.bundle.path / name for name in self.records if name != INFO]
        refuse_secrets(sent, {**self._made, _RUNNER: self._runner(), INFO: self._info})

    def write(self, folder: Path) -> None:
        """Write it; an earlier one at the same place is replaced.

        Raises:
            ConfigError: there is something else.
        """
        refuse_occupied(folder)
        storage = Storage()
        with storage.commit(folder) as writer:
            for name, data in {**self._made, _RUNNER: self._runner()}.items():
                writer.write(name, [data])
        with storage.commit(folder / "model") as writer:
            writer.write(INFO, [self._info])
            for name, record in self.records.items():
                if name != INFO:
                    writer.link(name, self.bundle.path / name, record)

    def _planned(self, made: dict[str, bytes]) -> tuple[PlannedFile, ...]:
        records = {**self.records, INFO: _record(self._info)}
        model = {f"model/{name}": record for name, record in records.items()}
        every = {name: _record(data) for name, data in made.items()} | model
        return tuple(PlannedFile(n, each.size, each.sha256) for n, each in sorted(every.items()))

    @cached_property
    def _made(self) -> dict[str, bytes]:
        """Name → content, without the runner, which holds the fingerprint of all the others."""
        needed = needed_by(self.bundle, default_plugins().registry)
        requirements = requirements_txt(needed, gpu=self.config.gpu)
        return {
            _COG_FILE: _cog_yaml(self.config).encode(),
            "requirements.txt": requirements.encode(),
            **wheels(needed),
        }

    @cached_property
    def _info(self) -> bytes:
        info = {key: self.bundle.info[key] for key in _PUBLIC if key in self.bundle.info}
        data = self.bundle.info.get("recipe", {}).get("data", {})
        info["recipe"] = {"data": {key: data[key] for key in ("packing",) if key in data}}
        return json.dumps(info, indent=2, ensure_ascii=False).encode()

    def _runner(self) -> bytes:
        return runner_of(self.bundle, self.fingerprint).encode()


def refuse_occupied(folder: Path) -> None:
    """A package goes where there is nothing, or an earlier one, to which cog may have added.

    Raises:
        ConfigError: there is something else, or the folder is inside a model.
    """
    refuse_inside_a_model(folder)
    if not folder.exists() or _is_package(folder):
        return
    raise ConfigError(
        "there is something else where the Cog package would be written",
        where=str(folder),
        fixes=("choose another place: --set deployment.replicate.folder=…", "or move it away"),
    )


def _is_package(folder: Path) -> bool:
    if folder.is_dir() and not any(folder.iterdir()):
        return True
    try:
        return _COG_FILE in read_manifest(folder)
    except DataError:
        return False


def _cog_yaml(config: ReplicateConfig) -> str:
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return (
        "build:\n"
        f"  gpu: {'true' if config.gpu else 'false'}\n"
        f'  python_version: "{version}"\n'
        "  python_requirements: requirements.txt\n"
        f'  sdk_version: "{COG}"\n'
        f'run: "{_RUNNER}:Runner"\n'
    )


def _record(data: bytes) -> FileRecord:
    return FileRecord(len(data), hashlib.sha256(data).hexdigest())
