"""Scoring a finished model on any text, in its own tokenizer."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path

from create_llm.config import Config
from create_llm.data.preparation.ingredients import tokenizer_sha256
from create_llm.data.preparation.prepared import open_prepared
from create_llm.data.preparation.shard_writer import ShardWriter
from create_llm.data.shards import TokenShards
from create_llm.data.split import utf8_size
from create_llm.data.tokenizer_files import load_tokenizer
from create_llm.data.windows import SlidingWindows
from create_llm.errors import DataError
from create_llm.models.evaluation import Score, evaluate
from create_llm.models.loaded import LoadedModel
from create_llm.project.folder import Project

BATCH = 8


def score_documents(model: LoadedModel, texts: Iterable[str], stride: int | None = None) -> Score:
    """The score over all documents, each begun and ended as in training.

    Args:
        stride: tokens from one window to the next; None: as many as a window has, so that each
            token is read once. Fewer give each token more of the text before it, in more time.
    """
    objective = model.objective
    with tempfile.TemporaryDirectory(prefix="create-llm-") as folder:
        shards = _shards(model, texts, Path(folder) / "text")
        return evaluate(
            model.module,
            objective,
            SlidingWindows(
                shards,
                objective.window(model.context),
                shared=objective.shared,
                stride=stride,
                isolated=model.isolated,
            ),
            text_bytes=shards.bytes,
            batch_size=BATCH,
            device=model.device,
            precision="fp32",
        )


def _shards(model: LoadedModel, texts: Iterable[str], folder: Path) -> TokenShards:
    tokenizer = model.tokenizer
    with ShardWriter(folder, tokenizer.vocab_size, tokenizer.special.eos) as writer:
        for text in texts:
            writer.add(tokenizer.encode_batch([text])[0], None, utf8_size(text))
        writer.close()
    return TokenShards.open(folder)


def validation_documents(project: Project, config: Config) -> Iterator[str]:
    """The texts of the prepared validation part, as they were before they became tokens.

    Raises:
        DataError: nothing has been prepared yet.
    """
    tokenizer = load_tokenizer(config.tokenizer.part, project.tokenizer)
    prepared = open_prepared(project.processed)
    if prepared.tokenizer != tokenizer_sha256(tokenizer):
        raise DataError(
            "the prepared data was made with another tokenizer than tokenizer/ holds now",
            where=str(project.processed),
            fixes=("prepare it again: llm data prepare", "or score a file: --text FILE"),
        )
    shards = prepared.val
    starts = [*shards.document_starts(0, shards.documents).tolist(), shards.tokens]
    for start, stop in pairwise(starts):
        yield tokenizer.decode(shards.read(start, stop).tolist())
