"""A run's percentage in the title of the terminal's window and on the taskbar."""

from __future__ import annotations

import atexit
import contextlib
import os
import re
import select
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TextIO

from create_llm.interrupts import on_leaving
from create_llm_notify.desktop import in_ci
from create_llm_notify.words import one_line

# Push the titles of window and icon on the terminal's stack, and take them back (xterm's
# XTWINOPS 22 and 23). Terminals without a stack ignore both; the empty title is for those.
_PUSH_TITLE, _POP_TITLE = "\x1b[22;0t", "\x1b]0;\a\x1b[23;0t"
_TITLE = "\x1b]0;{}\a"
# ConEmu's, by now many terminals': states 0 (none) and 1 (a percentage).
_PROGRESS, _NO_PROGRESS = "\x1b]9;4;1;{}\a", "\x1b]9;4;0;0\a"

_NAME = "notify"
_TITLED = re.compile(
    r"(xterm|rxvt|screen|tmux|alacritty|foot|kitty|konsole|mintty|st-|vte|wezterm)"
)
_PTYXIS_WITH_PROGRESS = 48
_VTE_WITH_PROGRESS = 8000  # 0.80


@dataclass(frozen=True, slots=True)
class Abilities:
    """What a terminal is known to understand; others may show the codes, or beep."""

    title: bool = False
    progress: bool = False


def abilities(stream: TextIO, environment: Mapping[str, str]) -> Abilities:
    """Of the terminal that `stream` writes to; none where it is no terminal, or in CI, or where
    NO_COLOR asks for a terminal without codes."""
    if not stream.isatty() or environment.get("NO_COLOR") or in_ci(environment):
        return Abilities()
    if os.name == "nt" and _takes_no_codes():
        return Abilities()
    term = environment.get("TERM", "")
    known = os.name == "nt" or _TITLED.match(term) is not None
    return Abilities(title=known, progress=known and _has_progress(term, environment))


def _takes_no_codes() -> bool:
    from rich.console import detect_legacy_windows

    return detect_legacy_windows()


def _has_progress(term: str, environment: Mapping[str, str]) -> bool:
    """Only who is known: iTerm2 before 3.6.6 and others pop up a notification for each OSC 9."""
    if environment.get("TMUX") or environment.get("STY") or term.startswith(("tmux", "screen")):
        return False  # the variables may be those of a terminal that it was started in
    program = environment.get("TERM_PROGRAM", "")
    if program == "iTerm.app":
        return "P" in re.findall("[A-Z][a-z]*", environment.get("TERM_FEATURES", ""))
    return (
        program in ("WezTerm", "ghostty")
        or term == "xterm-ghostty"
        or "WT_SESSION" in environment
        or environment.get("ConEmuANSI") == "ON"
        or _version(environment, "PTYXIS_VERSION") >= _PTYXIS_WITH_PROGRESS
        or _version(environment, "VTE_VERSION") >= _VTE_WITH_PROGRESS
    )


def _version(environment: Mapping[str, str], name: str) -> int:
    number = re.match(r"\d+", environment.get(name, ""))
    return int(number[0]) if number else 0


class Terminal:
    """Shows a percentage around a terminal's window, until `clear`."""

    def __init__(self, stream: TextIO, able: Abilities) -> None:
        self._stream = stream
        self._able = able
        self._title: str | None = None
        self._shown = False

    def show(self, percent: int, run: str) -> None:
        """Sent again at each call: terminals drop a percentage that nobody renews."""
        codes = ""
        title = f"{percent} % {one_line(run, 60)}"
        if self._able.title and title != self._title:
            codes += ("" if self._title else _PUSH_TITLE) + _TITLE.format(title)
        if self._able.progress:
            codes += _PROGRESS.format(percent)
        if codes and self._write(codes):
            self._title = title
            self._keep_clean()

    def clear(self) -> None:
        """Leave the window as it was."""
        if self._shown and self._write(self._clearing()):
            self._shown, self._title = False, None
            on_leaving(_NAME, "")
            atexit.unregister(self.clear)

    def _clearing(self) -> str:
        codes = _POP_TITLE if self._able.title else ""
        return codes + (_NO_PROGRESS if self._able.progress else "")

    def _keep_clean(self) -> None:
        if not self._shown:
            self._shown = True
            # A run whose end cannot be written down, on a full disk, does not tell of it.
            atexit.register(self.clear)
            on_leaving(_NAME, self._clearing())

    def _write(self, codes: str) -> bool:
        """False where it would have to wait, as for a terminal that Ctrl-S has stopped."""
        with contextlib.suppress(OSError, ValueError):  # the terminal is gone
            if os.name == "nt" or select.select([], [self._stream], [], 0)[1]:
                self._stream.write(codes)
                self._stream.flush()
                return True
        return False
