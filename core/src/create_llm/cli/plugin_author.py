"""`llm plugins new`, `test` and `trace`: for people who write plugins."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from create_llm.cli.app import App
from create_llm.cli.tables import show_table
from create_llm.errors import ConfigError, CreateLLMError, PluginError
from create_llm.kernel.kinds import KINDS, Kind
from create_llm.kernel.plugins import CORE

if TYPE_CHECKING:
    from create_llm.authoring.contracts import PartReport
    from create_llm.authoring.names import PluginName
    from create_llm.authoring.trace import Loading

TESTED = ("PART", "TESTS", "PASSED", "FAILED", "SKIPPED")
TRACED = ("PLUGIN", "STATUS", "MS", "MODULES", "HEAVY", "HOOKS", "PROVIDES")


@click.command("new")
@click.argument("name")
@click.option("--kind", metavar="KIND", help="What it brings: architecture, tokenizer, callback …")
@click.option("--json", "as_json", is_flag=True, help="Print path and files as JSON on stdout.")
@click.pass_obj
def new(app: App, name: str, kind: str | None, as_json: bool) -> None:
    """Write the package of a new plugin.

    The folder NAME then holds one small part that works, the contract test of its kind and a
    README: install it, use it, then turn it into your own.

    \b
    Example: llm plugins new my-lion --kind callback
    """
    from create_llm.authoring.names import NEW, PluginName, check_is_new
    from create_llm.authoring.package import kind_called, package_files
    from create_llm.storage.new_folder import create_folder

    names = PluginName.parse(name)
    chosen = _ask_kind() if kind is None else kind_called(kind)
    check_is_new(chosen, names, app.plugins, f"{NEW} --kind {KINDS[chosen].written}")
    folder = _free_folder(app.root, names)
    files = create_folder(folder, package_files(chosen, names))
    _next_steps(folder, chosen, names)
    if as_json:
        facts = {"plugin": names.plugin, "distribution": names.distribution, "kind": chosen}
        click.echo(json.dumps({"path": str(folder), **facts, "files": files}))


def _ask_kind() -> str:
    from create_llm.authoring.package import kind_called

    kinds = ", ".join(kind.written for kind in KINDS.values())
    if not sys.stdin.isatty():
        raise ConfigError(
            "which kind of part shall the plugin bring?",
            where="--kind",
            fixes=(f"choose one of: {kinds}", "for example: --kind callback"),
        )
    click.echo(f"Kinds: {kinds}", err=True)
    while True:
        try:
            return kind_called(click.prompt("Kind", err=True))
        except CreateLLMError as error:
            click.echo(error.render(), err=True)


def _free_folder(root: Path, name: PluginName) -> Path:
    from create_llm.storage.new_folder import is_free

    folder = root / name.folder
    if is_free(folder):
        return folder
    raise ConfigError(
        f"there is already something at '{name.folder}', and it stays as it is",
        where=str(folder),
        fixes=(f"take another name: llm plugins new {name.folder}-2", "or move it away"),
    )


def _next_steps(folder: Path, kind: str, name: PluginName) -> None:
    from create_llm.authoring.package import use_of

    here, use = Path.cwd(), use_of(kind, name)
    path = folder.relative_to(here) if folder.is_relative_to(here) else folder
    where = "Then, in llm.toml of a project" if use.language == "toml" else "Then, in a project"
    lines = [
        f"Made {name.distribution}, a package that works as it is.\n\nNext:",
        f"  cd {shlex.quote(str(path))}",
        "  llm plugins install --editable .",
        f"  llm plugins test {name.plugin}",
        f"\n{where}:",
        *(f"  {line}" for line in use.text.splitlines()),
        "\nREADME.md says what is where, and how to publish it.",
    ]
    click.echo("\n".join(lines), err=True)


@click.command("test")
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
@click.pass_obj
def test(app: App, name: str | None, as_json: bool) -> None:
    """Run the contract tests of a plugin.

    NAME is an installed plugin, its distribution, or one part; without it, the plugin whose
    folder this is. Where its source folder is at hand the contract tests of its author run, else
    the contract with default options, as far as it can. Ends with 70 if a test failed.

    \b
    Example: llm plugins test gpt
    """
    from create_llm.authoring.contracts import parts_called, run_contracts

    tested = [name] if name else _plugins_here(app)
    parts = [part for one in tested for part in parts_called(app.plugins, one)]
    named = ", ".join(f"{part.kind}/{part.name}" for part in parts)
    click.echo(f"testing {named} …", err=True)
    reports = run_contracts(app.plugins, parts)
    failed = [result.test for report in reports for result in report.failed()]
    if as_json:
        written = [_report_as_json(report) for report in reports]
        click.echo(json.dumps({"ok": not failed, "parts": written}, ensure_ascii=False))
    else:
        _show_reports(reports)
    if failed:
        raise _broken(", ".join(tested), reports, app.plugins.registry.kinds)


def _plugins_here(app: App) -> list[str]:
    """The plugins that the pyproject.toml of this folder brings.

    Raises:
        ConfigError: it brings none, or one that is not installed.
    """
    from create_llm.project.own_plugin import plugins_of_project

    names = sorted(plugins_of_project(app.root))
    installed = {record.plugin.name for record in app.plugins.records} - {CORE.name}
    missing = [name for name in names if name not in installed]
    if names and not missing:
        return names
    if missing:
        raise ConfigError(
            f"the plugin '{missing[0]}' of this folder is not installed",
            where=str(app.root / "pyproject.toml"),
            fixes=("install it: llm plugins install --editable .",),
        )
    raise ConfigError(
        "which plugin shall be tested? No pyproject.toml here brings one",
        where=str(app.root),
        fixes=(
            f"name one: llm plugins test {min(installed, default='NAME')}",
            "or go to the folder of your plugin, or name it: llm -C FOLDER plugins test",
            f"installed are: {', '.join(sorted(installed)) or 'none'}",
        ),
    )


def _report_as_json(report: PartReport) -> dict[str, object]:
    from dataclasses import asdict

    part = report.part
    return {
        "kind": part.kind,
        "name": part.name,
        "distribution": part.distribution,
        "tests": str(report.tests) if report.tests else None,
        "passed": report.count("passed"),
        "failed": report.count("failed"),
        "skipped": report.count("skipped", "xfailed"),
        "results": [asdict(result) for result in report.results],
    }


def _show_reports(reports: list[PartReport]) -> None:
    rows = []
    for report in reports:
        counts = (report.count(*kinds) for kinds in (("passed",), ("failed",)))
        tests = "of its author" if report.tests else "default options"
        skipped = str(report.count("skipped", "xfailed"))
        rows.append((f"{report.part.kind}/{report.part.name}", tests, *map(str, counts), skipped))
    show_table(TESTED, rows, {})
    for report in reports:
        _show_details(report)


def _show_details(report: PartReport) -> None:
    """What failed, each by name, and what was not tested; one line for each reason."""
    words = {"failed": "failed", "skipped": "not tested", "xfailed": "expected to fail"}
    reasons: dict[str, list[str]] = {}
    for result in report.results:
        if result.outcome in words:
            reason = f"{words[result.outcome]}: {result.message}"
            reasons.setdefault(reason, []).append(result.test.rpartition("::")[2])
    if reasons:
        click.echo(f"\n{report.part.kind}/{report.part.name}")
    for reason, tests in reasons.items():
        more = f" and {len(tests) - 3} more" if len(tests) > 3 else ""
        click.echo(f"  {', '.join(tests[:3])}{more}\n    {reason}")


def _broken(name: str, reports: list[PartReport], kinds: Mapping[str, Kind]) -> PluginError:
    failed = [(report, result) for report in reports for result in report.failed()]
    total = sum(len(report.results) for report in reports)
    report, first = failed[0]
    what = f"'{name}' breaks its contract: {len(failed)} of {total} tests failed"
    if report.tests:
        source = shlex.quote(str(report.tests.parent))
        fixes = (f"see the traceback: cd {source} && {sys.executable} -m pytest",)
        return PluginError(what, where=first.test, fixes=fixes)
    kind, test = kinds[report.part.kind], first.test.rpartition("::")[2]
    contract = kind.contract.rpartition(":")[2]
    return PluginError(
        what,
        where=f"{kind.name}/{report.part.name}, {test} of {contract}, with default options",
        fixes=(
            f"what each test demands: {contract} in docs/plugins/{kind.name}.md",
            "write a test of its own, with options that suit it; a new package shows one: "
            f"llm plugins new my-{kind.written} --kind {kind.written}",
        ),
    )


@click.command("trace")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
@click.pass_obj
def trace(app: App, as_json: bool) -> None:
    """Show how the plugins load, and the cost.

    In order: how long each takes, what it imports, implements and brings. A module that two of
    them import is charged to the first. Every command pays for the sum.

    \b
    Example: llm plugins trace
    """
    from create_llm.authoring import trace as authoring

    loadings = authoring.trace(app.plugins)
    if as_json:
        click.echo(json.dumps({"plugins": [_loading_as_json(one) for one in loadings]}))
        return
    show_table(TRACED, [_loading_row(one) for one in loadings], {})
    total = sum(one.seconds or 0.0 for one in loadings)
    click.echo(f"{len(loadings)} plugins, {total * 1000:.1f} ms")


def _loading_as_json(loading: Loading) -> dict[str, object]:
    record = loading.record
    return {
        "name": record.plugin.name,
        "distribution": record.plugin.distribution,
        "module": record.plugin.module,
        "status": record.status,
        "error": record.error,
        "seconds": loading.seconds,
        "modules": loading.modules,
        "heavy": loading.heavy,
        "hooks": loading.hooks,
        "provides": record.provides if record.status == "loaded" else {},
    }


def _loading_row(loading: Loading) -> tuple[str, ...]:
    from create_llm.cli.plugins import provided

    time = "" if loading.seconds is None else f"{loading.seconds * 1000:.1f}"
    return (
        loading.record.plugin.name,
        loading.record.status,
        time,
        str(loading.modules),
        ", ".join(loading.heavy) or "-",
        ", ".join(hook.removeprefix("register_") for hook in loading.hooks),
        provided(loading.record),
    )
