"""`llm doctor`: what works in this installation, what does not, and what to do about it."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Literal

import click

from create_llm.cli.app import App
from create_llm.cli.found_runs import LOW_DISK_BYTES, history_of_project, what_could_go
from create_llm.cli.plugins import provided
from create_llm.errors import ConfigError, CreateLLMError, PluginError, StorageError
from create_llm.kernel.plugins import CORE, PluginRecord, unusable
from create_llm.kernel.registry import Part, Registry

Status = Literal["ok", "warn", "fail"]

OLDEST_PYTHON = (3, 11)
SCRIPT = "llm"

_SECRET = re.compile(r".*_(API_KEY|API_TOKEN|TOKEN)")


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at; `exit_code` is what a failed one ends the command with."""

    name: str
    status: Status
    message: str
    fixes: tuple[str, ...] = ()
    exit_code: int = 0


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
@click.pass_obj
def command(app: App, as_json: bool) -> int:
    """Check the installation, the plugins, the machine and the project.

    Ends with 0 if nothing failed, 70 if a plugin did, 2 if the configuration is not valid.

    \b
    Example: llm doctor
    """
    checks = []
    for check in _checks(app):
        checks.append(check)
        if not as_json:
            _show(check)
    failed = [check for check in checks if check.status == "fail"]
    if as_json:
        entries = [asdict(check) for check in checks]
        click.echo(json.dumps({"ok": not failed, "checks": entries}, ensure_ascii=False))
    return failed[0].exit_code if failed else 0


def _show(check: Check) -> None:
    lines = [f"{check.status:<4}  {check.name:<18}  {check.message}"]
    click.echo("\n".join([*lines, *(f"      try: {fix}" for fix in check.fixes)]))


def _checks(app: App) -> Iterator[Check]:
    """In the order of the exit codes: what the first failure says is what the command says."""
    yield _python()
    yield from _packages()
    yield from _plugins(app)
    yield _script()
    yield _project(app)
    yield from _hardware()
    yield _disk(app)
    yield _tokens(app)


def _failed(name: str, error: CreateLLMError) -> Check:
    where = f" ({error.where})" if error.where else ""
    return Check(name, "fail", f"{error.what}{where}", error.fixes, error.exit_code)


def _python() -> Check:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info >= OLDEST_PYTHON:
        return Check("python", "ok", f"Python {version}, {sys.executable}")
    oldest = ".".join(map(str, OLDEST_PYTHON))
    fixes = (f"make an environment with Python {oldest} or newer and install create-llm there",)
    return _failed("python", ConfigError(f"Python {version} is older than {oldest}", fixes=fixes))


def _packages() -> Iterator[Check]:
    """The core and what it depends on, as its own metadata say."""
    from importlib.metadata import PackageNotFoundError, requires, version

    required = [re.split(r"[^A-Za-z0-9._-]", text)[0] for text in requires(CORE.distribution) or ()]
    found, missing = [f"{CORE.distribution} {CORE.version}"], []
    for name in sorted(set(required)):
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    yield Check("packages", "ok", ", ".join(found))
    if missing:
        fixes = (f"{sys.executable} -m pip install {' '.join(missing)}",)
        error = PluginError(f"not installed: {', '.join(missing)}", fixes=fixes)
        yield _failed("packages", error)


def _plugins(app: App) -> Iterator[Check]:
    registry = app.plugins.registry
    for record in app.plugins.records:
        yield from _plugin(record, registry)
    for kind in registry.kinds:
        for name in registry.ambiguous(kind):
            try:
                registry.get(kind, name)
            except ConfigError as error:
                yield Check("plugins", "warn", error.what, error.fixes)
    yield from _unknown_plugin_names(app)


def _plugin(record: PluginRecord, registry: Registry) -> Iterator[Check]:
    name = f"plugin {record.plugin.name}"
    if record.status == "disabled":
        error = unusable(record)
        yield Check(name, "warn", error.what, error.fixes)
    elif record.status == "failed":
        error = unusable(record)
        fixes = (*error.fixes[:2], "see where: CREATE_LLM_STRICT=1 llm plugins list --debug")
        yield Check(name, "fail", error.what, fixes, error.exit_code)
    else:
        problems = [error for part in record.parts for error in _part_problems(part, registry)]
        # Parts of one plugin often fail for one reason.
        for problem in {problem.what: problem for problem in problems}.values():
            yield replace(_failed(name, problem), exit_code=PluginError.exit_code)
        if not problems:
            plugin = f"{record.plugin.distribution} {record.plugin.version}"
            yield Check(name, "ok", f"{plugin}, {provided(record)}")


def _part_problems(part: Part, registry: Registry) -> Iterator[CreateLLMError]:
    """Import everything that the part names, and find what it requires."""
    for attempt in (
        part.load,
        part.config_model,
        lambda: registry.get(part.kind, f"{part.distribution}/{part.name}"),
    ):
        try:
            attempt()
        except (PluginError, ConfigError) as error:
            yield error


def _unknown_plugin_names(app: App) -> Iterator[Check]:
    wanted = os.environ.get("CREATE_LLM_PLUGINS", "")
    installed = {record.plugin.name for record in app.plugins.records}
    unknown = sorted({name.strip() for name in wanted.split(",")} - installed - {""})
    if unknown:
        fixes = (f"installed are: {', '.join(sorted(installed - {CORE.name}))}",)
        message = f"CREATE_LLM_PLUGINS names what is not installed: {', '.join(unknown)}"
        yield Check("plugins", "warn", message, fixes)


def _script() -> Check:
    """Another well-known package brings a command `llm`; the one installed last has it."""
    from importlib.metadata import entry_points

    scripts = entry_points(group="console_scripts", name=SCRIPT)
    others = sorted({entry.dist.name for entry in scripts if entry.dist} - {CORE.distribution})
    if not others:
        return Check("command", "ok", f"`{SCRIPT}` is create-llm's")
    return Check(
        "command",
        "warn",
        f"`{SCRIPT}` in this environment belongs to {', '.join(others)} too; "
        "which one answers depends on what was installed last",
        (
            "call this one `create-llm`: it takes the same commands",
            f"or install create-llm in an environment without {others[0]}",
        ),
    )


def _project(app: App) -> Check:
    from create_llm.config import load_config
    from create_llm.project.folder import find_project

    try:
        root = find_project(app.root).root
    except ConfigError as error:
        return Check("project", "ok", f"none here: {error.where}", error.fixes)
    try:
        load_config(root, app.plugins, overrides=app.overrides)
    except CreateLLMError as error:
        switched_off = any(record.status == "disabled" for record in app.plugins.records)
        if switched_off and isinstance(error, PluginError):
            message = f"{root}: not checked, because plugins that it uses are switched off"
            return Check("project", "warn", message)
        return _failed("project", error)
    return Check("project", "ok", f"{root}: the configuration is valid")


def _hardware() -> Iterator[Check]:
    from create_llm.config.hardware import detect

    machine = detect(with_gpu=True)
    memory = f"{machine.available_ram_bytes / 1e9:.1f} of {machine.ram_bytes / 1e9:.1f} GB RAM free"
    bf16 = "native" if machine.cpu_bf16 else "not native, so fp32 is faster"
    yield Check("cpu", "ok", f"{machine.cores} cores, {memory}, bf16 {bf16}")
    if machine.gpu_name is not None:
        free, whole = machine.gpu_available_bytes / 1e9, machine.gpu_memory_bytes / 1e9
        bf16 = "native" if machine.gpu_bf16 else "not native, so training takes more memory"
        message = f"{machine.gpu_name}, {free:.1f} of {whole:.1f} GB free, bf16 {bf16}"
        yield Check("gpu", "ok", message)
    elif machine.mps:
        yield Check("gpu", "ok", "Apple GPU, which shares the machine's memory")
    else:
        yield Check(
            "gpu",
            "ok",
            "none: models of a few million parameters train in minutes to hours on these cores; "
            "from about 100 million on, a GPU is needed",
        )


def _disk(app: App) -> Check:
    import shutil

    free = shutil.disk_usage(app.root).free
    message = f"{free / 1e9:.1f} GB free in {app.root}"
    if free >= LOW_DISK_BYTES:
        return Check("disk", "ok", message)
    return _failed(
        "disk",
        StorageError(
            f"{message}; checkpoints and token shards need {LOW_DISK_BYTES / 1e9:.0f} GB",
            fixes=(
                *_what_could_go(app),
                "free some space",
                "or work on another disk: llm -C DIR …",
            ),
        ),
    )


def _what_could_go(app: App) -> tuple[str, ...]:
    """Of the project's runs; nothing outside a project, or where its files are not in order,
    which other checks tell of."""
    try:
        return what_could_go(history_of_project(app))
    except CreateLLMError:
        return ()


def _tokens(app: App) -> Check:
    """Credentials by name alone: what doctor prints is pasted into bug reports."""
    from create_llm.config.dotenv import read_dotenv

    names = {name for name, value in os.environ.items() if value and _SECRET.fullmatch(name)}
    stored = {name for name in read_dotenv(app.root / ".env") if _SECRET.fullmatch(name)}
    found = [*sorted(names), *(f"{name} (.env)" for name in sorted(stored - names))]
    return Check("tokens", "ok", ", ".join(found) or "none set; only services need them")
