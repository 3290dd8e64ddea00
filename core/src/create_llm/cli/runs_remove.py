"""llm runs archive and remove: make room on the disk, with what that frees."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from create_llm.cli.app import App
from create_llm.cli.found_runs import history_of_project
from create_llm.cli.terminal import steady, written
from create_llm.cli.units import size
from create_llm.errors import ConfigError

if TYPE_CHECKING:
    from create_llm.runs.history import Entry, Version
    from create_llm.runs.removal import Room

_force = click.option("--force", is_flag=True, help="Also the active version, or the best one.")
_yes = click.option(
    "--yes", is_flag=True, help="Do not ask. Without a terminal, as in a script, nothing is asked."
)
_json = click.option("--json", "as_json", is_flag=True, help="Print what went as JSON on stdout.")


@click.command("archive", epilog="\b\nExample:\n  llm runs archive v1 --to /media/backup")
@click.argument("version", metavar="V")
@click.option(
    "--to",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder for the archive; default: models/archive.",
)
@_force
@_yes
@_json
@click.pass_obj
def archive(
    app: App, version: str, folder: Path | None, force: bool, yes: bool, as_json: bool
) -> None:
    """Pack V into one file, vN.tar.gz, and remove it with the checkpoints of its run.

    The file is read back before anything goes. Its logs stay, and so does its number.
    """
    from create_llm.runs.removal import archive as pack

    entry = _spare(app, version, "archive", force)
    if yes or _wanted(entry, "Archive"):
        _tell(
            pack(entry, _models(app), app.root / folder if folder else None, force=force), as_json
        )


@click.command(
    "remove", epilog="\b\nExamples:\n  llm runs remove v1\n  llm runs remove 20260101-120000"
)
@click.argument("name", metavar="V|RUN")
@_force
@_yes
@_json
@click.pass_obj
def remove(app: App, name: str, force: bool, yes: bool, as_json: bool) -> None:
    """Remove a version with the checkpoints of its run, or a run that has no version.

    The logs of a version stay, and so does its number; those of a run without one go.
    """
    from create_llm.runs.removal import remove as take_away

    entry = _spare(app, name, "remove", force)
    if yes or _wanted(entry, "Remove"):
        _tell(take_away(entry, _models(app), force=force), as_json)


def _models(app: App) -> Path:
    from create_llm.project.folder import find_project

    return find_project(app.root).models


def _spare(app: App, name: str, verb: str, force: bool) -> Entry:
    from create_llm.models.versions import gone_error
    from create_llm.runs.history import entry_called
    from create_llm.runs.removal import refuse_unless_spare

    entry = entry_called(name, history_of_project(app))
    version = entry.version
    if version is not None and version.gone is not None and version.name == name:
        raise _with_its_archive(gone_error(_models(app), name, version.gone), _models(app), version)
    refuse_unless_spare(entry, verb, force=force)
    return entry


def _with_its_archive(error: ConfigError, models: Path, version: Version) -> ConfigError:
    """Where it was packed into a file, that is what can still be removed."""
    if version.gone is None or version.gone.archive is None:
        return error
    delete = f"to delete the archive: rm {shlex.quote(str(models / version.gone.archive))}"
    return ConfigError(error.what, where=error.where, fixes=(*error.fixes, delete))


def _wanted(entry: Entry, verb: str) -> bool:
    """Whoever sits at a terminal is asked once more; a script has said what it wants."""
    from create_llm.runs.removal import room_of

    if not sys.stdin.isatty():
        return True
    room = room_of(entry)
    what = "".join(f"\n  {folder}" for folder in room.folders)
    asked = f"{verb} {room.name}? {size(room.bytes)} in{what}\n"
    return click.confirm(steady(asked), err=True)


def _tell(room: Room, as_json: bool) -> None:
    if as_json:
        gone = [str(folder) for folder in room.folders]
        archived = str(room.archive) if room.archive else None
        told = {"name": room.name, "freed_bytes": room.bytes, "removed": gone, "archive": archived}
        click.echo(json.dumps(told))
        return
    where = f"packed into {room.archive}; " if room.archive else "removed; "
    click.echo(written(f"{room.name} {where}{size(max(room.bytes, 0))} freed"))
