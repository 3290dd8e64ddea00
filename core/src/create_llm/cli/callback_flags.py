"""`llm train --NAME` and `--no-NAME`: flags of each installed callback, with the run or without."""

from __future__ import annotations

from functools import partial

import click

from create_llm.cli.app import App
from create_llm.cli.typed import Flags
from create_llm.kernel.catalogue import providers_of

_ATTACHED = "create_llm.cli.callback_flags.attached"


class CommandWithCallbacks(click.Command):
    """A command that trains. A flag that only a package which is not installed has says so."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        own = super().get_params(ctx)
        if not isinstance(ctx.obj, App):
            return own
        registry = ctx.obj.plugins.registry
        unclear = registry.ambiguous("callbacks")
        taken = {option for param in own for option in (*param.opts, *param.secondary_opts)}
        named = {part.name: part.summary for part in registry.parts("callbacks")}
        offered = {
            name: summary
            for name, summary in named.items()
            if name not in unclear and not {f"--{name}", f"--no-{name}"} & taken
        }
        # In front of --help, which stands last.
        return [*own[:-1], *(_flag(name, text) for name, text in offered.items()), *own[-1:]]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            name = error.option_name.removeprefix("--")
            if isinstance(ctx.obj, App) and providers_of("callbacks", name):
                ctx.obj.plugins.registry.get("callbacks", name, where=error.option_name)
            raise


def attached(ctx: click.Context) -> Flags:
    """The switches of the callbacks whose flags were given."""
    given: dict[str, bool] = ctx.meta.get(_ATTACHED, {})
    return {
        f"logging.{name}": (on, f"--{name}" if on else f"--no-{name}") for name, on in given.items()
    }


def _flag(name: str, summary: str) -> click.Option:
    return click.Option(
        [f"--{name}/--no-{name}"],
        default=None,
        expose_value=False,
        help=summary,
        callback=partial(_attach, name),
    )


def _attach(name: str, ctx: click.Context, param: click.Parameter, on: bool | None) -> None:
    if on is not None:
        ctx.meta.setdefault(_ATTACHED, {})[name] = on
