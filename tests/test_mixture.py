"""Several sources mixed by weight, through the command line."""

from __future__ import annotations

import json
import signal
import sys

import pytest

from create_llm.data.mixed_order import apportioned
from create_llm.data.preparation.prepared import open_prepared
from tests.journey import SETTINGS, flags, sentences
from tests.zygote import Zygote, wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks")

TOML = """\
[project]
template = "nano"

[model]
name = "gpt"

[tokenizer]
name = "byte"

[data.mix.books]
weight = 3
train_path = "data/books"

[data.mix.letters]
train_path = "data/letters.jsonl"
"""
FLAGS = flags({key: value for key, value in SETTINGS.items() if not key.startswith("tokenizer")})
RARELY = flags(
    {"training.compile": "off", "training.save_interval": 8, "training.eval_interval": 40}
)
TRAIN = ("train", "--max-steps", 40, *FLAGS, *RARELY)


@pytest.fixture(scope="module")
def zygote(tmp_path_factory):
    with Zygote(tmp_path_factory.mktemp("overlay")) as zygote:
        yield zygote


def project_in(root):
    """A project of books, and of letters about half as long."""
    (root / "data" / "books").mkdir(parents=True)
    (root / "data" / "books" / "one.txt").write_text(sentences(800))
    rows = ({"text": f"Dear {n}, {line}"} for n, line in enumerate(sentences(300).splitlines()))
    (root / "data" / "letters.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (root / "llm.toml").write_text(TOML)
    return root


@pytest.fixture(scope="module")
def trained(zygote, tmp_path_factory):
    """A project with a run in it, and what that said."""
    root = project_in(tmp_path_factory.mktemp("mixed") / "p")
    return root, zygote.run(root, *TRAIN)


def weights(root, version="v1"):
    return (root / "models" / version / "model.safetensors").read_bytes()


def last_line(output):
    return json.loads(output.splitlines()[-1])


def test_the_plan_and_the_run_say_how_often_each_source_is_read(zygote, trained):
    root, said = trained
    mixed = open_prepared(root / "data" / "processed").mixed
    windows = [-(-(each.train.tokens - 1) // 32) for each in mixed.values()]
    shares = apportioned([3, 1], sum(windows))
    books, letters = (share / count for share, count in zip(shares, windows, strict=True))
    words = f"an epoch reads books {books:.1f} times and letters {letters:.1f} times"
    assert words in said
    assert words in " ".join(zygote.run(root, "train", "--plan", *FLAGS).split())


def test_a_killed_run_goes_on_to_the_same_bytes_and_refuses_other_weights(
    zygote, trained, tmp_path
):
    root = project_in(tmp_path / "p")
    child = zygote.start(root, *TRAIN)
    wait_until(lambda: list(root.glob("checkpoints/*/step-*")) or child.ended())
    child.signal(signal.SIGKILL)
    assert child.code() == -signal.SIGKILL, child.output
    refused = zygote.run(root, *TRAIN, "--set", "data.mix.books.weight=2", code=2)
    assert "data.mix.books.weight: 3.0 then, 2.0 now" in refused
    zygote.run(root, *TRAIN)
    assert len(list(root.glob("logs/*/"))) == 1
    assert weights(root) == weights(trained[0])


def test_other_weights_make_another_model_of_the_same_tokens(zygote, trained):
    root, _ = trained
    other = (*FLAGS, "--set", "data.mix.books.weight=0.5")
    assert last_line(zygote.run(root, "data", "prepare", "--json", *other))["cached"]
    zygote.run(root, *TRAIN, "--resume", "never", *other)
    assert weights(root, "v2") != weights(root)


def test_check_and_preview_show_every_source(zygote, trained):
    root, _ = trained
    shown = zygote.run(root, "data", "check")
    assert "books: data/books/one.txt" in shown
    assert "letters: data/letters.jsonl" in shown
    previews = last_line(zygote.run(root, "data", "preview", "-n", "1", "--json", *FLAGS))
    origins = [each["origin"] for each in previews["documents"]]
    assert origins == ["data/books/one.txt:1", "data/letters.jsonl:1"]


def test_a_path_on_the_command_line_is_read_instead(zygote, trained):
    root, _ = trained
    files = last_line(zygote.run(root, "data", "check", "data/books", "--json"))["files"]
    assert [(file["path"], file["mixed"]) for file in files] == [("data/books/one.txt", None)]


def test_run_json_holds_the_mixture(trained):
    root, _ = trained
    manifest = json.loads(min(root.glob("logs/*/run.json")).read_text())
    assert manifest["identity"]["data.mix.books.weight"] == 3.0
    assert manifest["config"]["data"]["mix"]["letters"]["train_path"] == "data/letters.jsonl"
