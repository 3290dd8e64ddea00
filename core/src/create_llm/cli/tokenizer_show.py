"""What `llm tokenizer train` says about the vocabulary that it has made."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import click

from create_llm.cli.tables import show_table
from create_llm.cli.terminal import alone, one_line, written
from create_llm.data.spelling import is_of_bytes, spelling

if TYPE_CHECKING:
    from pathlib import Path

    from create_llm.data.tokenizer import Tokenizer
    from create_llm.data.vocabulary import Fit, VocabularyFit

_LISTED = 10
# What fits on a screen; --json has all of them.
_MOST_GROUPS = 20


@dataclass(frozen=True)
class Shown:
    """All that is shown.

    Attributes:
        seconds: that training took.
        asked: the `vocab_size` of the configuration; None where the tokenizer has no such key.
    """

    tokenizer: Tokenizer
    fit: VocabularyFit
    folder: Path
    seconds: float
    asked: int | None

    @cached_property
    def ordinary(self) -> list[int]:
        """The ids but those of control tokens."""
        control = set(self.tokenizer.special.named.values())
        return [i for i in range(self.tokenizer.vocab_size) if i not in control]

    @cached_property
    def learnt(self) -> dict[int, str]:
        """Spellings of the ordinary ones that are more than bytes, which are always there."""
        spelt = {token_id: spelling(self.tokenizer, token_id) for token_id in self.ordinary}
        return {token_id: text for token_id, text in spelt.items() if not is_of_bytes(text)}

    @property
    def longest(self) -> list[str]:
        return sorted(self.learnt.values(), key=lambda text: (-len(text), text))[:_LISTED]

    @property
    def rarest(self) -> list[tuple[str, int]]:
        """Tokens that do occur, with how often."""
        uses = self.fit.uses
        used = sorted((i for i in self.ordinary if uses.get(i)), key=lambda i: (uses[i], i))
        return [(spelling(self.tokenizer, i), uses[i]) for i in used[:_LISTED]]

    @property
    def unused(self) -> int:
        return sum(not self.fit.uses.get(token_id) for token_id in self.learnt)

    @property
    def short(self) -> bool:
        """Whether the text gave fewer tokens than were asked for."""
        return self.asked is not None and self.tokenizer.vocab_size < self.asked


def as_json_object(shown: Shown) -> dict[str, object]:
    """The same for scripts; rates are None where there is no text to measure them on."""
    fit = shown.fit
    return {
        "folder": str(shown.folder),
        "vocab_size": shown.tokenizer.vocab_size,
        "vocab_size_asked": shown.asked,
        "seconds": round(shown.seconds, 3),
        **_figures(fit.train),
        "val": _figures(fit.val),
        "groups": [{"name": group.name, **_figures(group)} for group in fit.groups],
        "longest": shown.longest,
        "rarest": [{"token": token, "count": count} for token, count in shown.rarest],
        "unused": shown.unused,
    }


def show(shown: Shown) -> None:
    """Print it for people."""
    made, fit = shown.tokenizer.vocab_size, shown.fit
    asked = f" of {shown.asked:,} asked for" if shown.asked is not None else ""
    click.echo(f"vocabulary       {made:,} tokens{asked}")
    if shown.short:
        click.echo(
            "                 The text holds no more sequences that are frequent enough for one.\n"
            "                 Add text, or leave it so: the model is sized by what is there."
        )
    _show_fits(fit)
    click.echo("longest tokens   " + " | ".join(map(alone, shown.longest)))
    rarest = (f"{alone(token)} ({count:,})" for token, count in shown.rarest)
    click.echo("rarest tokens    " + " | ".join(rarest))
    measured = f"in the {fit.train.bytes / 1e6:,.1f} MB of training text that were measured"
    click.echo(f"never used       {shown.unused:,} tokens but bytes, {measured}")
    click.echo(f"took {shown.seconds:.1f} s, saved in {written(str(shown.folder))}")


def _figures(fit: Fit) -> dict[str, object]:
    return {
        "bytes": fit.bytes,
        "tokens": fit.tokens,
        "bytes_per_token": fit.bytes_per_token,
        "tokens_per_word": fit.tokens_per_word,
        "unknown_rate": fit.unknown_rate,
    }


def _show_fits(fit: VocabularyFit) -> None:
    headers = ("", "bytes per token", "tokens per word", "unknown")
    groups = sorted(fit.groups, key=lambda group: -group.bytes)[:_MOST_GROUPS]
    named = [("training", fit.train), ("validation", fit.val)]
    named += [(f"  {one_line(group.name)}", group) for group in groups]
    show_table(headers, [_row(name, each) for name, each in named if each.tokens], {})
    if len(groups) < len(fit.groups):
        click.echo(f"  and {len(fit.groups) - len(groups):,} more: --json has all of them")


def _row(name: str, fit: Fit) -> tuple[str, str, str, str]:
    per_word = "" if fit.tokens_per_word is None else f"{fit.tokens_per_word:.2f}"
    return name, f"{fit.bytes_per_token:.2f}", per_word, f"{fit.unknown_rate:.2%}"
