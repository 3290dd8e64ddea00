"""`llm config convert`: an llm.config.js as llm.toml."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from create_llm.cli.app import App
from create_llm.errors import ConfigError, StorageError

if TYPE_CHECKING:
    from create_llm.config.convert import Conversion

_EPILOG = """\b
Examples:
  llm config convert llm.config.js
  llm config convert llm.config.js --output - | less
"""


@click.command(epilog=_EPILOG)
@click.argument("file", required=False)
@click.option(
    "--output", metavar="FILE", help="Where to write it; - for stdout. Default: beside FILE."
)
@click.option("--force", is_flag=True, help="Replace the file that is there.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
@click.pass_obj
def convert(app: App, file: str | None, output: str | None, force: bool, as_json: bool) -> None:
    """Turn FILE, an llm.config.js or .json, into llm.toml.

    The file is read, never run: what is not plain data is left out and listed on stderr.
    """
    from create_llm.config.convert import convert as converted

    source = _source(app.root, file)
    target = _target(app.root, source, output, force=force, as_json=as_json)
    conversion = converted(source, app.plugins)
    if target is not None:
        _write(target, conversion.text, force=force)
    _report(conversion, source)
    if target is None:
        click.echo(conversion.text, nl=False)
    elif as_json:
        click.echo(json.dumps(_as_dict(conversion, target)))
    else:
        count = len(conversion.written)
        click.echo(f"{target} has {count} settings. Look at them: llm config show")


def _source(root: Path, file: str | None) -> Path:
    from create_llm.project.folder import FORMER_CONFIG_NAMES, former_config

    path = root / file if file else former_config(root)
    if path is not None and path.is_file():
        return path
    raise ConfigError(
        f"there is no file '{file}'" if file else f"there is no {FORMER_CONFIG_NAMES[0]} here",
        where=str(root),
        fixes=("name the file: llm config convert FOLDER/llm.config.js",),
    )


def _target(
    root: Path, source: Path, output: str | None, *, force: bool, as_json: bool
) -> Path | None:
    """Where to write, checked before any work; None for stdout."""
    from create_llm.project.folder import CONFIG_NAME

    if output == "-":
        if as_json:
            raise ConfigError(
                "--json and --output - both need stdout", fixes=("leave one of them out",)
            )
        return None
    target = root / output if output else source.with_name(CONFIG_NAME)
    unfit = target.exists() and not target.is_file()  # a folder, a device, a pipe
    if unfit or not target.parent.is_dir() or target.resolve() == source.resolve():
        raise ConfigError(
            f"{target.name} cannot be written there",
            where=str(target),
            fixes=("name a file in a folder that exists: --output my-llm/llm.toml",),
        )
    if (target.exists() or target.is_symlink()) and not force:
        raise _exists(target)
    return target


def _exists(target: Path) -> ConfigError:
    return ConfigError(
        f"there is already a {target.name}, and it stays as it is",
        where=str(target),
        fixes=(
            "look at the result first: llm config convert --output -",
            "write it elsewhere: --output FILE",
            "or replace it: --force",
        ),
    )


def _write(target: Path, text: str, *, force: bool) -> None:
    from create_llm.storage.durable import Storage

    try:
        if force:
            Storage().replace_file(target, text.encode())
        else:
            Storage().write(target, [text.encode()])
    except FileExistsError as error:
        raise _exists(target) from error
    except OSError as error:
        raise StorageError(
            f"{target.name} cannot be written: {error.strerror or error}",
            where=str(target),
            fixes=("write it elsewhere: --output FILE",),
        ) from error


def _report(conversion: Conversion, source: Path) -> None:
    left_out = conversion.left_out
    if left_out:
        click.echo(f"not carried over from {source.name}:", err=True)
    for left in left_out:
        place = f"{source.name}:{left.place.line}:{left.place.column}"
        click.echo(f"  {place}: {left.key}: {left.reason}", err=True)
        for fix in left.fixes[:1]:
            click.echo(f"     try: {fix}", err=True)


def _as_dict(conversion: Conversion, target: Path) -> dict[str, object]:
    skipped = [
        {
            "key": left.key,
            "line": left.place.line,
            "column": left.place.column,
            "reason": left.reason,
            "try": list(left.fixes),
        }
        for left in conversion.left_out
    ]
    return {"path": str(target), "written": list(conversion.written), "skipped": skipped}
