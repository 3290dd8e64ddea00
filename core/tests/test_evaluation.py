"""`llm evaluate` on a model whose tokenizer does not read."""

import json

import pytest
from click.testing import CliRunner

from create_llm.cli.app import App
from create_llm.cli.evaluate import command
from create_llm.kernel.plugins import default_plugins
from create_llm.models.evaluation import Score
from create_llm.storage.durable import Storage
from create_llm.testing.bundles import write_bundle

MODEL = {"name": "gpt", "layers": 1, "heads": 2, "dim": 32, "max_length": 32}
TOKENIZER = {"name": "bpe", "vocab_size": 300}


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    registry = default_plugins().registry
    return write_bundle(tmp_path_factory.mktemp("of") / "v1", registry, MODEL, TOKENIZER)


def hollow(sound, folder):
    """The same model with a tokenizer that knows its control tokens and no text."""
    with Storage().commit(folder) as writer:
        for path in sound.files():
            if path.name == "tokenizer.json":
                written = json.loads(path.read_text("utf-8"))
                known = {token["content"] for token in written["added_tokens"]}
                vocab = written["model"]["vocab"]
                written["model"]["vocab"] = {k: v for k, v in vocab.items() if k in known}
                written["model"]["merges"] = []
                writer.write_json(path.name, written)
            elif path.name != "manifest.json":
                writer.write(path.name, [path.read_bytes()])
    return folder


def evaluate(model, root):
    (root / "text.txt").write_text("The quick brown fox jumps over the lazy dog. " * 20)
    app = App(default_plugins(), root, ())
    words = [str(model), "--text", "text.txt", "--json"]
    return CliRunner().invoke(command, words, obj=app, catch_exceptions=False)


def test_a_text_that_the_tokenizer_passes_over_is_told(sound, tmp_path):
    done = evaluate(hollow(sound, tmp_path / "v2"), tmp_path)
    assert "passes most of the text over" in done.stderr
    assert json.loads(done.stdout)["tokens"] < 5


def test_a_text_that_it_reads_is_not(sound, tmp_path):
    assert evaluate(sound.path, tmp_path).stderr == ""


@pytest.mark.parametrize(
    ("tokens", "size", "told"),
    [(1, 30, False), (100, 500, False), (1, 1_000, True), (0, 10, True), (5, None, False)],
)
def test_which_figures_say_nothing(tokens, size, told):
    assert Score(1.0, tokens, size, 0.0).passes_text_over is told
