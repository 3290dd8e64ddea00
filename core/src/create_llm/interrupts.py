"""SIGINT, SIGTERM and SIGHUP, from a command's first moment to its last.

A command that is asked to end unwinds as Ctrl-C makes Python do: `listen` sees to that. The
training loop takes the signals over while it runs (`training/stopping.py`) and gives them back.
Python runs handlers between two of its own instructions: what computes in compiled code for long
belongs into `in_background`.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import stat
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

T = TypeVar("T")
Handler = Callable[[int, FrameType | None], object]

SIGNALS = tuple(
    number
    for name in ("SIGINT", "SIGTERM", "SIGHUP")
    if (number := getattr(signal, name, None)) is not None  # Windows has no SIGHUP
)
NOTHING_LOST = "Interrupted. Nothing that was saved is lost; run the command again."

_SHOW_CURSOR = "\x1b[?25h"  # a progress display may have hidden it
_SLICE_SECONDS = 0.1

_background: list[threading.Event] = []
_on_leaving: dict[str, str] = {"cursor": _SHOW_CURSOR}


class Signalled(KeyboardInterrupt):
    """A signal asked the process to end; unwinds as Ctrl-C does."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def signal_of(interrupt: KeyboardInterrupt) -> int:
    """Which signal raised it."""
    return interrupt.number if isinstance(interrupt, Signalled) else signal.SIGINT


def told_as(number: int) -> int:
    """The signal that the exit code tells of: a closed terminal asks for the same as SIGTERM."""
    return signal.SIGINT if number == signal.SIGINT else signal.SIGTERM


def exit_code(number: int) -> int:
    """130 or 143."""
    return 128 + told_as(number)


def take_over(handler: Handler) -> dict[int, Any]:
    """Let a handler hear the signals; returns the handlers before, for `give_back`.

    What is ignored stays ignored (nohup, background jobs of scripts). In a thread that is not the
    main one nothing happens: Python does not let it.
    """
    if threading.current_thread() is not threading.main_thread():
        return {}
    heard = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    return {number: signal.signal(number, handler) for number in heard}


def give_back(previous: dict[int, Any]) -> None:
    """Put back what `take_over` returned."""
    for number, handler in previous.items():
        signal.signal(number, handler)


@contextlib.contextmanager
def taken_over(handler: Handler) -> Iterator[None]:
    """`take_over`, and `give_back` at the end."""
    previous = take_over(handler)
    try:
        yield
    finally:
        give_back(previous)


def listen() -> dict[int, Any]:
    """Let each signal unwind the command; returns the handlers before."""
    return take_over(_raise)


def own_process() -> None:
    """Settle what only a command with a process of its own may: no stack trace of a signal.

    Python prints one where it can pass an exception to nobody (in a callback of the garbage
    collector, during an import, at exit), and goes on as if nothing had been asked.
    """
    atexit.register(_ignore)  # the first registered is the last called: only unloading is left
    sys.excepthook = _uncaught
    sys.unraisablehook = _unraisable


def wind_up(code: int) -> None:
    """The command's work is done: a late signal only makes the process end sooner."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    take_over(lambda number, frame: os._exit(code))
    if not all(done.is_set() for done in _background):
        # Unloading compiled code that a thread is still in would crash.
        os._exit(code)


@contextlib.contextmanager
def leaving_at_once(words: str) -> Iterator[None]:
    """Where nothing has to be unwound, let a signal end the process there and then.

    For imports: libraries catch whatever is raised in theirs, and go on without a part of them.
    """
    with taken_over(lambda number, frame: leave(number, words)):
        yield


def on_leaving(name: str, codes: str) -> None:
    """What a terminal is sent on stderr where the process ends without unwinding, to be as it was.

    Args:
        name: whose codes these are; those that it gave before are forgotten.
        codes: empty where there is nothing to put right any more.
    """
    _on_leaving[name] = codes


def leave(number: int, words: str = "") -> NoReturn:
    """End the process now: nothing is unwound or flushed, what is on disk stays as it is."""
    if number == getattr(signal, "SIGHUP", None):
        hang_up()
    if words:
        say(words)
    with contextlib.suppress(OSError):
        if os.isatty(2):
            os.write(2, "".join(list(_on_leaving.values())).encode())
    os._exit(exit_code(number))


def say(words: str) -> None:
    """A line on stderr, past Python's buffers: a handler may stand in the middle of a write."""
    with contextlib.suppress(OSError):
        os.write(2, f"\n{words}\n".encode())


def hang_up() -> None:
    """The terminal is gone: let what would still be written to it go nowhere, without errors."""
    null = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):
        with contextlib.suppress(OSError):
            # Not isatty, which denies a terminal that is gone.
            if stat.S_ISCHR(os.fstat(descriptor).st_mode):
                os.dup2(null, descriptor)
    os.close(null)


def in_background(work: Callable[[], T]) -> T:
    """Do `work` in a thread while this one hears signals; returns or raises what it does.

    For compiled code that releases Python's lock but lets no handler run. A thread cannot be
    stopped: after a signal it computes on until the process ends, and its result is dropped. So
    `work` must not write anything.
    """
    if threading.current_thread() is not threading.main_thread():
        return work()
    results: list[T] = []
    errors: list[BaseException] = []

    done = threading.Event()

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:
            errors.append(error)
        done.set()

    _background.append(done)
    threading.Thread(target=run, name="background work", daemon=True).start()
    # Not by joining: after an exception in there, Python 3.11 takes the thread to be over.
    while not done.wait(_SLICE_SECONDS):
        pass
    _background.remove(done)
    if errors:
        raise errors[0]
    return results[0]


def _raise(number: int, frame: FrameType | None) -> NoReturn:
    if number == getattr(signal, "SIGHUP", None):
        hang_up()
    raise Signalled(number)


def _ignore() -> None:
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _uncaught(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    if isinstance(error, KeyboardInterrupt):
        leave(signal_of(error), NOTHING_LOST)
    sys.__excepthook__(kind, error, traceback)


def _unraisable(dropped: UnraisableHookArgs) -> None:
    if isinstance(dropped.exc_value, KeyboardInterrupt):
        leave(signal_of(dropped.exc_value), NOTHING_LOST)
    sys.__unraisablehook__(dropped)
