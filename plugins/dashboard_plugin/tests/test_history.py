"""Events as columns: resumes, torn and damaged lines, the index, and the same by any way."""

from __future__ import annotations

import json
import math
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest

from create_llm.runs.curves import read_curves
from create_llm_dashboard import history as module
from create_llm_dashboard.downsample import chosen, smoothed
from create_llm_dashboard.history import History
from create_llm_dashboard.series import Seen, curve

from .conftest import Story


def read(path: Path) -> History:
    found = History(path)
    found.refresh()
    return found


def losses(found: History) -> list[tuple[int, float]]:
    rows = zip(found.steps["step"].tolist(), found.steps["loss"].tolist(), strict=True)
    return [(step, round(loss, 3)) for step, loss in rows]


def test_every_step_is_a_row_and_others_are_as_written(story: Story):
    story.start()
    story.step(1, 5.5)
    story.eval(1, 4.0, 4.5)
    story.tell("sample", 1, prompt="Once", text="ü\u2028x")
    story.step(2, 5.25)
    found = read(story.folder.events)
    assert losses(found) == [(1, 5.5), (2, 5.25)]
    assert found.evals["val_loss"].tolist() == [4.5]
    assert found.latest("sample")["text"] == "ü\u2028x"
    assert found.latest("train_start")["total_steps"] == 100
    assert found.latest("train_end") == {}


def test_what_grows_is_read_on(story: Story):
    story.start()
    found = read(story.folder.events)
    for step in range(1, 2000):
        story.step(step, 1.0)
        if step % 400 == 0:
            before = found.version
            found.refresh()
            assert found.version > before
            assert len(found.steps) == step
    version = read_once = found.version
    found.refresh()
    found.refresh()
    assert found.version == read_once + 1 == version + 1


def test_steps_that_were_taken_again_count_once(story: Story):
    story.start()
    for step in (1, 2, 3, 4):
        story.step(step, 5.0)
        story.eval(step, 5.0, 5.0)
        story.tell("sample", step, prompt="", text=str(step))
    story.start(resumed_from=2)
    assert losses(read(story.folder.events)) == [(1, 5), (2, 5)]
    for step in (3, 4, 5):
        story.step(step, 4.0)
    found = read(story.folder.events)
    assert losses(found) == [(1, 5), (2, 5), (3, 4), (4, 4), (5, 4)]
    assert found.evals["step"].tolist() == [1, 2]
    assert [event["step"] for event in found.events("sample")] == [1, 2]
    told = dict(read_curves(story.folder.events))["train/loss"]
    assert losses(found) == [(step, round(loss, 3)) for step, loss in told]


def rewind(story: Story) -> None:
    """A run that goes back at step 4 to step 2, and is at step 3 again."""
    story.start()
    for step in (1, 2, 3, 4):
        story.step(step, 5.0)
        story.eval(step, 5.0, 5.0)
    story.tell("train_end", 4, status="rewound", stopped_by="callback", seconds=1.0)
    story.start(resumed_from=2)
    story.tell("warning", 2, message="this run went back at step 4", level="note")
    story.step(3, 4.0)


def test_a_run_that_went_back_shows_the_way_taken_since(story: Story):
    rewind(story)
    found = read(story.folder.events)
    assert found.went_back == [(4, 2)]
    assert losses(found) == [(1, 5), (2, 5), (3, 4)]
    assert found.evals["step"].tolist() == [1, 2]
    assert found.latest("train_end") == {}


def test_a_pause_is_no_way_back(story: Story):
    story.start()
    story.step(1)
    story.end(1, "paused")
    story.start(resumed_from=1)
    assert read(story.folder.events).went_back == []


def test_the_index_knows_of_ways_back(story: Story, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "_WORTH_AN_INDEX", 1)
    rewind(story)
    read(story.folder.events).keep()
    found, started = read_bytes(story, monkeypatch)
    assert started == []
    assert found.went_back == [(4, 2)]


def test_a_session_without_its_start_counts_as_well(story: Story):
    story.start()
    for step in (1, 2, 3, 2, 3):
        story.step(step, float(step))
    assert losses(read(story.folder.events)) == [(1, 1), (2, 2), (3, 3)]


def test_a_torn_last_line_waits_for_its_rest(story: Story):
    story.start()
    story.step(1)
    story.step(2)
    whole = story.folder.events.read_bytes()
    story.folder.events.write_bytes(whole[:-40])
    found = read(story.folder.events)
    assert len(found.steps) == 1
    with story.folder.events.open("ab") as file:
        file.write(whole[-40:])
    found.refresh()
    assert len(found.steps) == 2


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"nonsense",
        b"[]",
        b'{"event": "step"}',
        b'{"event": "step", "time": "2026-01-01T00:00:00Z", "step": "x", "session": 1}',
        b'{"event": "step", "time": "2026-01-01T00:00:00Z", "step": 9, "session": 1, "loss": [1]}',
        b'{"event": "step", "time": "2026-01-01T00:00:00Z", "step": 9, "session": 1, "lo',
        b'{"event": "step\xff", "time": "2026-01-01T00:00:00Z", "step": 9, "session": 1}',
        b'{"event": "eval", "time": "yesterday", "step": 1, "session": 1}',
        b"[" * 100_000,
        b"x" * (5 << 20),
    ],
)
def test_a_damaged_line_is_skipped_alone(story: Story, line: bytes):
    story.start()
    story.step(1)
    with story.folder.events.open("ab") as file:
        file.write(line + b"\n")
    story.step(2)
    assert losses(read(story.folder.events)) == [(1, 5.0), (2, 5.0)]


def test_what_is_no_number_is_a_gap(story: Story):
    story.start()
    story.step(1, 5.0)
    story.step(2, None, nonfinite=True)
    found = read(story.folder.events)
    assert math.isnan(found.steps["loss"][1])
    assert curve(found.steps, "loss", Seen()) == {"x": [1, 2], "y": [5.0, None]}


def test_steps_in_another_spelling_are_steps(story: Story):
    story.start()
    line = {"step": 1, "session": 1, "time": "2026-01-01T00:00:00Z", "event": "step", "loss": 2.5}
    with story.folder.events.open("a") as file:
        file.write(json.dumps(line, separators=(",", ":")) + "\n")
    assert losses(read(story.folder.events)) == [(1, 2.5)]


def test_a_file_that_was_replaced_is_read_anew(story: Story, tmp_path: Path):
    story.start()
    story.step(1, 1.0)
    story.step(2, 2.0)
    found = read(story.folder.events)
    other = Story(tmp_path / "other")
    other.start()
    other.step(7, 7.0)
    shutil.move(other.folder.events, story.folder.events)
    found.refresh()
    assert losses(found) == [(7, 7.0)]


@pytest.fixture
def indexed(story: Story, monkeypatch: pytest.MonkeyPatch) -> Story:
    """A run that was read once, so that its index is there; `_decoder` hears what is read."""
    monkeypatch.setattr(module, "_WORTH_AN_INDEX", 10)
    story.start()
    for step in range(1, 31):
        story.step(step, float(step))
    story.eval(30, 1.0, 2.0)
    story.tell("warning", 30, message="careful", suggestion=None)
    read(story.folder.events).keep()
    assert story.folder.events.with_name("events.index.npz").is_file()
    return story


def read_bytes(story: Story, monkeypatch: pytest.MonkeyPatch) -> tuple[History, list[int]]:
    """The history, and from which byte on the file was read for it."""
    started: list[int] = []
    original = module.blocks
    monkeypatch.setattr(module, "blocks", lambda path, at: started.append(at) or original(path, at))
    return read(story.folder.events), started


def test_what_is_in_the_index_is_not_read_again(indexed: Story, monkeypatch: pytest.MonkeyPatch):
    size = indexed.folder.events.stat().st_size
    indexed.step(31, 31.0)
    found, started = read_bytes(indexed, monkeypatch)
    assert started == [size]
    assert losses(found) == [(step, float(step)) for step in range(1, 32)]
    assert found.evals["val_loss"].tolist() == [2.0]
    assert found.latest("warning")["message"] == "careful"
    assert found.latest("train_start")["total_steps"] == 100
    assert found.last_time is not None


def _of_another_file(story: Story, index: Path) -> None:
    text = story.folder.events.read_text().replace('"loss": 1.0', '"loss": 9.0')
    story.folder.events.write_text(text)


def _truncated(story: Story, index: Path) -> None:
    index.write_bytes(index.read_bytes()[:-100])


def _flipped(story: Story, index: Path) -> None:
    data = bytearray(index.read_bytes())
    data[len(data) // 2] ^= 0xFF
    index.write_bytes(data)


def _empty(story: Story, index: Path) -> None:
    index.write_bytes(b"")


def _pickled(story: Story, index: Path) -> None:
    np.savez(index, head=np.array([{"schema": 1}], dtype=object))


@pytest.mark.parametrize("harm", [_of_another_file, _truncated, _flipped, _empty, _pickled])
def test_an_index_in_doubt_is_not_used(indexed: Story, harm, monkeypatch: pytest.MonkeyPatch):
    harm(indexed, indexed.folder.events.with_name("events.index.npz"))
    found, started = read_bytes(indexed, monkeypatch)
    assert started == [0]
    assert losses(found)[1:] == [(step, float(step)) for step in range(2, 31)]
    assert losses(found)[0][1] == (9.0 if harm is _of_another_file else 1.0)


def test_what_is_read_by_halves_is_not_kept(story: Story, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "_WORTH_AN_INDEX", 10)
    monkeypatch.setattr("create_llm_dashboard.lines._CHUNK_BYTES", 4096)
    story.start()
    for step in range(1, 101):
        story.step(step)
    found, index = History(story.folder.events), story.folder.events.with_name("events.index.npz")
    while not found.refresh(0):
        found.keep()
        assert not index.exists()
    found.keep()
    assert index.is_file()
    assert {path.name for path in index.parent.iterdir()} == {
        "events.index.npz",
        "events.jsonl",
        "run.json",
    }


def test_a_shorter_file_is_another_file(indexed: Story, monkeypatch: pytest.MonkeyPatch):
    lines = indexed.folder.events.read_bytes().splitlines(keepends=True)
    indexed.folder.events.write_bytes(b"".join(lines[:11]))
    found, started = read_bytes(indexed, monkeypatch)
    assert started == [0]
    assert len(found.steps) == 10


def test_threads_that_look_together_count_nothing_twice(story: Story):
    story.start()
    for step in range(1, 3001):
        story.step(step)
    found = History(story.folder.events)
    threads = [threading.Thread(target=found.refresh) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found.steps["step"].tolist() == list(range(1, 3001))


def test_a_spike_is_seen_among_a_million_points():
    values = np.full(1_000_000, 2.0, np.float32)
    values[123_456], values[777_777], values[-1] = 9.0, 0.5, 3.0
    shown = chosen(values, 1000)
    assert {0, 123_456, 777_777, 999_999} <= set(shown.tolist())
    assert len(shown) <= 1002
    assert (np.diff(shown) > 0).all()


@pytest.mark.parametrize("count", [0, 1, 2, 999, 1000, 1001, 2001])
def test_few_points_are_all_there(count: int):
    values = np.arange(count, dtype=np.float32)
    shown = chosen(values, 1000)
    assert len(shown) == count if count <= 1000 else 900 < len(shown) <= 1002


def test_smoothing_is_a_mean_that_looks_back_only():
    values = np.array([1.0, 3.0, np.nan, 5.0])
    assert smoothed(values, 2).tolist() == [1.0, 2.0, 3.0, 5.0]
    assert smoothed(values, 1).tolist()[:2] == [1.0, 3.0]
    assert smoothed(np.array([]), 5).tolist() == []
    assert smoothed(values, 9).tolist() == [1.0, 2.0, 2.0, 3.0]
    assert np.isnan(smoothed(np.array([np.nan]), 2)).all()


@pytest.mark.parametrize(
    "query", [{"from": "x"}, {"from": "nan", "to": "1e999"}, {"smoothing": "-1"}]
)
def test_what_a_page_asks_for_is_checked(query: dict[str, str]):
    seen = Seen.asked(query)
    assert (seen.first, seen.last, seen.smoothing) == (-math.inf, math.inf, 0.0)
