"""What `llm train` says while it works and at its end, and what it refuses before it works."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from create_llm.cli.app import App
from create_llm.cli.train_report import against_the_one_before
from create_llm.cli.typed import config_with
from create_llm.config.intervals import Interval
from create_llm.data.windows import SlidingWindows
from create_llm.errors import ConfigError
from create_llm.kernel.plugins import load_plugins
from create_llm.models.generation import Sampling
from create_llm.models.loaded import LoadedModel
from create_llm.runs.events import Event, ProgressMade, StepEnd, read_events
from create_llm.runs.run import run_folder
from create_llm.training import reporting
from create_llm.training.callbacks import Callback, Signal
from create_llm.training.checkpointing import TrainState
from create_llm.training.epochs import Epochs
from create_llm.training.eta import Eta
from create_llm.training.finish import Ended
from create_llm.training.session import Session, Texts
from create_llm.training.stopping import Abandoned, Stop
from create_llm.training.trainer import Trainer
from create_llm_objectives.causal import CausalObjective

from .journey import PROGRAM, SMALL, environment, llm, sentences
from .test_gates import CONTEXT, CPU, Quiet, build, shards

# How long it still takes


def eta(total: int = 100, **intervals: Interval) -> Eta:
    kinds = {"save": Interval(10**9), "evaluate": Interval(10**9), "sample": Interval(10**9)}
    return Eta(total, Epochs(samples=90, samples_per_step=3), kinds | intervals)


def test_pauses_count_as_often_as_they_are_to_come():
    found = eta(evaluate=Interval(30), save=Interval(50))
    assert found.seconds_left(40, 40, 2.0) == 120
    found.took("evaluate", 10)
    found.took("evaluate", 20)
    assert found.seconds_left(40, 40, 2.0) == 120 + 3 * 15  # after 60, 90 and 100 steps
    found.took("save", 1)
    assert found.seconds_left(40, 40, 2.0) == 120 + 3 * 15 + 2
    assert found.seconds_left(100, 99, 2.0) == 15 + 1
    assert found.seconds_left(100, 100, 2.0) == 0


def test_pauses_that_are_due_at_this_step_are_still_to_come():
    found = eta(sample=Interval(30))
    found.took("sample", 5)
    assert found.seconds_left(30, 29, 0.0) - found.seconds_left(30, 30, 0.0) == 5


def test_pauses_can_be_counted_in_epochs():
    found = eta(evaluate=Interval(1, "epochs"))  # after 30, 60, 90 and, being the last, 100 steps
    found.took("evaluate", 1)
    assert [found.seconds_left(s, s, 0.0) for s in (0, 29, 30, 90, 100)] == [4, 4, 3, 1, 0]


def test_a_pause_that_was_cut_short_says_nothing():
    found = eta()
    with contextlib.suppress(Abandoned), found.timed("evaluate"):
        raise Abandoned
    assert found.seconds_left(0, 0, 0.0) == 0
    with found.timed("evaluate"):
        pass
    assert found.seconds_left(0, 0, 0.0) > 0


# How far it is


class Recording(Quiet):
    def __init__(self) -> None:
        self.told: list[Event] = []

    def emit(self, event: Event) -> set[Signal]:
        self.told.append(event)
        return set()

    def score(self, between):  # type: ignore[no-untyped-def]
        between(0, 3)
        return super().score(between)

    def progress(self, doing: str) -> list[ProgressMade]:
        told = (event for event in self.told if isinstance(event, ProgressMade))
        return [event for event in told if event.doing == doing]


@pytest.fixture
def stream(tmp_path):
    return shards(tmp_path / "text", [1 + (i * i) % 15 for i in range(4000)])


def recorded(tmp_path: Path, stream, **changes: object) -> tuple[Trainer, Recording]:
    trainer, heard = build(tmp_path, stream, steps=6), Recording()
    settings = replace(trainer.settings, **changes)
    return Trainer(settings, replace(trainer.parts, outside=heard), TrainState()), heard


def test_each_step_is_told_between_the_logs(tmp_path, stream, monkeypatch):
    monkeypatch.setattr(reporting, "_AGAIN_SECONDS", 0.0)
    trainer, heard = recorded(tmp_path, stream, eval_interval=Interval(4))
    trainer.run()
    assert [(e.step, e.done, e.total) for e in heard.progress("train")] == [
        (step, step, 6) for step in range(1, 7)
    ]
    assert [(e.step, e.done, e.total) for e in heard.progress("evaluate")] == [(4, 0, 3), (6, 0, 3)]
    assert [event.step for event in heard.told if isinstance(event, StepEnd)] == [6]
    assert all(event.eta_seconds > 0 for event in heard.progress("train"))


def test_steps_that_follow_at_once_are_not_told_one_by_one(tmp_path, stream, monkeypatch):
    monkeypatch.setattr(reporting, "_AGAIN_SECONDS", 1e9)
    trainer, heard = recorded(tmp_path, stream, eval_interval=Interval(4))
    trainer.run()
    assert [event.step for event in heard.progress("train")] == [1, 5]
    assert [event.step for event in heard.progress("evaluate")] == [4, 6]


def test_progress_reads_nothing_from_the_device(tmp_path, stream):
    trainer, heard = recorded(tmp_path, stream)
    del trainer.reporter.meter
    trainer.reporter.moved(trainer.state, "train", 0, 6)
    (event,) = heard.progress("train")
    assert event.eta_seconds is None


def test_the_log_of_a_run_counts_its_pauses_in(tmp_path, stream):
    trainer, heard = recorded(tmp_path, stream, eval_interval=Interval(4), log_interval=2)
    trainer.eta.took("evaluate", 1e6)
    trainer.run()
    left = [event.eta_seconds for event in heard.told if isinstance(event, StepEnd)]
    # The mean of the million and of what the first took here.
    assert left[0] == pytest.approx(2e6, rel=1e-3)
    assert left[1] == pytest.approx(2e6, rel=1e-3)
    assert left[2] == pytest.approx(5e5, rel=1e-3)


class Ear(Callback):
    def __init__(self) -> None:
        self.heard: list[ProgressMade] = []

    def on_progress(self, event: ProgressMade) -> Signal:
        self.heard.append(event)
        return Signal.PAUSE


def test_callbacks_hear_of_progress_and_may_answer_but_no_file_does(tmp_path, stream):
    trainer = build(tmp_path, stream, batch_size=8)
    model, ear = trainer.parts.model, Ear()
    run = run_folder(tmp_path / "logs", tmp_path / "checkpoints", "r")
    run.path.mkdir(parents=True)
    windows = SlidingWindows(stream, CONTEXT + 1, shared=1)
    loaded = LoadedModel(
        model.architecture, model.module, model.config, None, CausalObjective(None, None), CPU
    )
    session = Session(
        run,
        1,
        [("ear", ear)],
        loaded,
        Texts(windows, windows, 4000, 100),
        precision="fp32",
        prompt="",
        sampling=Sampling(1),
    )
    trainer = Trainer(trainer.settings, replace(trainer.parts, outside=session), TrainState())
    heard: list[tuple[int, int]] = []
    session.score(lambda done, total: heard.append((done, total)))
    count = len(windows)
    assert heard == [(done, 2 * count) for done in (0, 100, count, count + 100)]
    with pytest.raises(Abandoned):
        session.score(trainer._scoring)
    session.close()
    assert [(event.doing, event.done, event.total) for event in ear.heard] == [
        ("evaluate", 0, 2 * count)
    ]
    assert list(read_events(run.events)) == []
    assert run.log.read_text() == ""


# What is refused


def configure(project: Path, *overrides: str, **flags: object) -> None:
    typed = {
        key.replace("__", "."): (value, "--" + key.partition("__")[2].replace("_", "-"))
        for key, value in flags.items()
    }
    config_with(App(load_plugins({}), project, overrides), project, typed)


@pytest.fixture
def written(tmp_path):
    (tmp_path / "llm.toml").write_text('[project]\ntemplate = "nano"\n')
    return tmp_path


def test_an_option_is_refused_by_its_name_and_without_talk_of_llm_toml(written):
    configure(written, training__max_steps=1)
    with pytest.raises(ConfigError) as caught:
        configure(written, training__max_steps=0)
    assert caught.value.what == "--max-steps must be at least 1, got 0"
    told = caught.value.render()
    assert "default" not in told
    assert "example" not in told
    assert "llm config explain training.max_steps" in told


def test_an_option_that_is_two_keys_is_one_problem(written):
    option = (0, "--max-seq-length")
    with pytest.raises(ConfigError) as caught:
        config_with(
            App(load_plugins({}), written, ()),
            written,
            {"model.max_length": option, "data.max_length": option},
        )
    assert caught.value.what == "--max-seq-length must be at least 1, got 0"


def test_what_was_not_typed_as_an_option_is_told_as_before(written):
    with pytest.raises(ConfigError) as caught:
        configure(written, "training.batch_size=0", training__max_steps=0)
    told = caught.value.render()
    assert "--set: training.batch_size must be at least 1, got 0" in told
    assert "--max-steps must be at least 1, got 0" in told


# The closing words


def bundle(folder: Path, key: str = "k", loss: float | None = 2.0, per_byte: float | None = 1.0):
    folder.mkdir()
    info = {
        "format": 1,
        "data": {"key": key},
        "metrics": {"val_loss": loss, "val_bits_per_byte": per_byte},
    }
    (folder / "create_llm.json").write_text(json.dumps(info))
    return folder


def words(model: Path | None, before: Path | None) -> str | None:
    stop = Stop("completed", "max_steps")
    return against_the_one_before(Ended("r", stop, {}, model, before, generates=True))


def test_a_worse_model_that_becomes_active_is_told_with_both_figures_and_the_way_back(tmp_path):
    before = bundle(tmp_path / "v1", loss=1.5, per_byte=0.75)
    told = words(bundle(tmp_path / "v2"), before)
    assert told is not None
    assert "scored worse than v1 on the same validation text" in told
    assert "loss 2.0000, 1.000 bits/byte; v1: loss 1.5000, 0.750 bits/byte" in told
    assert told.endswith("To use v1 again: llm runs use v1")
    assert words(before, tmp_path / "v2") is None
    unscored = bundle(tmp_path / "v3", loss=2.5, per_byte=None)
    assert "loss 2.5000; v2: loss 2.0000, 1.000 bits/byte" in (
        words(unscored, tmp_path / "v2") or ""
    )


def test_figures_of_different_texts_are_not_compared(tmp_path):
    told = words(bundle(tmp_path / "v2"), bundle(tmp_path / "v1", key="other", loss=1.0))
    assert told is not None
    assert "do not compare" in told
    assert "llm compare v1 v2" in told
    assert "llm runs use v1" in told


def test_without_another_model_or_a_figure_nothing_is_said(tmp_path):
    one = bundle(tmp_path / "v1")
    assert words(one, None) is None
    assert words(None, one) is None
    assert words(bundle(tmp_path / "v2", loss=None), one) is None


def test_a_model_that_is_damaged_does_not_keep_the_words_back(tmp_path):
    damaged = bundle(tmp_path / "v1")
    (damaged / "create_llm.json").write_text("{")
    assert "v1 was, and cannot be read" in (words(bundle(tmp_path / "v2"), damaged) or "")


@pytest.fixture
def project(tmp_path):
    llm(tmp_path, "new", "p", "--template", "nano", "--yes")
    (tmp_path / "p" / "data" / "raw" / "days.txt").write_text(sentences(400))
    return tmp_path / "p"


def test_the_same_command_again_says_what_it_does(project):
    first = llm(project, "train", "--max-steps", 12, *SMALL)
    (run,) = (path.name for path in (project / "logs").iterdir() if path.is_dir())
    assert "is complete" not in first.stderr
    assert "runs use" not in first.stdout
    again = llm(project, "train", "--max-steps", 1, *SMALL)
    assert f"run {run} is complete and made v1; this is a new run" in again.stderr
    assert "v2 is the active model now, but scored worse than v1" in again.stdout
    json_too = llm(project, "train", "--max-steps", 1, "--seed", 5, "--json", *SMALL)
    assert json.loads(json_too.stdout)["steps"] == 1
    for shown in (first, again, json_too):
        assert "loading torch" not in shown.stdout + shown.stderr


def test_a_terminal_is_told_at_once_that_something_happens(project):
    pty = pytest.importorskip("pty")
    control, terminal = pty.openpty()
    command = [sys.executable, "-c", PROGRAM, "train", "--max-steps", "0"]
    with subprocess.Popen(
        command, cwd=project, env=environment(), stdin=subprocess.DEVNULL, stderr=terminal
    ) as process:
        os.close(terminal)
        shown = b""
        # Linux ends the reading with an error once the other side is closed.
        with contextlib.suppress(OSError):
            while chunk := os.read(control, 65536):
                shown += chunk
        os.close(control)
    assert process.returncode == 2
    assert shown.startswith(b"Reading llm.toml and loading torch")
