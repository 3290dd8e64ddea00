"""Two ways to show a run: a live bar on a terminal, plain lines everywhere else."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, Protocol

from rich.console import Console as Terminal
from rich.console import RenderableType
from rich.panel import Panel
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

from create_llm_console.words import clean

Tone = Literal["normal", "quiet", "good", "warning", "bad"]

_STYLES: dict[Tone, str] = {
    "normal": "",
    "quiet": "dim",
    "good": "bold green",
    "warning": "yellow",
    "bad": "bold red",
}


@dataclass(frozen=True, slots=True)
class Progressed:
    """Where the run is: what moves the bar, and what is said beside it."""

    step: int
    total: int
    eta: str
    figures: tuple[str, ...]


class Screen(Protocol):
    """Shows what the callback has to say; everything given to it is data, never markup."""

    def start(self, step: int, total: int) -> None: ...

    def progress(self, now: Progressed) -> None: ...

    def line(self, text: str, tone: Tone = "normal") -> None: ...

    def sample(self, title: str, text: str) -> None: ...

    def stop(self) -> None: ...


class PlainScreen:
    """Lines of plain text, without any escape code: for files, pipes and simple terminals."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal

    def start(self, step: int, total: int) -> None: ...

    def progress(self, now: Progressed) -> None:
        self.line("  ".join([f"step {now.step}/{now.total}", *now.figures, f"ETA {now.eta}"]))

    def line(self, text: str, tone: Tone = "normal") -> None:
        # Not through rich: it would wrap the line at 80 columns.
        print(clean(text), file=self._terminal.file, flush=True)

    def sample(self, title: str, text: str) -> None:
        lines = clean(text).split("\n")
        self.line("\n".join([f"{title}:", *(f"  | {line}" for line in lines)]))

    def stop(self) -> None: ...


class LiveScreen:
    """A bar at the bottom of a terminal; lines scroll above it."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._bar = _Bar(terminal)
        self._task: TaskID | None = None

    def start(self, step: int, total: int) -> None:
        # A bar of nothing to do would be full before it starts: rich pulses one without a total.
        self._task = self._bar.add_task("step", total=total or None, completed=step, eta="?")
        self._bar.start()

    def progress(self, now: Progressed) -> None:
        self._bar.figures = "   ".join(now.figures)
        if self._task is not None:
            self._bar.update(self._task, completed=now.step, eta=now.eta, refresh=True)

    def line(self, text: str, tone: Tone = "normal") -> None:
        self._terminal.print(Text(clean(text), style=_STYLES[tone]))

    def sample(self, title: str, text: str) -> None:
        body, head = Text(clean(text)), Text(clean(title))
        self._terminal.print(Panel(body, title=head, title_align="left", border_style="dim"))

    def stop(self) -> None:
        self._bar.stop()


class _Bar(Progress):
    """The bar, and the figures on a line of their own: together they need 80 columns and more."""

    def __init__(self, terminal: Terminal) -> None:
        self.figures = ""
        super().__init__(
            TextColumn("step"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("ETA {task.fields[eta]}", markup=False),
            console=terminal,
            expand=True,
            # Twice a second: enough to show that the run is alive, too little to slow it down.
            refresh_per_second=2,
            # stdout may be somebody's JSON.
            redirect_stdout=False,
        )

    def get_renderables(self) -> Iterable[RenderableType]:
        yield self.make_tasks_table(self.tasks)
        yield Text(self.figures, style="dim")
