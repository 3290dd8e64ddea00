"""llm quickstart: the whole journey on the built-in stories, with a word at each stage."""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from create_llm.cli.app import App
from create_llm.errors import ConfigError
from create_llm.project.folder import CONFIG_NAME

if TYPE_CHECKING:
    from create_llm.kernel.registry import Registry

PROMPTS = ("Once upon a time", "Había una vez")


@click.command(epilog="\b\nExample:\n  llm quickstart && cd quickstart && llm chat")
@click.argument("name", default="quickstart")
@click.option("--max-steps", type=int, help="Train for this many steps instead.")
@click.pass_obj
def command(app: App, name: str, max_steps: int | None) -> None:
    """Train a small model on built-in stories in the folder NAME, and say what happens and why.

    It is the same journey as with your own text: a project, a tokenizer, a model, a sample.
    """
    from create_llm.cli.train import run_training

    folder = app.root / name
    if not (folder / CONFIG_NAME).is_file():
        _make_project(app, name)
    inside = replace(app, root=folder.resolve())
    _say_what_training_does()
    flags: dict[str, tuple[object, str]] = {}
    if max_steps is not None:
        flags["training.max_steps"] = (max_steps, "--max-steps")
    ended = run_training(inside, flags, resume="auto")
    _show(inside, Path(ended.summary["model"]), ended.summary["val_bits_per_byte"])
    _next_steps(name)


def _make_project(app: App, name: str) -> None:
    from create_llm.project.recipe import Choices, make_recipe
    from create_llm.project.scaffold import create_project, free_folder

    folder = free_folder(app.root, name)
    choices = Choices(
        template=_smallest_template(app.plugins.registry), overrides=("data.source=sample",)
    )
    create_project(folder, make_recipe(folder, app.plugins, choices))
    _stage(
        1,
        f"A project in {name}/",
        f"{CONFIG_NAME} holds every setting. The text is built in: short stories in English and "
        "Spanish, made by code, so that nothing has to be downloaded.",
    )


def _smallest_template(registry: Registry) -> str:
    sizes = {part.name: part.load().parameters for part in registry.parts("templates")}
    if not sizes:
        raise ConfigError(
            "no template is installed to start a project from",
            fixes=("llm plugins install templates",),
        )
    return min(sizes, key=lambda name: sizes[name])


def _say_what_training_does() -> None:
    _stage(
        2,
        "A tokenizer, then the text as numbers",
        "A model reads tokens, not letters. The tokenizer learns which pieces of words are "
        "frequent; then every story becomes a row of their numbers. A tenth is put aside, to "
        "score the model on text that it has never seen.",
    )
    _stage(
        3,
        "Training",
        "The model guesses the next token at thousands of places at once, is corrected, and "
        "guesses again. The loss is how surprised it was; watch it fall. Ctrl-C saves and stops; "
        "the same command goes on.",
    )


def _show(app: App, model: Path, bits_per_byte: float) -> None:
    from create_llm.api import Model
    from create_llm.models.bundle import ModelBundle
    from create_llm.models.loaded import LoadedModel

    bundle = ModelBundle.open(model)
    opened = Model(bundle, LoadedModel.from_bundle(bundle, app.plugins.registry))
    _stage(
        4,
        f"The model: {model}",
        f"It needs {bits_per_byte:.3f} bits for each byte of the stories that it has never seen "
        "(plain text is stored with 8). This is what it writes:",
    )
    for prompt in PROMPTS:
        text = opened.generate(prompt, temperature=0.6, seed=1, max_new_tokens=80)
        click.echo(f"{prompt}{text}\n")


def _next_steps(name: str) -> None:
    click.echo(f"Everything that was measured: {name}/logs/")
    click.echo("Next:")
    if shutil.which("llm") is None:
        click.echo(f"  . {Path(sys.executable).with_name('activate')}")
    click.echo(f'  cd {name} && llm generate --prompt "Once upon a time"')
    click.echo("  llm new my-llm && cd my-llm, put text into data/raw, llm train")
    click.echo("  llm config explain training.batch_size")


def _stage(number: int, title: str, words: str) -> None:
    click.secho(f"\n{number}. {title}", bold=True)
    click.echo(click.wrap_text(words, width=88, initial_indent="   ", subsequent_indent="   "))
