"""Bars end at all of it, however wrong the guess of how much there is."""

import json

import pytest

from create_llm.config import load_config
from create_llm.data.pipeline import data_source, ensure_data, ensure_tokenizer
from create_llm.kernel.plugins import default_plugins
from create_llm.project.folder import Project

ROWS = [
    {"question": f"what is {n}?", "answer": "it is more than " + "one and " * n, "id": "x" * n}
    for n in range(200)
]


@pytest.fixture
def project(tmp_path):
    (tmp_path / "llm.toml").write_text(
        '[project]\ntemplate = "nano"\n[data]\ndeduplicate = true\n'
        '[tokenizer]\nname = "bpe"\nvocab_size = 300\n'
    )
    raw = tmp_path / "data" / "raw"
    raw.mkdir(parents=True)
    rows = "".join(json.dumps(row) + "\n" for row in ROWS)
    (raw / "rows.jsonl").write_text(rows + rows)
    return Project(tmp_path)


def test_every_stage_ends_at_all_of_it(project):
    config = load_config(project.root, default_plugins(), environ={})
    ended = {}

    def progress(stage, done, total):
        ended[stage] = (done, total)

    tokenizer = ensure_tokenizer(project, config, progress=progress)
    ensure_data(project, config, tokenizer, progress=progress)
    assert set(ended) == {"training the tokenizer", "encoding the text"}
    guess = data_source(project, config).total_bytes()
    for done, total in ended.values():
        assert 0 < done == total != guess
