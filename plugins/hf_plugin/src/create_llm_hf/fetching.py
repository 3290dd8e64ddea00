"""Repositories of the Hub on this machine."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
from huggingface_hub import constants

from create_llm.errors import ConfigError, DataError, Interrupted
from create_llm.interrupts import in_background, signal_of, told_as
from create_llm.models.engine import Notice
from create_llm_hf.hub import found_token, open_hub

_WRITTEN = re.compile(r"([A-Za-z0-9][\w.-]*(?:/[A-Za-z0-9][\w.-]*)?)(?:@(.+))?")
_LOOKS, _QUIET_LOOKS, _BETWEEN_LOOKS = 40, 6, 0.05
_PICKLES = (".bin", ".pt", ".pth", ".ckpt")


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository as a person writes it: ORG/NAME, or ORG/NAME@REVISION."""

    name: str
    revision: str | None

    @classmethod
    def parse(cls, written: str) -> Repository:
        """
        Raises:
            ValueError: it cannot be one.
        """
        match = _WRITTEN.fullmatch(written.removeprefix("//"))
        if match is None:
            raise ValueError(f"'{written}' is no repository: write ORG/NAME or ORG/NAME@REVISION")
        return cls(match[1], match[2])


@dataclass(frozen=True, slots=True)
class Fetched:
    """A repository's files in the cache that huggingface_hub shares with other programs."""

    repository: str
    commit: str
    folder: Path


def fetch_model(written: str, patterns: Sequence[str], notice: Notice) -> Fetched:
    """Download what is not here yet; what breaks off goes on with the files that are missing.

    Raises:
        ConfigError: there is no such repository, or revision.
        DataError: it has no safetensors.
        NetworkError, CredentialsError: it is out of reach.
    """
    try:
        repository = Repository.parse(written)
    except ValueError as error:
        fixes = ("for example: llm import hf:HuggingFaceTB/SmolLM2-135M",)
        raise ConfigError(str(error), where=f"hf:{written}", fixes=fixes) from error
    hub, what = open_hub(found_token()), f"{repository.name} cannot be fetched"
    info = hub.patiently(
        lambda: hub.api.model_info(
            repository.name, revision=repository.revision, files_metadata=True
        ),
        what,
    )
    sizes = {file.rfilename: file.size or 0 for file in info.siblings or ()}
    weights = [name for name in sizes if name.endswith(".safetensors")]
    if not weights:
        raise _without_weights(repository.name, list(sizes))
    size = sum(sizes[name] for name in weights)
    notice(f"{repository.name} at {str(info.sha)[:12]}: {size:,} bytes")
    try:
        # The library fetches in threads, and after a signal would wait for their end.
        folder = in_background(
            lambda: hub.patiently(
                lambda: hub.api.snapshot_download(
                    repository.name, revision=info.sha, allow_patterns=list(patterns)
                ),
                what,
            )
        )
    except KeyboardInterrupt as interrupt:
        _forget_unfinished()
        raise Interrupted(
            f"{repository.name} has not come whole, and nothing of it was imported; files of it "
            f"that have are in {constants.HF_HUB_CACHE}, and will not be fetched again",
            signal_number=told_as(signal_of(interrupt)),
            fixes=("run the same command again",),
        ) from None
    return Fetched(repository.name, str(info.sha), Path(folder))


def _forget_unfinished() -> None:
    """Remove the parts of files that this process was fetching: its threads end with it, and never
    come to remove them, and nobody goes on with them. Until then they may begin with other files,
    so this looks again until there have been none for a while."""
    quiet = 0
    for _ in range(_LOOKS):
        quiet = 0 if _remove_unfinished() else quiet + 1
        if quiet == _QUIET_LOOKS:
            return
        time.sleep(_BETWEEN_LOOKS)


def _remove_unfinished() -> bool:
    """Whether there was any."""
    cache, found = Path(constants.HF_HUB_CACHE).resolve(), False
    for file in psutil.Process().open_files():
        path = Path(file.path)
        if path.suffix == ".incomplete" and path.is_relative_to(cache):
            with contextlib.suppress(OSError):  # Windows keeps a file that is open
                path.unlink()
                found = True
    return found


def _without_weights(name: str, files: Sequence[str]) -> DataError:
    pickles = any(file.endswith(_PICKLES) for file in files)
    why = "its weights are pickles, which can run code when they are read" if pickles else ""
    return DataError(
        f"there are no .safetensors files in {name}{f': {why}' if why else ''}",
        where=f"hf:{name}",
        fixes=(
            "look for another repository, or a revision that has them: hf:ORG/NAME@REVISION",
            "or convert them where you trust them: "
            "https://huggingface.co/spaces/safetensors/convert",
        ),
    )
