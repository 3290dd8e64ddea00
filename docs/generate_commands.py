"""Writes docs/commands.md from the command line itself (`make docs`); a test compares the two."""

from __future__ import annotations

from pathlib import Path

import click

from create_llm.cli.app import App, group
from create_llm.kernel.plugins import load_plugins

TARGET = Path(__file__).with_name("commands.md")
WIDTH = 96

HEAD = """\
# Every command

Written by `make docs` from the commands' own help; do not edit it here. All commands also take
`-C DIR`, `--set section.key=value`, `--no-plugins` and `--debug`, in any place.

Exit codes: 0 done · 1 a bug of ours · 2 usage or configuration · 65 bad data or checkpoint ·
69 network · 70 plugin · 71 out of memory · 74 input or output · 75 locked · 76 diverged ·
77 credentials · 78 paused · 130 and 143 interrupted, resumable.
"""


def render() -> str:
    """The page's text."""
    app = App(load_plugins(), Path(), ())
    with click.Context(group, info_name="llm", obj=app, max_content_width=WIDTH) as context:
        sections = [HEAD, _section("llm", group, context)]
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            assert command is not None
            sections.extend(_command(f"llm {name}", command, context))
    return "\n".join(sections)


def _command(title: str, command: click.Command, parent: click.Context) -> list[str]:
    name = title.rsplit(" ", 1)[-1]
    with click.Context(
        command, info_name=name, parent=parent, max_content_width=WIDTH, terminal_width=WIDTH
    ) as context:
        sections = [_section(title, command, context)]
        if isinstance(command, click.Group):
            for child in command.list_commands(context):
                sub = command.get_command(context, child)
                assert sub is not None
                sections.extend(_command(f"{title} {child}", sub, context))
    return sections


def _section(title: str, command: click.Command, context: click.Context) -> str:
    return f"## `{title}`\n\n```\n{command.get_help(context).strip()}\n```\n"


if __name__ == "__main__":
    TARGET.write_text(render(), encoding="utf-8")
