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
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

from create_llm.cli.terminal import steady
from create_llm.cli.units import count

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


@dataclass(frozen=True, slots=True)
class Aside:
    """What a run stops training for; `total` is None where it is not known."""

    what: str
    done: int
    total: int | None


class Screen(Protocol):
    """Shows what the callback has to say; everything given to it is data, never markup."""

    def start(self, step: int, total: int) -> None: ...

    def progress(self, now: Progressed) -> None: ...

    def moved(self, step: int, eta: str) -> None:
        """Between two reports of `progress`."""

    def aside(self, now: Aside | None) -> None:
        """None: the training goes on."""

    def line(self, text: str, tone: Tone = "normal") -> None: ...

    def sample(self, title: str, text: str) -> None: ...

    def stop(self) -> None: ...


class PlainScreen:
    """Lines of plain text, without any escape code: for files, pipes and simple terminals."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal

    def start(self, step: int, total: int) -> None: ...

    def progress(self, now: Progressed) -> None:
        step = f"step {count(now.step)}/{count(now.total)}"
        self.line("  ".join([step, *now.figures, f"ETA {now.eta}"]))

    def moved(self, step: int, eta: str) -> None: ...

    def aside(self, now: Aside | None) -> None: ...

    def line(self, text: str, tone: Tone = "normal") -> None:
        # Not through rich: it would wrap the line at 80 columns.
        print(steady(text), file=self._terminal.file, flush=True)

    def sample(self, title: str, text: str) -> None:
        lines = steady(text).split("\n")
        self.line("\n".join([f"{title}:", *(f"  | {line}" for line in lines)]))

    def stop(self) -> None: ...


class LiveScreen:
    """A bar at the bottom of a terminal; lines scroll above it."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._bar = _Bar(terminal)
        self._task: TaskID | None = None
        self._aside: tuple[str, TaskID] | None = None

    def start(self, step: int, total: int) -> None:
        # A bar of nothing to do would be full before it starts: rich pulses one without a total.
        self._task = self._bar.add_task("step", total=total or None, completed=step, eta=_eta("?"))
        self._bar.start()

    def progress(self, now: Progressed) -> None:
        self._bar.figures = "   ".join(now.figures)
        if self._task is not None:
            self._bar.update(self._task, completed=now.step, eta=_eta(now.eta), refresh=True)

    def moved(self, step: int, eta: str) -> None:
        self.aside(None)
        if self._task is not None:
            self._bar.update(self._task, completed=step, eta=_eta(eta))

    def aside(self, now: Aside | None) -> None:
        if self._aside is not None and (now is None or now.what != self._aside[0]):
            self._bar.remove_task(self._aside[1])
            self._aside = None
        if now is None:
            return
        if self._aside is None:
            self._aside = (now.what, self._bar.add_task(now.what, total=now.total, eta=""))
            self._bar.refresh()
        self._bar.update(self._aside[1], completed=now.done)

    def line(self, text: str, tone: Tone = "normal") -> None:
        self._terminal.print(Text(steady(text), style=_STYLES[tone]))

    def sample(self, title: str, text: str) -> None:
        body, head = Text(steady(text)), Text(steady(title))
        self._terminal.print(Panel(body, title=head, title_align="left", border_style="dim"))

    def stop(self) -> None:
        self.aside(None)
        self._bar.stop()


def _eta(text: str) -> str:
    return f"ETA {text}"


class _DoneOfTotal(ProgressColumn):
    """Rich's own column does not set thousands apart."""

    def render(self, task: Task) -> Text:
        if task.total is None:
            return Text("")
        return Text(f"{count(task.completed)}/{count(task.total)}", style="progress.download")


class _Bar(Progress):
    """The bar, and the figures on a line of their own: together they need 80 columns and more."""

    def __init__(self, terminal: Terminal) -> None:
        self.figures = ""
        super().__init__(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None),
            _DoneOfTotal(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[eta]}", markup=False),
            console=terminal,
            expand=True,
            # Enough to see it move, too little to slow it down: a drawing takes milliseconds.
            refresh_per_second=4,
            # stdout may be somebody's JSON.
            redirect_stdout=False,
        )

    def get_renderables(self) -> Iterable[RenderableType]:
        yield self.make_tasks_table(self.tasks)
        yield Text(self.figures, style="dim")
