"""Signals, pauses and kills in every phase of `llm train`, with real processes.

A plugin of the tests stops the run at the moment that is meant, so that no moment is guessed.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import signal
import sys
from pathlib import Path

import pytest

from create_llm.runs.control import Control, Request
from tests.journey import sentences, start_llm
from tests.zygote import Zygote, wait_until

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="forks, and looks into processes by /proc"
)

INT, TERM, HUP, KILL = signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL
TOML = """\
plugins = ["stall"]

[project]
template = "nano"

[model]
name = "gpt"
layers = 1
dim = 16
heads = 2
ffn_dim = 32
max_length = 16

[tokenizer]
name = "stall-byte"

[training]
batch_size = 2
max_steps = 8
eval_interval = 4
compile = "off"
save_interval = 2

[logging]
log_interval = 1

[generation]
max_new_tokens = 2
"""
STALL = '''
"""Stops a run in the phase that STALL names, until a file `go` appears."""

from create_llm import hookimpl


@hookimpl
def register_callbacks(register):
    register("stall", "x_stall_parts:Stall", summary="Stops where a test wants it.")


@hookimpl
def register_tokenizers(register):
    register("stall-byte", "x_stall_parts:StallByte", summary="Bytes.",
             config="create_llm_tokenizers.config:ByteConfig")
'''
PARTS = """
import ctypes
import os
import time
from pathlib import Path

from create_llm.training.callbacks import Callback
from create_llm_tokenizers.byte import ByteTokenizer


def stall(phase):
    if os.environ.get("STALL") == phase:
        Path(f"stalled-{os.getpid()}").touch()
        while not Path("go").exists():
            time.sleep(0.005)


class Stall(Callback):
    def __init__(self, options):
        stall("build")

    def on_train_start(self, event):
        stall("start")

    def on_step_end(self, event):
        if event.step == 3:
            stall("step")

    def on_checkpoint(self, event):
        if event.step == 4:
            stall("saved")

    def on_eval_end(self, event):
        if event.step == 4:
            stall("scored")

    def on_train_end(self, event):
        stall("end")


def deadlock():
    # Compiled code that never ends, lets other threads go on, and lets no signal handler run.
    mutex, lock = ctypes.create_string_buffer(64), ctypes.CDLL(None).pthread_mutex_lock
    lock(mutex)
    Path(f"stalled-{os.getpid()}").touch()
    lock(mutex)


class StallByte(ByteTokenizer):
    @classmethod
    def train(cls, texts, config, control_tokens=()):
        if os.environ.get("STALL") == "tokenizer":
            deadlock()
        return super().train(texts, config, control_tokens)

    def save(self, folder):
        super().save(folder)
        if any(path.name.startswith(".tmp-") for path in Path("models").glob(".*")):
            stall("bundle")
"""


@pytest.fixture(scope="module")
def overlay(tmp_path_factory):
    folder = tmp_path_factory.mktemp("overlay")
    (folder / "x_stall.py").write_text(STALL)
    (folder / "x_stall_parts.py").write_text(PARTS)
    info = folder / "x_stall-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: x-stall\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[create_llm.plugins]\nstall = x_stall\n")
    return folder


@pytest.fixture(scope="module")
def zygote(overlay):
    with Zygote(overlay) as zygote:
        yield zygote


def make_project(root, text, toml=TOML):
    (root / "data" / "raw").mkdir(parents=True)
    (root / "data" / "raw" / "text.txt").write_text(text)
    (root / "llm.toml").write_text(toml)
    return root


@pytest.fixture
def project(tmp_path):
    return make_project(tmp_path / "p", sentences(120))


@pytest.fixture(scope="module")
def whole(zygote, tmp_path_factory):
    """The weights of the run that nobody interrupts."""
    root = make_project(tmp_path_factory.mktemp("whole") / "p", sentences(120))
    zygote.run(root, "train")
    return weights(root)


def weights(project):
    (path,) = (project / "models").glob("v*/model.safetensors")
    return path.read_bytes()


def summary(project):
    (path,) = (project / "logs").glob("*/summary.json")
    return json.loads(path.read_text())


def stalled(zygote, project, phase, *arguments):
    """A training process that stands still in a phase."""
    child = zygote.start(project, "train", *arguments, env={"STALL": phase})
    wait_until(lambda: (project / f"stalled-{child.pid}").exists() or child.ended())
    assert not child.ended(), child.output
    return child


def go(project):
    (project / "go").touch()


def contents(folder):
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def one_line(output):
    """The lines that are not progress; of an interruption before the loop there is one."""
    lines = [line for line in output.splitlines() if line.strip() and not line.endswith("…")]
    assert len(lines) == 1, output
    return lines[0]


# Before the loop


def catches(pid, number):
    """Whether a process has a handler for a signal."""
    status = Path(f"/proc/{pid}/status").read_text()
    mask = re.search(r"SigCgt:\s*([0-9a-f]+)", status)
    return bool(int(mask[1], 16) >> (number - 1) & 1)


@pytest.mark.parametrize(
    ("moment", "number"),
    [
        (lambda pid: catches(pid, TERM), TERM),
        (lambda pid: "libtorch_cpu" in Path(f"/proc/{pid}/maps").read_text(), INT),
    ],
    ids=["start", "import"],
)
def test_a_signal_while_python_imports(project, overlay, moment, number):
    before = contents(project)
    process = start_llm(project, "train", overlays=[overlay])
    wait_until(lambda: moment(process.pid))
    process.send_signal(number)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 128 + number, stderr
    assert "Nothing that was saved is lost" in one_line(stderr)
    assert contents(project) == before


def random_words(megabytes):
    return random.Random(0).randbytes(megabytes * 400_000).hex(" ", 4).replace(" 0", "\n")


@pytest.mark.parametrize("number", [INT, TERM], ids=["int", "term"])
def test_a_signal_is_heard_while_compiled_code_trains_a_tokenizer(zygote, project, number):
    child = stalled(zygote, project, "tokenizer")
    child.signal(number)
    assert child.code() == 128 + number, child.output
    assert "run the same command again" in one_line(child.output)
    assert not (project / "tokenizer").exists()


def test_a_library_that_still_trains_does_not_crash_the_end_of_the_process(zygote, tmp_path):
    """Its threads would run into an interpreter that is gone already."""
    project = make_project(tmp_path / "p", random_words(20))
    sizes = ["--set", "tokenizer.name=bpe", "--set", "tokenizer.vocab_size=200000"]
    child = zygote.start(project, "train", *sizes)
    wait_until(lambda: (project / "data/processed/.lock").exists() and threads(child.pid) > 1)
    child.signal(INT)
    assert child.code() == 130, child.output
    assert "run the same command again" in one_line(child.output)
    assert not (project / "tokenizer").exists()
    assert [path.name for path in (project / "logs").iterdir()] == [".lock"]


def threads(pid):
    return sum(1 for _ in Path(f"/proc/{pid}/task").iterdir())


def test_a_signal_while_text_is_encoded_leaves_no_half_of_it(zygote, tmp_path):
    project = make_project(tmp_path / "p", random_words(30))
    child = zygote.start(project, "train")
    wait_until(lambda: "encoding the text" in child.output or child.ended())
    tokenizer = contents(project / "tokenizer")
    child.signal(TERM)
    assert child.code() == 143, child.output
    assert "run the same command again" in one_line(child.output)
    assert contents(project / "tokenizer") == tokenizer
    assert not list(project.rglob(".tmp-*"))
    assert not (project / "data/processed/manifest.json").exists()


@pytest.mark.parametrize("number", [INT, TERM], ids=["int", "term"])
def test_a_signal_while_the_model_is_built_leaves_no_run_behind(zygote, project, number, whole):
    child = stalled(zygote, project, "build")
    prepared = contents(project / "data" / "processed")
    child.signal(number)
    assert child.code() == 128 + number, child.output
    assert "run the same command again" in one_line(child.output)
    assert [path.name for path in (project / "logs").iterdir()] == [".lock"]
    zygote.run(project, "train")
    assert contents(project / "data" / "processed") == prepared
    assert weights(project) == whole


# In the loop


@pytest.mark.parametrize(
    ("phase", "number", "step"),
    [
        pytest.param("start", INT, 0, marks=pytest.mark.slow),
        ("step", TERM, 3),
        pytest.param("saved", INT, 4, marks=pytest.mark.slow),
        ("scored", TERM, 4),
    ],
)
def test_a_signal_in_the_loop_saves_and_the_run_goes_on(
    zygote, project, whole, phase, number, step
):
    child = stalled(zygote, project, phase)
    child.signal(number)
    go(project)
    assert child.code() == 128 + number, child.output
    ended = summary(project)
    assert (ended["status"], ended["steps"]) == ("interrupted", step)
    assert ended["stopped_by"] == signal.Signals(number).name
    words = f"saved step {step}" if step else "has no checkpoint"
    assert words in child.output
    assert "llm train" in child.output
    assert "Traceback" not in child.output
    zygote.run(project, "train")
    assert weights(project) == whole


@pytest.mark.parametrize("phase", ["bundle", "end"])
def test_a_signal_while_the_model_is_written_lets_it_be_finished(zygote, project, whole, phase):
    child = stalled(zygote, project, phase)
    child.signal(TERM)
    wait_until(lambda: "is being written down" in child.output)
    go(project)
    assert child.code() == 0, child.output
    assert summary(project)["status"] == "completed"
    assert weights(project) == whole


def test_a_second_signal_leaves_at_once_and_loses_nothing(zygote, project, whole):
    child = stalled(zygote, project, "step")
    child.signal(INT)
    wait_until(lambda: "once more to leave at once" in child.output)
    wait_until(lambda: child.signal(TERM) or child.ended())  # not at once: see `_SAME_SECONDS`
    assert child.code() == 143
    assert "Traceback" not in child.output
    again = zygote.run(project, "train")
    assert re.search(r"was killed at about step 3 .* it goes on from step 2", again)
    assert weights(project) == whole


def test_two_signals_of_one_cause_are_one(zygote, project):
    child = stalled(zygote, project, "step")
    for number in (TERM, HUP, TERM):
        child.signal(number)
    go(project)
    assert child.code() == 143, child.output
    assert summary(project)["status"] == "interrupted"


def test_a_closed_terminal_saves_as_a_termination_does(zygote, project):
    master, slave = os.openpty()
    child = zygote.start(project, "train", env={"STALL": "step"}, terminal=os.ttyname(slave))
    os.close(slave)
    wait_until(lambda: (project / f"stalled-{child.pid}").exists())
    os.close(master)
    wait_until(lambda: handled(child.pid))
    go(project)
    assert child.code() == 143
    ended = summary(project)
    assert (ended["status"], ended["steps"], ended["stopped_by"]) == ("interrupted", 3, "SIGHUP")


def handled(pid):
    """Whether the process has turned away from its terminal."""
    return Path(f"/proc/{pid}/fd/2").readlink() == Path(os.devnull)


def test_without_saving_the_message_says_what_the_newest_checkpoint_is(zygote, project):
    child = stalled(zygote, project, "step", "--set", "checkpoints.save_on_interrupt=false")
    child.signal(INT)
    go(project)
    assert child.code() == 130
    assert "stopped after step 3; its newest checkpoint is step 2" in child.output


# Pauses


def test_a_pause_discards_the_step_that_is_not_finished(zygote, project):
    """The step has so many micro-batches that the request comes before its last."""
    micros = ["--set", "training.gradient_accumulation_steps=200"]
    child = zygote.start(project, "train", *micros)
    wait_until(lambda: started(project) or child.ended())
    (run,) = (path.parent for path in (project / "logs").glob("*/run.json"))
    Control(run).send(Request.PAUSE)
    assert child.code() == 78, child.output
    assert "stopped after step 0 and has no checkpoint" in child.output
    shown = json.loads(zygote.run(project, "runs", "show", "--json"))
    assert (shown["status"], shown["step"], shown["total_steps"]) == ("paused", 0, 8)
    assert shown["device"] == "cpu"


def started(project):
    """Whether the first step of a run is being taken."""
    return any("train_start" in path.read_text() for path in project.glob("logs/*/events.jsonl"))


def test_a_paused_run_tells_how_far_it_is_and_goes_on(zygote, project, whole):
    child = stalled(zygote, project, "step")
    (run,) = (path.parent.name for path in (project / "logs").glob("*/run.json"))
    live = zygote.run(project, "runs", "list")
    assert re.search(rf"{run} +running .*pid {child.pid} on", live)
    pausing = zygote.start(project, "runs", "pause", run)
    wait_until(lambda: (project / "logs" / run / "control" / "pause").exists())
    go(project)
    assert pausing.code() == 0, pausing.output
    assert child.code() == 78, child.output
    for words in ("paused", "3 of 8", "remaining", "tokens/s", "memory", "step-00000003", "disk"):
        assert words in pausing.output
    assert re.search(r"go on +llm train\n", pausing.output)
    refused = zygote.run(project, "runs", "pause", run, code=2)
    assert "paused already" in refused
    zygote.run(project, "train")
    assert weights(project) == whole


def test_a_pause_that_cannot_be_is_refused_in_words(zygote, project):
    assert "no run is live" in zygote.run(project, "runs", "pause", code=2)
    children = [stalled(zygote, project, "start", "--resume", "never") for _ in range(2)]
    runs = sorted(path.parent.name for path in (project / "logs").glob("*/run.json"))
    several = zygote.run(project, "runs", "pause", code=2)
    assert all(f"llm runs pause {run}" in several for run in runs)
    unknown = zygote.run(project, "runs", "pause", f"{runs[0]}x", code=2)
    assert f"did you mean '{runs[0]}'" in unknown
    late = zygote.run(project, "runs", "pause", runs[0], "--timeout", 0.1, code=75)
    assert "has not paused within 0.1 seconds" in late
    go(project)
    assert sorted(child.code() for child in children) == [0, 78]


# What the next start finds


def test_a_run_that_was_killed_before_its_model_was_written_is_finished(zygote, project, whole):
    child = stalled(zygote, project, "bundle")
    child.signal(KILL)
    assert child.code() == -KILL
    assert not (project / "models" / "v1").exists()
    zygote.run(project, "train")
    assert weights(project) == whole
    (events,) = (project / "logs").glob("*/events.jsonl")
    steps = [e["step"] for e in map(json.loads, events.open()) if e["event"] == "step"]
    assert steps == list(range(1, 9))


@pytest.mark.parametrize("begun", [False, True], ids=["new", "unfinished"])
def test_of_two_starters_one_works_and_the_other_is_told_who(zygote, project, begun):
    if begun:
        child = stalled(zygote, project, "step")
        child.signal(INT)
        go(project)
        assert child.code() == 130
        (project / "go").unlink()
    pair = [zygote.start(project, "train", env={"STALL": "end"}) for _ in range(2)]
    wait_until(lambda: any(child.ended() for child in pair))
    (second,) = (child for child in pair if child.ended())
    (first,) = (child for child in pair if child is not second)
    assert second.code() == 75, second.output
    assert f"pid {first.pid} on" in second.output
    go(project)
    assert first.code() == 0, first.output
    assert len(list((project / "logs").glob("*/run.json"))) == 1


def test_who_comes_while_the_tokenizer_is_trained_is_told_before_any_work(zygote, project):
    child = stalled(zygote, project, "tokenizer")
    refused = zygote.run(project, "train", code=75)
    assert f"is being trained by pid {child.pid} on" in one_line_of_error(refused)
    assert "preparing" not in refused
    child.signal(KILL)
    assert child.code() == -KILL


def one_line_of_error(output):
    (line,) = (line for line in output.splitlines() if line.startswith("Error:"))
    return line


def test_another_text_is_refused_before_the_tokenizer_is_touched(zygote, project, whole):
    child = stalled(zygote, project, "step")
    child.signal(INT)
    go(project)
    assert child.code() == 130
    text = project / "data" / "raw" / "text.txt"
    former = text.read_text()
    text.write_text(former + "One more line.\n")
    before = contents(project)
    refused = zygote.run(project, "train", code=2)
    assert "data: the text has changed since it began" in refused
    assert "--resume never" in refused
    assert contents(project) == before
    text.write_text(former)
    zygote.run(project, "train")
    assert weights(project) == whole


def test_fewer_steps_than_a_run_has_taken_are_refused(zygote, project):
    child = stalled(zygote, project, "step")
    child.signal(INT)
    go(project)
    assert child.code() == 130
    before = summary(project)
    refused = zygote.run(project, "train", "--resume", before["run"], "--max-steps", 2, code=2)
    assert "has taken 3 steps already, more than the 2" in refused
    assert summary(project) == before
