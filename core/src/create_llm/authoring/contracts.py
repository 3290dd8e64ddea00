"""Runs the contracts of installed parts: as their author filled them in, else with defaults."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from create_llm.authoring.source import package_folder
from create_llm.errors import ConfigError, PluginError
from create_llm.kernel.plugins import PluginRecord, Plugins
from create_llm.kernel.registry import Part

_KIT = "create_llm.testing"
_DEFAULTS = """\
from create_llm.testing.report import default_contract

{classes}
"""
_NO_TESTS = 5  # pytest's exit code where nothing was left to run


@dataclass(frozen=True, slots=True)
class Result:
    """One test of a contract. `outcome`: passed, failed, skipped or xfailed."""

    test: str
    outcome: str
    message: str


@dataclass(frozen=True, slots=True)
class PartReport:
    """What became of one part's contract; `tests` is the author's folder, None for defaults."""

    part: Part
    tests: Path | None
    results: tuple[Result, ...]

    def count(self, *outcomes: str) -> int:
        return sum(result.outcome in outcomes for result in self.results)

    def failed(self) -> list[Result]:
        return [result for result in self.results if result.outcome == "failed"]


def parts_called(plugins: Plugins, name: str) -> list[Part]:
    """The parts of a plugin or distribution, or the part, with this name.

    A part may be written as `name`, `distribution/name`, `kind/name` or `kind/distribution/name`.

    Raises:
        PluginError: there is none, or the plugin failed to load or is switched off.
    """
    records = [r for r in plugins.records if name in (r.plugin.name, r.plugin.distribution)]
    of_plugins = [part for r in records if r.status == "loaded" for part in r.parts]
    all_parts = [part for kind in plugins.registry.kinds for part in plugins.registry.parts(kind)]
    of_name = [part for part in all_parts if name in _spellings(part)]
    found = of_plugins if records else of_name
    return found or list(plugins.require(name).parts)


def _spellings(part: Part) -> list[str]:
    names = [part.name, f"{part.distribution}/{part.name}"]
    return [*names, *(f"{part.kind}/{name}" for name in names)]


def run_contracts(plugins: Plugins, parts: Sequence[Part]) -> list[PartReport]:
    """Run the contract of each part with pytest, in a process of its own.

    Raises:
        ConfigError: pytest is not installed.
        PluginError: the tests could not be run at all.
    """
    _check_pytest()
    reports = []
    for record in plugins.records:
        wanted = [part for part in parts if part in record.parts]
        if wanted:
            reports.extend(_run_plugin(plugins, record, wanted))
    return reports


def _check_pytest() -> None:
    if find_spec("pytest") is None:
        raise ConfigError(
            "testing a plugin needs pytest, which is not installed",
            where=sys.executable,
            fixes=(f"install it: {sys.executable} -m pip install pytest",),
        )


def _run_plugin(plugins: Plugins, record: PluginRecord, parts: list[Part]) -> list[PartReport]:
    source = source_folder(record)
    files = _contract_files(source) if source else []
    authored = _run_pytest(source, files, parts) if source and files else {}
    left = [part for part in parts if part not in authored]
    defaults = _run_defaults(plugins, left) if left else {}
    return [
        PartReport(part, source / "tests" if source else None, tuple(authored[part]))
        if part in authored
        else PartReport(part, None, tuple(defaults.get(part, ())))
        for part in parts
    ]


def source_folder(record: PluginRecord) -> Path | None:
    """The folder of the package's pyproject.toml, where its code is used from its source."""
    spec = find_spec(record.plugin.module)
    origin = Path(spec.origin) if spec and spec.origin else None
    return package_folder(origin, record.plugin.distribution) if origin else None


def _contract_files(source: Path) -> list[Path]:
    """The test files that use the kit; others may take long, and are not asked for."""
    files = sorted((source / "tests").rglob("test_*.py"))
    return [file for file in files if _KIT in file.read_text(encoding="utf-8", errors="replace")]


def _run_defaults(plugins: Plugins, parts: list[Part]) -> dict[Part, list[Result]]:
    names = [(part.kind, _written(plugins, part)) for part in parts]
    classes = [f"TestPart{n} = default_contract{names[n]!r}" for n in range(len(names))]
    with tempfile.TemporaryDirectory(prefix="llm-plugins-test-") as folder:
        file = Path(folder) / "test_defaults.py"
        file.write_text(_DEFAULTS.format(classes="\n".join(classes)), encoding="utf-8")
        return _run_pytest(Path(folder), [file], parts)


def _written(plugins: Plugins, part: Part) -> str:
    """The name by which the registry gives this part and no other."""
    unique = part.name in plugins.registry.names(part.kind)
    return part.name if unique else f"{part.distribution}/{part.name}"


def _run_pytest(folder: Path, files: list[Path], parts: list[Part]) -> dict[Part, list[Result]]:
    """Results by part, for those that have any."""
    spellings = {f"{p.kind}/{name}": p for p in parts for name in _spellings(p)[:2]}
    with tempfile.TemporaryDirectory(prefix="llm-plugins-test-") as temporary:
        report = Path(temporary) / "report.json"
        # The author's own addopts could hide tests, or need plugins that are not here.
        options = ["-q", "-o", "addopts=", "--import-mode=importlib", "-p", "no:cacheprovider"]
        chosen = [f"--contract-of={spelling}" for spelling in spellings]
        command = [sys.executable, "-P", "-m", "pytest", "-p", f"{_KIT}.report", *options]
        done = subprocess.run(
            [*command, f"--contract-report={report}", *chosen, *map(str, files)],
            cwd=folder,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        content = json.loads(report.read_text(encoding="utf-8")) if report.is_file() else {}
    if not content or content["errors"] or done.returncode not in (0, 1, _NO_TESTS):
        raise _not_run(folder, content.get("errors", []), done.stdout + done.stderr)
    results: dict[Part, list[Result]] = {}
    for entry in content["results"]:
        result = Result(entry["test"], entry["outcome"], entry["message"])
        results.setdefault(spellings[entry["part"]], []).append(result)
    return results


def _not_run(folder: Path, errors: list[str], output: str) -> PluginError:
    last = [line.strip() for line in output.splitlines() if line.strip()][-1:]
    return PluginError(
        f"the tests could not be run: {(errors or last or ['pytest said nothing'])[0]}",
        where=str(folder),
        fixes=(f"see it in full: cd {folder} && {sys.executable} -m pytest",),
    )
