"""Nothing of transformers' own stands between the lines of a verb."""

from __future__ import annotations

from pathlib import Path

import pytest
from plugins.hf_plugin.tests.theirs import KINDS, save
from transformers.utils import logging

from create_llm_hf.architecture import TransformersCausalLM
from create_llm_hf.architecture_config import TransformersConfig
from create_llm_hf.tokenizer_files import tokenizer_files


def built(folder: Path) -> None:
    TransformersCausalLM().build(TransformersConfig(hf=KINDS["gpt_neox"]), 300)


def converted(folder: Path) -> None:
    model = save(folder / "model", "llama")
    (model / "tokenizer.json").rename(folder / "tokenizer.json")
    with pytest.raises(Exception, match="tokenizer"):
        tokenizer_files(model, {})


@pytest.mark.parametrize("used", [built, converted])
@pytest.mark.parametrize("asked", [False, True])
def test_notes_are_for_those_who_ask_for_them(tmp_path, capfd, monkeypatch, used, asked):
    monkeypatch.delenv("TRANSFORMERS_VERBOSITY", raising=False)
    if asked:
        monkeypatch.setenv("TRANSFORMERS_VERBOSITY", "warning")
    used(tmp_path)  # loads what is loaded once
    logging.set_verbosity_warning()
    logging.enable_progress_bar()
    (tmp_path / "again").mkdir()
    used(tmp_path / "again")
    capfd.readouterr()
    logging.get_logger("transformers.anything").warning("a note")
    assert ("a note" in capfd.readouterr().err) == asked
    assert logging.is_progress_bar_enabled() == asked
