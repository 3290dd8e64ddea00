"""Many pages of one browser: they share a stream, and a hidden one reads nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from .conftest import RUN, Seen, Served, Story

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


def streams(served: Served, count: int) -> None:
    for _ in range(400):
        if served.serving.service.streams == count:
            return
        time.sleep(0.05)
    raise AssertionError(f"{served.serving.service.streams} streams, not {count}")


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


def test_when_the_page_that_reads_is_closed_or_hidden_another_reads_on(
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
        second.evaluate(HIDE, True)
        story.step(3)
        says(third, 3)
        assert "Step 2 of" in second.evaluate(STEP)
        third.evaluate(HIDE, True)
        story.step(4)
        streams(served, 0)
        second.evaluate(HIDE, False)
        says(second, 4)
        assert "Step 3 of" in third.evaluate(STEP)
        third.evaluate(HIDE, False)
        says(third, 4)
        assert served.serving.service.streams == 1


def test_all_pages_say_that_the_dashboard_has_ended(tmp_path: Path, serve: Serve, look: Look):
    from .conftest import served

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
