"""Files that are damaged, or not as training writes them: the page sees what is good of them."""

from __future__ import annotations

import json
import random
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from create_llm_dashboard import history as module
from create_llm_dashboard import lines
from create_llm_dashboard.history import History

from .conftest import RUN, Served, Story

Serve = Callable[..., Served]
BIG = 10**400
ODD: list[Any] = [
    None, True, -1, 0.5, 2**63, -(2**63), BIG, 1e308, float("inf"), float("nan"), "", "x", [], [1],
    {}, {"a": [{}]}, "\x00\ud800",
]  # fmt: skip
FIELDS = {
    "step": ["step", "time", "session", "loss", "learning_rate", "tokens_per_second", "grad_norm"],
    "eval": ["step", "train_loss", "val_loss", "val_bits_per_byte", "session", "time"],
    "train_start": ["step", "resumed_from", "total_steps", "parameters", "vocab_size"],
    "train_end": ["step", "status", "error", "model", "event"],
    "sample": ["step", "prompt", "text"],
    "warning": ["step", "message", "suggestion", "level"],
    "checkpoint": ["step", "path", "reason", "seconds"],
}
GOOD = 10_000


def written(event: str, step: int, **fields: object) -> dict[str, object]:
    figures = {"loss": 5.0, "train_loss": 5.0, "val_loss": 5.0, "total_steps": 100, "text": "x"}
    envelope = {"event": event, "time": "2026-01-01T00:00:00.000Z", "step": step, "session": 1}
    return {**envelope, **figures, **fields}


def mutants(seed: int) -> Iterator[bytes]:
    """Lines with something wrong in them."""
    chance = random.Random(seed)
    for _ in range(150):
        event = chance.choice(list(FIELDS))
        line: dict[str, object] = written(event, chance.randrange(1, 100))
        for field in chance.sample(FIELDS[event], 2):
            line[field] = chance.choice(ODD)
        text = json.dumps(line, separators=chance.choice([(", ", ": "), (",", ":")])).encode()
        if chance.random() < 0.3:
            at = chance.randrange(len(text))
            text = text[:at] + bytes(chance.randrange(256) for _ in range(3)) + text[at + 2 :]
        if chance.random() < 0.1:
            text = text[: chance.randrange(len(text))]
        yield text


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at the files more often than anybody could."""
    monkeypatch.setattr("create_llm_dashboard.app.LOOK_SECONDS", 0.05)
    monkeypatch.setattr("create_llm_dashboard.looks.LOOK_SECONDS", 0.05)


@pytest.fixture
def no_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.mark.parametrize("seed", range(12))
def test_what_is_good_is_seen_between_what_is_not(story: Story, no_warnings: None, seed: int):
    found = History(story.folder.events)
    for n, line in enumerate(mutants(seed)):
        with story.folder.events.open("ab") as file:
            file.write(line + b"\n")
        story.step(GOOD + n, 2.5)
        story.eval(GOOD + n, 2.0, 2.25)
        story.tell("sample", GOOD + n, prompt="", text=f"{n}")
        if n % 10 == 9:
            assert found.refresh()
            assert (found.steps["step"][-1], found.steps["loss"][-1]) == (GOOD + n, 2.5)
            assert (found.evals["step"][-1], found.evals["val_loss"][-1]) == (GOOD + n, 2.25)
            assert found.latest("sample")["text"] == f"{n}"
            assert found.last_time is not None
            assert found.last_time.tzinfo is not None
    anew = History(story.folder.events)
    anew.refresh()
    assert anew.steps["step"].tolist() == found.steps["step"].tolist()


@pytest.mark.parametrize("seed", range(3))
def test_a_stream_goes_on_over_any_events(story: Story, serve: Serve, seed: int):
    story.start()
    with story.live(), serve().news(f"/runs/{RUN}/stream") as news:
        next(news)
        with story.folder.events.open("ab") as file:
            file.write(b"\n".join(mutants(seed)) + b"\n")
        story.start()
        story.step(GOOD, 2.5)
        told(news, GOOD)


def told(news: Iterator[dict[str, Any]], step: int) -> None:
    for event in news:
        if event["panel"] == "progress" and event["data"].get("step") == step:
            return
    raise AssertionError("the stream has ended")


CONTENTS = [
    b'{"status": "completed", "steps": "x", "wall_seconds": [], "val_loss": {}}',
    b'{"status": ["completed"], "paused_for": 5, "command": 7, "config": [], "frozen": "x"}',
    b'{"status": "completed", "steps": 1e999, "wall_seconds": NaN, "val_loss": 1e308}',
    b'{"status": "paused", "paused_for": {"reason": [], "suggestions": 7}, "command": [[], 1]}',
    b'{"status": {}, "config": {"tokenizer": 4}, "sources": [], "identity": 3, "remedies": 1}',
    b'{"status": "completed", "steps": 1' + b"0" * 400 + b', "val_loss": 1' + b"0" * 400 + b"}",
    b'{"status": "comp',
    b"[" * 100_000,
    b"\xff\xfe\x00",
    b"",
]


@pytest.mark.parametrize("name", ["summary.json", "run.json"])
def test_a_stream_goes_on_over_any_files(story: Story, serve: Serve, name: str):
    story.start()
    story.step(1)
    served, path = serve(), story.folder.path / name
    with served.news(f"/runs/{RUN}/stream") as news:
        next(news)
        for step, content in enumerate(CONTENTS, 2):
            path.write_bytes(content)
            story.step(step)
            told(news, step)
            assert served.ask(f"/runs/{RUN}").status == 200
        path.unlink()
        if name == "summary.json":
            path.mkdir()
        story.step(50)
        told(news, 50)


@pytest.mark.parametrize("panel", ["speed", "configuration", "progress", "curves"])
@pytest.mark.parametrize("content", CONTENTS)
def test_a_panel_that_is_asked_for_by_itself_says_why_it_failed(
    story: Story, serve: Serve, panel: str, content: bytes
):
    story.start()
    story.step(1)
    (story.folder.path / "run.json").write_bytes(content)
    answer = serve().ask(f"/runs/{RUN}/panels/{panel}")
    assert answer.status == 200
    if panel == "configuration" and b'"config": []' in content:
        assert "not iterable" in answer.json["failed"]


def test_a_panel_says_that_events_cannot_be_opened(
    story: Story, serve: Serve, monkeypatch: pytest.MonkeyPatch
):
    story.start()
    monkeypatch.setattr(module, "blocks", _refused)
    answer = serve().ask(f"/runs/{RUN}/panels/speed")
    assert (answer.status, answer.json) == (
        200,
        {"failed": "OSError: [Errno 5] Input/output error"},
    )


def test_events_that_cannot_be_opened_are_told_and_seen_when_they_can(
    story: Story, serve: Serve, monkeypatch: pytest.MonkeyPatch
):
    story.start()
    story.step(1)
    with serve().news(f"/runs/{RUN}/stream") as news:
        next(news)
        with monkeypatch.context() as patched:
            patched.setattr(module, "blocks", _refused)
            story.step(2)
            said = next(event["data"]["said"] for event in news if event["panel"] == "")
            while said["title"] != "The run's files are damaged":
                said = next(event["data"]["said"] for event in news if event["panel"] == "")
            assert "Input/output error" in said["text"][0]
        told(news, 2)


def _refused(path: Path, start: int) -> Iterator[bytes]:
    raise OSError(5, "Input/output error")


@contextmanager
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """How many bytes are read of any file."""
    read: list[int] = []
    original = lines.blocks

    class Counting:
        def __init__(self, path: Path) -> None:
            self._path = path

        def open(self, mode: str) -> Any:
            file = self._path.open(mode)
            plain = file.read

            class File:
                def __enter__(self) -> Any:
                    return self

                def __exit__(self, *error: object) -> None:
                    file.close()

                seek = file.seek

                def read(self, size: int) -> bytes:
                    found: bytes = plain(size)
                    read.append(len(found))
                    return found

            return File()

    with monkeypatch.context() as patched:
        patched.setattr(module, "blocks", lambda path, start: original(Counting(path), start))
        yield read


def test_a_line_without_end_is_looked_through_once(story: Story, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(lines, "_CHUNK_BYTES", 1 << 10)
    monkeypatch.setattr(lines, "_LONGEST_BYTES", 1 << 12)
    story.start()
    story.step(1)
    with counted(monkeypatch) as read:
        found = History(story.folder.events)
        for _ in range(20):
            with story.folder.events.open("ab") as file:
                file.write(b"x" * (1 << 14))
            for _ in range(5):
                found.refresh()
        size = story.folder.events.stat().st_size
        assert sum(read) < 2 * size  # read anew at each look: a hundred times as much
        with story.folder.events.open("ab") as file:
            file.write(b'"}\n')
        story.step(2, 4.0)
        found.refresh()
        assert found.steps["step"].tolist() == [1, 2]
        assert found.latest("train_start")["total_steps"] == 100
    anew = History(story.folder.events)
    anew.refresh()
    assert anew.steps["step"].tolist() == [1, 2]


@pytest.fixture
def indexed(story: Story, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The index of a small run."""
    monkeypatch.setattr(module, "_WORTH_AN_INDEX", 3)
    story.start()
    for step in range(1, 6):
        story.step(step, float(step))
    found = History(story.folder.events)
    found.refresh()
    found.keep()
    return story.folder.events.with_name("events.index.npz")


def test_a_bit_that_flipped_in_the_index_is_nothing(story: Story, indexed: Path):
    good, chance = indexed.read_bytes(), random.Random(1)
    for at in range(0, len(good), 7):
        harmed = bytearray(good)
        harmed[at] ^= 1 << chance.randrange(8)
        indexed.write_bytes(harmed)
        found = History(story.folder.events)
        found.refresh()
        assert found.steps["loss"].tolist() == [1.0, 2.0, 3.0, 4.0, 5.0], at
        assert found.latest("train_start")["total_steps"] == 100, at


@pytest.mark.parametrize("others", [None, [], {"events": {"unheard": []}}, {"events": 1}])
def test_an_index_of_another_make_is_none(story: Story, indexed: Path, others: object):
    import numpy as np

    with np.load(indexed) as kept:
        arrays = dict(kept)
    head = json.loads(arrays["head"].tobytes())
    head["others"] = others
    arrays["head"] = np.frombuffer(json.dumps(head).encode(), np.uint8)
    np.savez(indexed, **arrays)
    found = History(story.folder.events)
    found.refresh()
    assert found.steps["loss"].tolist() == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert found.latest("train_start")["total_steps"] == 100
