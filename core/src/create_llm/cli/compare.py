"""llm compare: models side by side on the same text and the same prompts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from create_llm.cli.app import App
from create_llm.cli.evaluate import texts_to_score
from create_llm.cli.models import open_model, say
from create_llm.errors import ConfigError

if TYPE_CHECKING:
    from create_llm.api import Model

PROMPTS = "evaluation/prompts.txt"


@click.command(epilog='\b\nExample:\n  llm compare v1 v2 --prompt "Once upon a time"')
@click.argument("models", nargs=-1, required=True)
@click.option("--text", type=click.Path(path_type=Path), help="Score this file.")
@click.option("--prompt", "prompts", multiple=True, help=f"Default: the lines of {PROMPTS}.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON on stdout.")
@click.pass_obj
def command(
    app: App, models: tuple[str, ...], text: Path | None, prompts: tuple[str, ...], as_json: bool
) -> None:
    """Compare 2 to 5 MODELS: bits per byte on the same text, samples for the same prompts.

    They may differ in architecture and tokenizer: bits per byte does not depend on them.
    """
    if not 2 <= len(models) <= 5:
        raise ConfigError(
            f"compare takes 2 to 5 models, got {len(models)}", fixes=("llm compare v1 v2",)
        )
    asked = prompts or _project_prompts(app)
    rows = [_row(app, open_model(app, name, "cpu"), text, asked) for name in models]
    if as_json:
        click.echo(json.dumps({"models": rows}, ensure_ascii=False))
    else:
        _show(rows)


def _project_prompts(app: App) -> tuple[str, ...]:
    from create_llm.project.folder import find_project

    path = find_project(app.root).root / PROMPTS
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return tuple(line for line in lines if line.strip())


def _row(app: App, model: Model, text: Path | None, prompts: tuple[str, ...]) -> dict[str, object]:
    from create_llm.api import sampling_of, score_dict
    from create_llm.models.generation import complete
    from create_llm.training.scoring import score_documents

    score = score_documents(model.loaded, texts_to_score(app, text))
    sampling = sampling_of(model.bundle, seed=0)
    asked = prompts if model.loaded.generates else ()
    return {
        "model": str(model.bundle.path),
        "parameters": model.bundle.info["parameters"],
        **score_dict(score),
        "samples": {p: complete(model.loaded, p, sampling, say).text for p in asked},
    }


def _show(rows: list[dict[str, object]]) -> None:
    figures = ("parameters", "bits_per_byte", "loss", "perplexity", "tokens_per_second")
    click.echo("".join(f"{name.replace('_', ' '):>18}" for name in figures) + "  model")
    scored = [float(str(row["bits_per_byte"])) for row in rows if row["bits_per_byte"] is not None]
    for row in rows:
        cells = "".join(f"{_figure(row[name]):>18}" for name in figures)
        mark = "  * fewest bits per byte" if scored and row["bits_per_byte"] == min(scored) else ""
        click.echo(f"{cells}  {row['model']}{mark}")
    for row in rows:
        samples = row["samples"]
        assert isinstance(samples, dict)
        for prompt, text in samples.items():
            click.echo(f"\n{row['model']}\n{prompt}{text}")


def _figure(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.4f}" if isinstance(value, float) else f"{value:,}"
