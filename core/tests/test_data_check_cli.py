"""`llm data check` and `llm data preview`, and what `llm data prepare` says of what is left out."""

from __future__ import annotations

import json

import pytest

import create_llm
from create_llm.cli import main
from create_llm.project.folder import Project

LLM_TOML = """
[model]
name = "gpt"
[data]
source = "text"
[tokenizer]
name = "bpe"
vocab_size = 320
"""
SENTENCES = "".join(f"Sentence {n} tells of {n * n} geese and their keeper.\n" for n in range(300))


def chat(number):
    turns = [("user", f"How many geese has keeper {number}?"), ("assistant", f"He has {number}.")]
    return json.dumps({"messages": [{"role": role, "content": text} for role, text in turns]})


@pytest.fixture
def project(tmp_path):
    (tmp_path / "llm.toml").write_text(LLM_TOML)
    made = Project(tmp_path)
    made.raw.mkdir(parents=True)
    (made.raw / "geese.txt").write_text(SENTENCES)
    return made


@pytest.fixture
def chats(project):
    (project.raw / "geese.txt").unlink()
    rows = [chat(number) for number in range(100)]
    rows[10:10] = ['{"messages": [{"role": "user", "content": "torn'] * 7
    (project.raw / "chats.jsonl").write_text("\n".join(rows) + "\n")
    return project


def run(capsys, root, *arguments, code=0):
    """stdout and stderr of a command that must end with `code`."""
    with pytest.raises(SystemExit) as ended:
        main(["-C", str(root), *arguments])
    output = capsys.readouterr()
    assert ended.value.code == code, output.err
    assert "Traceback" not in output.err
    return output


def check(capsys, root, *arguments, code=0):
    return json.loads(run(capsys, root, "data", "check", "--json", *arguments, code=code).out)


def everything_in(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_promised_keys_are_there(chats, capsys):
    found = check(capsys, chats.root)
    (file,) = found["files"]
    assert file["path"] == "data/raw/chats.jsonl"
    assert (file["format"], file["structure"]) == ("jsonl", "messages")
    assert (file["documents"], file["rejected"]) == (100, 7)
    assert file["bytes"] == (chats.raw / "chats.jsonl").stat().st_size
    assert file["evidence"]
    assert (found["documents"], found["rejected"]) == (100, 7)
    lines = [problem["line"] for problem in found["problems"]]
    assert lines == [11, 12, 13]
    assert [problem["more"] for problem in found["problems"]] == [0, 0, 4]
    for problem in found["problems"]:
        assert problem["file"] == "data/raw/chats.jsonl"
        assert problem["problem"]
        assert problem["suggestion"]
    assert found["usable"]


def test_it_changes_nothing(project, capsys):
    before = everything_in(project.root)
    run(capsys, project.root, "data", "check")
    assert everything_in(project.root) == before


def test_the_terminal_says_it_in_words(chats, capsys):
    shown = run(capsys, chats.root, "data", "check").out
    assert "Left out: 7 of 107 rows" in shown
    assert "data/raw/chats.jsonl:11: " in shown
    assert "and 4 more like it in that file" in shown
    assert "Length in words" in shown
    assert "to train on" in shown
    assert "100 of 107 rows kept" in shown
    assert "try: " in shown


def test_many_files_are_told_by_kind(project, capsys):
    for number in range(40):
        (project.raw / f"story-{number}.txt").write_text(f"A story of {number} geese. " * 20)
        (project.raw / f"noise-{number}.txt").write_bytes(bytes(range(32)) * 20)
    shown = run(capsys, project.root, "data", "check").out
    assert "41 files" in shown
    assert "40 files" in shown
    assert "and 37 more like it in 40 files" in shown
    assert len(shown.splitlines()) < 50
    assert len(check(capsys, project.root)["files"]) == 81


def test_names_and_texts_cannot_steer_the_terminal(project, capsys):
    (project.raw / "red\x1b[31m.txt").write_text("\x1b[31mred geese\n" * 200)
    (project.raw / "copy.txt").write_text("\x1b[31mred geese\n" * 200)
    for arguments in (("check",), ("preview", "-n", "9")):
        shown = run(capsys, project.root, "data", *arguments).out
        assert "\x1b" not in shown
        assert "\\x1b" in shown


def test_nothing_usable_is_bad_data(project, capsys):
    (project.raw / "geese.txt").write_bytes(bytes(range(32)) * 20)
    output = run(capsys, project.root, "data", "check", code=65)
    assert "geese.txt" in output.out
    assert "Error: " in output.err
    assert not check(capsys, project.root, code=65)["usable"]
    (project.raw / "geese.txt").unlink()
    output = run(capsys, project.root, "data", "check", "--json", code=65)
    assert output.out == ""
    assert "try: " in output.err


def test_too_little_text_is_bad_data_too(project, capsys):
    (project.raw / "geese.txt").write_text("ten geese.")
    output = run(capsys, project.root, "data", "check", code=65)
    assert "10 bytes" in output.err
    assert "geese.txt" in output.out


def test_paths_are_read_without_a_project(tmp_path, capsys):
    (tmp_path / "a.txt").write_text(SENTENCES)
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "b.jsonl").write_text("\n".join(chat(n) for n in range(50)))
    before = everything_in(tmp_path)
    found = check(capsys, tmp_path, "a.txt", "more")
    assert [file["path"] for file in found["files"]] == ["a.txt", "more/b.jsonl"]
    assert [file["structure"] for file in found["files"]] == ["text", "messages"]
    assert everything_in(tmp_path) == before
    assert "llm new" in run(capsys, tmp_path, "data", "check", "a.txt").err
    output = run(capsys, tmp_path, "data", "check", code=2)
    assert "no file or folder is named" in output.err


def test_paths_are_taken_from_where_one_is(project, capsys):
    inner = project.root / "notes"
    inner.mkdir()
    (inner / "a.txt").write_text(SENTENCES)
    (file,) = check(capsys, inner, "a.txt")["files"]
    assert file["path"] == "notes/a.txt"


def test_a_source_that_takes_no_path_says_so(project, capsys):
    setting = ("--set", "data.source=sample")
    output = run(capsys, project.root, "data", "check", "a.txt", *setting, code=2)
    assert "train_path" in output.err
    found = check(capsys, project.root, *setting, "--set", "data.size_mb=0.2")
    assert {file["structure"] for file in found["files"]} == {"text"}
    assert found["documents"] == sum(file["documents"] for file in found["files"]) > 100


def test_validation_of_its_own_is_compared(project, capsys):
    (project.root / "val.txt").write_text("".join(SENTENCES.splitlines(keepends=True)[:60]))
    setting = ("--set", "data.val_path=val.txt")
    found = check(capsys, project.root, *setting)
    assert [file["side"] for file in found["files"]] == ["train", "val"]
    assert found["overlap"]["shared_documents"] == found["overlap"]["documents"] > 0
    shown = run(capsys, project.root, "data", "check", *setting).out
    assert "validation" in shown.splitlines()[2]


def test_lengths_are_in_tokens_once_there_is_a_tokenizer(project, capsys):
    assert check(capsys, project.root)["lengths"]["unit"] == "words"
    assert check(capsys, project.root, "--tokens")["lengths"]["unit"] == "tokens"
    found = check(capsys, project.root)
    assert found["lengths"]["unit"] == "tokens"
    assert sum(part["count"] for part in found["lengths"]["bins"]) == found["documents"]
    (project.tokenizer / "tokenizer.json").write_text("{")
    output = run(capsys, project.root, "data", "check", "--json")
    assert json.loads(output.out)["lengths"]["unit"] == "words"
    assert "warning: lengths are in words" in output.err


def test_tokens_need_a_project(tmp_path, capsys):
    (tmp_path / "a.txt").write_text(SENTENCES)
    output = run(capsys, tmp_path, "data", "check", "a.txt", "--tokens", code=2)
    assert "needs a project" in output.err


def test_the_preview_tells_what_is_learnt(chats, capsys):
    got = json.loads(run(capsys, chats.root, "data", "preview", "-n", "1", "--json").out)
    (example,) = got["documents"]
    assert example["origin"] == "data/raw/chats.jsonl:1"
    assert example["structure"] == "messages"
    assert len(example["ids"]) == len(example["tokens"]) == len(example["counted"])
    learnt = zip(example["tokens"], example["counted"], example["special"], strict=True)
    assert "".join(t for t, counted, special in learnt if counted and not special).strip() == (
        "He has 0."
    )
    assert example["special"][0]
    assert example["special"][-1]
    assert not example["counted"][0]


def test_the_preview_needs_no_colour(chats, capsys, monkeypatch):
    plain = run(capsys, chats.root, "data", "preview", "-n", "1")
    words = [line.partition(" │ ")[0].strip() for line in plain.out.splitlines() if "│" in line]
    assert words[0] == "begin"
    assert words[-1] == "end"
    assert "given" in words
    assert "learnt" in words
    assert "learnt: what the model is trained to produce" in plain.err
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[32m" in run(capsys, chats.root, "data", "preview", "-n", "1").out
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[3" not in run(capsys, chats.root, "data", "preview", "-n", "1").out


@pytest.fixture
def pairs(project):
    """Preference pairs beside the text."""
    rows = (
        {"prompt": f"How many geese has {n}?", "chosen": f"He has {n}.", "rejected": f"No {n} idea"}
        for n in range(50)
    )
    path = project.raw / "pairs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def text_of(example):
    pieces = zip(example["tokens"], example["counted"], example["special"], strict=True)
    return "".join(token for token, counted, special in pieces if counted and not special).strip()


def test_both_answers_of_a_pair_are_shown(project, pairs, capsys):
    preview = ("data", "preview", "-n", "1", str(pairs))
    (example,) = json.loads(run(capsys, project.root, *preview, "--json").out)["documents"]
    assert example["structure"] == "preference"
    worse = example["rejected"]
    assert (text_of(example), text_of(worse)) == ("He has 0.", "No 0 idea")
    assert "How many geese has 0?" in worse["text"]
    assert worse["ids"][:5] == example["ids"][:5]
    shown = run(capsys, project.root, *preview)
    lines = [line.partition(" │ ") for line in shown.out.splitlines() if "│" in line]
    assert [name.strip() for name, _, _ in lines][-2:] == ["end", "worse"]
    assert lines[-1][2].replace("·", "").replace("</s>", "").strip() == "No 0 idea"
    assert "worse: the rejected answer of a pair" in shown.err
    plain = ("data", "preview", "-n", "1", "data/raw/geese.txt")
    assert "worse" not in run(capsys, project.root, *plain).err
    (other,) = json.loads(run(capsys, project.root, *plain, "--json").out)["documents"]
    assert other["rejected"] is None


def test_pairs_are_checked_as_such(project, pairs, capsys):
    files = {file["path"]: file for file in check(capsys, project.root)["files"]}
    found = files["data/raw/pairs.jsonl"]
    assert (found["structure"], found["documents"], found["rejected"]) == ("preference", 50, 0)
    assert found["evidence"][-1].startswith("columns 'chosen', 'rejected', 'prompt'")


def test_of_a_file_that_shows_no_structure_none_is_told(project, capsys):
    (project.raw / "picture.txt").write_bytes(b"\x89PNG" + bytes(range(256)))
    files = {file["path"]: file for file in check(capsys, project.root)["files"]}
    assert files["data/raw/picture.txt"]["structure"] is None
    assert files["data/raw/geese.txt"]["structure"] == "text"
    assert "picture.txt" in run(capsys, project.root, "data", "check").out


def test_python_has_the_same_report(chats, capsys):
    report, told = create_llm.check(chats.root), check(capsys, chats.root)
    assert [file.path for file in report.files] == [file["path"] for file in told["files"]]
    assert (report.documents, report.rejected) == (told["documents"], told["rejected"]) == (100, 7)
    assert report.lengths.unit == "words"
    assert report.failure is None
    run(capsys, chats.root, "tokenizer", "train", "--json")
    assert create_llm.check(chats.root).lengths.unit == "tokens"
    (chats.root / "other.txt").write_text("Too little.")
    report = create_llm.check(chats.root, data__train_path="other.txt")
    assert not report.usable
    assert "only 11 bytes of text" in report.failure.what


def test_a_long_document_is_cut_and_its_end_shown(project, capsys):
    (project.raw / "geese.txt").write_text(SENTENCES + "@@" + SENTENCES.upper())
    setting = ("--set", "data.separator=@@")
    shown = run(capsys, project.root, "data", "preview", "-n", "1", *setting).out
    assert "more tokens" in shown
    assert shown.rstrip().splitlines()[-1] == "end    │ </s>"


def test_the_preview_of_a_path_is_of_that_path(project, capsys):
    (project.root / "other.txt").write_text("Ducks, not geese.\n" * 100)
    arguments = ("data", "preview", "other.txt", "-n", "1", "--json")
    (example,) = json.loads(run(capsys, project.root, *arguments).out)["documents"]
    assert example["origin"] == "other.txt:1"
    assert example["text"].startswith("Ducks")


def test_preparing_says_what_was_left_out(chats, capsys):
    shown = run(capsys, chats.root, "data", "prepare").out
    assert "7 rows" in shown
    assert "llm data check" in shown
    assert json.loads(run(capsys, chats.root, "data", "prepare", "--json").out)["rejected"] == 7


def test_preparing_a_path_prepares_that_path(project, capsys):
    (project.root / "other.txt").write_text("".join(f"{n} ducks.\n" for n in range(500)))
    made = json.loads(run(capsys, project.root, "data", "prepare", "other.txt", "--json").out)
    size = (project.root / "other.txt").stat().st_size
    assert made["train"]["bytes"] + made["val"]["bytes"] == size


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("name", ["bad.gz", "b.pdf", "empty.txt"])
def test_the_order_of_paths_makes_no_difference(tmp_path, capsys, name, turned):
    (tmp_path / "ok.txt").write_text(SENTENCES)
    content = {"bad.gz": b"no gzip", "b.pdf": b"%PDF-1.4 " + bytes(99), "empty.txt": b""}[name]
    (tmp_path / name).write_bytes(content)
    paths = ("ok.txt", name) if turned else (name, "ok.txt")
    found = check(capsys, tmp_path, *paths)
    files = {file["path"]: (file["documents"] > 0, file["rejected"]) for file in found["files"]}
    assert files == {"ok.txt": (True, 0), name: (False, 1)}
    assert found["usable"]
    shown = run(capsys, tmp_path, "data", "check", *paths)
    assert "holds no text" not in shown.out + shown.err
    assert "1 of " in shown.out


@pytest.mark.parametrize("turned", [False, True])
def test_a_pair_is_compared_wherever_its_path_stands(tmp_path, capsys, turned):
    (tmp_path / "ok.txt").write_text(SENTENCES)
    (tmp_path / "pair").mkdir()
    for name in ("train", "val"):
        (tmp_path / "pair" / f"{name}.txt").write_text(SENTENCES.replace("geese", name))
    found = check(capsys, tmp_path, *(("ok.txt", "pair") if turned else ("pair", "ok.txt")))
    assert {file["path"]: file["side"] for file in found["files"]} == {
        "ok.txt": "train",
        "pair/train.txt": "train",
        "pair/val.txt": "val",
    }


def test_a_check_does_not_send_to_itself(project, capsys):
    (project.raw / "geese.txt").write_bytes(b"%PDF-1.4 " + bytes(99))
    output = run(capsys, project.root, "data", "check", code=65)
    assert "pdftotext" in output.err
    assert "llm data check" not in output.err
    assert "1 of 1 row cannot be used and is left out" in output.out


def test_of_many_files_the_odd_ones_are_named_and_their_encodings_told_first(project, capsys):
    for number in range(30):
        (project.raw / f"story-{number}.txt").write_text(f"A story of {number} geese. " * 20)
    (project.raw / "table.csv").write_text("text\n" + "geese and ducks\n" * 3)
    (project.raw / "zoo.txt").write_text("Gänse\n" * 99, "cp1252")
    lines = run(capsys, project.root, "data", "check").out.splitlines()
    assert not any("1 files" in line for line in lines)
    assert any(line.startswith("data/raw/table.csv  csv") for line in lines)
    told = lines[lines.index("How they were recognised") + 1 :]
    assert told[0].startswith("data/raw/zoo.txt: Windows-1252")
    assert "and 30 more: UTF-8: nothing but ASCII was seen; plain text" in told[1]


def test_a_wrong_key_of_a_table_on_the_command_line_is_told_there(project, capsys):
    setting = ("--set", 'data.columns={promt="x"}')
    output = run(capsys, project.root, "data", "check", *setting, code=2)
    assert "where: --set" in output.err
    assert "where: llm.toml" not in output.err
