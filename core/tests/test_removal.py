"""Archives and removals: what they keep, what they refuse, and who comes second."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile

import pytest

from create_llm.cli import main
from create_llm.errors import ConfigError, LockedError
from create_llm.models.bundle import INFO, WEIGHTS
from create_llm.models.versions import (
    Gone,
    active_version,
    next_version,
    retire,
    set_active,
    versions,
)
from create_llm.project.folder import Project
from create_llm.runs.history import entry_called, history
from create_llm.runs.removal import archive, remove
from create_llm.runs.run import run_folder, runs_of
from create_llm.storage.durable import Storage
from create_llm.storage.locks import try_lock, unlock


class Made:
    """A project with the versions v1, v2, which is the best one, and v3, which is active."""

    def __init__(self, root):
        self.project = Project(root)
        self.models = self.project.models
        for number, bits in ((1, 2.5), (2, 2.0), (3, 2.2)):
            run = self.run(f"2026010{number}-000000")
            info = {
                "format": 1,
                "run": run.name,
                "architecture": "gpt",
                "tokenizer": "bpe",
                "parameters": 9,
                "created": f"2026-01-0{number}T00:00:00Z",
                "metrics": {"steps": 4, "val_loss": 2.0, "val_bits_per_byte": bits},
                "data": {"key": "d" * 64},
            }
            with Storage().commit(self.models / f"v{number}") as writer:
                writer.write(WEIGHTS, [b"1234"])
                writer.write_json(INFO, info)
        set_active(self.models, "v3")

    def run(self, name):
        run = run_folder(self.project.logs, self.project.checkpoints, name)
        run.write_manifest({"config": {}, "identity": {}, "frozen": {}})
        run.write_summary({"status": "completed", "steps": 4})
        return run

    def called(self, name):
        runs = list(runs_of(self.project.logs, self.project.checkpoints))
        return entry_called(name, history(self.models, runs))

    def unpack(self, path):
        with tarfile.open(path) as tar:
            tar.extractall(self.models, filter="data")


@pytest.fixture
def made(tmp_path):
    return Made(tmp_path)


def test_an_archive_of_something_else_is_never_replaced(made, tmp_path):
    other = tmp_path / "backup" / "v1.tar.gz"
    other.parent.mkdir()
    with tarfile.open(other, "w:gz") as tar:
        tar.add(made.models / "v2", "v1")
    for content in (other.read_bytes(), b"no archive at all"):
        other.write_bytes(content)
        with pytest.raises(ConfigError, match="no archive of this version"):
            archive(made.called("v1"), made.models, other.parent)
        assert other.read_bytes() == content
    assert [path.name for path in other.parent.iterdir()] == ["v1.tar.gz"]
    assert versions(made.models) == ["v1", "v2", "v3"]


def test_a_version_that_came_back_is_archived_in_the_file_it_came_from(made):
    first = archive(made.called("v1"), made.models, None).archive
    before = first.read_bytes()
    note = json.loads((made.models / "v1" / "removed.json").read_text())
    assert note["sha256"] == hashlib.sha256(before).hexdigest()
    made.unpack(first)
    assert archive(made.called("v1"), made.models, None).archive == first
    assert first.read_bytes() == before


def test_an_archive_holds_what_lay_beside_the_model_but_for_the_cache(made):
    folder = made.models / "v1"
    for name in ("NOTES.txt", "exports/a/model.gguf", "cache/engine/form"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    made.unpack(archive(made.called("v1"), made.models, None).archive)
    assert (folder / "NOTES.txt").read_text() == "NOTES.txt"
    assert (folder / "exports/a/model.gguf").read_text() == "exports/a/model.gguf"
    assert not (folder / "cache").exists()


def test_what_became_active_or_went_since_it_was_read_is_not_removed(made):
    entry = made.called("v1")
    set_active(made.models, "v1")
    with pytest.raises(ConfigError, match="v1 is the active version"):
        remove(entry, made.models)
    with pytest.raises(ConfigError, match="v1 is the active version"):
        archive(entry, made.models, None)
    set_active(made.models, "v3")
    archive(entry, made.models, None)
    note = (made.models / "v1" / "removed.json").read_bytes()
    with pytest.raises(ConfigError, match="v1 was archived"):
        remove(entry, made.models)
    with pytest.raises(ConfigError, match="v1 was archived"):
        retire(made.models, "v1", Gone(removed="2026-01-01T00:00:00Z"))
    assert (made.models / "v1" / "removed.json").read_bytes() == note


def test_who_comes_second_hears_of_the_removal(made):
    with (made.models / ".removing").open("a+") as file:
        assert try_lock(file)
        with pytest.raises(LockedError, match="v1 stays for now: another process is removing"):
            remove(made.called("v1"), made.models)
        unlock(file)
    assert "v1" in versions(made.models)


def test_a_run_that_went_leaves_no_folder_for_its_lock(made):
    entry = made.called(made.run("20260104-000000").name)
    remove(entry, made.models)
    with pytest.raises(ConfigError, match="was removed"):
        remove(entry, made.models)
    assert not entry.run.path.exists()


def test_a_note_of_the_active_version_that_is_no_text_names_none(made):
    (made.models / "active").write_bytes(b"\xff\xfe")
    assert active_version(made.models) == "v3"


def test_digits_of_other_scripts_number_no_version(made):
    (made.models / "v\u0664").mkdir()
    assert next_version(made.models) == "v4"


def test_the_question_cannot_steer(tmp_path, monkeypatch, capsys):
    class Tty(io.StringIO):
        def isatty(self):
            return True

    root = tmp_path / "\x1b]0;title\x07"
    made = Made(root)
    (root / "llm.toml").touch()
    monkeypatch.setattr(sys, "stdin", Tty("n\n"))
    with pytest.raises(SystemExit):
        main(["-C", str(root), "runs", "remove", "v1"])
    asked = capsys.readouterr().err
    assert "Remove v1?" in asked
    assert f"{tmp_path}/\\x1b]0;title\\x07/models/v1\n" in asked
    assert "\x1b" not in asked
    assert "v1" in versions(made.models)


REMOVING = """
import sys
from create_llm.cli import main
from create_llm.runs import removal
take_away = removal._take_away
def stopped(*given):
    print("begun", flush=True)
    sys.stdin.readline()
    take_away(*given)
if sys.argv[1] == "slowly":
    removal._take_away = stopped
main(["-C", sys.argv[2], "runs", "remove", "v1"])
"""


@pytest.fixture
def removing(made):
    """A process that removes v1; where `slowly`, it waits for a line once it has begun."""
    (made.project.root / "llm.toml").touch()
    started = []

    def start(pace):
        process = subprocess.Popen(
            [sys.executable, "-c", REMOVING, pace, str(made.project.root)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_of_two_that_remove_the_same_version_one_does_and_the_other_says_so(made, removing):
    first = removing("slowly")
    assert first.stdout.readline() == "begun\n"
    told = removing("at once").communicate(timeout=60)[1]
    assert "v1 stays for now: another process is removing" in told
    second = removing("at once")
    assert second.wait(timeout=60) == LockedError.exit_code
    assert "v1" in versions(made.models)
    out, told = first.communicate("go on\n", timeout=60)
    assert (first.returncode, told) == (0, "")
    assert out.startswith("v1 removed; ")
    late = removing("at once")
    assert "v1 was removed" in late.communicate(timeout=60)[1]
    assert late.returncode == ConfigError.exit_code
    assert versions(made.models) == ["v2", "v3"]


def test_however_two_removals_meet_one_does_it(made, removing):
    both = [removing("at once") for _ in range(2)]
    told = [process.communicate(timeout=60)[1] for process in both]
    done, other = sorted(both, key=lambda process: process.returncode)
    assert done.returncode == 0
    assert other.returncode in (ConfigError.exit_code, LockedError.exit_code), told
    words = told[both.index(other)]
    assert "v1 was removed" in words or "v1 stays for now" in words
    assert versions(made.models) == ["v2", "v3"]
