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


SETTINGS = (
    "data.chat_template=chatml",
    "data.packing=isolated",
    "objective.name=sft",
    "tokenizer.vocab_size=400",
    "model.layers=1",
    "model.dim=32",
    "model.heads=2",
)


def trained_with(*more: str) -> list[str]:
    return [word for value in (*SETTINGS, *more) for word in ("--set", value)]


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
    done = llm("train", "--max-steps", "2", *trained_with(), cwd=project)
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


def samples_of(project: Path) -> list[str]:
    """The prompts of the latest run's samples."""
    events = max((project / "logs").glob("*/events.jsonl")).read_text(encoding="utf-8")
    told = map(json.loads, events.splitlines())
    return [event["prompt"] for event in told if event["event"] == "sample"]


def test_samples_answer_the_first_question_of_the_validation_part(trained: Path) -> None:
    shards = open_prepared(trained / "data" / "processed").val
    tokenizer = create_llm.load(trained).loaded.tokenizer
    first = tokenizer.decode(shards.read(0, 40).tolist())
    [prompt] = samples_of(trained)
    assert prompt.startswith("What is ")
    assert prompt in first


def test_the_list_of_runs_says_what_was_scored(trained: Path, llm: CommandLine) -> None:
    assert "scored on the answers alone" in llm("runs", "list", cwd=trained).stderr


def test_a_prompt_of_a_persons_own_is_asked_as_a_turn(
    trained: Path, llm: CommandLine, tmp_path: Path
) -> None:
    project = shutil.copytree(trained, tmp_path / "own")
    shutil.copytree(project / "models" / "v1", tmp_path / "other")
    models = ("compare", "v1", str(tmp_path / "other"), "--json", "--max-new-tokens", "4")
    found = json.loads(llm(*models, *trained_with(), cwd=project).stdout)
    assert found["prompts"] == [samples_of(trained)[0].strip()]
    assert all(model["conversation"] for model in found["models"])
    assert "answers alone" in found["notes"][0]

    (project / "evaluation" / "prompts.txt").write_text("Who are you?\n")
    more = ("generation.min_p=0.25", "generation.repetition_penalty=1.5")
    settings = trained_with("generation.prompt=Who are you?", *more)
    done = llm("train", "--max-steps", "3", *settings, cwd=project)
    assert done.returncode == 0, done.stderr
    assert samples_of(project) == ["Who are you?\n"]
    defaults = create_llm.load(project).bundle.sampling_defaults()
    assert (defaults["min_p"], defaults["repetition_penalty"]) == (0.25, 1.5)
    found = json.loads(llm(*models, *trained_with(), cwd=project).stdout)
    assert found["prompts"] == ["Who are you?"]


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
