"""llm synth: synthetic text into data/raw."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from create_llm.cli.app import App
from create_llm.errors import ConfigError

if TYPE_CHECKING:
    from pydantic import BaseModel

    from create_llm.kernel.registry import Part


@click.command(epilog='\b\nExample:\n  llm synth --provider sample --samples 100 --topic "the sea"')
@click.option("--provider", help="The synthesizer to use; llm plugins list shows them.")
@click.option(
    "--samples",
    type=click.IntRange(min=1),
    default=100,
    show_default=True,
    help="Documents to write.",
)
@click.option("--topic", help="What the text should be about.")
@click.option("--json", "as_json", is_flag=True, help="Print the statistics as JSON on stdout.")
@click.pass_obj
def command(app: App, provider: str | None, samples: int, topic: str | None, as_json: bool) -> None:
    """Write synthetic documents into data/raw, as one text file."""
    from create_llm.data.synthesis import write_documents
    from create_llm.project.folder import find_project

    project = find_project(app.root)
    registry = app.plugins.registry
    names = registry.names("synthesizers")
    if provider is None and len(names) != 1:
        raise ConfigError(
            "which synthesizer?",
            where="--provider",
            fixes=(f"choose one of: {', '.join(names) or 'none is installed'}",),
        )
    part = registry.get("synthesizers", provider or names[0], where="--provider")
    synthesizer = part.load()(_options(part, project.raw))
    written = write_documents(project.raw, part.name, synthesizer.generate(samples, topic))
    if as_json:
        click.echo(json.dumps(written))
    else:
        click.echo(
            f"{written['documents']} documents, {written['words']:,} words, "
            f"{written['bytes']:,} bytes in {written['path']}"
        )
        print("Next: llm train", file=sys.stderr)


def _options(part: Part, raw: Path) -> BaseModel | None:
    """The part's defaults; one that has a `seed` gets another for each file already there."""
    model = part.config_model()
    if model is None:
        return None
    written = len(list(raw.glob(f"synthetic-{part.name}-*.txt")))
    return model(seed=written) if "seed" in model.model_fields else model()
