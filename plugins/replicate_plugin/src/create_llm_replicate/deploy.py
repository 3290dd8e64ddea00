"""The deploy target: a Cog package, a model on Replicate, and its image there."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from create_llm.errors import ConfigError, DataError, PluginError, did_you_mean
from create_llm.models.deploy import Plan
from create_llm_replicate.config import HARDWARE, ReplicateConfig
from create_llm_replicate.package import CogPackage, refuse_occupied

if TYPE_CHECKING:
    from replicate.model import Model

    from create_llm_replicate.service import Service

_REGISTRY = "r8.im"
_STDERR = 2


class Replicate:
    """Publishes a bundle; what the service has already is not pushed again."""

    def __init__(self, config: ReplicateConfig) -> None:
        self._config = config

    def plan(self, bundle: Path) -> Plan:
        """
        Raises:
            DataError: the bundle is damaged, or holds a secret.
            ConfigError: there is something else where the package would be written.
            PluginError: a package that the model needs is not installed.
        """
        return self._plan(CogPackage.of(bundle, self._config))

    def apply(self, plan: Plan) -> str:
        """
        Raises:
            CredentialsError: there is no token, or it may not write there.
            NetworkError: the service is out of reach.
            ConfigError: the model there is public and is not meant to be.
            PluginError: cog or docker is missing, or fails; what is left to do is said.
            DataError: the bundle is not what was planned.
        """
        from create_llm_replicate.service import Service, sighted

        package = CogPackage.of(plan.bundle, self._config)
        if self._plan(package) != plan:
            raise DataError(
                "the model has changed since it was planned",
                where=str(plan.bundle),
                fixes=("run the same command again",),
            )
        service = Service()
        name = service.full_name(self._config.model_name)
        there = service.make_model(name, self._config)
        if not _has(there, package):
            folder = self._folder(plan.bundle)
            package.write(folder)
            _push(folder, f"{_REGISTRY}/{name}", plan.bundle.name)
            there = sighted(
                lambda: _if_there(service, name, package), f"the version that was pushed to {name}"
            )
        return service.said(there.url)

    def predict(self, prompt: str) -> Iterator[str]:
        """
        Raises:
            ConfigError: nothing is deployed there.
            CredentialsError, NetworkError: of the token, the service, the model there.
        """
        from create_llm_replicate.service import Service

        service = Service()
        name = service.full_name(self._config.model_name)
        there = service.model(name)
        if there is None or there.latest_version is None:
            raise ConfigError(
                f"there is nothing to run at {name}",
                where="deployment.replicate.model_name",
                fixes=("deploy it first: llm deploy --to replicate",),
            )
        yield from service.run(there.latest_version.id, prompt)

    def _plan(self, package: CogPackage) -> Plan:
        config, bundle = self._config, package.bundle.path
        refuse_occupied(self._folder(bundle))
        package.refuse_secrets()
        calls = (
            f"write the Cog package to {self._folder(bundle)}",
            f"make the {config.visibility} model {config.model_name} at Replicate, on "
            f"{_hardware(config.hardware)}, unless it is there",
            f"cog push {_REGISTRY}/{_shown(config.model_name)}, which needs cog and docker",
            f"ask Replicate for the version of package {package.fingerprint}",
        )
        return Plan("replicate", bundle, package.files(), calls)

    def _folder(self, bundle: Path) -> Path:
        return Path(self._config.folder) / bundle.name


def _has(model: Model, package: CogPackage) -> bool:
    """Whether what the service runs is this very package: its schema says so."""
    version = model.latest_version
    return version is not None and package.fingerprint in json.dumps(version.openapi_schema)


def _if_there(service: Service, name: str, package: CogPackage) -> Model | None:
    found = service.model(name)
    return found if found is not None and _has(found, package) else None


def _push(folder: Path, image: str, model: str) -> None:
    """Build the image and send it, with everything that cog says on the terminal."""
    commands = (
        f"cd {folder.resolve()}",
        "cog login",
        f"cog push {image}",
        f"then, to have it confirmed: llm deploy {model} --to replicate",
    )
    missing = [program for program in ("cog", "docker") if not shutil.which(program)]
    if missing:
        raise PluginError(
            f"not finished: {' and '.join(missing)} to build and send the image with "
            f"{'is' if len(missing) == 1 else 'are'} not here; the package is ready, and "
            "Replicate knows the model",
            where=str(folder),
            fixes=(
                "install them (https://cog.run, https://docker.com), or go on where they are:",
                *commands,
            ),
        )
    cog = str(shutil.which("cog"))
    done = subprocess.run(
        [cog, "push", image], cwd=folder, stdin=subprocess.DEVNULL, stdout=_STDERR, check=False
    )
    if done.returncode:
        raise PluginError(
            f"not finished: cog push failed with exit code {done.returncode}; see what it says",
            where=str(folder),
            fixes=("see that docker runs: docker info", *commands),
        )


def _hardware(name: str) -> str:
    """With a word where it may be misspelt: a plan asks nobody, and new hardware appears."""
    if name in HARDWARE:
        return name
    note = "a name that is not known here; Replicate will be asked first"
    return f"{name} ({'; '.join((note, *did_you_mean(name, HARDWARE)))})"


def _shown(name: str) -> str:
    return name if "/" in name else f"OWNER/{name}"
