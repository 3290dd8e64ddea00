"""The callback `notify` and a desktop's notification service."""

from __future__ import annotations

import itertools
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from plugins.notify_plugin.tests.conftest import bus_at
from plugins.notify_plugin.tests.service import Service, serving
from plugins.notify_plugin.tests.story import (
    SECONDS,
    all_sent,
    play,
    progress,
    senders,
    train_end,
    train_start,
    whole_run,
)
from pydantic import ValidationError

from create_llm.kernel.plugins import load_plugins
from create_llm.runs.events import Event
from create_llm.testing.events import eval_end, step_end
from create_llm.training.callbacks import Warn
from create_llm_notify.callback import Notify
from create_llm_notify.config import NotifyConfig
from create_llm_notify.desktop import Desktop, why_quiet
from create_llm_notify.outbox import Outbox
from create_llm_notify.words import Message

NORMAL, CRITICAL = 1, 2


def log(folder: Path) -> str:
    path = folder / "train.log"
    return path.read_text() if path.exists() else ""


def wait_until(met: Callable[[], object]) -> None:
    ticks = threading.Event()
    for _ in range(int(SECONDS / 0.01)):
        if met():
            return
        ticks.wait(0.01)
    pytest.fail("it never happened")


@contextmanager
def outbox(seconds: float) -> Iterator[tuple[Outbox, list[Message], list[str]]]:
    shown: list[Message] = []
    failed: list[str] = []
    made = Outbox(Desktop(sound=True), shown.append, failed.append, seconds)
    yield made, shown, failed
    made.close()
    assert made.join(SECONDS)


def message(number: int) -> Message:
    return Message("progress", f"{number}", "body", number)


def test_a_run_is_told_in_order(tmp_path: Path, service: Service):
    with all_sent():
        play(whole_run(tmp_path))
    told = [service.next() for _ in range(4)]
    titles = ["25 % of r1", "50 % of r1", "75 % of r1", "Finished: r1"]
    assert [one.title for one in told] == titles
    assert [one.urgency for one in told] == [NORMAL] * 4
    assert [one.sound for one in told] == [None, None, None, "complete"]
    assert {one.app for one in told} == {"create-llm"}
    assert told[0].body == "step 5 of 20; 1 min 05 s left"
    done = "20 steps in 2 min 05 s; validation loss 4.5000, 2.134 bits/byte; models/v1"
    assert told[3].body == done
    assert service.nothing_more()
    assert log(tmp_path) == ""


def test_only_urgency_and_sound_are_hinted_so_that_the_system_decides(
    tmp_path: Path, service: Service
):
    play([train_start(tmp_path), train_end(11, "diverged")])
    assert service.next().hints == ("sound-name", "urgency")


def test_a_milestone_has_the_latest_figures(tmp_path: Path, service: Service):
    play(
        [train_start(tmp_path), eval_end(4), step_end(5, loss=5.4321), train_end(6, "interrupted")]
    )
    figures = "1 min 05 s left, loss 5.4321, validation loss 5.1000, 2.345 bits/byte"
    assert service.next().body == f"step 5 of 20; {figures}"


@pytest.mark.parametrize(
    ("status", "by", "title"),
    [
        ("failed", "OSError", "Training failed"),
        ("diverged", "DivergedError", "Training diverged"),
        ("failed", "MemoryExhausted", "Out of memory"),
    ],
)
def test_errors_are_urgent(tmp_path: Path, service: Service, status: str, by: str, title: str):
    play([train_start(tmp_path), train_end(11, status, stopped_by=by)])
    told = service.next()
    assert (told.title, told.urgency, told.sound) == (title, CRITICAL, "dialog-error")
    assert told.body == "at step 11 of 20 of r1; the loss of step 11 is not a number"


def test_a_pause_is_told_and_how_it_goes_on(tmp_path: Path, service: Service):
    play([train_start(tmp_path), train_end(11, "paused", stopped_by="request", error=None)])
    told = service.next()
    assert (told.title, told.urgency, told.sound) == ("Paused: r1", NORMAL, None)
    assert told.body == "at step 11 of 20; go on with: llm train"


@pytest.mark.parametrize(
    ("status", "by"),
    [("interrupted", "SIGINT"), ("failed", "Signalled"), ("rewound", "callback")],
)
def test_who_ends_a_run_is_not_told_of_it(tmp_path: Path, service: Service, status: str, by: str):
    with all_sent():
        play([train_start(tmp_path), train_end(11, status, stopped_by=by)])
    assert service.nothing_more()


def test_the_sound_can_be_turned_off(tmp_path: Path, service: Service):
    play([train_start(tmp_path), train_end()], sound=False)
    assert service.next().sound is None


def test_milestones_are_a_choice(tmp_path: Path, service: Service):
    with all_sent():
        play(whole_run(tmp_path), milestones=(90, 10))
    assert service.titles(2) == ["10 % of r1", "90 % of r1"]
    with all_sent():
        play([*whole_run(tmp_path / "2")[:-1], train_end(20, "failed")], milestones=())
    assert service.titles(1) == ["Training failed"]
    assert service.nothing_more()


def test_of_several_milestones_in_one_look_the_last_is_told(tmp_path: Path, service: Service):
    play([train_start(tmp_path), progress(12), progress(20), train_end()])
    assert service.titles(3) == ["50 % of r1", "75 % of r1", "Finished: r1"]


@pytest.mark.parametrize("total", [0, 1, 2, 3])
def test_short_runs(tmp_path: Path, service: Service, total: int):
    play([train_start(tmp_path, total_steps=total), progress(total), train_end(total)])
    told = [service.next().title]
    while told[-1] != "Finished: r1":
        told.append(service.next().title)
    assert len(told) <= 2


def test_a_resumed_run_repeats_no_milestone(tmp_path: Path, service: Service):
    """The first session was killed at step 12; its last checkpoint is of step 8."""
    play([train_start(tmp_path), *map(progress, range(1, 13))])
    assert service.titles(2) == ["25 % of r1", "50 % of r1"]
    wait_until(lambda: '"step": 10' in told(tmp_path))
    again = [train_start(tmp_path, step=8, resumed_from=8), *map(progress, range(9, 21))]
    play([*again, train_end()])
    assert service.titles(2) == ["75 % of r1", "Finished: r1"]


def told(folder: Path) -> str:
    path = folder / "notified.json"
    return path.read_text() if path.exists() else ""


def test_what_was_passed_before_notify_was_asked_for_is_not_told(tmp_path: Path, service: Service):
    play([train_start(tmp_path, step=14), progress(15), train_end(15, "paused")])
    assert service.titles(2) == ["75 % of r1", "Paused: r1"]


@pytest.mark.parametrize("kept", ["", "[]", '{"step": "x"}', "\x00"])
def test_notes_that_cannot_be_read_count_as_none(tmp_path: Path, service: Service, kept: str):
    (tmp_path / "notified.json").write_text(kept)
    play([train_start(tmp_path), progress(5), train_end(6, "interrupted")])
    assert service.titles(1) == ["25 % of r1"]


def test_a_folder_that_takes_no_notes_costs_nothing(tmp_path: Path, service: Service):
    play(whole_run(tmp_path / "missing"))
    assert service.titles(4)[-1] == "Finished: r1"


def test_names_and_errors_are_data(tmp_path: Path, service: Service):
    evil = "a\x1b[2J\x07\x9b\u202eb\ud800 <img src='http://x'/> & c"
    play([train_start(tmp_path, run=evil), train_end(1, "failed", error=evil * 50)])
    told = service.next()
    assert told.body.startswith("at step 1 of 20 of a [2J b ‹img src='http://x'/› ＆ c; a [2J")
    assert len(told.body) <= 240
    play([train_start(tmp_path, run=evil), train_end(1, "paused")])
    assert service.next().title == "Paused: a [2J b <img src='http://x'/> & c"


@pytest.mark.usefixtures("bus")
def test_without_a_service_it_is_silent_with_one_line_in_the_log(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    with all_sent():
        play(whole_run(tmp_path))
    (line,) = log(tmp_path).splitlines()
    assert "notify: no desktop notifications: " in line
    assert "org.freedesktop.Notifications" in line
    assert capfd.readouterr() == ("", "")


def test_a_service_that_comes_later_is_used(bus: str):
    with outbox(SECONDS) as (box, shown, failed):
        wait_until(lambda: failed)
        with serving(bus) as service:
            box.put(message(1))
            assert service.titles(1) == ["1"]
    assert shown == [message(1)]
    assert len(failed) == 1


def test_a_desktop_that_was_left_and_entered_again(
    short_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", f"unix:path={short_path}")
    with bus_at(short_path) as address, serving(address) as service:
        box = Outbox(Desktop(sound=True), lambda one: None, pytest.fail, SECONDS)
        box.put(message(1))
        assert service.titles(1) == ["1"]
    with bus_at(short_path) as address, serving(address) as service:
        box.put(message(2))
        assert service.titles(1) == ["2"]
        box.close()
        assert box.join(SECONDS)


def once_asked(service: Service) -> Iterator[Event]:
    assert service.asked.get(timeout=SECONDS) == "25 % of r1"
    yield from ()


def test_a_service_that_hangs_holds_up_no_event(tmp_path: Path, service: Service):
    """All events are taken while the service is still in the middle of the first notification."""
    service.open.clear()
    before, after = (
        [train_start(tmp_path), progress(5)],
        [*map(progress, range(6, 21)), train_end()],
    )
    play(itertools.chain(before, once_asked(service), after))
    assert service.nothing_more()
    assert log(tmp_path) == ""  # nothing was given up yet
    service.open.set()
    assert sorted(service.titles(4)) == ["25 % of r1", "50 % of r1", "75 % of r1", "Finished: r1"]


def test_a_notification_that_hangs_is_given_up_and_the_next_one_tried(service: Service):
    service.open.clear()
    with outbox(0.3) as (box, shown, failed):
        box.put(message(1))
        box.put(message(2))
        wait_until(lambda: service.asked.qsize() == 2)
        wait_until(lambda: failed)
        service.open.set()
        box.put(message(3))
        wait_until(lambda: message(3) in shown)
    assert failed == ["the notification service did not answer in 0.3 s"]


def test_few_may_wait_and_the_oldest_are_dropped(service: Service):
    service.open.clear()
    with outbox(SECONDS) as (box, shown, _):
        box.put(message(0))
        assert service.asked.get(timeout=SECONDS) == "0"
        for number in range(1, 21):
            box.put(message(number))
        service.open.set()
    assert [one.step for one in shown] == [0, *range(13, 21)]


def test_a_bus_that_says_nothing(short_path: Path, monkeypatch: pytest.MonkeyPatch):
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(short_path))
        silent.listen()
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", f"unix:path={short_path}")
        with outbox(0.1) as (box, shown, failed):
            box.put(message(1))
    assert failed == ["the notification service did not answer in 0.1 s"]
    assert shown == []


def test_a_service_that_refuses(
    tmp_path: Path, service: Service, capfd: pytest.CaptureFixture[str]
):
    service.refusing = True
    with all_sent():
        play(whole_run(tmp_path))
    (line,) = log(tmp_path).splitlines()
    assert line.endswith("notify: no desktop notifications: too many notifications")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("environment", "platform", "why"),
    [
        ({"CI": "true", "DBUS_SESSION_BUS_ADDRESS": "x"}, "linux", "this is a CI job"),
        ({"CI": "1"}, "darwin", "this is a CI job"),
        ({"SSH_TTY": "/dev/pts/1"}, "darwin", "this is an SSH session"),
        ({"SSH_CONNECTION": "::1"}, "linux", "this is an SSH session"),
        ({}, "linux", "there is no D-Bus session"),
        ({"CI": "false", "DBUS_SESSION_BUS_ADDRESS": "x"}, "linux", None),
        ({}, "darwin", None),
        ({}, "win32", None),
    ],
)
def test_quiet_where_nobody_would_see_it(
    environment: dict[str, str], platform: str, why: str | None
):
    assert why_quiet(environment, platform) == why


def test_over_ssh_the_service_is_not_asked(
    tmp_path: Path, service: Service, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SSH_CONNECTION", "::1 1 ::1 22")
    before = senders()
    play(whole_run(tmp_path))
    assert senders() == before
    assert "this is an SSH session" in log(tmp_path)
    assert service.nothing_more()


@pytest.mark.parametrize("wrong", [{"milestones": [0]}, {"milestones": [101]}, {"sounds": True}])
def test_wrong_keys_and_values_are_refused(wrong: dict[str, Any]):
    with pytest.raises(ValidationError):
        NotifyConfig.model_validate(wrong)


def test_the_registered_part_is_this_callback():
    part = load_plugins({"CREATE_LLM_PLUGINS": "notify"}).registry.get("callbacks", "notify")
    assert part.load() is Notify
    assert part.config_model() is NotifyConfig


def test_where_nobody_would_see_it_the_run_says_so_once(tmp_path: Path):
    (said,) = play([train_start(tmp_path), step_end(5), train_end(6, "rewound")])
    assert play([train_start(tmp_path, remedies=1), step_end(5), train_end()]) == []
    assert said == Warn("no desktop notifications: there is no D-Bus session", level="note")


@pytest.mark.usefixtures("bus")
def test_a_service_that_is_missing_is_said_at_the_next_step(tmp_path: Path):
    def found_missing() -> Iterator[Event]:
        wait_until(lambda: log(tmp_path))
        yield from ()

    steps = [step_end(1), step_end(2), train_end(2, "interrupted")]
    with all_sent():
        (said,) = play(itertools.chain([train_start(tmp_path)], found_missing(), steps))
    assert said.level == "note"
    assert "org.freedesktop.Notifications" in said.message
