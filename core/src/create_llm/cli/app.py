"""The entry of the command line: global options, the group of verbs, errors to exit codes."""

from __future__ import annotations

import io
import os
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import click

from create_llm import __version__
from create_llm.cli.terminal import steady
from create_llm.errors import (
    ConfigError,
    CreateLLMError,
    MemoryExhausted,
    PluginError,
    is_out_of_memory,
)
from create_llm.kernel.plugins import (
    CORE,
    Plugins,
    default_plugins,
    failure_line,
    load_plugins,
)
from create_llm.kernel.registry import Part

GLOBAL_OPTIONS = """\
Every command also takes: -C DIR (run as if started there), --set section.key=value (override
llm.toml), --no-plugins, --debug (stack traces)."""


@dataclass(frozen=True, slots=True)
class App:
    """What every verb receives as `ctx.obj`."""

    plugins: Plugins
    root: Path
    overrides: tuple[str, ...]
    debug: bool = False


class VerbGroup(click.Group):
    """Commands are parts: their summaries come from the registry, their bodies on first use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        app: App = ctx.obj
        return [part.name for part in _in_help_order(app)]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        app: App = ctx.obj
        command: click.Command = app.plugins.registry.get("commands", name).load()
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        # Click's own version imports every command to ask for its help.
        app: App = ctx.obj
        rows = [(part.name, _summary(part)) for part in _in_help_order(app)]
        with formatter.section("Commands"):
            formatter.write_dl(rows)
        with formatter.section("Everywhere"):
            formatter.write_text(" ".join(GLOBAL_OPTIONS.split()))


def _in_help_order(app: App) -> list[Part]:
    from create_llm.cli.verbs import VERBS

    order = {verb: place for place, (verb, _) in enumerate(VERBS)}
    parts = list(app.plugins.registry.parts("commands"))
    return sorted(parts, key=lambda part: (order.get(part.name, len(order)), part.name))


def _summary(part: Part) -> str:
    return part.summary if part.plugin == "core" else f"{part.summary} [{part.plugin}]"


@click.command(cls=VerbGroup, invoke_without_command=True)
@click.version_option(__version__, package_name="create-llm-core", prog_name="create-llm")
@click.pass_context
def group(ctx: click.Context) -> None:
    """Make a language model of your own.

    \b
    llm new my-llm && cd my-llm     a project folder
    cp book.txt data/raw/           your text
    llm train                       tokenizer, model, progress, a sample
    llm generate --prompt "Once"    talk to it
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def run(argv: Sequence[str]) -> None:
    """Run the command line and exit; an interruption is the caller's."""
    debug = "--debug" in argv
    try:
        sys.exit(_run(list(argv)))
    except CreateLLMError as error:
        _fail(error, debug)
    except click.ClickException as error:
        _show(error)
        sys.exit(error.exit_code)
    except click.Abort as abort:
        # Click's word for a KeyboardInterrupt, which may have been SIGTERM's.
        cause = abort.__cause__ or abort.__context__
        raise (cause if isinstance(cause, KeyboardInterrupt) else KeyboardInterrupt()) from None
    except BrokenPipeError:
        # The reader (`| head`) has left; Python would complain again while flushing at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except MemoryError as error:
        _fail(_out_of_memory(error), debug)
    except OSError as error:
        from create_llm.storage.problems import storage_error

        _fail(storage_error(error), debug)
    except Exception as error:
        if is_out_of_memory(error):
            _fail(_out_of_memory(error), debug)
        _bug(error, debug)


def _run(arguments: list[str]) -> int:
    options, rest = _split_global_options(arguments)
    plugins = load_plugins(enabled=not options.no_plugins)
    for record in plugins.failed():
        click.echo(steady(failure_line(record)), err=True)
    app = App(plugins, options.root, options.overrides, options.debug)
    result = group.main(rest, prog_name="llm", obj=app, standalone_mode=False)
    return result if isinstance(result, int) else 0


@dataclass(frozen=True, slots=True)
class _GlobalOptions:
    root: Path
    overrides: tuple[str, ...] = ()
    no_plugins: bool = False
    debug: bool = False


def _split_global_options(arguments: list[str]) -> tuple[_GlobalOptions, list[str]]:
    """Take the options that hold for every verb out of the line, wherever they stand in it."""
    options, rest = _GlobalOptions(root=Path.cwd()), []
    queue = iter(arguments)
    for argument in queue:
        name, equals, value = argument.partition("=")
        if argument == "--":
            rest.extend([argument, *queue])
        elif argument == "--no-plugins":
            options = replace(options, no_plugins=True)
        elif argument == "--debug":
            options = replace(options, debug=True)
        elif argument == "-C":
            options = replace(options, root=_folder(next(queue, None)))
        elif name == "--set":
            setting = value if equals else next(queue, None)
            options = replace(options, overrides=(*options.overrides, _setting(setting)))
        else:
            rest.append(argument)
    return options, rest


def _folder(value: str | None) -> Path:
    if value is None or not Path(value).is_dir():
        raise ConfigError(f"-C needs an existing folder, got '{value}'", fixes=("llm -C DIR …",))
    return Path(value).resolve()


def _setting(value: str | None) -> str:
    if value is None or "=" not in value:
        raise ConfigError(
            f"--set needs section.key=value, got '{value}'",
            fixes=("for example: --set training.batch_size=8",),
        )
    return value


def _show(error: click.ClickException) -> None:
    """As click does, but that what was typed cannot steer the terminal that it is repeated on."""
    shown = io.StringIO()
    error.show(shown)
    click.echo(steady(shown.getvalue()), nl=False, err=True)


def _fail(error: CreateLLMError, debug: bool) -> None:
    click.echo(steady(error.render()), err=True)
    if debug:
        raise error
    sys.exit(error.exit_code)


def _out_of_memory(error: Exception) -> MemoryExhausted:
    return MemoryExhausted(
        f"the machine ran out of memory: {str(error).splitlines()[0] if str(error) else error!r}",
        fixes=("a smaller batch: --set training.batch_size=…", "a smaller template: llm new …"),
    )


def _bug(error: Exception, debug: bool) -> None:
    if debug:
        raise error
    culprit = _plugin_behind(error)
    if culprit is not None:
        _fail(culprit, debug)
    click.echo(
        f"Error: this is a bug in create-llm, not something you did: "
        f"{type(error).__name__}: {steady(str(error))}\n"
        "  try: run it again with --debug and report what it prints",
        err=True,
    )
    sys.exit(1)


def _plugin_behind(error: Exception) -> PluginError | None:
    """The error as that of somebody's plugin, if it happened in code of theirs or below it."""
    from create_llm.kernel.catalogue import catalogue

    packages = {
        module.partition(":")[0].partition(".")[0]: record.plugin
        for record in default_plugins().records
        if record.plugin.distribution not in (*catalogue(), CORE.distribution)
        for module in (record.plugin.module, *(part.target for part in record.parts))
    }
    for frame, line in reversed(list(traceback.walk_tb(error.__traceback__))):
        package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if package == "create_llm":
            return None
        if package in packages:
            plugin = packages[package]
            return PluginError(
                f"plugin '{plugin.name}' ({plugin.distribution}) failed: "
                f"{type(error).__name__}: {error}",
                where=f"{frame.f_code.co_filename}:{line}",
                fixes=(
                    f"see what it breaks: llm plugins test {plugin.name}",
                    "see the whole traceback: the same command with --debug",
                ),
            )
    return None
