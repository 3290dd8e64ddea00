"""llm new: a project folder to train a model in."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from create_llm.cli.app import App
from create_llm.errors import ConfigError, CreateLLMError

if TYPE_CHECKING:
    from create_llm.project.recipe import Choices, Recipe

T = TypeVar("T")


@click.command(
    epilog="\b\nExamples:\n  llm new my-llm\n"
    "  llm new my-llm --template small --tokenizer byte --yes"
)
@click.argument("name", required=False)
@click.option(
    "--template", metavar="NAME", help="What to start from; `llm plugins list` names them."
)
@click.option("--tokenizer", metavar="NAME", help="Another tokenizer than the template's.")
@click.option("--plugins", "names", metavar="A,B", default="", help="More plugins to use.")
@click.option("--scripts", is_flag=True, help="Also write train.py, chat.py and the like.")
@click.option("--yes", "-y", is_flag=True, help="Ask nothing and take the defaults.")
@click.option("--json", "as_json", is_flag=True, help="Print path and files as JSON on stdout.")
@click.pass_obj
def command(
    app: App,
    name: str | None,
    template: str | None,
    tokenizer: str | None,
    names: str,
    scripts: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Make a project folder NAME to train a model in.

    On a terminal it asks for what is left out; elsewhere, and with --yes, it takes the defaults.
    """
    from create_llm.project.recipe import Choices, make_recipe
    from create_llm.project.scaffold import create_project

    plugins = tuple(plugin.strip() for plugin in names.split(",") if plugin.strip())
    choices = Choices(template, tokenizer, plugins, scripts, app.overrides)
    asks = not yes and sys.stdin is not None and sys.stdin.isatty()
    folder = _folder(app, name, asks=asks)
    if asks:
        choices = _complete(app, choices)
    recipe = make_recipe(folder, app.plugins, choices)
    files = create_project(folder, recipe)
    _next_steps(folder, recipe)
    if as_json:
        made = {"path": str(folder), "template": recipe.config.project.template, "files": files}
        click.echo(json.dumps(made, ensure_ascii=False))


def _folder(app: App, name: str | None, *, asks: bool) -> Path:
    from create_llm.project.scaffold import free_folder

    if name is not None:
        return free_folder(app.root, name)
    if asks:
        return _ask("Name of the project", "my-llm", lambda answer: free_folder(app.root, answer))
    raise ConfigError("the project needs a name", fixes=("for example: llm new my-llm",))


def _complete(app: App, choices: Choices) -> Choices:
    """The choices, with what was left out asked for."""
    from create_llm.project.recipe import find_template

    registry = app.plugins.registry

    def template_called(answer: str) -> str:
        find_template(registry, answer)
        return answer

    def tokenizer_called(answer: str) -> str:
        registry.get("tokenizers", answer)
        return answer

    default, template = find_template(registry, choices.template)
    if choices.template is None:
        _show_templates(app)
        chosen = _ask("Template", default.name, template_called)
        choices, template = replace(choices, template=chosen), find_template(registry, chosen)[1]
    usual = template.values.get("tokenizer", {}).get("name")
    if choices.tokenizer is None and usual:
        click.echo(f"Tokenizers: {', '.join(registry.names('tokenizers'))}", err=True)
        choices = replace(choices, tokenizer=_ask("Tokenizer", usual, tokenizer_called))
    return choices


def _show_templates(app: App) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from create_llm.config.layers import installed_templates
    from create_llm.project.pages import hardware_in_words, in_words

    table = Table(box=box.SIMPLE)
    for column in ("template", "parameters", "for", "hardware", "training takes"):
        table.add_column(column)
    for one in sorted(installed_templates(app.plugins.registry), key=lambda one: one.parameters):
        hardware = hardware_in_words(one.hardware)
        table.add_row(one.name, in_words(one.parameters), one.title, hardware, one.time)
    Console(stderr=True).print(table)


def _ask(question: str, default: str, parse: Callable[[str], T]) -> T:
    """Ask until the answer can be used; Enter takes the default. Prompts go to stderr."""
    while True:
        click.echo(f"{question} [{default}]: ", nl=False, err=True)
        try:
            return parse(input().strip() or default)
        except EOFError:
            raise click.Abort from None
        except CreateLLMError as error:
            click.echo(error.render(), err=True)


def _next_steps(folder: Path, recipe: Recipe) -> None:
    from create_llm.project.pages import first_use, in_words

    template = recipe.template
    here = Path.cwd()
    path = folder.relative_to(here) if folder.is_relative_to(here) else folder
    own = "  llm plugins install -e .        the model in src/\n" if recipe.own else ""
    click.echo(
        f"Made {folder.name}, from the template {template.name}: "
        f"{in_words(template.parameters)} parameters, {template.time}.\n\n"
        "Next:\n"
        f"  cd {shlex.quote(str(path))}\n"
        f"{own}"
        "  cp your-text.txt data/raw/      the text to learn from\n"
        "  llm train                       tokenizer, model, progress, a sample\n"
        f"  {first_use(recipe.config.generation.prompt)}\n\n"
        "README.md says how long that takes and what to change first.",
        err=True,
    )
