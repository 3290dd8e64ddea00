"""Requests to end a run, as the loop hears of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import pytest

from create_llm import interrupts
from create_llm.runs.control import Control, Request
from create_llm.training.callbacks import Pause, Retry, Signal
from create_llm.training.stopping import Abandoned, Stop, StopWatch

with_signals = pytest.mark.skipif(os.name == "nt", reason="Windows sends itself no signals")


@pytest.fixture
def control(tmp_path):
    return Control(tmp_path)


def test_a_pause_is_heard_once_and_stands(control):
    watch = StopWatch(control)
    assert watch.poll() is None
    control.send(Request.PAUSE)
    assert watch.poll() == Stop("paused", "request")
    assert control.pending() == set()
    assert watch.poll() == Stop("paused", "request")
    with pytest.raises(Abandoned):
        watch.raise_if_stopped()


def test_the_first_who_asks_is_the_one_who_is_named(control):
    watch = StopWatch(control)
    watch.ask(Stop("completed", "callback"))
    control.send(Request.STOP)
    assert watch.poll() == Stop("completed", "callback")


def test_going_back_gives_way_to_whoever_wants_the_run_to_end(control):
    watch = StopWatch(control)
    back = Stop("rewound", "callback", retry=Retry("it went wrong", 3))
    watch.ask(back)
    watch.ask(Stop("rewound", "callback", retry=Retry("another", 1)))
    assert watch.poll() == back
    control.send(Request.PAUSE)
    assert watch.poll() == Stop("paused", "request")
    watch.ask(back)
    assert watch.poll() == Stop("paused", "request")


def test_of_several_callbacks_the_one_that_gives_its_reason_is_heard(control):
    pause = Pause("it only rises", ("a lower learning rate",))
    watch = StopWatch(control)
    watch.hear({Signal.STOP, Signal.PAUSE, pause, Retry("another way", 3)}, step=4)
    assert watch.poll() == Stop("paused", "callback", pause=pause)


@pytest.mark.parametrize(("step", "status"), [(0, "interrupted"), (1, "completed")])
def test_a_callback_that_stops_a_run_completes_what_there_is(control, step, status):
    watch = StopWatch(control)
    watch.hear({Signal.STOP, Signal.CHECKPOINT}, step)
    assert watch.poll() == Stop(status, "callback")
    assert watch.take_checkpoint()


def test_a_checkpoint_is_taken_once_and_stops_nothing(control):
    watch = StopWatch(control)
    control.send(Request.CHECKPOINT)
    assert watch.poll() is None
    assert (watch.take_checkpoint(), watch.take_checkpoint()) == (True, False)


@with_signals
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_is_a_request_and_its_handler_is_given_back(control, name):
    number = getattr(signal, name)
    before = signal.getsignal(number)
    with StopWatch(control) as watch:
        watch.listen()
        watch.listen()
        os.kill(os.getpid(), number)
        assert watch.poll() == Stop("interrupted", name, number)
    assert signal.getsignal(number) is before


@with_signals
def test_what_was_ignored_stays_ignored(control):
    """`nohup llm train` is not to end with its terminal."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with StopWatch(control) as watch:
            watch.listen()
            os.kill(os.getpid(), signal.SIGHUP)
            assert watch.poll() is None
    finally:
        signal.signal(signal.SIGHUP, before)


def test_outside_the_main_thread_requests_still_come_through(control):
    heard = []

    def run():
        with StopWatch(control) as watch:
            watch.listen()
            control.send(Request.PAUSE)
            heard.append(watch.poll())

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert heard == [Stop("paused", "request")]


def run_in_process(body):
    """Run a program of a few lines; returns its exit code and what it wrote to stderr."""
    done = subprocess.run([sys.executable, "-c", body], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stderr


SECOND = """\
import os, signal, sys, time
from pathlib import Path
from create_llm.runs.control import Control
from create_llm.training.stopping import StopWatch
with StopWatch(Control(Path("nowhere"))) as watch:
    watch.listen()
    os.kill(os.getpid(), signal.SIGINT)
    {between}
    os.kill(os.getpid(), signal.SIGTERM)
    sys.exit(7)
"""


@with_signals
def test_a_second_signal_leaves_at_once_unless_it_came_with_the_first():
    assert run_in_process(SECOND.format(between="time.sleep(0.4)"))[0] == 143
    assert run_in_process(SECOND.format(between="pass"))[0] == 7


# Outside the loop


def test_work_in_the_background_returns_and_raises_what_it_does():
    main = threading.current_thread()
    assert interrupts.in_background(threading.current_thread) is not main
    with pytest.raises(ZeroDivisionError):
        interrupts.in_background(lambda: 1 // 0)


def test_in_a_thread_of_its_own_work_stays_there():
    seen = []
    thread = threading.Thread(
        target=lambda: seen.append(interrupts.in_background(threading.current_thread))
    )
    thread.start()
    thread.join()
    assert seen == [thread]


@with_signals
def test_a_signal_leaves_work_in_the_background_behind():
    before = interrupts.listen()
    release = threading.Event()
    timer = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGTERM))
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt) as caught:
            interrupts.in_background(release.wait)
        assert interrupts.signal_of(caught.value) == signal.SIGTERM
    finally:
        release.set()
        interrupts.give_back(before)


DROPPED = """\
import os, signal
from create_llm import interrupts
interrupts.listen()
interrupts.own_process()
class Late:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)
late = Late()
del late
import time
time.sleep(60)
"""
UNCAUGHT = """\
import os, signal
from create_llm import interrupts
interrupts.listen()
interrupts.own_process()
os.kill(os.getpid(), signal.SIGINT)
"""
AT_EXIT = """\
import atexit, os, signal
from create_llm import interrupts
interrupts.listen()
interrupts.own_process()
atexit.register(os.kill, os.getpid(), signal.SIGTERM)
interrupts.wind_up(5)
"""


@with_signals
@pytest.mark.parametrize(
    ("program", "code"),
    [(DROPPED, 143), (UNCAUGHT, 130), (AT_EXIT, 5)],
    ids=["dropped by Python", "uncaught", "at exit"],
)
def test_no_moment_answers_a_signal_with_a_stack_trace(program, code):
    ended, stderr = run_in_process(program)
    assert ended == code
    assert "Traceback" not in stderr
    assert "Exception ignored" not in stderr


def test_a_signal_while_nothing_needs_unwinding_ends_the_process_with_words():
    body = (
        "import os, signal\n"
        "from create_llm import interrupts\n"
        "try:\n"
        "    with interrupts.leaving_at_once('stopped'):\n"
        "        os.kill(os.getpid(), signal.SIGTERM)\n"
        "except BaseException: pass\n"
    )
    code, stderr = run_in_process(body)
    assert (code, stderr.strip()) == (143, "stopped")


@pytest.mark.parametrize("codes", ["", "\x1b]0;\a"])
def test_a_terminal_is_left_as_it_was_where_nothing_is_unwound(codes):
    """Of the codes that somebody gave, the last ones."""
    program = (
        "from create_llm import interrupts\n"
        "interrupts.on_leaving('title', 'x')\n"
        f"interrupts.on_leaving('title', {codes!r})\n"
        "interrupts.leave(2)\n"
    )
    assert ended_on_terminal(program) == (130, "\x1b[?25h" + codes)


def ended_on_terminal(program):
    """The exit code of a program of a few lines, and what its terminal got."""
    pty = pytest.importorskip("pty", reason="Windows has no such terminals")
    ours, theirs = pty.openpty()
    code = subprocess.run([sys.executable, "-c", program], stderr=theirs, timeout=60).returncode
    os.close(theirs)
    written = os.read(ours, 1000).decode()
    os.close(ours)
    return code, written


def test_handlers_are_given_back_at_the_end():
    before = signal.getsignal(signal.SIGINT)
    heard = []
    with interrupts.taken_over(lambda number, frame: heard.append(number)):
        signal.raise_signal(signal.SIGINT)
    assert heard == [signal.SIGINT]
    assert signal.getsignal(signal.SIGINT) is before


def test_the_exit_code_is_that_of_an_interruption_or_a_termination():
    assert interrupts.exit_code(signal.SIGINT) == 130
    assert [interrupts.exit_code(number) for number in interrupts.SIGNALS[1:]] == [143] * (
        len(interrupts.SIGNALS) - 1
    )


def test_that_a_run_goes_back_stays_known_where_somebody_asks_for_its_end(control):
    watch = StopWatch(control)
    assert not watch.going_back
    watch.ask(Stop("rewound", "callback", retry=Retry("divergence", 20)))
    control.send(Request.PAUSE)
    assert watch.poll() == Stop("paused", "request")
    assert watch.going_back
    watch.gone_back()
    assert not watch.going_back
    assert watch.poll() == Stop("paused", "request")


def test_a_run_that_has_gone_back_is_not_asked_for_it_again(control):
    watch = StopWatch(control)
    watch.ask(Stop("rewound", "callback", retry=Retry("divergence", 20)))
    watch.gone_back()
    assert watch.poll() is None
