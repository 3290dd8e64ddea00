"""The title and the taskbar, over a pseudo-terminal."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO

import pytest
from plugins.notify_plugin.tests import story
from plugins.notify_plugin.tests.service import Service
from plugins.notify_plugin.tests.story import play, progress, train_end, train_start
from tests.journey import PROGRAM, environment, sentences

from create_llm.runs.events import Event
from create_llm_notify.terminal import Abilities, abilities

pty = pytest.importorskip("pty")
PUSH, POP, NONE = "\x1b[22;0t", "\x1b]0;\x07\x1b[23;0t", "\x1b]9;4;0;0\x07"
PROJECT = """\
plugins = ["console", "notify"]
[model]
name = "gpt"
max_length = 32
layers = 1
heads = 2
dim = 32
[tokenizer]
name = "bpe"
vocab_size = 300
[data]
source = "text"
[training]
batch_size = 4
max_steps = 12
eval_interval = 6
[generation]
max_new_tokens = 4
"""
GHOSTTY = {"TERM": "xterm-ghostty", "TERM_PROGRAM": "ghostty"}


def title(text: str) -> str:
    return f"\x1b]0;{text}\x07"


def bar(percent: int) -> str:
    return f"\x1b]9;4;1;{percent}\x07"


class Screen:
    """A terminal that remembers what it was told."""

    def __init__(self) -> None:
        self.control, end = pty.openpty()
        self.stream: TextIO = os.fdopen(end, "w", encoding="utf-8")

    def told(self) -> str:
        """All until the program's side is closed; to be asked once."""
        with contextlib.suppress(OSError):  # of a terminal that is gone
            self.stream.close()
        said = b""
        try:
            while chunk := os.read(self.control, 65536):
                said += chunk
        except OSError:  # how Linux says that the other side is closed
            pass
        return said.decode()


@pytest.fixture
def screen() -> Iterator[Screen]:
    screen = Screen()
    yield screen
    screen.stream.close()
    os.close(screen.control)


Show = Callable[..., str]


@pytest.fixture
def show(screen: Screen, monkeypatch: pytest.MonkeyPatch) -> Show:
    """Tells of a run on a terminal that is like Ghostty; returns what that was told."""

    def show(events: Iterable[Event], terminal: dict[str, str] = GHOSTTY, **config: Any) -> str:
        monkeypatch.setattr(sys, "__stderr__", screen.stream)
        for name, value in terminal.items():
            monkeypatch.setenv(name, value)
        play(events, **config)
        return screen.told()

    return show


def test_a_run_is_shown_and_the_window_left_as_it_was(show: Show, tmp_path: Path):
    told = show([train_start(tmp_path), progress(1), progress(1), progress(10), train_end()])
    first = PUSH + title("0 % r1") + bar(0)
    then = title("5 % r1") + bar(5) + bar(5) + title("50 % r1") + bar(50)
    assert told == first + then + POP + NONE


@pytest.mark.parametrize("status", ["failed", "diverged", "paused", "interrupted"])
def test_it_is_cleared_whatever_the_end(show: Show, tmp_path: Path, status: str):
    told = show([train_start(tmp_path), progress(10), train_end(10, status)])
    assert told.endswith(bar(50) + POP + NONE)


def test_terminals_without_a_taskbar_get_the_title_alone(show: Show, tmp_path: Path):
    told = show([train_start(tmp_path), progress(10), train_end()], terminal={})
    assert told == PUSH + title("0 % r1") + title("50 % r1") + POP


def test_it_can_be_turned_off(show: Show, tmp_path: Path):
    assert show([train_start(tmp_path), progress(10), train_end()], title=False) == ""


def test_names_cannot_steer_the_terminal(show: Show, tmp_path: Path):
    evil = "a\x1b]0;b\x07\x1b\\\x9cc\u202ed\ud800" + "x" * 100
    told = show([train_start(tmp_path, run=evil), train_end()])
    shown = re.findall(r"\x1b\]0;([^\x07]*)\x07", told)
    assert shown[0].isprintable()
    assert len(shown[0]) < 70
    assert told == PUSH + title(shown[0]) + bar(0) + POP + NONE


@pytest.mark.parametrize("total", [0, 3])
def test_the_percentage_is_one(show: Show, tmp_path: Path, total: int):
    run = [train_start(tmp_path, total_steps=total), progress(5), train_end()]
    assert bar(100) in show(run)


def test_a_terminal_that_was_stopped_holds_up_nothing(tmp_path: Path, show: Show, screen: Screen):
    """Nobody reads, as after Ctrl-S: a plain write would wait for ever."""
    end = screen.stream.fileno()
    os.set_blocking(end, False)
    while filled(end):
        time.sleep(0.2)  # the kernel passes it on to the other side, which makes room
    os.set_blocking(end, True)
    assert set(show([train_start(tmp_path), *map(progress, range(1, 21)), train_end()])) == {"x"}


def filled(end: int) -> int:
    """Bytes that went in until there was no more room."""
    written = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            written += os.write(end, b"x" * 1000)
    return written


def test_a_terminal_that_is_gone_harms_nothing(tmp_path: Path, show: Show, screen: Screen):
    def hang_up() -> Iterator[Event]:
        yield train_start(tmp_path)
        os.close(screen.control)
        screen.control = os.open(os.devnull, os.O_RDONLY)
        yield progress(10)
        yield train_end()

    show(hang_up())


def test_what_is_known_of_terminals(screen: Screen):
    def able(**environment: str) -> Abilities:
        return abilities(screen.stream, {"TERM": "xterm-256color", **environment})

    nothing, titled, both = Abilities(), Abilities(title=True), Abilities(True, True)
    for term in ("dumb", "linux", "vt100", "eterm-color", "", "unknown"):
        assert able(TERM=term, TERM_PROGRAM="ghostty") == nothing
    for term in ("xterm", "screen-256color", "tmux-256color", "alacritty", "foot", "st-256color"):
        assert able(TERM=term) == titled
    assert able(NO_COLOR="1", **{"TERM_PROGRAM": "ghostty"}) == nothing
    assert able(CI="true", TERM_PROGRAM="ghostty") == nothing
    for known in (
        {"WT_SESSION": "x"},
        {"ConEmuANSI": "ON"},
        {"TERM_PROGRAM": "WezTerm"},
        {"TERM_PROGRAM": "ghostty"},
        {"TERM": "xterm-ghostty"},
        {"TERM_PROGRAM": "iTerm.app", "TERM_FEATURES": "T3LrMSc7UUw9Ts3BFGsSyHNoSxFP"},
        {"PTYXIS_VERSION": "48.1"},
        {"VTE_VERSION": "8001"},
    ):
        assert able(**known) == both
        assert able(**known, TMUX="/tmp/tmux-1/default,1,0") == titled
        assert able(**known, STY="1.pts-0") == titled
    for unknown in (
        {"TERM_PROGRAM": "iTerm.app"},
        {"TERM_PROGRAM": "iTerm.app", "TERM_FEATURES": "T3LrPaHNoSxF"},
        {"TERM_PROGRAM": "Apple_Terminal"},
        {"TERM": "xterm-kitty"},
        {"PTYXIS_VERSION": "47.9"},
        {"VTE_VERSION": "7803"},
        {"VTE_VERSION": "x"},
        {"ConEmuANSI": "OFF"},
    ):
        assert able(**unknown) == titled
    assert abilities(io.StringIO(), GHOSTTY) == nothing


def test_a_run_without_an_end_is_cleared_with_the_process(
    screen: Screen, service: Service, tmp_path: Path
):
    """And a service that hangs does not keep the process."""
    service.open.clear()
    command = [sys.executable, "-P", str(story.__file__), str(tmp_path)]
    with subprocess.Popen(command, env={**os.environ, **GHOSTTY}, stderr=screen.stream) as process:
        told = screen.told()
    assert process.returncode == 0
    assert told == PUSH + title("0 % r1") + bar(0) + title("50 % r1") + bar(50) + POP + NONE


def test_the_window_is_left_as_it_was_by_a_second_interrupt_too(screen: Screen, tmp_path: Path):
    code = (
        "import sys; from pathlib import Path; from create_llm.interrupts import leave;"
        f"sys.path.insert(0, {str(Path(story.__file__).parent)!r});"
        "from story import play, progress, train_start;"
        f"play([train_start(Path({str(tmp_path)!r})), progress(10)]); leave(2)"
    )
    command = [sys.executable, "-P", "-c", code]
    with subprocess.Popen(command, env={**os.environ, **GHOSTTY}, stderr=screen.stream) as process:
        told = screen.told()
    assert process.returncode == 130
    assert POP + NONE in told.partition(bar(50))[2]


def test_a_real_training(tmp_path: Path, screen: Screen, service: Service):
    """On a terminal, beside the live bar, with a desktop; the last word leaves before the process
    does."""
    (tmp_path / "data" / "raw").mkdir(parents=True)
    (tmp_path / "data" / "raw" / "text.txt").write_text(sentences(200))
    (tmp_path / "llm.toml").write_text(PROJECT)
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "train", "--json"],
        cwd=tmp_path,
        env=environment(env=GHOSTTY),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=screen.stream,
    ) as process:
        told = screen.told()
        assert process.stdout is not None
        run = json.loads(process.stdout.read())["run"]
    assert process.returncode == 0, told
    last = service.next()
    while last.sound is None:
        last = service.next()
    assert last.title == f"Finished: {run}"
    assert last.body.startswith("12 steps in ")
    assert last.body.endswith("; models/v1")
    assert PUSH + title(f"0 % {run}") + bar(0) in told
    assert bar(100) in told
    assert told.count(POP + NONE) == 1
    assert bar(100) not in told.partition(POP)[2]
