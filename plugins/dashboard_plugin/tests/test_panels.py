"""What the panels of progress, loss, warnings and the machine tell."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from create_llm.runs.report import LIVE
from create_llm_dashboard.panel import Panel, View
from create_llm_dashboard.panels import curves, machine, progress, warnings
from create_llm_dashboard.reading import ReadRun, Runs
from create_llm_dashboard.system import System

from .conftest import Story

GUESS = math.log(1000)


def told(panel: Panel, *stories: Story, status: str = LIVE) -> Any:
    runs = [ReadRun(story.folder) for story in stories]
    for run in runs:
        run.history.refresh()
    view = View(runs[0], tuple(runs[1:]), Runs(list), System(), {}, status)
    return json.loads(json.dumps(panel.data(view)))


def test_the_end_of_a_run_is_told_step_by_step(story: Story):
    story.start()
    story.step(99)
    assert told(progress.PANEL, story)["left"] is not None
    story.step(100)
    data = told(progress.PANEL, story)
    assert "evaluating for the last time" in data["awaited"]
    assert data["left"] is None
    story.eval(100, 3.0, 3.0)
    assert "saving the model" in told(progress.PANEL, story)["awaited"]
    assert told(progress.PANEL, story, status="completed")["awaited"] == ""


def test_progress_has_bits_per_byte_beside_nats(story: Story):
    story.start()
    assert told(progress.PANEL, story)["bits_per_byte"] is None
    story.eval(10, 3.0, 3.0)
    assert told(progress.PANEL, story)["bits_per_byte"] == 1.5


def test_the_gravest_warnings_come_first_and_of_those_the_newest(story: Story):
    story.start()
    for step, level in ((1, "serious"), (2, "note"), (3, "warning"), (4, "serious"), (5, "odd")):
        story.tell("warning", step, message="m", suggestion="a; or b", level=level)
    found = told(warnings.PANEL, story)["warnings"]
    assert [each["step"] for each in found] == [4, 1, 5, 3, 2]
    assert found[0]["todo"] == ["a", "b"]


def test_a_serious_warning_is_not_crowded_out(story: Story):
    story.start()
    story.tell("warning", 1, message="m", level="serious")
    for step in range(2, 80):
        story.tell("warning", step, message="m", level="note")
    assert told(warnings.PANEL, story)["warnings"][0]["step"] == 1


def test_the_closing_note_is_told_once(story: Story):
    story.start()
    story.tell("warning", 1, message="an aside", level="note")
    story.tell("warning", 9, message="the score", level="note")
    story.end(9)
    over = told(warnings.PANEL, story, status="completed")["warnings"]
    assert [each["message"] for each in over] == ["an aside"]


@pytest.mark.parametrize(
    ("step", "share", "zone"),
    [
        (5, 0.99, "quiet"),
        (9, 1.04, "quiet"),
        (10, 0.99, "problematic"),
        (3, 1.3, "quiet"),
        (9, 1.3, "problematic"),
        (3, math.nan, "problematic"),
    ],
)
def test_a_run_that_has_just_begun_alarms_nobody(story: Story, step: int, share: float, zone: str):
    story.manifest(config={"training": {"warmup_steps": 4}})
    story.start()
    story.step(step, None if math.isnan(share) else GUESS * share)
    assert told(curves.PANEL, story)["verdict"]["zone"] == zone


def test_the_first_score_is_judged_and_so_is_a_run_that_is_over(story: Story):
    story.start()
    story.step(5, GUESS)
    over = told(curves.PANEL, story, status="completed")["verdict"]
    assert over["zone"] == "problematic"
    story.eval(5, GUESS, GUESS)
    assert told(curves.PANEL, story)["verdict"]["zone"] == "problematic"


def test_the_verdict_on_a_run_that_diverged_is_that(story: Story):
    story.start()
    story.step(20, GUESS * 0.4)
    story.eval(20, GUESS * 0.4, GUESS * 0.4)
    story.end(30, "diverged", error="no number")
    verdict = told(curves.PANEL, story, status="diverged")["verdict"]
    assert verdict["zone"] == "problematic"
    assert "no number" in verdict["reason"]


def test_a_blown_up_run_does_not_flatten_the_others(story: Story):
    blown, third = (
        Story(story.folder.path.parents[1], name) for name in ("20260102-120000", "20260103-120000")
    )
    for each in (story, blown, third):
        each.start()
        each.step(1, GUESS)
        each.step(2, 800_000.0 if each is blown else 4.0)
        each.step(3, 700_000.0 if each is blown else 3.0)
    assert told(curves.PANEL, story, third)["high"] is None
    assert told(curves.PANEL, story, blown, third)["high"] == pytest.approx(1.5 * GUESS)
    assert told(curves.PANEL, story, blown)["high"] == pytest.approx(1.5 * GUESS)
    alone = told(curves.PANEL, blown)["high"]
    assert alone is None or alone > 700_000


def test_the_machine_of_a_run_that_is_over_is_told_to_be_this_one(story: Story):
    story.start()
    assert told(machine.PANEL, story)["live"]
    assert not told(machine.PANEL, story, status="completed")["live"]
