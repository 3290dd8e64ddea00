"""What a person meets who uses the commands for the first time, mistakes included."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

import create_llm
from create_llm.cli import main
from create_llm.errors import ConfigError, CreateLLMError
from create_llm.kernel.plugins import default_plugins
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
