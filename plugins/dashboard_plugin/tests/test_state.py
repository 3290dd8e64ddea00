"""What the top of the page says of a run that is over."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import pytest

from create_llm.runs.report import LIVE
from create_llm_dashboard.reading import ReadRun
from create_llm_dashboard.state import state_of

from .conftest import RUN, Served, Story

GUESS = math.log(1000)


def said(story: Story, status: str | None = None) -> dict[str, Any]:
    run = ReadRun(story.folder)
    run.history.refresh()
    state: Any = json.loads(json.dumps(state_of(run, status or run.status(), newest=True)))
    return state["said"]


def completed(story: Story, val: float) -> None:
    story.step(50, val)
    story.eval(50, val, val)
    story.end(50, model="/x/models/v3")


def summary(story: Story, **fields: object) -> None:
    path = story.folder.path / "summary.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def test_of_a_live_run_nothing_is_said(story: Story):
    story.start()
    assert said(story, LIVE) is None


@pytest.mark.parametrize(
    ("share", "tone", "title"),
    [
        (0.4, "good", "Training is complete"),
        (0.6, "acceptable", "Training is complete"),
        (0.9, "problematic", "Training is over, but not well"),
        (4.5, "problematic", "Training is over, but not well"),
    ],
)
def test_a_complete_run_has_the_tone_of_its_verdict(
    story: Story, share: float, tone: str, title: str
):
    story.start()
    completed(story, GUESS * share)
    told = said(story)
    assert (told["tone"], told["title"]) == (tone, title)
    assert ("worse than guessing" in " ".join(told["text"])) == (share > 1)


def test_a_complete_run_that_went_back_says_so(story: Story):
    story.start()
    story.step(40)
    story.tell("train_end", 40, status="rewound", stopped_by="callback", seconds=1.0)
    story.start()
    completed(story, 2.0)
    assert "went back, once from step 40 to its beginning" in said(story)["text"][1]


def test_the_note_that_a_callback_closes_with_is_told_with_what_to_do(story: Story):
    story.start()
    story.tell("warning", 50, message="mind this", level="warning")
    story.tell("warning", 50, message="quality 62 of 100: why", suggestion="more", level="note")
    completed(story, 2.0)
    told = said(story)
    assert told["text"][-1] == "Quality 62 of 100: why"
    assert told["todo"] == ["more"]
    assert "mind this" not in " ".join(told["text"]).lower()


@pytest.mark.parametrize(("step", "level"), [(20, "note"), (50, "warning")])
def test_what_was_told_on_the_way_is_no_closing_note(story: Story, step: int, level: str):
    story.start()
    story.tell("warning", step, message="an aside", level=level)
    completed(story, 2.0)
    assert "aside" not in said(story)["text"][-1].lower()


def test_a_note_of_an_earlier_session_is_no_closing_note(story: Story):
    story.start()
    story.tell("warning", 50, message="earlier", level="note")
    story.end(50, "paused")
    story.start(resumed_from=50)
    completed(story, 2.0)
    assert "earlier" not in said(story)["text"][-1].lower()


def test_a_pause_with_a_reason_tells_it_and_what_to_do(story: Story):
    story.start()
    story.end(16, "paused")
    assert said(story)["tone"] == "quiet"
    summary(story, paused_for={"reason": "it diverges", "suggestions": ["slower", "look"]})
    told = said(story)
    assert told["tone"] == "problematic"
    assert told["text"][-1] == "Why: it diverges"
    assert told["todo"] == ["slower", "look"]
    assert told["next"] == ["llm train --max-steps 100"]
    assert told["lead"] == "To go on as it is:"


@pytest.mark.parametrize(
    "odd", [None, 3, "text", [], {}, {"reason": 7}, {"reason": "r", "suggestions": [1, None, {}]}]
)
@pytest.mark.parametrize("status", ["paused", "completed", "failed", "diverged"])
def test_files_that_are_odd_are_told_as_well_as_they_can_be(story: Story, odd: object, status: str):
    story.start(vocab_size=odd, total_steps=odd)
    story.tell("warning", 16, message=odd, suggestion=odd, level="note")
    story.end(16, status, model=odd, error=odd)
    summary(story, paused_for=odd, steps=odd, val_loss=odd, wall_seconds=odd)
    story.manifest(config=odd)
    told = said(story)
    assert told["title"]
    assert told["todo"] == [] or isinstance(odd, str)


@pytest.mark.parametrize(("status", "goes_on"), [("paused", True), ("completed", False)])
def test_the_verdict_on_a_run_that_can_go_on_speaks_of_what_is_to_come(
    story: Story, serve: Callable[..., Served], status: str, goes_on: bool
):
    story.start()
    story.eval(50, GUESS * 0.6, GUESS * 0.6)
    story.step(50, GUESS * 0.6)
    story.end(50, status)
    told = serve().ask(f"/runs/{RUN}/panels/curves").json["verdict"]
    assert ("should bring it further" in told["reason"]) == goes_on
