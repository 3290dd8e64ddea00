"""The closing words of `llm train`: what came of it, and what it takes the place of."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from create_llm.cli.units import bits, count, loss, seen_from_here

if TYPE_CHECKING:
    from create_llm.training.finish import Ended


def show_ended(ended: Ended) -> None:
    """The figures of a completed run, its model, and what to do with that."""
    summary = ended.summary
    if summary["val_loss"] is not None:
        speed = f"{count(summary['tokens_per_second'])} tokens/s"
        click.echo(f"validation: {_figures(summary)}   {speed}")
    click.echo(f"Saved as {seen_from_here(Path(summary['model']))}")
    click.echo(f"Next: {'   '.join(_next(ended))}")


def _next(ended: Ended) -> list[str]:
    """What such a model is for comes first."""
    from create_llm.data.chat.template import FILE

    if not ended.generates:
        return ["llm evaluate"]
    talks = ended.model is not None and (ended.model / FILE).is_file()
    writes = ["llm chat", 'llm generate --prompt "…"']
    return [*(writes if talks else writes[::-1]), "llm evaluate"]


def against_the_one_before(ended: Ended) -> str | None:
    """What to say of the model that was active until now; None where there was none, or where
    the new one is as good."""
    if ended.model is None or ended.before is None:
        return None
    from create_llm.errors import DataError
    from create_llm.models.bundle import ModelBundle

    new, before = ended.model.name, ended.before.name
    back = f"To use {before} again: llm runs use {before}"
    try:
        now, then = (ModelBundle.open(folder).info for folder in (ended.model, ended.before))
    except DataError:
        return f"{new} is the active model now; {before} was, and cannot be read any more."
    if now["data"]["key"] != then.get("data", {}).get("key"):
        return (
            f"{new} is the active model now, in place of {before}. Their figures do not compare: "
            f"text or tokenizer are others. On one text: llm compare {before} {new}\n{back}"
        )
    if not _is_worse(now["metrics"], then["metrics"]):
        return None
    return (
        f"{new} is the active model now, but scored worse than {before} on the same validation "
        f"text: {_figures(now['metrics'])}; {before}: {_figures(then['metrics'])}\n{back}"
    )


def _is_worse(now: Mapping[str, Any], then: Mapping[str, Any]) -> bool:
    return None not in (now["val_loss"], then["val_loss"]) and now["val_loss"] > then["val_loss"]


def _figures(metrics: Mapping[str, Any]) -> str:
    measured = metrics["val_bits_per_byte"]
    per_byte = "" if measured is None else f", {bits(measured)}"
    return f"loss {loss(metrics['val_loss'])}{per_byte}"
