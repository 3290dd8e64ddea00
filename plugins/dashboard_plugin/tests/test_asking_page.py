"""The page's buttons, and what it tells people to do, in a real browser."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from create_llm.runs.control import Control

from .conftest import Seen, Served, Story

Look = Callable[..., Seen]
Serve = Callable[..., Served]
ADVICE = "slower: llm train --set callbacks.guard.on_anomaly=warn --learning-rate 0.003"
LOOKED_MS = 1500
"""The server has looked at the run's files twice."""


def until(page: Any, truth: str, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not page.evaluate(truth):
        assert time.monotonic() < deadline, f"never: {truth}"
        page.wait_for_timeout(50)


@contextmanager
def watched(story: Story, serve: Serve, look: Look) -> Iterator[Any]:
    """The page of a live run that has written a checkpoint."""
    story.start()
    story.tell("checkpoint", 10, path="x/step-10", reason="interval", seconds=0.1)
    story.step(10)
    with story.live():
        seen = look(serve(inside=False).serving.link)
        seen.page.get_by_role("button", name="Pause").wait_for()
        yield seen.page
    assert seen.errors == []


def says(page: Any, request: str, text: str) -> None:
    until(page, f"document.querySelector('[data-request={request}]').textContent === '{text}'")


def press(page: Any, story: Story, request: str) -> None:
    """A request that the run takes before the page hears of it."""
    with page.expect_response("**/control*"):
        page.locator(f"[data-request={request}]").click()
    Control(story.folder.path).clear()


def test_checkpoint_now_says_when_it_is_saved(story: Story, serve: Serve, look: Look):
    with watched(story, serve, look) as page:
        press(page, story, "checkpoint")
        page.wait_for_timeout(LOOKED_MS)
        says(page, "checkpoint", "Saving …")
        story.tell("checkpoint", 15, path="x/step-15", reason="request", seconds=0.1)
        says(page, "checkpoint", "Saved at step 15")
        assert page.locator("#announced").text_content() == "Saved at step 15"
        says(page, "checkpoint", "Checkpoint now")
        assert page.locator("[data-request=checkpoint]").is_enabled()
        press(page, story, "checkpoint")
        says(page, "checkpoint", "Saving …")


def test_a_step_that_is_saved_already_is_not_saved_again(story: Story, serve: Serve, look: Look):
    with watched(story, serve, look) as page:
        press(page, story, "checkpoint")
        page.wait_for_timeout(LOOKED_MS)
        says(page, "checkpoint", "Saving …")
        story.step(20)
        says(page, "checkpoint", "Saved at step 10")


@pytest.mark.parametrize(("request_", "text"), [("pause", "Pausing …"), ("stop", "Stopping …")])
def test_an_end_that_was_asked_for_is_said_until_it_has_come(
    story: Story, serve: Serve, look: Look, request_: str, text: str
):
    with watched(story, serve, look) as page:
        page.on("dialog", lambda dialog: dialog.accept())
        press(page, story, request_)
        story.eval(10, 4.0, 4.0)
        page.wait_for_timeout(LOOKED_MS)
        says(page, request_, text)
        assert page.locator(f"[data-request={request_}]").is_disabled()


def test_a_button_can_be_used_again_after_a_while(story: Story, serve: Serve, look: Look):
    with watched(story, serve, look) as page:
        page.clock.install()
        press(page, story, "checkpoint")
        page.clock.run_for(130_000)
        says(page, "checkpoint", "Checkpoint now")


def test_what_was_asked_for_in_a_terminal_is_said_as_well(story: Story, serve: Serve, look: Look):
    from create_llm.runs.control import Request

    with watched(story, serve, look) as page:
        Control(story.folder.path).send(Request.PAUSE)
        says(page, "pause", "Pausing …")


def test_advice_is_a_list_whose_commands_can_be_copied(story: Story, serve: Serve, look: Look):
    story.start()
    story.step(10)
    story.tell("warning", 5, message="a note", level="note")
    story.tell(
        "warning",
        5,
        message="it blew up",
        suggestion=f"{ADVICE}; or more text, or so",
        level="serious",
    )
    story.tell(
        "warning", 10, message="quality 3 of 100: so", suggestion=f"{ADVICE}; rest", level="note"
    )
    story.end(10, model="/x/v1")
    seen = look(
        serve(inside=False).serving.link,
        viewport={"width": 360, "height": 740},
        permissions=["clipboard-read", "clipboard-write"],
    )
    page, panel = seen.page, seen.page.locator("[data-panel=warnings]")
    panel.get_by_text("1 serious, 1 note").wait_for()
    assert panel.get_by_text("a note").is_hidden()
    assert "quality 3" not in (panel.text_content() or "")
    panel.get_by_text("Notes (1)").click()
    assert panel.get_by_text("a note").is_visible()
    items = panel.locator(".advice li")
    assert items.count() == 2
    assert items.nth(1).inner_text() == "more text, or so"
    assert items.nth(0).locator("code").text_content() == ADVICE.removeprefix("slower: ")
    box = page.locator("#said .advice").first
    assert box.get_by_role("listitem").count() == 2
    button = items.nth(0).get_by_role("button", name=re.compile("^Copy llm train"))
    button.focus()
    page.keyboard.press("Enter")
    until(page, "document.getElementById('announced').textContent === 'Copied'")
    assert page.evaluate("navigator.clipboard.readText()") == ADVICE.removeprefix("slower: ")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    lines = page.evaluate(
        """[...document.querySelectorAll('[data-panel=warnings] .word')]
        .map(word => word.getClientRects().length)"""
    )
    assert set(lines) == {1}
    assert seen.errors == []


def test_nothing_is_hidden_in_a_box_that_scrolls(story: Story, serve: Serve, look: Look):
    story.start()
    for step in range(30):
        story.tell("warning", step, message="x " * 100, level="serious" if not step else "warning")
    page = look(serve(inside=False).serving.link, viewport={"width": 360, "height": 740}).page
    page.get_by_text("1 serious, 29 warnings").wait_for()
    first = page.locator("[data-panel=warnings] .warnings > li").first
    assert "serious" in first.inner_text()
    assert page.get_by_text("Older warnings (24)").is_visible()
    assert page.evaluate(
        """[...document.querySelectorAll('[data-panel=warnings] ul')]
        .every(list => list.scrollHeight <= list.clientHeight + 1)"""
    )


def heights(page: Any) -> tuple[float, float]:
    """Of the loss's picture."""
    found: list[float] = page.evaluate(
        """(() => { const plot = Bokeh.documents.flatMap(d => [...d._all_models.values()])
        .findLast(m => m.type === 'Figure' && m.left[0].axis_label === 'loss');
        return [plot.y_range.start, plot.y_range.end]; })()"""
    )
    return found[0], found[1]


def test_one_huge_loss_leaves_the_picture_and_is_told(story: Story, serve: Serve, look: Look):
    story.start()
    for step in range(1, 20):
        story.step(step, 800_000.0 if step == 12 else 5.0)
    seen = look(serve(inside=False).serving.link)
    page = seen.page
    until(page, "document.querySelector('[data-panel=curves] [data-drawn]')")
    low, high = heights(page)
    assert low >= 0
    assert high < 12
    told = page.get_by_text("above the picture: up to 800,000")
    assert told.is_visible()
    page.get_by_label("logarithmic").check()
    assert told.is_hidden()
    page.wait_for_timeout(LOOKED_MS)
    assert heights(page)[1] > 800_000
    assert seen.errors == []


def test_a_run_that_has_just_begun_has_no_red(story: Story, serve: Serve, look: Look):
    story.start()
    story.step(1, 6.9)
    with story.live():
        page = look(serve(inside=False).serving.link).page
        verdict = page.locator("[data-panel=curves] .verdict")
        verdict.get_by_text("Just begun").wait_for()
        assert verdict.get_attribute("data-zone") == "quiet"
        assert page.locator("[data-panel=curves] .zones").is_hidden()
        story.step(50, 6.8)
        verdict.get_by_text("problematic").wait_for()
        assert page.locator("[data-panel=curves] .zones").is_visible()
