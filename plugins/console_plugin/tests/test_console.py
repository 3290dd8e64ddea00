"""The callback `console`, driven by events, on a terminal and off it."""

from __future__ import annotations

import io
import math
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from rich.console import Console as Terminal

from create_llm.kernel.plugins import load_plugins
from create_llm.runs.events import (
    CheckpointSaved,
    EpochEnd,
    EvalEnd,
    Event,
    ProgressMade,
    RunWarning,
    SampleGenerated,
)
from create_llm.testing.events import step_end, train_end, train_start
from create_llm.training.dispatch import Dispatcher, Dropped
from create_llm_console.callback import Console
from create_llm_console.config import ConsoleConfig

ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class FakeTty(io.StringIO):
    def isatty(self) -> bool:
        return True


RUN = Path("logs/r1")


def whole_run() -> list[Event]:
    return [
        train_start(RUN),
        step_end(10),
        CheckpointSaved(step=10, path="checkpoints/r1/step-00000010", reason="interval", seconds=1),
        EvalEnd(step=10, train_loss=5.0, val_loss=5.1, val_bits_per_byte=2.345, best=True),
        SampleGenerated(step=10, prompt="Once", text=" upon a time"),
        EpochEnd(
            step=10, epoch=1, train_loss=5.0, val_loss=5.1, learning_rate=3e-4, seconds=3725.0
        ),
        step_end(20, loss=5.4321, tokens_per_second=12345.0),
        RunWarning(step=20, message="it overfits", suggestion="stop earlier"),
        train_end(),
    ]


def play(events: list[Event], *, live: bool, **config: Any) -> str:
    """What the terminal receives; a callback that raises fails the test."""
    file = FakeTty() if live else io.StringIO()
    terminal = Terminal(file=file, force_terminal=live, width=100, highlight=False)
    style = "live" if live else "plain"
    console = Console(ConsoleConfig(style=style, **config), terminal)
    dropped: list[Dropped] = []
    dispatcher = Dispatcher([("console", console)], dropped.append)
    for event in events:
        assert dispatcher.emit(event) == set()
    assert dropped == []
    return file.getvalue()


def play_both(events: list[Event], **config: Any) -> list[str]:
    """The text of both screens, without the escape codes of the live one."""
    live = ESCAPE.sub("", play(events, live=True, **config))
    return [play(events, live=False, **config), live]


def test_a_run_is_told_on_both_screens():
    for shown in play_both(whole_run()):
        for text in (
            "run r1: gpt, 1,012,000 parameters",
            "20 steps of 2,048 tokens, adamw, fp32 on cpu, seed 7",
            "loss 5.4321",
            "12,345 tokens/s",
            "ETA 1 min 05 s",
            "lr 0.0003",
            "val 2.345 bits/byte",
            "checkpoint (interval, 1.0 s): checkpoints/r1/step-00000010",
            "validation loss 5.1000, 2.345 bits/byte, train loss 5.0000, the best so far",
            "Once upon a time",
            "epoch 1: mean train loss 5.0000 over its steps, last validation loss 5.1000",
            "lr 0.0003, 1 h 02 min",
            "warning: it overfits",
            "try: stop earlier",
            "completed at step 20 of 20 after 2 min 05 s (max_steps)",
        ):
            assert text in shown
        assert "20/20" in shown


def progress(step: int, **changes: Any) -> ProgressMade:
    fields: dict[str, Any] = {"doing": "train", "done": step, "total": 2000, "eta_seconds": 65.0}
    return ProgressMade(step=step, **(fields | changes))


def test_the_bar_moves_between_two_reports():
    events: list[Event] = [train_start(RUN, total_steps=2000), progress(1003), train_end(1003)]
    shown = ESCAPE.sub("", play(events, live=True))
    assert "1,003/2,000" in shown
    assert "ETA 1 min 05 s" in shown
    assert "ETA ?" in ESCAPE.sub(
        "", play([train_start(RUN), progress(1, eta_seconds=None)], live=True)
    )


def test_an_evaluation_has_a_bar_of_its_own_while_it_lasts():
    scoring: list[Event] = [
        progress(10, doing="evaluate", done=done, total=1600) for done in (0, 800)
    ]
    shown = ESCAPE.sub("", play([train_start(RUN), *scoring, train_end()], live=True))
    assert "evaluating" in shown
    assert "0/1,600" in shown
    last = shown.partition("completed at")[0].rpartition("step ")[2]
    assert "0/20" in last
    assert "evaluating" not in last
    after: list[Event] = [progress(10, doing="sample", done=0, total=None), progress(11)]
    shown = ESCAPE.sub("", play([train_start(RUN), *scoring, *after], live=True))
    assert shown.index("evaluating") < shown.index("writing a sample")


def test_plain_lines_are_those_of_reports_alone():
    moving: list[Event] = [
        progress(1),
        progress(10, doing="evaluate", done=8, total=16),
        progress(10, doing="sample", done=0, total=None),
    ]
    wanted = play([train_start(RUN), train_end()], live=False)
    assert play([train_start(RUN), *moving, train_end()], live=False) == wanted


def test_plain_lines_carry_no_escape_code_and_one_line_a_step():
    shown = play(whole_run(), live=False)
    assert not [c for c in shown if c != "\n" and not c.isprintable()]
    steps = [line for line in shown.splitlines() if line.startswith("step ") and "/20" in line]
    assert [line.split()[1] for line in steps] == ["10/20", "20/20"]


def test_plain_lines_are_not_wrapped():
    long = "checkpoints/" + "very-long-name" * 20
    events = [CheckpointSaved(step=1, path=long, reason="final", seconds=0.1)]
    assert long in play(events, live=False)


def test_the_live_screen_draws_a_bar_and_gives_the_cursor_back():
    shown = play(whole_run(), live=True)
    assert "━" in shown
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")


@pytest.mark.parametrize("live", [False, True])
def test_numbers_that_are_not_finite_are_shown_as_what_they_are(live: bool):
    events: list[Event] = [
        train_start(RUN, total_steps=0),
        step_end(1, loss=math.nan, eta_seconds=math.inf, tokens_per_second=math.nan),
        EvalEnd(step=1, train_loss=math.nan, val_loss=math.inf, val_bits_per_byte=None, best=False),
        EpochEnd(
            step=1, epoch=1, train_loss=math.nan, val_loss=None, learning_rate=0.0, seconds=math.nan
        ),
        train_end(1, status="diverged", train_loss=None, val_loss=None, val_bits_per_byte=None),
    ]
    shown = ESCAPE.sub("", play(events, live=live))
    assert "loss nan" in shown
    assert "? tokens/s" in shown
    assert "ETA ?" in shown
    assert "validation loss inf" in shown
    assert "diverged at step 1 of 0" in shown
    assert "last validation loss" not in shown


def test_a_resumed_run_says_so_and_goes_on_from_there():
    events: list[Event] = [train_start(RUN, step=10, resumed_from=10), train_end()]
    for shown in play_both(events):
        assert "resumed from step 10" in shown
    assert "10/20" in ESCAPE.sub("", play(events, live=True))


def test_a_run_from_scratch_does_not_say_resumed():
    assert "resumed" not in play([train_start(RUN), train_end()], live=False)


def test_a_sample_of_nothing_but_lines() -> None:
    shown = play(
        [train_start(RUN), SampleGenerated(step=1, prompt="Once", text="\n" * 20)], live=False
    )
    assert "| Once (nothing was written)\n" in shown
    assert "| \n" not in shown


def test_what_the_model_writes_is_data():
    markup = " [bold]bold[/bold] [/] "
    escapes = "\x1b[31mred\x1b]0;title\x07 \x9b2J \u202egnp.exe\r"
    evil = f"{markup}{escapes}日本語 🎉\ud800\nline"
    events: list[Event] = [train_start(RUN), SampleGenerated(step=1, prompt="[red]", text=evil)]
    for live in (False, True):
        shown = play([*events, train_end()], live=live)
        assert "\x1b[31m" not in shown
        assert not {"\x07", "\x9b", "\u202e", "\ud800"} & set(shown)
        assert "\x1b]0;" not in shown
        assert "\\x1b[31mred" in shown
        assert "[red] [bold]bold[/bold] [/]" in shown
        assert "日本語 🎉" in shown


def test_markup_and_escapes_in_names_and_messages_are_data_too():
    events: list[Event] = [
        train_start(RUN, run="[red]r1[/red]\x1b[2J"),
        RunWarning(step=1, message="[/] unbalanced \x1b[5m"),
        train_end(error="[/blue] \x1b[2J broke"),
    ]
    for live in (False, True):
        shown = play(events, live=live)
        assert "[red]r1[/red]" in shown
        assert "[/] unbalanced" in shown
        assert "\x1b[2J" not in shown
        assert "\x1b[5m" not in shown


def test_samples_can_be_left_out():
    assert "Once upon" not in play(whole_run(), live=False, samples=False)


def test_an_end_without_a_start_is_shown():
    for shown in play_both([train_end(0, status="failed", error="no data", model=None)]):
        assert "failed at step 0" in shown
        assert "no data" in shown


def draws_live(file: io.StringIO, **terminal: Any) -> bool:
    console = Console(ConsoleConfig(), Terminal(file=file, width=100, **terminal))
    for event in whole_run():
        Dispatcher([("console", console)], lambda dropped: None).emit(event)
    return "\x1b" in file.getvalue()


def test_live_only_on_a_capable_terminal(monkeypatch: pytest.MonkeyPatch):
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    assert draws_live(FakeTty())
    assert not draws_live(io.StringIO())
    assert not draws_live(FakeTty(), no_color=True)
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert not draws_live(io.StringIO())
    monkeypatch.setenv("TERM", "dumb")
    assert not draws_live(FakeTty())


def test_it_writes_to_stderr(capsys: pytest.CaptureFixture[str]):
    console = Console(ConsoleConfig())
    console.on_train_start(train_start(RUN))
    console.on_train_end(train_end())
    output = capsys.readouterr()
    assert output.out == ""
    assert "run r1" in output.err


def test_unknown_keys_are_refused():
    with pytest.raises(ValidationError):
        ConsoleConfig.model_validate({"colour": True})


def test_the_registered_part_is_this_callback():
    part = load_plugins({"CREATE_LLM_PLUGINS": "console"}).registry.get("callbacks", "console")
    assert part.load() is Console
    assert part.config_model() is ConsoleConfig
