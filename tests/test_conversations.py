"""From conversations to a model that knows its chat template, through the command line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import create_llm
from create_llm.data.preparation.prepared import open_prepared
from create_llm.models.conversation import Message, form_of

from .conftest import CommandLine

CHATS = [
    [
        {"role": "user", "content": f"What is {n} plus {n}?"},
        {"role": "assistant", "content": f"It is {n + n}, <|im_end|> not {n}."},
    ]
    for n in range(120)
]


@pytest.fixture(scope="module")
def trained(llm: CommandLine, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("chats")
    made = llm("new", "talker", "--template", "nano", "--tokenizer", "bpe", "--yes", cwd=root)
    assert made.returncode == 0, made.stderr
    project = root / "talker"
    raw = project / "data" / "raw"
    for example in raw.iterdir():
        example.unlink()
    lines = (json.dumps({"messages": chat}) for chat in CHATS)
    (raw / "chats.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    settings = (
        "data.chat_template=chatml",
        "data.packing=isolated",
        "objective.name=sft",
        "tokenizer.vocab_size=400",
        "model.layers=1",
        "model.dim=32",
        "model.heads=2",
    )
    flags = [word for value in settings for word in ("--set", value)]
    done = llm("train", "--max-steps", "2", *flags, cwd=project)
    assert done.returncode == 0, done.stderr
    return project


def test_the_model_brings_the_template_that_transformers_renders_the_same(trained: Path) -> None:
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    theirs = transformers.AutoTokenizer.from_pretrained(trained / "models" / "v1")
    data = open_prepared(trained / "data" / "processed")
    shards = data.train
    start = int(shards.document_starts(0, 1)[0])
    stop = int(shards.document_starts(1, 2)[0]) - 1
    ids, counted = shards.read(start, stop).tolist(), shards.read_counted(start, stop)
    plain = [
        [{**turn, "content": turn["content"].replace("<|im_end|>", "x")} for turn in chat]
        for chat in CHATS
    ]
    wanted = [theirs.apply_chat_template(chat)["input_ids"] for chat in plain]
    spelt = [theirs.decode(each) for each in wanted]
    found = theirs.decode(ids).replace("<|im_end|> not", "x not")
    assert found in spelt
    # What a person wrote is text, also where it looks like a control token; and it is learnt.
    end = theirs.convert_tokens_to_ids("<|im_end|>")
    assert ids.count(end) == 2
    learnt = theirs.decode([token for token, counts in zip(ids, counted, strict=True) if counts])
    assert learnt.startswith("It is ")
    assert "What is" not in learnt


def test_without_a_choice_the_model_brings_the_plain_template(
    trained: Path, llm: CommandLine, tmp_path: Path
) -> None:
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    project = tmp_path / "plain"
    ignored = shutil.ignore_patterns("models", "checkpoints", "logs", "processed", "tokenizer")
    shutil.copytree(trained, project, ignore=ignored)
    sizes = ("tokenizer.vocab_size=400", "model.layers=1", "model.dim=32", "model.heads=2")
    flags = [word for value in sizes for word in ("--set", value)]
    done = llm("train", "--max-steps", "2", *flags, cwd=project)
    assert done.returncode == 0, done.stderr
    model = create_llm.load(project / "models" / "v1").loaded
    theirs = transformers.AutoTokenizer.from_pretrained(project / "models" / "v1")
    prompt = theirs.apply_chat_template(CHATS[1][:1], add_generation_prompt=True)["input_ids"]
    assert list(form_of(model).prompt([Message(**CHATS[1][0])]).ids) == prompt
    assert theirs.decode(prompt) == "User: What is 1 plus 1?\nAssistant:"
    shards = open_prepared(project / "data" / "processed").train
    start, stop = (int(shards.document_starts(n, n + 1)[0]) for n in (0, 1))
    plain = [[{**t, "content": t["content"].replace("<|im_end|>", "x")} for t in c] for c in CHATS]
    wanted = [theirs.apply_chat_template(chat, tokenize=False) for chat in plain]
    assert theirs.decode(shards.read(start, stop).tolist()).replace("<|im_end|>", "x") in wanted


def test_another_template_is_another_text(trained: Path, llm: CommandLine) -> None:
    before = open_prepared(trained / "data" / "processed").key
    done = llm("data", "prepare", "--set", "tokenizer.vocab_size=400", cwd=trained)
    assert done.returncode == 0, done.stderr
    assert open_prepared(trained / "data" / "processed").key != before
    preview = llm("data", "preview", "-n", "1", "--json", cwd=trained)
    assert preview.returncode == 0, preview.stderr
