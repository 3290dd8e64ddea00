"""The contract of commands."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from create_llm.cli.app import App
from create_llm.testing.base import PartContract
from create_llm.testing.imports import heavy_of


class CommandContract(PartContract):
    """Verbs of the `llm` command."""

    kind = "commands"

    def test_is_a_click_command(self) -> None:
        """A `click.Command`, which a group is as well, so that `llm` can run it."""
        assert isinstance(self.part().load(), click.Command)

    def test_module_is_light(self) -> None:
        """Its module loads nothing heavy: `llm <verb> --help` and a mistyped option answer at
        once. Import what the command needs inside it."""
        module = self.part().target.partition(":")[0]
        heavy = heavy_of(module)
        assert not heavy, f"import {module} also loads {', '.join(heavy)}"

    def test_everything_has_help(self) -> None:
        """The command, its subcommands and each of their options say what they are for."""
        for path, command in _tree(self.part().name, self.part().load()):
            assert (command.help or "").strip(), f"llm {path} has no help"
            options = [param for param in command.params if isinstance(param, click.Option)]
            silent = [option.opts[0] for option in options if not option.help and not option.hidden]
            assert not silent, f"llm {path}: {', '.join(silent)} has no help"

    def test_shows_its_help(self, tmp_path: Path) -> None:
        """`--help` ends well, whatever the folder it is asked in."""
        for path, command in _tree(self.part().name, self.part().load()):
            code, output = self._run(command, tmp_path, "--help")
            assert code == 0, output
            assert output.startswith("Usage:"), f"llm {path} --help prints {output[:60]!r}"

    def test_refuses_unknown_options(self, tmp_path: Path) -> None:
        """A mistyped option is a usage error, exit code 2, and nothing is done."""
        code, output = self._run(self.part().load(), tmp_path, "--no-such-option")
        assert code == 2, output
        assert not list(tmp_path.iterdir()), "files were written"

    def test_takes_nobody_elses_name(self) -> None:
        """The bare verb is its own: two plugins with one verb make it an error for everyone."""
        assert self.part().name not in self.plugins().registry.ambiguous("commands")

    def _run(self, command: click.Command, root: Path, *arguments: str) -> tuple[int, str]:
        app = App(self.plugins(), root, ())
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(root)
            result = CliRunner().invoke(command, list(arguments), obj=app)
        return result.exit_code, result.output


def _tree(path: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    """The command and, of a group, all below it."""
    yield path, command
    if isinstance(command, click.Group):
        for name, below in sorted(command.commands.items()):
            yield from _tree(f"{path} {name}", below)
