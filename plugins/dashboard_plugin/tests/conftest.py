"""Runs as files, a server in a thread, and a browser where there is one."""

from __future__ import annotations

import http.client
import json
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from create_llm.kernel.plugins import load_plugins
from create_llm.runs.lock import RunLock
from create_llm.runs.run import RunFolder, run_folder, runs_of
from create_llm_dashboard.server import listen
from create_llm_dashboard.serving import Serving

RUN = "20260101-120000"


class Story:
    """A run's files, written as training writes them."""

    def __init__(self, root: Path, name: str = RUN) -> None:
        self.folder: RunFolder = run_folder(root / "logs", root / "checkpoints", name)
        self.folder.path.mkdir(parents=True)
        self.session = 0
        self._begun = datetime.now(UTC) - timedelta(minutes=5)
        self._told = 0
        config = {"tokenizer": {"name": "bpe", "vocab_size": 1000}, "training": {"seed": 1}}
        self.manifest(
            config=config,
            sources={"training.seed": "llm.toml:3"},
            command=["/usr/bin/llm", "train", "--max-steps", "100"],
            frozen={"device": "cpu", "precision": "bf16"},
        )

    def manifest(self, **fields: Any) -> None:
        (self.folder.path / "run.json").write_text(json.dumps({"schema": 1, **fields}))

    def tell(self, event: str, step: int, **fields: Any) -> None:
        self._told += 1
        time = (self._begun + timedelta(seconds=self._told)).isoformat(timespec="milliseconds")
        envelope = {"event": event, "time": time.replace("+00:00", "Z"), "step": step}
        line = json.dumps({**envelope, "session": self.session, **fields}, ensure_ascii=False)
        with self.folder.events.open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")

    def start(self, resumed_from: int | None = None, **fields: Any) -> None:
        self.session += 1
        given = {"total_steps": 100, "parameters": 1_000_000, "vocab_size": 1000}
        self.tell("train_start", resumed_from or 0, resumed_from=resumed_from, **given | fields)

    def step(self, step: int, loss: float | None = 5.0, **fields: Any) -> None:
        figures = {
            "loss": loss,
            "learning_rate": 1e-3,
            "tokens_per_second": 1000.0,
            "grad_norm": 1.0,
            "eta_seconds": 600.0,
            "memory_bytes": 500_000_000,
        }
        self.tell("step", step, **figures | fields)

    def eval(self, step: int, train: float, val: float) -> None:
        self.tell("eval", step, train_loss=train, val_loss=val, val_bits_per_byte=val / 2)

    def end(self, step: int, status: str = "completed", **fields: Any) -> None:
        self.tell("train_end", step, status=status, stopped_by="max_steps", seconds=9.0, **fields)
        summary = {"status": status, "steps": step, "wall_seconds": 9.0, "val_loss": 3.21}
        (self.folder.path / "summary.json").write_text(json.dumps(summary))

    @contextmanager
    def live(self) -> Iterator[None]:
        """As if a process trained it: this one holds its lock."""
        with RunLock(self.folder.path):
            yield


@pytest.fixture
def story(tmp_path: Path) -> Story:
    return Story(tmp_path)


@dataclass
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Served:
    """A dashboard that runs."""

    port: int
    serving: Serving
    cookie: str = ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(
        self, path: str, method: str = "GET", body: object = None, **headers: str | None
    ) -> Answer:
        """An answer; `Host`, `Cookie` and the like are given as they are, None leaves one out."""
        given: dict[str, str | None] = {
            "Host": f"127.0.0.1:{self.port}",
            "Cookie": self.cookie,
            "Origin": self.url if method == "POST" else None,
        }
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.putrequest(method, path, skip_host=True)
            data = json.dumps(body).encode() if body is not None else b""
            for name, value in given.items():
                if value is not None:
                    connection.putheader(name, value)
            connection.putheader("Content-Length", str(len(data)))
            connection.endheaders(data)
            found = connection.getresponse()
            return Answer(found.status, found.headers, found.read())
        finally:
            connection.close()

    def enter(self) -> None:
        """Use the link, and keep the cookie."""
        answer = self.ask(f"/?token={self.serving.token}")
        assert answer.status == 303, answer.body
        self.cookie = answer.headers["set-cookie"].partition(";")[0]

    @contextmanager
    def news(self, path: str) -> Iterator[Iterator[dict[str, Any]]]:
        """The events of a stream, as they come."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request("GET", path, headers={"Cookie": self.cookie})
            yield _events(connection.getresponse())
        finally:
            if connection.sock is not None:
                connection.sock.shutdown(socket.SHUT_RDWR)
            connection.close()


def _events(answer: http.client.HTTPResponse) -> Iterator[dict[str, Any]]:
    assert answer.status == 200
    while line := answer.readline():
        if line.startswith(b"data: "):
            yield json.loads(line[6:])


@contextmanager
def served(root: Path, *, inside: bool = True, port: int = 0, **options: Any) -> Iterator[Served]:
    with listen("127.0.0.1", port) as listener:
        serving = Serving(
            registry=load_plugins().registry,
            project=root.name,
            folders=lambda: runs_of(root / "logs", root / "checkpoints"),
            listener=listener,
            **options,
        )
        server = serving.server()
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        running = Served(listener.getsockname()[1], serving)
        try:
            if inside:
                running.enter()
            yield running
        finally:
            server.should_exit = True
            thread.join(20)
            assert not thread.is_alive(), "the server did not end"


@pytest.fixture(scope="module")
def inside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A dashboard of one run, and a browser's cookie; for tests that change nothing."""
    root = tmp_path_factory.mktemp("project")
    Story(root)
    with served(root) as running:
        yield running


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A dashboard of one run whose link nobody has used."""
    root = tmp_path_factory.mktemp("project")
    Story(root)
    with served(root, inside=False) as running:
        yield running


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """`serve(inside=False)`: a dashboard of the runs below tmp_path; ends with the test."""
    with ExitStack() as stack:
        yield lambda **given: stack.enter_context(served(tmp_path, **given))


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A headless browser, for one file of tests.

    Playwright's event loop runs in this thread as long as the browser does: one that lasted for
    the session would forbid `asyncio.run` to whichever tests come after it.
    """
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
    if path is None:
        pytest.skip("there is no chromium on the PATH")
    with playwright.sync_playwright() as started:
        # In a container without user namespaces there is no sandbox to be had.
        browser = started.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@dataclass
class Seen:
    """A page, and what its console said that it should not."""

    page: Any
    errors: list[str]


@pytest.fixture
def look(chromium: Any) -> Iterator[Callable[..., Seen]]:
    """`look(link, color_scheme="dark")` opens a page in a browser of its own."""
    contexts = []

    def open_(link: str, **options: Any) -> Seen:
        context = chromium.new_context(**options)
        contexts.append(context)
        page, errors = context.new_page(), []
        page.on("console", lambda m: errors.append(m.text) if m.type in _BAD else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(link)
        return Seen(page, errors)

    yield open_
    for context in contexts:
        context.close()


_BAD = ("error", "warning", "trace")
