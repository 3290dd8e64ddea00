"""What a person meets who uses the commands for the first time, mistakes included."""

from __future__ import annotations

import io
import json
import re
import shutil
from pathlib import Path

import pytest
import torch

import create_llm
from create_llm.api import sampling_of
from create_llm.cli import main
from create_llm.cli.chat import _without_space_behind
from create_llm.cli.chat_session import Session
from create_llm.errors import ConfigError, CreateLLMError
from create_llm.kernel.plugins import default_plugins
from create_llm.models.bundle import WEIGHTS
from create_llm.models.loaded import _device
from create_llm.runs.lock import RunLock
from create_llm.runs.run import run_folder

REGISTRY = default_plugins().registry
if "gpt" not in REGISTRY.names("architectures") or "bpe" not in REGISTRY.names("tokenizers"):
    pytest.skip("gpt and bpe are not installed", allow_module_level=True)

CONFIG = """\
[model]
name = "gpt"
max_length = 64
layers = 1
heads = 2
dim = 32
[tokenizer]
name = "bpe"
vocab_size = 300
[training]
batch_size = 8
max_steps = 2
warmup_steps = 1
eval_interval = 2
save_interval = 2
compile = "off"
"""
NOWHERE = "20200101-000000"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    root = tmp_path_factory.mktemp("project")
    new_project(root)
    create_llm.train(root)
    return root


def new_project(root):
    (root / "llm.toml").write_text(CONFIG)
    (root / "data" / "raw").mkdir(parents=True)
    lines = (f"the cat sat on the mat {i} times" for i in range(300))
    (root / "data" / "raw" / "a.txt").write_text("\n".join(lines))


@pytest.fixture
def run(capsys):
    """stdout and stderr of a command that must end with `code`."""

    def run(root, *arguments, code=0):
        with pytest.raises(SystemExit) as ended:
            main(["-C", str(root), *arguments])
        output = capsys.readouterr()
        assert ended.value.code == code, output.err
        assert "bug in create-llm" not in output.err
        return output

    return run


def test_a_stride_beyond_the_window(project, run):
    told = run(project, "evaluate", "--stride", "9999", code=2).err
    assert "must be from 1 to 64" in told
    assert "where: --stride" in told
    run(project, "evaluate", "--stride", "64")


@pytest.mark.parametrize(
    ("arguments", "where"),
    [
        (("evaluate", "--stride", "9999"), "--stride"),
        (("generate", "--temperature", "-1"), "--temperature"),
        (("chat", "--top-p", "7"), "--top-p"),
        (("generate", "--max-new-tokens", "0"), "--max-new-tokens"),
        (("evaluate", "--device", "mps"), "--device"),
        (("generate", "--device", "mps", "--engine", "torch"), "--device"),
    ],
)
def test_numbers_are_refused_before_the_model_is_loaded(
    project, tmp_path, run, monkeypatch, arguments, where
):
    without(monkeypatch, "cuda", "mps")
    shutil.copytree(project / "models" / "v1", tmp_path / "v1")
    (tmp_path / "v1" / WEIGHTS).unlink()
    verb, *rest = arguments
    told = run(project, verb, str(tmp_path / "v1"), *rest, code=2).err
    assert f"where: {where}\n" in told
    assert told.startswith("Error: ")


def without(monkeypatch, *names):
    """A machine that lacks these devices and has all others."""
    for name, module in (("cuda", torch.cuda), ("mps", torch.backends.mps)):
        monkeypatch.setattr(module, "is_available", lambda here=name not in names: here)


@pytest.mark.parametrize(
    ("lacking", "chosen"), [((), "cuda"), (("cuda",), "mps"), (("cuda", "mps"), "cpu")]
)
def test_auto_is_the_fastest_device_as_it_is_in_training(monkeypatch, lacking, chosen):
    without(monkeypatch, *lacking)
    assert _device("auto") == torch.device(chosen)
    assert _device("cpu") == torch.device("cpu")
    for name in ("cuda", "mps"):
        if name not in lacking:
            assert _device(name) == torch.device(name)
            continue
        with pytest.raises(ConfigError, match="there is no usable GPU here"):
            _device(name)
    with pytest.raises(ConfigError, match="no device called 'tpu'") as refused:
        _device("tpu")
    assert refused.value.fixes == ("choose one of: auto, cuda, mps, cpu",)


def test_an_empty_name_is_of_no_run(project, run):
    told = run(project, "runs", "show", "", code=2).err
    assert told.startswith("Error: there is no run or version called ''\n")
    assert "try: see them: llm runs list" in told
    assert "did you mean" not in told


def test_what_cannot_be_scored(project, tmp_path, run):
    (tmp_path / "program").write_bytes(b"\x7fELF\x00\xff\x00")
    (tmp_path / "latin").write_bytes("Käse".encode("latin1"))

    def told(name):
        return run(project, "evaluate", "--text", str(tmp_path / name), code=65).err

    (tmp_path / "utf-16").write_bytes("Käse".encode("utf-16"))
    assert "iconv" not in told("program")
    assert "is not text" in told("program")
    assert "iconv -f utf-16" in told("utf-16")
    assert "iconv -f latin1" in told("latin")
    assert "did you mean 'program'?" in told("progam")
    assert "is a folder" in told("")
    run(project, "compare", "v1", str(project / "models" / "v1"), "--text", "nope", code=65)


def test_a_prompt_without_its_option(project, run):
    told = run(project, "generate", "ROMEO:", code=2).err
    assert "try: a prompt needs its option: llm generate --prompt ROMEO:" in told
    assert "--prompt" not in run(project, "generate", "ROMEO:", "--prompt", "a", code=2).err


def test_nearly_a_model(project, run):
    assert "did you mean 'v1'?" in run(project, "generate", "V1", code=2).err
    told = run(project, "generate", "../nope", code=2).err
    assert f"where: {project.parent / 'nope'}" in told


def test_no_model_while_a_run_is_under_way(tmp_path, run):
    new_project(tmp_path)
    assert "try: train one" in run(tmp_path, "generate", code=2).err
    folder = run_folder(tmp_path / "logs", tmp_path / "checkpoints", NOWHERE)
    folder.path.mkdir(parents=True)
    event = {"time": "2020-01-01T00:00:00.000Z", "session": 1}
    events = [
        {**event, "event": "train_start", "step": 0, "total_steps": 150},
        {**event, "event": "step", "step": 130},
    ]
    (folder.path / "run.json").write_text("{}")
    folder.events.write_text("".join(f"{json.dumps(each)}\n" for each in events))
    with RunLock(folder.path):
        for verb in ("generate", "chat", "evaluate"):
            told = run(tmp_path, verb, code=2).err
            assert "a run is under way (130 of 150)" in told
            assert "llm train" not in told
        row = json.loads(run(tmp_path, "runs", "list", "--json").out)["runs"][0]
        assert row["steps"] == 130
        assert "0.0 MB" not in run(tmp_path, "runs", "list").out


def test_problems_of_several_kinds_of_rows(tmp_path, run):
    exchange = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi"}]
    chats = [{"messages": exchange}] * 5 + [
        {"messages": []},
        {"mesages": exchange[:0]},
        {"conversations": exchange},
    ]
    pairs = [{"question": f"{i}?", "answer": "yes"} for i in range(5)]
    pairs += [{"question": "", "answer": "a"}, {"question": "a?", "answer": " "}]
    for name, rows in (("chats", chats), ("pairs", pairs)):
        text = "".join(f"{json.dumps(row)}\n" for row in rows)
        (tmp_path / f"{name}.jsonl").write_text(text)
    told = run(tmp_path, "data", "check", str(tmp_path)).out
    tries = dict(re.findall(r":\d+: (.*)\n  try: (.*)", told))
    assert tries["'question' is empty"] == "fill it in, or remove the row"
    assert tries["'answer' is empty"] == "fill it in, or remove the row"
    assert tries["'messages' is empty"].startswith("write [{")
    assert "did you mean 'messages' by 'mesages'?" in tries["'messages' is missing"]
    assert "'messages' is missing: this row is in another form ('conversations')" in tries


def test_few_problems_are_all_shown(tmp_path, run):
    names = ("text", "content", "body", "document", "article", "story", "passage")
    for name in names:
        rows = [{name: f"Sentence {i} of a {name} tells of geese."} for i in range(9)]
        rows += [{name: ""}, {name: None}]
        text = "".join(f"{json.dumps(row)}\n" for row in rows)
        (tmp_path / f"{name}.jsonl").write_text(text)
    told = run(tmp_path, "data", "check", str(tmp_path)).out
    assert "of other kinds" not in told
    assert all(f"'{name}' is {what}" in told for name in names for what in ("empty", "missing"))


def test_from_python(project):
    model = create_llm.load(project, engine="torch")
    options = {"max_new_tokens": 4, "temperature": 0}
    one, other = model.generate(["the cat", "the mat"], **options)
    assert (one, other) == tuple(model.generate(each, **options) for each in ("the cat", "the mat"))
    asked = [{"role": "user", "content": "hi"}]
    assert model.chat("hi", **options) == model.chat(asked, **options)
    assert model.generate(**options) == "".join(model.stream(**options))


@pytest.mark.parametrize(
    ("call", "where"),
    [
        (lambda model: model.generate(""), "prompt"),
        (lambda model: model.generate(["a", ""]), "prompt"),
        (lambda model: model.generate("a", temperature=-1), "temperature"),
        (lambda model: model.generate("a", temprature=1), "temprature"),
        (lambda model: model.chat([{"role": "user", "text": "hi"}]), "messages"),
        (lambda model: model.chat(["hi"]), "messages"),
        (lambda model: create_llm.load(model.bundle.path, engine="toch"), "engine"),
        (lambda model: create_llm.load(model.bundle.path, device="gpu"), "device"),
    ],
)
def test_mistakes_in_python_are_told_without_flags(project, call, where):
    with pytest.raises(ConfigError) as told:
        call(create_llm.load(project, engine="torch"))
    assert told.value.where == where
    assert "--" not in str(told.value)


def test_the_command_line_names_its_options(project, run):
    for option, value in (("--temperature", "-1"), ("--max-new-tokens", "0"), ("--engine", "toch")):
        assert f"where: {option}\n" in run(project, "generate", option, value, code=2).err
    told = run(project, "generate", "--stop", "", code=2).err
    assert "stop must be text that is not empty\n" in told
    assert "auto" in run(project, "generate", "--engine", "toch", code=2).err


def test_what_was_drawn_can_be_had_again(project, run):
    arguments = ("generate", "--prompt", "the", "--max-new-tokens", "8", "--json", "--engine")
    told = json.loads(run(project, *arguments, "torch").out)
    assert told["engine"] == "torch"
    assert told["model"] == str(project / "models" / "v1")
    again = json.loads(run(project, *arguments, "torch", "--seed", str(told["seed"])).out)
    assert again["results"][0]["text"] == told["results"][0]["text"]
    twice = json.loads(run(project, *arguments, "torch", "--prompt", "the").out)
    assert twice["seed"] is None


@pytest.fixture
def session(project, tmp_path):
    model = create_llm.load(project, engine="torch")
    return Session(model, sampling_of(model.bundle), tmp_path)


def test_commands_of_the_chat(session, capsys, tmp_path):
    session.obey("/set temperature 0.5")
    session.obey("/settings stop .")
    told = capsys.readouterr().err
    assert "temperature         0.5" in told
    assert "('.',)" in told
    for line, meant in (("/sytem", "/system?"), ("/s", "/system or /save or /settings?")):
        with pytest.raises(ConfigError, match=f"did you mean {re.escape(meant)}"):
            session.obey(line)
    with pytest.raises(ConfigError, match=r"there are: .*, stop"):
        session.obey("/settings nothing 1")
    (tmp_path / "file").touch()
    with pytest.raises(CreateLLMError) as refused:
        session.obey("/save file/talk.json")
    assert refused.value.fixes == ("name another file",)


def test_an_answer_is_shown_without_space_behind():
    assert list(_without_space_behind(["a\n", "\n", "b", " \n", "\n\n"])) == ["a", "\n\nb"]
    assert list(_without_space_behind(["\n", "\n"])) == []


def test_an_empty_answer_is_told(project, run, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"hi\n")))
    monkeypatch.setattr(Session, "answer", lambda *given: (piece for piece in ["\n"] * 20))
    said = run(project, "chat", "--engine", "torch")
    assert said.out == "\n"
    assert "(an empty answer)" in said.err


@pytest.fixture(scope="module")
def conversations(tmp_path_factory):
    """A project of conversations whose template nobody chose."""
    root = tmp_path_factory.mktemp("conversations")
    new_project(root)
    (root / "data" / "raw" / "a.txt").unlink()
    rows = [
        {"messages": [turn("user", f"How many are {i}?"), turn("assistant", f"There are {i}.")]}
        for i in range(60)
    ]
    (root / "data" / "raw" / "a.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return root


def turn(role, text):
    return {"role": role, "content": text}


def test_a_model_of_conversations_is_known_as_one(conversations, run):
    trained = run(conversations, "train", "--set", "objective.name=sft")
    assert trained.err.count("written out by the template 'plain'") == 1
    assert "Next: llm chat" in trained.out
    shown = run(conversations, "runs", "show").out
    assert re.search(r"^objective +sft$", shown, re.MULTILINE)
    assert re.search(r"^chat template +plain$", shown, re.MULTILINE)


def test_answers_that_are_not_there_to_learn(tmp_path, run):
    new_project(tmp_path)
    trained = run(tmp_path, "train", "--set", "objective.name=sft")
    assert trained.err.count("this text holds none") == 1
    assert "Next: llm generate" in trained.out


def test_the_size_of_a_model_is_that_of_its_files(project, run):
    bundle = project / "models" / "v1"
    before = list(bundle.iterdir())
    (bundle / "of-an-engine").write_bytes(bytes(10**6))
    arguments = ("compare", "v1", str(bundle), "--prompt", "a", "--max-new-tokens", "1")
    try:
        told = json.loads(run(project, *arguments, "--json", "--engine", "torch").out)
    finally:
        (bundle / "of-an-engine").unlink()
    written = sum(
        path.stat().st_size for path in before if path.is_file() and path.name != "manifest.json"
    )
    assert [model["bytes"] for model in told["models"]] == [written, written]
    assert "0.1 MB" in run(project, *arguments, "--engine", "torch").out
    create_llm.train(project, seed=2)
    assert re.search(r"^size .* MB", run(project, "runs", "diff", "v1", "v2").out, re.MULTILINE)


def test_a_picture_of_nothing_says_so(tmp_path, run):
    new_project(tmp_path)
    assert "the picture shows nothing" in run(tmp_path, "runs", "plot").err


def test_an_archive_can_be_deleted(project, run):
    name = Path(create_llm.train(project, seed=3)["model"]).name
    run(project, "runs", "archive", name, "--force")
    told = run(project, "runs", "remove", name, code=2).err
    assert f"rm {project / 'models' / 'archive' / name}.tar.gz" in told


def test_benchmarks_without_a_task(project, run):
    pytest.importorskip("create_llm_lm_eval")
    assert "--tasks hellaswag" in run(project, "lm-eval", code=2).err
