"""Windows of the span objective are longer or shorter than what the model reads."""

from __future__ import annotations

import json

import pytest
from tests.journey import flags, llm, sentences

SMALL = {
    "model.layers": 1,
    "model.heads": 2,
    "model.dim": 16,
    "tokenizer.vocab_size": 400,
    "training.batch_size": 2,
    "training.gradient_accumulation_steps": 1,
    "generation.max_new_tokens": 2,
}


@pytest.mark.parametrize("length", [4, 32])
def test_an_epoch_reads_each_token_once(tmp_path, length):
    llm(tmp_path, "new", "p", "--template", "t5", "--yes")
    (tmp_path / "p" / "data" / "raw" / "a.txt").write_text(sentences(200), encoding="utf-8")
    words = ("--max-seq-length", length, "--max-steps", 2, "--json", *flags(SMALL))
    summary = json.loads(llm(tmp_path / "p", "train", *words).stdout)
    prepared = json.loads(llm(tmp_path / "p", "data", "prepare", "--json", *flags(SMALL)).stdout)
    windows = round(summary["steps"] * SMALL["training.batch_size"] / summary["epochs"])
    size = {4: 3, 32: 34}[length]  # what the span objective makes of these lengths
    assert windows == -(-prepared["train"]["tokens"] // size)
