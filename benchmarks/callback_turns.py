"""One training for callbacks.py: a callback that listens in every other burst of its steps.

    python benchmarks/callback_turns.py PROJECT NAME --pairs 20

With and without take turns in one process, since two processes differ by more than a callback
costs. While it is not its turn the callback hears nothing, and processes of its own stand still. Of
a page of the dashboard a client reads all that comes, as a browser does.
The last line of the output is JSON: the seconds of all bursts and of the callback's calls.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Literal

import psutil
from pydantic import BaseModel

from create_llm.config import load_config
from create_llm.config.resolved import Selected
from create_llm.kernel.plugins import default_plugins
from create_llm.kernel.registry import Part
from create_llm.project.folder import find_project
from create_llm.runs.events import StepEnd, TrainEnd, TrainStart
from create_llm.training.callbacks import Callback, Signal
from create_llm.training.job import Surroundings
from create_llm.training.launch import train
from create_llm_dashboard.callback import _PAGES

BURST = 10
"""Steps; the callback is told of one in each ten, as [logging] of the templates has it."""
WARM_UP = 20
TINY = {
    "model.layers": 2,
    "model.heads": 2,
    "model.dim": 64,
    "model.ffn_dim": 128,
    "model.max_length": 64,
    "training.batch_size": 32,
    "training.compile": "off",
}
"""A step of some ten milliseconds, shorter than any that is worth to be trained."""
SERVICE = Path(__file__).parents[1] / "plugins/wandb_plugin/tests/service.py"
READER = """
import http.client, sys, urllib.parse
link, run = urllib.parse.urlsplit(sys.argv[1]), sys.argv[2]
page = http.client.HTTPConnection(link.netloc)
page.request("GET", f"/?{link.query}")
let_in = page.getresponse()
let_in.read()
cookie = let_in.headers["set-cookie"].partition(";")[0]
page.request("GET", f"/runs/{run}/stream", headers={"Cookie": cookie})
stream = page.getresponse()
assert stream.status == 200, stream.status
while stream.read1():
    pass
"""
Fate = Literal["lives", "silent", "refused", "falls silent", "goes away"]


@dataclass(frozen=True, slots=True)
class Case:
    """A callback, and what becomes of the service that it talks to; None where it has none.

    Attributes:
        bursts: of ten steps that make a turn. More of them for what works now and then only: a
            turn must be longer than what lies between.
        watched: whether a page of it is open.
    """

    callback: str | None
    options: Mapping[str, object]
    fate: Fate | None = None
    bursts: int = 1
    watched: bool = False


_PAGE = {"port": 0, "open_browser": False}
_ONLINE = {"mode": "online", "project": "bench", "entity": "team"}
CASES: Mapping[str, Case] = {
    "none": Case(None, {}),
    "guard": Case("guard", {"on_anomaly": "warn"}),
    "dashboard": Case("dashboard", _PAGE, bursts=10),
    "dashboard, a page is open": Case("dashboard", _PAGE, bursts=10, watched=True),
    "tensorboard": Case("tensorboard", {}),
    "wandb, offline": Case("wandb", {"mode": "offline"}),
    "wandb, its service answers": Case("wandb", _ONLINE, "lives"),
    "wandb, its service refuses connections": Case("wandb", _ONLINE, "refused"),
    "wandb, its service never answers": Case("wandb", _ONLINE, "silent"),
    "wandb, its service goes away": Case("wandb", _ONLINE, "goes away"),
    "wandb, its service falls silent": Case("wandb", _ONLINE, "falls silent"),
}


class TurnsConfig(BaseModel):
    """Which case, and how many bursts; `told` is filled with what was measured."""

    case: str
    bursts: int
    told: dict[str, object]


class Turns(Callback):
    every_step = True

    def __init__(self, config: TurnsConfig) -> None:
        self._config, case = config, CASES[config.case]
        self._inner, self._length = _made(case), BURST * case.bursts
        self._open = contextlib.ExitStack()
        self._after_start = self._open.enter_context(_service(case.fate))
        self._turns = _order(config.bursts)
        self._bursts: list[tuple[bool, float, float]] = []
        self._calls: list[float] = []
        self._began = (0.0, 0.0)
        self._processes: list[psutil.Process] = []
        self._beside = 0.0

    def on_train_start(self, event: TrainStart) -> None:
        self._config.told["start"] = _timed(lambda: self._inner.on_train_start(event))
        self._after_start()
        if CASES[self._config.case].watched:
            self._open.callback(_watch(event).kill)
        of_its_own = psutil.Process().children(recursive=True)
        self._processes = [each for each in of_its_own if str(SERVICE) not in each.cmdline()]
        self._beside = -self._used()  # starting them is no part of a step

    def on_step_end(self, event: StepEnd) -> Signal | None:
        """Told of a step, or not; between two bursts the other may get its turn."""
        number, place = divmod(event.step - WARM_UP, self._length)
        turn = number < 0 or self._turns[number]
        if place == 0 and number > 0:
            now = _clocks()
            wall, cpu = now[0] - self._began[0], now[1] - self._began[1]
            self._bursts.append((self._turns[number - 1], wall, cpu))
        if place == 0 and number >= 0:
            self._stand_still(not turn)
            self._began = _clocks()
        if place % BURST == BURST // 2 and turn:
            self._calls.append(_timed(lambda: self._inner.on_step_end(event)))
        return Signal.STOP if len(self._bursts) == self._config.bursts else None

    def on_train_end(self, event: TrainEnd) -> None:
        self._stand_still(False)
        self._beside += self._used()
        self._config.told["end"] = _timed(lambda: self._inner.on_train_end(event))
        self._config.told |= {"bursts": self._bursts, "length": self._length}
        self._config.told |= {"calls": self._calls, "beside": self._beside}
        self._open.close()

    def _used(self) -> float:
        """Seconds of processor time of its own processes."""
        return sum(sum(process.cpu_times()[:2]) for process in self._processes)

    def _stand_still(self, still: bool) -> None:
        for process in self._processes:
            process.suspend() if still else process.resume()


def _watch(event: TrainStart) -> subprocess.Popen[bytes]:
    """Open the dashboard's page of the run, in a process that takes all that the page is sent."""
    while (answer := _PAGES[event.folder].answer()) is None:
        time.sleep(0.1)
    command = [sys.executable, "-c", READER, answer["link"], event.run]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)


def _clocks() -> tuple[float, float]:
    """Wall-clock and processor time of this process."""
    return time.perf_counter(), time.process_time()


def _order(bursts: int) -> list[bool]:
    """Whose turn it is: of each two bursts one, by chance, so that nothing of the run's own that
    comes again and again falls to the same side. The last, which is not measured, ends the run."""
    chance = random.Random(0)
    pairs = (chance.choice([(True, False), (False, True)]) for _ in range(bursts // 2))
    return [*chain.from_iterable(pairs), False]


def _timed(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def _made(case: Case) -> Callback:
    if case.callback is None:
        return Callback()
    part = default_plugins().registry.get("callbacks", case.callback)
    model = part.config_model()
    assert model is not None
    made: Callback = part.load()(model(**case.options))
    return made


@contextlib.contextmanager
def _service(fate: Fate | None) -> Iterator[Callable[[], None]]:
    """The service of a case, for the client to find; gives what befalls it after the start."""
    with contextlib.ExitStack() as stack:
        befalls: Callable[[], None] = lambda: None  # noqa: E731
        if fate in ("silent", "refused"):
            held = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            url = f"http://127.0.0.1:{held.getsockname()[1]}"
            if fate == "refused":
                held.close()
        elif fate is not None:
            command = [sys.executable, str(SERVICE)]
            process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            stack.callback(process.kill)
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            ends = {"goes away": process.kill, "falls silent": psutil.Process(process.pid).suspend}
            befalls = ends.get(fate, befalls)
        if fate is not None:
            os.environ |= {"WANDB_BASE_URL": url, "WANDB_API_KEY": "0" * 40}
        yield befalls


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("project", type=Path)
    parser.add_argument("case", choices=CASES)
    parser.add_argument("--pairs", type=int, required=True)
    options = parser.parse_args()
    steps = WARM_UP + 2 * BURST * CASES[options.case].bursts * options.pairs
    never = dict.fromkeys(("eval_interval", "save_interval", "max_steps", "epochs"), 9 * steps)
    keys = {**TINY, **{f"training.{name}": value for name, value in never.items()}}
    flags = {key: (value, key) for key, value in keys.items()}
    project = find_project(options.project.resolve())
    config = load_config(project.root, default_plugins(), flags=flags)
    told: dict[str, object] = {}
    turns = TurnsConfig.model_construct(case=options.case, bursts=2 * options.pairs, told=told)
    part = Part("callbacks", "turns", "callback_turns:Turns", "", None, (), "", "benchmarks")
    config = replace(config, callbacks=(Selected(part, turns, "turns"),))
    train(project, config, default_plugins(), Surroundings(resume="never"))
    print(json.dumps({**told, "trained_at": time.time()}), flush=True)


if __name__ == "__main__":
    main()
