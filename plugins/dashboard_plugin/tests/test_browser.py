"""The page in a real browser, while a real training runs."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.journey import SMALL, llm, sentences, start_llm

from .conftest import RUN, Seen, Story, served

DRAWN = "[data-panel=curves] [data-drawn]"
POINTS = f"Number(document.querySelector('{DRAWN}')?.dataset.points ?? 0)"
STATUS = "document.getElementById('status').textContent"
RARELY = ("--set", "training.eval_interval=200", "--set", "training.save_interval=200")
LONG = ("--max-steps", "20000", "--resume", "never", *SMALL, *RARELY)
Look = Callable[..., Seen]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with text in it."""
    root = tmp_path_factory.mktemp("real")
    llm(root, "new", "p", "--template", "nano", "--yes")
    (root / "p" / "data" / "raw" / "days.txt").write_text(sentences(600))
    return root / "p"


@contextmanager
def training(project: Path, *arguments: str) -> Iterator[Any]:
    with start_llm(project, "train", *arguments) as process:
        try:
            yield process
        finally:
            process.kill()


def until(page: Any, truth: str, seconds: float = 30) -> None:
    """Wait for a truth of the page. (Playwright's own waiting makes scripts of texts, which this
    page does not allow.)"""
    deadline = time.monotonic() + seconds
    while not page.evaluate(truth):
        assert time.monotonic() < deadline, f"never: {truth}"
        page.wait_for_timeout(50)


def models(kind: str, which: str = "at(-1)") -> str:
    """Of the charts as they are drawn now, a part of that kind."""
    return f"""Bokeh.documents.flatMap(document => [...document._all_models.values()])
        .filter(model => model.type === '{kind}').{which}"""


def new_run(project: Path, known: set[str]) -> str:
    """The name of the run that has begun to train."""
    for _ in range(600):
        begun = {path.parent.name for path in project.glob("logs/*/events.jsonl")}
        if begun - known:
            return (begun - known).pop()
        time.sleep(0.05)
    raise AssertionError("no run began")


def test_a_training_is_watched_reloaded_paused_and_told_to_be_complete(project: Path, look: Look):
    known = {path.parent.name for path in project.glob("logs/*/run.json")}
    with training(project, *LONG), served(project, inside=False) as dashboard:
        run = new_run(project, known)
        seen = look(dashboard.serving.link)
        page = seen.page
        assert page.url == f"{dashboard.url}/runs/{run}"
        until(page, f"{POINTS} > 2")
        points = page.evaluate(POINTS)
        until(page, f"{POINTS} > {points + 5}")
        assert page.evaluate(STATUS) == "running"
        page.reload()
        until(page, f"{POINTS} > {points + 5}")
        late = page.context.new_page()
        late.goto(f"{dashboard.url}/runs/{run}")
        until(late, f"{POINTS} > {points + 5}")
        page.get_by_role("button", name="Pause").click()
        until(page, f"{STATUS} === 'paused'", seconds=10)
        page.get_by_role("heading", name="Paused").wait_for()
        assert "llm train" in page.locator("#said code").inner_text()
        assert page.locator("#controls").is_hidden()
        assert seen.errors == []
    summary = json.loads((project / "logs" / run / "summary.json").read_text())
    assert summary["status"] == "paused"


@pytest.mark.slow
def test_the_flag_of_training_tells_a_link_that_shows_its_end(project: Path, look: Look):
    port = ("--set", "callbacks.dashboard.port=0")
    arguments = ("--dashboard", "--max-steps", "200", "--resume", "never", *SMALL, *RARELY, *port)
    with training(project, *arguments) as process:
        for line in process.stderr:
            if link := re.search(r"dashboard: (http://127\.0\.0\.1:\d+/\?token=\S+)", line):
                break
        else:
            raise AssertionError("no link was told")
        seen = look(link[1])
        seen.page.get_by_role("heading", name="Training is complete").wait_for(timeout=60_000)
        assert "llm generate" in seen.page.locator("#said").inner_text()
        process.communicate(timeout=60)
        assert process.returncode == 0
    assert seen.page.evaluate(STATUS) == "completed"
    assert seen.errors == []


def test_a_sample_is_text_whatever_it_holds(story: Story, serve: Any, look: Look):
    story.start()
    bad = "<script>window.hit=1</script><img src=x onerror='window.hit=1'></script>\u2028\ud800"
    story.tell("sample", 1, prompt="<b>Once</b>", text=bad.encode("utf-8", "replace").decode())
    story.tell("warning", 1, message="<script>window.hit=1</script>", suggestion="<i>x</i>")
    story.end(2, "failed", error="<script>window.hit=1</script>", model=None)
    seen = look(serve(inside=False).serving.link)
    seen.page.locator("[data-panel=samples] blockquote").wait_for()
    assert "<img src=x" in seen.page.locator("[data-panel=samples] blockquote").inner_text()
    assert "<script>" in seen.page.locator("#said").inner_text()
    assert seen.page.evaluate("window.hit") is None
    assert seen.page.locator("main script, main img, blockquote b").count() == 0
    assert seen.errors == []


def test_no_script_of_a_text_and_none_from_elsewhere(story: Story, serve: Any, look: Look):
    page = look(serve(inside=False).serving.link).page
    page.evaluate(
        """() => { const s = document.createElement('script'); s.textContent = 'window.hit = 1';
        document.body.append(s); const t = document.createElement('script');
        t.src = 'data:text/javascript,window.hit=2'; document.body.append(t); }"""
    )
    assert page.evaluate("window.hit") is None
    blocked = page.evaluate("fetch('http://127.0.0.1:9/').then(() => 'let out', e => 'kept')")
    assert blocked == "kept"


def test_zooming_asks_for_more_of_less(story: Story, serve: Any, look: Look):
    story.start(total_steps=6000)
    for step in range(1, 6001):
        story.step(step, 5.0 + step % 7)
    seen = look(serve(inside=False).serving.link)
    page = seen.page
    page.wait_for_selector(DRAWN)
    with page.expect_response("**/panels/curves?*") as zoomed:
        page.get_by_role("button", name="Last quarter").click()
    steps = zoomed.value.json()["runs"][0]["train"]["x"]
    assert steps[0] in range(4490, 4500)
    assert len(steps) > 1000
    with page.expect_response("**/panels/curves?smoothing=0.08&from=4500*") as smooth:
        page.get_by_label("Smoothing").select_option("much")
    losses = smooth.value.json()["runs"][0]["train"]["y"]
    assert max(losses) - min(losses) < 0.1
    page.get_by_label("logarithmic").check()
    with page.expect_response("**/panels/curves?smoothing=0.08") as whole:
        page.get_by_role("button", name="Show all").click()
    assert whole.value.json()["runs"][0]["train"]["x"][0] == 1
    assert seen.errors == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1920])
def test_it_fits_every_screen(story: Story, serve: Any, look: Look, width: int, scheme: str):
    story.start()
    for step in range(1, 20):
        story.step(step)
    seen = look(
        serve(inside=False).serving.link,
        viewport={"width": width, "height": 800},
        color_scheme=scheme,
    )
    page = seen.page
    page.wait_for_selector(DRAWN)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("document.documentElement.dataset.theme") == scheme
    page.get_by_role("button", name="Light or dark").click()
    assert page.evaluate("document.documentElement.dataset.theme") != scheme
    assert seen.errors == []


def test_without_a_mouse_and_without_eyes(story: Story, serve: Any, look: Look):
    story.start()
    story.step(1)
    story.eval(1, 4.0, 4.5)
    page = look(serve(inside=False).serving.link).page
    page.wait_for_selector(DRAWN)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the run"
    nameless = page.evaluate(
        """() => [...document.querySelectorAll('button, select, input, progress, [role=img]')]
        .filter(e => !e.closest('[hidden]'))
        .filter(e => !(e.textContent.trim() || e.ariaLabel || e.labels?.length))
        .map(e => e.outerHTML)"""
    )
    assert nameless == []
    assert page.locator("[role=status][aria-live=polite]").count() == 1
    page.get_by_text("The evaluations as a table").click()
    assert page.get_by_role("cell", name="4.5000").is_visible()


def test_a_run_that_went_back_says_so_and_goes_on(story: Story, serve: Any, look: Look):
    story.start()
    for step in range(1, 41):
        story.step(step)
    with story.live():
        seen = look(serve(inside=False).serving.link)
        page = seen.page
        until(page, f"{POINTS} === 40")
        story.tell("train_end", 40, status="rewound", stopped_by="callback", seconds=1.0)
        story.start(resumed_from=20)
        story.step(21, 4.0)
        until(page, f"{POINTS} === 21")
        until(page, f"{models('Label')}.text === 'back from step 40'")
        assert page.evaluate(f"{models('Span')}.location") == 20
        chart = page.locator("[data-panel=curves] [role=img]").get_attribute("aria-label")
        assert "At step 20: back from step 40." in chart
        said = page.locator("[data-panel=progress]").inner_text()
        assert "It went back, once from step 40 to step 20" in said
        assert "Step 21 of 100" in said
        assert page.evaluate(STATUS) == "running"
        assert page.locator("#said").is_hidden()
    assert seen.errors == []


def test_before_there_is_a_run_the_page_waits_for_it(tmp_path: Path, serve: Any, look: Look):
    seen = look(serve(inside=False).serving.link)
    seen.page.get_by_role("heading", name="There is no run yet").wait_for()
    Story(tmp_path).start()
    seen.page.wait_for_url(f"**/runs/{RUN}")
    assert seen.errors == []


def legends(page: Any) -> list[str]:
    """Of the loss."""
    chart = page.locator("[data-panel=curves] [data-drawn]")
    assert chart.count() == 1
    found: list[str] = page.evaluate(
        f"{models('LegendItem', 'map(item => item.label.value ?? item.label)')}"
    )
    return found


def test_a_young_run_says_what_it_has_yet_to_tell(story: Story, serve: Any, look: Look):
    story.manifest(config={"logging": {"log_interval": 10}, "training": {"eval_interval": 50}})
    with story.live():
        seen = look(serve(inside=False).serving.link)
        page = seen.page
        awaited = page.locator("[data-panel=progress] [role=status]")
        awaited.get_by_text("Training is about to begin").wait_for()
        story.start()
        awaited.get_by_text("The first figures come at step 10.").wait_for()
        assert "measured first at step 50." in awaited.inner_text()
        story.step(10)
        until(page, f"{POINTS} === 1")
        assert "first figures" not in awaited.inner_text()
        assert "training" in legends(page)
        assert "validation" not in legends(page)
        story.eval(50, 4.0, 4.5)
        until(page, f"{POINTS} === 2")
        until(page, f"{models('LegendItem', 'length')} > 0")
        assert "validation" in legends(page)
        assert awaited.is_hidden()
    assert seen.errors == []


def test_a_run_that_was_paused_for_a_reason_says_why_in_red(story: Story, serve: Any, look: Look):
    story.start()
    story.end(16, "paused")
    path = story.folder.path / "summary.json"
    reason = {"reason": "the loss only rises", "suggestions": ["a lower rate", "look at the text"]}
    path.write_text(json.dumps({**json.loads(path.read_text()), "paused_for": reason}))
    seen = look(serve(inside=False).serving.link)
    box = seen.page.locator("#said")
    box.get_by_text("Why: the loss only rises").wait_for()
    items = box.get_by_role("listitem")
    assert items.all_inner_texts()[:2] == ["a lower rate", "look at the text"]
    assert items.nth(2).locator("code").inner_text() == "llm train --max-steps 100"
    assert box.get_attribute("data-tone") == "problematic"
    assert seen.errors == []


def test_runs_laid_over_one_another_have_one_legend_each(
    story: Story, tmp_path: Path, serve: Any, look: Look
):
    other = Story(tmp_path, "20260102-120000")
    for each in (story, other):
        each.start()
        each.step(1, 5.0)
        each.step(2, 4.0)
        each.eval(2, 4.0, 4.5)
    seen = look(serve(inside=False, meant=RUN, others=(RUN, "20260102-120000")).serving.link)
    page = seen.page
    until(page, f"{POINTS} === 6")
    shown = [text for text in legends(page) if text[0] == "2"]
    assert shown == [f"{RUN} (this run)", "20260102-120000"]
    assert page.get_by_role("checkbox", name="20260102-120000").is_checked()
    assert seen.errors == []


def test_a_button_that_is_not_answered_says_so_and_can_be_pressed_again(
    story: Story, serve: Any, look: Look
):
    story.start()
    story.step(1)
    with story.live():
        page = look(serve(inside=False).serving.link).page
        page.route("**/control*", lambda route: route.abort())
        pause = page.get_by_role("button", name="Pause", exact=True)
        pause.click()
        page.get_by_role("heading", name="That was not possible").wait_for()
        assert "llm runs pause" in page.locator("#said").inner_text()
        assert pause.is_enabled()
