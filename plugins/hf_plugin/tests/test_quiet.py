"""Nothing of transformers' own stands between the lines of a verb."""

from __future__ import annotations

from pathlib import Path

import pytest
from plugins.hf_plugin.tests.theirs import KINDS
from transformers.utils import logging

from create_llm.errors import DataError
from create_llm_hf.architecture import TransformersCausalLM
from create_llm_hf.architecture_config import TransformersConfig
from create_llm_hf.tokenizer_files import tokenizer_files


def built(folder: Path) -> None:
    TransformersCausalLM().build(TransformersConfig(hf=KINDS["gpt_neox"]), 300)


def converted(folder: Path) -> None:
    (folder / "config.json").write_text("{}", "utf-8")
    (folder / "tokenizer.model").write_bytes(b"none")
    with pytest.raises(DataError, match="tokenizer"):
        tokenizer_files(folder, {})


@pytest.mark.parametrize("used", [built, converted])
@pytest.mark.parametrize("asked", [False, True])
def test_notes_are_for_those_who_ask_for_them(tmp_path, monkeypatch, used, asked):
    monkeypatch.delenv("TRANSFORMERS_VERBOSITY", raising=False)
    if asked:
        monkeypatch.setenv("TRANSFORMERS_VERBOSITY", "warning")
    logging.set_verbosity_warning()
    logging.enable_progress_bar()
    used(tmp_path)
    assert logging.get_verbosity() == (logging.WARNING if asked else logging.ERROR)
    assert logging.is_progress_bar_enabled() == asked
