"""How soon the page of a long run shows its curves, and what open pages cost the server.

    python benchmarks/dashboard.py [--events 100000 1000000] [--pages 200] [--times 5]

Writes a run of so many `step` events into a temporary project, starts `llm dashboard` and opens it
in a headless Chromium: first with nothing but the events, then with the index that was left beside
them, then reloads it. Times are from asking for the link until the curves are on the screen; the
medians of `--times`. Then `--pages` streams are opened one after the other and left in the middle,
and one reader takes nothing at all: memory, threads and open files of the server when the run has
been read, after the first twenty, halfway and at the end.

On stdout one JSON line a size: events, bytes, first_seconds, indexed_seconds, reload_seconds,
read_seconds (the events alone, without a browser); and one for the pages: rss_bytes, threads and
files, each four times. Without playwright and Chromium only read_seconds are measured.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlsplit

import psutil

PROGRAM = "from create_llm.cli import main; main()"
RUN = "20260101-120000"
READ = """\
import sys, time
from pathlib import Path
from create_llm_dashboard.history import History
began = time.perf_counter()
History(Path(sys.argv[1])).refresh()
print(time.perf_counter() - began)
"""
DRAWN = "[data-panel=curves] [data-drawn]"
# Asked from outside, a page that still draws its lower charts answers late: it notes the time.
NOTE = f"""
new MutationObserver((_, observer) => {{
  if (!document.querySelector("{DRAWN}")) return;
  observer.disconnect();
  requestAnimationFrame(() => setTimeout(() => {{ window.seen = Date.now() / 1000; }}));
}}).observe(document, {{ subtree: true, childList: true, attributes: true }});
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--pages", type=int, default=200)
    parser.add_argument("--times", type=int, default=5)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, browser() as opened:
        for events in asked.events:
            project = Path(folder) / str(events)
            file = write_run(project, events)
            figures = {
                "events": events,
                "bytes": file.stat().st_size,
                **measure(file, opened, asked.times),
            }
            print(json.dumps(figures), flush=True)
        index = file.with_name("events.index.npz")
        index.unlink(missing_ok=True)
        with dashboard(project) as (process, link):
            print(json.dumps(pages(process, link, asked.pages, index)), flush=True)
    return 0


def write_run(project: Path, events: int) -> Path:
    """A run as training writes it; returns its events.jsonl."""
    run = project / "logs" / RUN
    run.mkdir(parents=True)
    (project / "llm.toml").write_text("")
    (run / "run.json").write_text('{"schema": 1}')
    noise = random.Random(1)
    with (run / "events.jsonl").open("w") as file:
        file.write(line("train_start", 0, total_steps=events, vocab_size=8192, parameters=10**7))
        for step in range(1, events + 1):
            loss = 3 + 6 * 0.99999**step + noise.gauss(0, 0.2)
            figures = {"loss": loss, "learning_rate": 3e-4, "tokens_per_second": 1e4 + step % 99}
            more = {"grad_norm": noise.random(), "eta_seconds": 60.5, "epoch": step / 1000}
            file.write(line("step", step, **figures, **more, tokens=step, memory_bytes=10**9))
    return run / "events.jsonl"


def line(event: str, step: int, **fields: float) -> str:
    envelope = {"event": event, "time": "2026-01-01T12:00:00.000Z", "step": step, "session": 1}
    return json.dumps(envelope | fields) + "\n"


def measure(events: Path, opened: Any | None, times: int) -> dict[str, float]:
    index = events.with_name("events.index.npz")
    reading = []
    for _ in range(times):
        command = [sys.executable, "-c", READ, str(events)]
        reading.append(float(subprocess.run(command, check=True, capture_output=True).stdout))
    taken: dict[str, list[float]] = {"read_seconds": reading}
    for _ in range(times):
        if opened is None:
            break
        index.unlink(missing_ok=True)
        for name in ("first_seconds", "indexed_seconds"):
            with dashboard(events.parents[2]) as (_, link):
                page = opened.new_context().new_page()
                page.add_init_script(NOTE)
                taken.setdefault(name, []).append(seconds(page, partial(page.goto, link)))
                if name == "indexed_seconds":
                    taken.setdefault("reload_seconds", []).append(seconds(page, page.reload))
                else:
                    wait_for(index)
                page.context.close()
    return {name: round(median(values), 3) for name, values in taken.items()}


def seconds(page: Any, ask: Callable[[], object]) -> float:
    """Until the curves are seen."""
    began = time.time()
    ask()
    while not (seen := page.evaluate("window.seen")):
        page.wait_for_timeout(20)
    return float(seen) - began


def wait_for(index: Path) -> None:
    """It is written when a page has been shown all there is."""
    for _ in range(1200):
        if index.is_file():
            return
        time.sleep(0.05)
    raise TimeoutError(f"{index} was not written")


@contextmanager
def dashboard(project: Path) -> Iterator[tuple[psutil.Process, str]]:
    command = [sys.executable, "-c", PROGRAM, "dashboard", "--no-open", "--json", "--port", "0"]
    with subprocess.Popen(command, cwd=project, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            link: str = json.loads(process.stdout.readline())["link"]
            yield psutil.Process(process.pid), link
        finally:
            process.terminate()


def pages(process: psutil.Process, link: str, count: int, index: Path) -> dict[str, object]:
    """What the server holds while pages come and go, and one reads nothing."""
    address = urlsplit(link)
    assert address.port is not None
    cookie = request(address.port, f"/?{address.query}").partition(b"set-cookie: ")[2]
    stream = (f"/runs/{RUN}/stream", cookie.partition(b";")[0])
    figures = []
    with connect(address.port, *stream):  # reads nothing
        wait_for(index)
        for visits in (0, 20, count // 2 - 20, count - count // 2):
            for _ in range(visits):
                with connect(address.port, *stream) as connection:
                    connection.recv(4096)
            time.sleep(1)
            figures.append(held(process))
    return {"pages": count} | {name: [each[name] for each in figures] for name in figures[0]}


def held(process: psutil.Process) -> dict[str, int]:
    files = process.num_fds() if os.name != "nt" else 0
    rss = process.memory_info().rss
    return {"rss_bytes": rss, "threads": process.num_threads(), "files": files}


def connect(port: int, path: str, cookie: bytes = b"") -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), 20)
    head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nCookie: ".encode()
    connection.sendall(head + cookie + b"\r\n\r\n")
    return connection


def request(port: int, path: str) -> bytes:
    with connect(port, path) as connection:
        return connection.recv(65536)


@contextmanager
def browser() -> Iterator[Any | None]:
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        path = None
    if path is None:
        print("no browser: only reading is measured", file=sys.stderr)
        yield None
        return
    with sync_playwright() as started:
        opened = started.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield opened
        opened.close()


if __name__ == "__main__":
    sys.exit(main())
