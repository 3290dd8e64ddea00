"""Many pages of one browser: they share a stream, and a hidden one draws nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from create_llm_dashboard.__main__ import _Over

from .conftest import RUN, Seen, Served, Story, served

Look = Callable[..., Seen]
Serve = Callable[..., Served]
STEP = "document.querySelector('[data-panel=progress]').innerText"
STATUS = "document.getElementById('status').textContent"
TROUBLE = "document.getElementById('connection').textContent"
HIDE = """hidden => {
  Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}"""


def until(page: Any, truth: str, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not page.evaluate(truth):
        assert time.monotonic() < deadline, f"never: {truth}"
        page.wait_for_timeout(50)


def says(page: Any, step: int) -> None:
    until(page, f"{STEP}.includes('Step {step} of')")


def more(seen: Seen, served: Served, count: int) -> list[Any]:
    """Other windows of the same browser, all of them seen."""
    pages = [seen.page.context.new_page() for _ in range(count)]
    for page in pages:
        page.goto(f"{served.url}/runs/{RUN}")
    return [seen.page, *pages]


def test_eight_windows_take_one_stream_and_their_buttons_answer(
    story: Story, serve: Serve, look: Look
):
    story.start()
    story.step(1)
    served = serve(inside=False)
    with story.live():
        seen = look(served.serving.link)
        pages = more(seen, served, 7)
        for page in pages:
            says(page, 1)
        assert served.serving.service.streams == 1
        story.step(2)
        for page in pages:
            says(page, 2)
        pages[-1].get_by_role("button", name="Pause").click()
        until(pages[0], "document.querySelector('[data-request=pause]').disabled")
        assert (story.folder.path / "control" / "pause").exists()
    assert seen.errors == []


def test_when_the_page_that_reads_is_closed_another_reads_on(
    story: Story, serve: Serve, look: Look
):
    story.start()
    story.step(1)
    served = serve(inside=False)
    with story.live():
        seen = look(served.serving.link)
        first, second, third = more(seen, served, 2)
        says(third, 1)
        first.close()
        story.step(2)
        says(second, 2)
        says(third, 2)
        assert served.serving.service.streams == 1


def test_a_hidden_page_draws_nothing_and_shows_the_end_when_it_is_seen(
    story: Story, serve: Serve, look: Look
):
    story.start()
    story.step(1)
    served = serve(inside=False)
    over = _Over(served.serving, story.folder.path)
    with story.live():
        first = look(served.serving.link).page
        says(first, 1)
        first.evaluate(HIDE, True)
        second = first.context.new_page()
        second.goto(f"{served.url}/runs/{RUN}")
        story.step(2)
        says(second, 2)
        assert "Step 1 of" in first.evaluate(STEP)
        second.close()
        story.end(3)
    over._since = -1e9
    assert not over(), "a page that is open, seen or not, is somebody who looks"
    first.evaluate(HIDE, False)
    until(first, f"{STATUS} === 'completed'")


def test_a_page_that_is_not_known_any_more_leaves_the_reading_to_one_that_is(
    tmp_path: Path, serve: Serve, look: Look
):
    """The dashboard was started again at the same port, and its new link opened beside."""
    story = Story(tmp_path)
    story.start()
    story.step(1)
    with served(tmp_path, inside=False) as before, story.live():
        old = look(before.serving.link).page
        says(old, 1)
    with served(tmp_path, inside=False, port=before.port) as after, story.live():
        until(old, f"{TROUBLE}.includes('does not know')")
        new = old.context.new_page()
        new.goto(after.serving.link)
        says(new, 1)
        assert new.evaluate(TROUBLE) == ""


def test_all_pages_say_that_the_dashboard_has_ended(tmp_path: Path, serve: Serve, look: Look):
    story = Story(tmp_path)
    story.start()
    story.step(1)
    with ExitStack() as stack:
        running = stack.enter_context(served(tmp_path, inside=False))
        stack.enter_context(story.live())
        pages = more(look(running.serving.link), running, 1)
        for page in pages:
            says(page, 1)
    for page in pages:
        until(page, f"{TROUBLE}.includes('has ended')")
    late = pages[0]
    late.evaluate(HIDE, True)
    late.evaluate(HIDE, False)
    until(pages[1], f"{TROUBLE}.includes('has ended')")


def test_too_many_pages_are_told_what_to_do_and_come_in_when_there_is_room(
    story: Story, serve: Serve, look: Look, monkeypatch: Any
):
    story.start()
    story.step(1)
    served = serve(inside=False)
    monkeypatch.setattr("create_llm_dashboard.app._MOST_STREAMS", 0)
    page = look(served.serving.link).page
    until(page, f"{TROUBLE}.includes('close some')")
    monkeypatch.setattr("create_llm_dashboard.app._MOST_STREAMS", 1)
    says(page, 1)
    assert page.evaluate(TROUBLE) == ""
