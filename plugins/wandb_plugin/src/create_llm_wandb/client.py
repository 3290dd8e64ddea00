"""The wandb client, kept from prompting, from talking on the terminal and from waiting for long."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from queue import Full, Queue
from threading import Thread

import click
import psutil
import wandb
from wandb.errors import Error

from create_llm.config.dotenv import read_dotenv
from create_llm.errors import ConfigError, CredentialsError
from create_llm.project.folder import find_project
from create_llm.runs.events import TrainStart
from create_llm_wandb.config import Mode, WandBConfig

# wandb's own are a minute and a half, and for ever.
INIT_SECONDS = 30.0
FINISH_SECONDS = 60.0
SLACK_SECONDS = 5.0
"""Until it has said that these were too few."""

MOST_WAITING = 10_000
"""Calls that its process has not taken: some megabytes, and hours of most runs."""

_KEY = "WANDB_API_KEY"
_MODES: Mapping[str, Mode] = {
    "online": "online",
    "run": "online",
    "offline": "offline",
    "dryrun": "offline",
    "disabled": "disabled",
}


class Client:
    """One run at Weights & Biases, or in a folder that `wandb sync` can send there later.

    wandb's own calls wait until its process has taken what they say, and that process may hang, on
    a disk that does not answer for one. They are made in a thread, so that nobody waits for them
    but `finish`, and not for long.
    """

    def __init__(self, run: wandb.Run) -> None:
        self._run = run
        self._calls: Queue[Callable[[], object]] = Queue(MOST_WAITING)
        self._failed: Exception | None = None
        self._thread = Thread(target=self._work, name="create-llm-wandb", daemon=True)
        self._thread.start()

    @property
    def sync_command(self) -> str:
        """Sends what is on the disk."""
        return f"wandb sync {self._run.settings.sync_dir}"

    def log(self, step: int, values: Mapping[str, object]) -> None:
        """Values of a step, which must not be below earlier ones: wandb drops those.

        Raises:
            TimeoutError: wandb has taken nothing for long.
            Exception: whatever an earlier call came to.
        """
        self._call(lambda: self._run.log(dict(values), step=step))

    def log_html(self, step: int, name: str, page: str) -> None:
        """As `log`."""
        shown = wandb.Html(page, inject=False, data_is_not_path=True)
        self.log(step, {name: shown})

    def finish(self, exit_status: int) -> None:
        """Send what is left, for a minute at most; says so where that was too short.

        Raises:
            Exception: whatever an earlier call came to.
        """
        self._call(lambda: self._run.finish(exit_code=exit_status))
        self._call(_stop)
        self._thread.join(FINISH_SECONDS + SLACK_SECONDS)
        if self._thread.is_alive():
            _end_processes()
        elif self._failed is None:
            return
        elif not isinstance(self._failed, TimeoutError):
            raise self._failed
        _say(f"warning: not everything was sent in time; later: {self.sync_command}")

    def _call(self, call: Callable[[], object]) -> None:
        if self._failed is not None:
            raise self._failed
        try:
            self._calls.put_nowait(call)
        except Full:
            _end_processes()
            raise TimeoutError("wandb takes nothing any more") from None

    def _work(self) -> None:
        while (call := self._calls.get()) is not _stop:
            try:
                call()
            except Exception as error:
                self._failed = error
                return


def _stop() -> None:
    """The last call of a client."""


def _end_processes() -> None:
    """wandb's own hang, and it would wait for them once more at the end of the program."""
    for process in psutil.Process().children():
        if "wandb" in process.name():
            process.kill()
    # That it has lost them is no news; it would leave the program for it.
    with contextlib.suppress(OSError, SystemExit):
        wandb.teardown()


def chosen_mode(config: WandBConfig) -> Mode:
    """WANDB_MODE, as everywhere with wandb; else what the configuration says."""
    return _MODES.get(os.environ.get("WANDB_MODE", ""), config.mode)


def connect(config: WandBConfig, mode: Mode, event: TrainStart) -> Client:
    """Start a run, or go on with it; offline, with a warning, where online is not possible.

    Raises:
        wandb.Error: not even offline.
    """
    if mode == "online":
        try:
            run = _online(config, event)
        except (Error, CredentialsError) as error:
            # It would still hold the name of the run.
            wandb.teardown()
            client = Client(_start(config, "offline", event))
            _say(f"warning: offline, because {' '.join(str(error).split())}")
            _say(f"  try: when the run is over: {client.sync_command}")
            return client
        _say(f"{run.url}")
        return Client(run)
    return Client(_start(config, mode, event))


def _online(config: WandBConfig, event: TrainStart) -> wandb.Run:
    """Raises CredentialsError where wandb would prompt: a progress bar may own the terminal."""
    key = None if os.environ.get(_KEY) else _key_of_project(Path(event.folder))
    _be_quiet("online")
    if not key and not wandb.login(prompt=False, verify=False):
        raise CredentialsError(f"there is no API key: set {_KEY}, or run: wandb login")
    return _start(config, "online", event, key)


def _start(config: WandBConfig, mode: Mode, event: TrainStart, key: str | None = None) -> wandb.Run:
    _be_quiet(mode)
    return wandb.init(
        project=config.project,
        entity=config.entity,
        dir=event.folder,
        id=event.run,
        name=event.run,
        tags=config.tags,
        config=dict(event.config),
        # A resumed run may have another number of steps, for one.
        allow_val_change=True,
        mode=mode,
        resume="allow",
        # A run that the caller of the Python interface has open is not ours to log to.
        reinit="create_new",
        settings=wandb.Settings(
            api_key=key,
            console="off",
            init_timeout=INIT_SECONDS,
            finish_timeout=FINISH_SECONDS,
            finish_timeout_raises=True,
        ),
    )


def _be_quiet(mode: Mode) -> None:
    """Keep the terminal for the progress of the run.

    `init` takes these settings too, but only after it has talked about credentials; and only here
    does "offline" keep wandb's reports about itself offline as well.
    """
    wandb.setup(wandb.Settings(silent=True, mode=mode))
    # Without a handler, Python prints those reports' failures on stderr.
    logging.getLogger("opentelemetry").addHandler(logging.NullHandler())


def _key_of_project(folder: Path) -> str | None:
    """The key in the .env of the project that a run's folder is in."""
    try:
        project = find_project(folder.resolve())
    except ConfigError:
        # logging.log_dir can be anywhere.
        return None
    variable = read_dotenv(project.root / ".env").get(_KEY)
    return variable.value if variable else None


def _say(message: str) -> None:
    click.echo(f"wandb: {message}", err=True)
