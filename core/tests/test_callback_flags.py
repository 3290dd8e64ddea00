"""`llm train --NAME`: a flag for each installed callback."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from create_llm.cli.app import App
from create_llm.cli.callback_flags import CommandWithCallbacks, attached
from create_llm.config import load_config
from create_llm.errors import PluginError
from create_llm.kernel.plugins import Plugins, load_plugins
from create_llm.kernel.registry import Part, Registry

NAME = "tensorboard"


def app(*parts: Part) -> App:
    registry = Registry()
    for part in parts:
        registry.add(part)
    return App(Plugins((), registry), Path(), ())


def callback(name: str, dist: str = "d1") -> Part:
    return Part("callbacks", name, "json:dumps", f"What {name} does.", None, (), name, dist)


@click.command(cls=CommandWithCallbacks)
@click.option("--like", help="A flag of its own.")
@click.option("--no-bear", is_flag=True, help="And one against something.")
def command(like: str | None, no_bear: bool) -> None:
    """Train."""
    click.echo(dict(attached(click.get_current_context())))


def run(app: App, *arguments: str) -> str:
    return CliRunner().invoke(command, list(arguments), obj=app, catch_exceptions=False).output


def test_each_callback_has_a_flag_that_switches_it_on():
    known = app(callback("lion"), callback("lm-eval"))
    assert run(known) == "{}\n"
    assert run(known, "--lion", "--lm-eval") == (
        "{'logging.lion': (True, '--lion'), 'logging.lm-eval': (True, '--lm-eval')}\n"
    )
    assert run(known, "--no-lion") == "{'logging.lion': (False, '--no-lion')}\n"
    assert run(known, "--lion", "--no-lion") == "{'logging.lion': (False, '--no-lion')}\n"
    assert "--lion / --no-lion" in run(known, "--help")
    assert "What lion does." in run(known, "--help")


def test_a_flag_of_the_command_and_a_name_of_two_are_left_alone():
    known = app(callback("like"), callback("bear"), callback("two"), callback("two", "d2"))
    assert run(known, "--like", "v1") == "{}\n"
    assert run(known, "--no-bear") == "{}\n"
    help_text = run(known, "--help")
    assert "A flag of its own." in help_text
    assert "--two" not in help_text


def test_a_flag_of_a_package_that_is_not_installed_says_what_to_install():
    with pytest.raises(PluginError) as caught:
        run(app(), f"--{NAME}")
    assert caught.value.fixes[0] == f"llm plugins install {NAME}"
    assert caught.value.where == f"--{NAME}"


def test_a_misspelt_flag_is_still_a_usage_error():
    assert "No such option" in run(app(), "--tensorbored")


def test_the_switch_attaches_the_callback(tmp_path: Path):
    plugins = load_plugins({})
    (tmp_path / "llm.toml").write_text("plugins = []\n")
    on = [selected.part.name for selected in load_config(tmp_path, plugins).callbacks]
    off = [name for name in plugins.registry.names("callbacks") if name not in on]
    if not off:
        pytest.skip("no callback is installed that is not on already")
    flags = {f"logging.{off[0]}": (True, f"--{off[0]}")}
    config = load_config(tmp_path, plugins, flags=flags)
    assert off[0] in [selected.part.name for selected in config.callbacks]
