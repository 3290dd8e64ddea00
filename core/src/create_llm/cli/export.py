"""llm export: a model in the form that another program reads."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from create_llm.cli.app import App
from create_llm.cli.models import bundle_called
from create_llm.errors import ConfigError, DataError

if TYPE_CHECKING:
    from create_llm.models.bundle import ModelBundle
    from create_llm.models.export import Exporter, Finding


@click.command(epilog="\b\nExample:\n  llm export v1 --to gguf --test")
@click.argument("model", required=False)
@click.option("--to", "form", required=True, help="The form; llm plugins list shows the exporters.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="The folder to write; exports/MODEL-FORM by default.",
)
@click.option("--test", "tested", is_flag=True, help="Load the result there, and compare.")
@click.option("--json", "as_json", is_flag=True, help="Print what was written as JSON on stdout.")
@click.pass_obj
def command(
    app: App, model: str | None, form: str, out: Path | None, tested: bool, as_json: bool
) -> None:
    """Write MODEL (by default the active one) for other programs.

    An export that was written before gives way; any other folder stays as it is.
    """
    from create_llm.cli.parts import configured_part
    from create_llm.models.exporting import export

    bundle = bundle_called(app, model)
    part, options = configured_part(app, "exporters", form, where="--to")
    exporter: Exporter = part.load()(options)
    folder = _folder(app, bundle, part.name, out)
    earlier = {path.relative_to(folder) for path in _files(folder)}
    advice = export(exporter, bundle, folder)
    if gone := sorted(str(path) for path in earlier if not (folder / path).exists()):
        click.echo(f"in place of the export that was there, with {', '.join(gone)}", err=True)
    findings = _test(exporter, bundle, folder, as_json) if tested else []
    if as_json:
        click.echo(json.dumps(_as_dict(part.name, folder, advice, findings)))
    else:
        _show(folder, advice)
    if any(finding.same is False for finding in findings):
        raise DataError(
            "the export does not say what the model says",
            where=str(folder),
            fixes=("report it, with the lines above", "use the model itself, as it is"),
        )


def _folder(app: App, bundle: ModelBundle, form: str, out: Path | None) -> Path:
    """Where the export goes, seen from where the command runs."""
    from create_llm.project.folder import find_project

    if out is not None:
        return (app.root / out).resolve()
    name = f"{bundle.name}-{form}"
    try:
        return find_project(app.root).root / "exports" / name
    except ConfigError:  # a bundle without a project
        return app.root / name


def _test(
    exporter: Exporter, bundle: ModelBundle, folder: Path, as_json: bool
) -> Sequence[Finding]:
    if not as_json:
        click.echo("comparing with the model …", err=True)
    findings = exporter.test(bundle, folder)
    for finding in findings:
        same = "near" if finding.near else "same"
        mark = {True: same, False: "DIFFERENT", None: "measured"}[finding.same]
        click.echo(f"{mark:<10}{finding.what}: {finding.told}", err=as_json)
    return findings


def _as_dict(
    form: str, folder: Path, advice: Sequence[str], findings: Sequence[Finding]
) -> dict[str, object]:
    files = {path.relative_to(folder).as_posix(): path.stat().st_size for path in _files(folder)}
    return {
        "to": form,
        "path": str(folder),
        "files": files,
        "next": list(advice),
        "test": [asdict(finding) for finding in findings],
    }


def _show(folder: Path, advice: Sequence[str]) -> None:
    from create_llm.cli.units import size

    for path in _files(folder):
        click.echo(f"{size(path.stat().st_size):>10}  {path.relative_to(folder)}")
    click.echo(str(folder))
    for line in advice:
        click.echo(line, err=True)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())
