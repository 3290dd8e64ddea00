"""Versions of a project's model: models/v1, v2 …, and which of them is active.

A version that was removed or archived leaves its folder with a note in it, so that its number is
never given again: reports, logs and archives speak of it.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from create_llm.errors import ConfigError, DataError, did_you_mean
from create_llm.models.bundle import INFO, ModelBundle
from create_llm.storage.durable import Storage

ACTIVE = "active"
GONE = "removed.json"
_VERSION = re.compile(r"v([0-9]+)")


class Gone(BaseModel):
    """removed.json: what is left of a version.

    Attributes:
        removed: when, UTC.
        archive: the file that it was packed into, relative to models/ where it lies below it.
        sha256: of that file.
    """

    model_config = ConfigDict(frozen=True)

    format: int = 1
    removed: str
    run: str | None = None
    archive: str | None = None
    sha256: str | None = None


def numbered(models: Path) -> list[str]:
    """Every version that ever was and has its folder, oldest first."""
    names = [path.name for path in models.iterdir()] if models.is_dir() else []
    found = [match for name in names if (match := _VERSION.fullmatch(name))]
    return [match[0] for match in sorted(found, key=lambda match: int(match[1]))]


def versions(models: Path) -> list[str]:
    """The committed versions, oldest first."""
    return [name for name in numbered(models) if (models / name / INFO).is_file()]


def next_version(models: Path, named: Collection[str] = ()) -> str:
    """One above every folder of that form, also those that hold no model (any more).

    Args:
        named: what else has or had a number, as `runs.origin.versions_named` finds it; names of
            another form are none.
    """
    known = (_VERSION.fullmatch(name) for name in (*numbered(models), *named))
    return f"v{max((int(match[1]) for match in known if match), default=0) + 1}"


def retire(models: Path, version: str, gone: Gone) -> None:
    """Put a note in the place of a version; at every moment one of the two is there.

    Raises:
        ConfigError: it left one already, which may name the only archive of it.
    """
    before = gone_version(models, version)
    if before is not None:
        raise gone_error(models, version, before)
    with Storage().commit(models / version) as writer:
        writer.write_json(GONE, gone.model_dump())


def gone_version(models: Path, version: str) -> Gone | None:
    """The note that a version left; None while it is there, or where it left none.

    Raises:
        DataError: the note cannot be read.
    """
    path = models / version / GONE
    if (models / version / INFO).is_file() or not path.is_file():
        return None
    try:
        return Gone.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise DataError(
            f"what is left of {version} cannot be read: {error.errors()[0]['msg']}",
            where=str(path),
            fixes=(f"remove {path.parent}",),
        ) from error


def active_version(models: Path) -> str | None:
    """The version that commands use by default; the newest where the note names none."""
    path = models / ACTIVE
    name = path.read_text(encoding="utf-8", errors="replace").strip() if path.is_file() else ""
    existing = versions(models)
    if name in existing:
        return name
    return existing[-1] if existing else None


def set_active(models: Path, version: str) -> None:
    Storage().replace_file(models / ACTIVE, f"{version}\n".encode())


def find_bundle(reference: str | None, models: Path | None) -> ModelBundle:
    """The bundle that MODEL names: a folder, vN, a run id, or by default the active version.

    Raises:
        ConfigError: nothing of that name, or no model yet.
        DataError: the folder is no bundle.
    """
    if reference is not None and (models is None or not (models / reference).is_dir()):
        path = Path(reference)
        if path.is_dir():
            return ModelBundle.open(path)
        return _by_run(reference, models)
    version = reference or (active_version(models) if models else None)
    if models is None or version is None:
        raise ConfigError(
            "there is no trained model here yet",
            where=str(models) if models else None,
            fixes=("train one: llm train", "or name a bundle folder in place of a version"),
        )
    gone = gone_version(models, version)
    if gone is not None:
        raise gone_error(models, version, gone)
    return ModelBundle.open(models / version)


def bundle_of_run(models: Path, run: str) -> ModelBundle | None:
    """The version that a run made, if it made one."""
    bundles = (ModelBundle.open(models / version) for version in versions(models))
    return next((bundle for bundle in bundles if bundle.info.get("run") == run), None)


def _by_run(reference: str, models: Path | None) -> ModelBundle:
    found = bundle_of_run(models, reference) if models else None
    if found is not None:
        return found
    known = versions(models) if models else []
    raise ConfigError(
        f"there is no model called '{reference}'",
        where=str(models) if models else None,
        fixes=(
            *did_you_mean(reference, known),
            f"there are: {', '.join(known)}" if known else "train one: llm train",
        ),
    )


def gone_error(models: Path, version: str, gone: Gone) -> ConfigError:
    """The error for who asks for a version that is not there any more."""
    others = f"there are: {', '.join(versions(models)) or 'none'}"
    if gone.archive is None:
        return ConfigError(f"{version} was removed on {gone.removed[:10]}", fixes=(others,))
    back = shlex.join(["tar", "-xzf", str(models / gone.archive), "-C", str(models)])
    return ConfigError(
        f"{version} was archived on {gone.removed[:10]}",
        where=str(models / gone.archive),
        fixes=(f"bring it back: {back}", others),
    )
