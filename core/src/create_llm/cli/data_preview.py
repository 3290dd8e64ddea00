"""llm data preview: documents as the model will see them."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice, takewhile
from typing import TYPE_CHECKING

import click

from create_llm.cli.app import App
from create_llm.cli.data_sources import open_corpus
from create_llm.cli.terminal import one_line
from create_llm.cli.tokenizer import needed_tokens
from create_llm.data.spelling import spelling

if TYPE_CHECKING:
    from rich.text import Text

    from create_llm.data.documents import Document
    from create_llm.data.encoding import DocumentEncoder, EncodedDocument
    from create_llm.data.tokenizer import Tokenizer

_DIVIDER = "·"
_BREAK = "⏎"
# Of a document; shared among its stretches, so that each turn of a conversation is seen.
_SHOWN_TOKENS = 200
_FEWEST_SHOWN = 40

_LEARNT, _GIVEN, _BEGIN, _END, _WORSE = "learnt", "given", "begin", "end", "worse"
_LEGEND = (
    f"{_LEARNT}: what the model is trained to produce; {_GIVEN}: what it only reads; {_BEGIN} and "
    f"{_END}: the token between two documents; {_DIVIDER} divides tokens, {_BREAK} is a line break."
)
_LEGEND_OF_PAIRS = (
    f"{_WORSE}: the rejected answer of a pair, in place of the {_LEARNT} one: only training on "
    "preferences reads it."
)
_MARGIN = max(map(len, (_LEARNT, _GIVEN, _BEGIN, _END)))
_SPECIAL_STYLE = "bold magenta"


@dataclass(frozen=True)
class Example:
    """A document as it stands in the stream of tokens, with the end-of-text token on both sides.

    Attributes:
        structure: what its source took it for, if that is known.
        counted: of each token, whether the model is trained to produce it.
        special: of each token, whether it is a control token.
        rejected: of a pair, the same with the worse answer.
    """

    origin: str
    structure: str | None
    text: str
    ids: list[int]
    tokens: list[str]
    counted: list[bool]
    special: list[bool]
    rejected: Example | None = None


@click.command(
    "preview",
    epilog="\b\nExamples:\n  llm data preview -n 5\n  llm data preview data/raw/chats.jsonl",
)
@click.argument("paths", nargs=-1, metavar="[PATH…]")
@click.option(
    "-n",
    "count",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    help="How many documents to show, of each PATH or source.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
@click.pass_obj
def preview(app: App, paths: tuple[str, ...], count: int, as_json: bool) -> None:
    """Show the first documents as the model will see them: in tokens, with what it learns marked.

    Shows those of the project's data, or of files and folders. Trains the tokenizer first if there
    is none; one that is there stays, whatever --set asks for.
    """
    examples = _examples(app, paths, count)
    if as_json:
        documents = [dataclasses.asdict(example) for example in examples]
        click.echo(json.dumps({"documents": documents}, ensure_ascii=False))
        return
    for example in examples:
        _show(example)
    click.echo(_LEGEND, err=True)
    if any(example.rejected for example in examples):
        click.echo(_LEGEND_OF_PAIRS, err=True)


def _examples(app: App, paths: tuple[str, ...], count: int) -> list[Example]:
    from create_llm.cli.progress import progress_bars
    from create_llm.cli.tokenizer import open_project
    from create_llm.data.encoding import DocumentEncoder
    from create_llm.data.pipeline import conversation_template, tokenizer_to_show
    from create_llm.data.source import documents_of

    project, config = open_project(app)
    with progress_bars() as progress:
        needed = needed_tokens(app, config)
        tokenizer = tokenizer_to_show(project, config, needed, progress=progress)
    sides = [side for side in open_corpus(app, paths).corpus.sides() if side.use != "val"]
    documents = [each for side in sides for each in islice(documents_of(side.source), count)]
    encoder = DocumentEncoder(tokenizer, conversation_template(project, config))
    made = zip(documents, encoder.encode(documents), strict=True)
    return [_of_pair(tokenizer, encoder, *pair) for pair in made]


def _of_pair(
    tokenizer: Tokenizer, encoder: DocumentEncoder, document: Document, encoded: EncodedDocument
) -> Example:
    """The example of a document and, where it has a rejected alternative, that of it."""
    example = _example(tokenizer, document, encoded)
    if document.rejected is None:
        return example
    context = takewhile(lambda segment: not segment.loss, document.segments)
    worse = dataclasses.replace(document, segments=(*context, *document.rejected), rejected=None)
    (made,) = encoder.encode([worse])
    return dataclasses.replace(example, rejected=_example(tokenizer, worse, made))


def _example(tokenizer: Tokenizer, document: Document, encoded: EncodedDocument) -> Example:
    eos, control = tokenizer.special.eos, set(tokenizer.special.named.values())
    ids = [eos, *encoded.ids, eos]
    counted = [True] * len(encoded.ids) if encoded.counted is None else encoded.counted
    return Example(
        origin=str(document.origin),
        structure=document.meta.get("structure"),
        text=document.text,
        ids=ids,
        tokens=[spelling(tokenizer, token_id) for token_id in ids],
        # A document's end is learnt where its last token is; its beginning is the end before it.
        counted=[False, *counted, bool(counted) and counted[-1]],
        special=[token_id in control for token_id in ids],
    )


def _show(example: Example) -> None:
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    learnt = sum(example.counted)
    kind = f"{example.structure}, " if example.structure else ""
    figures = f"{kind}{len(example.ids):,} tokens, {learnt:,} of them learnt"
    console.print(f"{one_line(example.origin)}   {figures}", style="bold", markup=False)
    width = max(shutil.get_terminal_size().columns, 40)
    for line in _lines(example, width):
        console.print(line)
    if example.rejected is not None:
        for line in _answer(example.rejected, width):
            console.print(line)
    console.print()


def _lines(example: Example, width: int) -> Iterator[Text]:
    """Stretches of tokens, each line of them with a word in front that says what they are for."""
    last = len(example.ids) - 1
    inner = groupby(range(1, last), example.counted.__getitem__)
    stretches = [(_LEARNT if counted else _GIVEN, list(places)) for counted, places in inner]
    most = max(_SHOWN_TOKENS // max(len(stretches), 1), _FEWEST_SHOWN)
    yield from _stretch(example, _BEGIN, [0], width)
    for name, places in stretches:
        yield from _stretch(example, name, places[:most], width, len(places) - most)
    yield from _stretch(example, _END, [last], width)


def _answer(example: Example, width: int) -> Iterator[Text]:
    """The stretches of a rejected answer, from where what is given ends."""
    places = [place for place, counted in enumerate(example.counted[:-1]) if counted]
    yield from _stretch(example, _WORSE, places[:_SHOWN_TOKENS], width, len(places) - _SHOWN_TOKENS)


def _stretch(
    example: Example, name: str, places: Sequence[int], width: int, left_out: int = 0
) -> Iterator[Text]:
    from rich.text import Text

    margin = f"{name:<{_MARGIN}} │ "
    line, room = Text(margin), (width - len(margin)) * 0.8
    for place in places:
        token = one_line(example.tokens[place])
        if len(line) > len(margin):
            line.append(_DIVIDER, style="dim")
        line.append(token, style=_style(example, place))
        if len(line) - len(margin) > room or token.endswith(_BREAK):
            yield line
            line = Text(margin)
    if left_out > 0:
        line.append(f"… {left_out:,} more tokens", style="dim")
    if len(line) > len(margin):
        yield line


def _style(example: Example, place: int) -> str:
    if example.special[place]:
        return _SPECIAL_STYLE
    return "green" if example.counted[place] else "dim"
