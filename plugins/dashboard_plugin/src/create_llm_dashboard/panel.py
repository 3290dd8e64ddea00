"""What a panel is: a part of the page about a run, of this package or of any other.

    from create_llm import hookimpl

    @hookimpl
    def register_panels(register):
        register("lion", "my_lion.panel:PANEL", summary="How the lion is.")

In a package that works without the dashboard too, `@hookimpl(optionalhook=True)`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from create_llm.runs.report import LIVE

if TYPE_CHECKING:
    from create_llm_dashboard.reading import ReadRun, Runs
    from create_llm_dashboard.system import System

Json = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class View:
    """What a page looks at.

    Attributes:
        run: the run that the page is about; its history has been read to the end.
        others: runs to lay beside it.
        runs: all of the project.
        system: processor, memory and GPUs of this machine.
        query: what the panel's script asked for, as it wrote it: not to be trusted.
        status: of the run. Asking for it takes the run's lock for a moment, so it is asked once.
    """

    run: ReadRun
    others: tuple[ReadRun, ...]
    runs: Runs
    system: System
    query: Mapping[str, str]
    status: str

    @property
    def is_live(self) -> bool:
        """Whether a process trains the run."""
        return self.status == LIVE


@dataclass(frozen=True, slots=True)
class Panel:
    """The target of `register_panels`.

    Attributes:
        title: its heading.
        order: panels stand by rising order; ours are 10, 20, …
        data: what its script gets, as JSON; called again and again while somebody looks, so it
            should take milliseconds. What has not changed is not sent.
        script: a file with an ES module that exports `mount(root, api)`, which builds the panel
            inside `root` and returns a function that takes each new data. `api.ask(query)`
            resolves to the data for another `query`; `/static/kit.js` helps to build elements.
            Text from a run is put in as text, never as HTML: a model writes anything.
        wide: whether it takes the whole width.
    """

    title: str
    order: int
    data: Callable[[View], Json]
    script: Path
    wide: bool = False
