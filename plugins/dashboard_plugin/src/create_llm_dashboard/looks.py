"""What there is to tell of a run: looked up once for all the pages that show it.

However many pages are open on a run, one thread at a time reads its files and computes its panels,
and the pages share the bytes that come of it.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from weakref import WeakValueDictionary

from starlette.concurrency import run_in_threadpool

from create_llm_dashboard.panel import Json, Panel, View
from create_llm_dashboard.reading import ReadRun
from create_llm_dashboard.state import Said, state_of

LOOK_SECONDS = 0.5
"""Between two looks at the files of a run that somebody watches."""
AT_A_TIME = 0.3
"""Seconds of reading, after which a page is shown what there is so far of a very long run."""


@dataclass(frozen=True, slots=True)
class Found:
    """Attributes:
    whole: whether the runs have been read to their ends.
    data: by panel, as JSON; "" is the state of the run.
    """

    whole: bool
    data: Mapping[str, bytes]


class Look:
    """A run, with others laid over it, as all pages see it that have chosen the same."""

    def __init__(self, view: View, panels: Mapping[str, Panel]) -> None:
        self._view, self._panels = view, panels
        self._lock = asyncio.Lock()  # pages that wait for one another take no thread
        self._found = Found(False, {})
        self._ended = -LOOK_SECONDS

    async def found(self) -> Found:
        """What there is now, or was less than half a look ago."""
        asked = time.monotonic()
        async with self._lock:
            if self._ended < asked - (LOOK_SECONDS / 2 if self._found.whole else 0):
                self._found = await run_in_threadpool(self._look)
                self._ended = time.monotonic()
            return self._found

    def _look(self) -> Found:
        view = replace(self._view, status=self._view.run.status())
        try:
            whole = _read((view.run, *view.others))
        except Exception as error:  # whatever a damaged file brings about: the page goes on
            return Found(True, {"": _damaged(view, error)})
        data = {"": _state(view)}
        for name, panel in self._panels.items():
            data[name] = attempted(partial(panel.data, view))
        return Found(whole, data)


def _read(runs: Sequence[ReadRun]) -> bool:
    """Whether all of them have been read to their ends."""
    for run in runs:  # of what the look before has read, and pages have been told
        run.history.keep()
    ends = [run.history.refresh(AT_A_TIME) for run in runs]
    return all(ends)


def _state(view: View) -> bytes:
    try:
        newest = view.runs.all()[-1:] == [view.run]
        return encoded(state_of(view.run, view.status, newest=newest))
    except Exception as error:  # as well
        return _damaged(view, error)


def _damaged(view: View, error: Exception) -> bytes:
    text = f"Not all of the run can be shown: {type(error).__name__}: {error}"
    said = asdict(Said("problematic", "The run's files are damaged", (text,)))
    return encoded({"status": view.status, "live": view.is_live, "asked": [], "said": said})


class Looks:
    """The looks that pages hold; one that no page holds any more is gone."""

    def __init__(self) -> None:
        self._held: WeakValueDictionary[tuple[ReadRun, ...], Look] = WeakValueDictionary()

    def __len__(self) -> int:
        return len(self._held)

    def at(self, view: View, panels: Mapping[str, Panel]) -> Look:
        """Of the view's runs, whatever else the page asked for."""
        runs = (view.run, *view.others)
        look = self._held.get(runs)
        if look is None:
            look = self._held[runs] = Look(replace(view, query={}), panels)
        return look


def attempted(data: Callable[[], Json]) -> bytes:
    """A panel's data as JSON, or why there is none."""
    try:
        return encoded(data())
    except Exception as error:  # anybody's code, on files with anything in them: the page goes on
        return encoded({"failed": f"{type(error).__name__}: {error}"})


def encoded(value: Mapping[str, object]) -> bytes:
    return json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode()
