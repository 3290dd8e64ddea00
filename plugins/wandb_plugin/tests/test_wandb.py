"""The callback `wandb`, with the real client: offline, and against a service on this machine."""

from __future__ import annotations

import base64
import html
import json
import os
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import wandb
from plugins.wandb_plugin.tests import story
from plugins.wandb_plugin.tests.service import Service
from plugins.wandb_plugin.tests.story import CONFIG, SAMPLE, play, whole_run
from pydantic import ValidationError
from tests.journey import SMALL, llm, sentences
from wandb.proto.wandb_internal_pb2 import Record

from create_llm.kernel.plugins import load_plugins
from create_llm.runs.events import SampleGenerated
from create_llm.testing.events import eval_end, step_end, train_end, train_start
from create_llm.training.dispatch import Dispatcher, Dropped
from create_llm_wandb import client
from create_llm_wandb.callback import WandB
from create_llm_wandb.config import WandBConfig

KEY = "0123456789abcdef0123456789abcdef01234567"
BASIC = "Basic " + base64.b64encode(f"api:{KEY}".encode()).decode()


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch):
    """A person who has never used wandb, on a machine without a way to its service."""
    folder = tmp_path_factory.mktemp("home")
    for name in [name for name in os.environ if name.startswith(("WANDB_", "NETRC"))]:
        monkeypatch.delenv(name)
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(folder))
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    yield folder
    wandb.teardown()
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        del os.environ[name]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The folder of a run, in a project."""
    (tmp_path / "llm.toml").write_text("")
    folder = tmp_path / "logs" / "20260101-120000"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    found = Service()
    monkeypatch.setenv("WANDB_BASE_URL", found.url)
    yield found
    found.stalls = False
    found.shutdown()


def records(folder: Path) -> list[Record]:
    """What `wandb sync` would send: a LevelDB log (7 bytes of header, blocks of 32 KiB)."""
    # The last records may still be on their way when a run has finished.
    wandb.teardown()
    (path,) = folder.glob("*.wandb")
    data, at, whole, found = path.read_bytes(), 7, b"", []
    assert data[:4] == b":W&B"
    while at + 7 <= len(data):
        left = 32768 - at % 32768
        if left < 7:
            at += left
            continue
        _, size, kind = struct.unpack_from("<IHB", data, at)
        whole += data[at + 7 : at + 7 + size]
        at += 7 + size
        if kind in (1, 4):
            found.append(Record.FromString(whole))
            whole = b""
    return found


def history(folder: Path) -> list[dict[str, Any]]:
    """The rows of metrics of a run on the disk."""
    rows = [record.history for record in records(folder) if record.HasField("history")]
    return [
        {".".join(item.nested_key) or item.key: json.loads(item.value_json) for item in row.item}
        for row in rows
    ]


def offline_folders(run: Path) -> list[Path]:
    return sorted((run / "wandb").glob("offline-run-*"))


def the_row(step: int, **more: float) -> dict[str, float]:
    event = step_end(step)
    return {
        "_step": step,
        "train/loss": event.loss,
        "train/learning_rate": event.learning_rate,
        "train/grad_norm": event.grad_norm,
        "train/tokens_per_second": event.tokens_per_second,
        "train/memory_bytes": event.memory_bytes,
        **more,
    }


def assert_whole_run(rows: list[dict[str, Any]]) -> None:
    first = the_row(10, **{"val/loss": 5.1, "val/bits_per_byte": 2.345})
    expected = [first, the_row(20, **{"val/loss": 4.9})]
    assert len(rows) == len(expected)
    for row, wanted in zip(rows, expected, strict=True):
        assert {name: row.get(name) for name in wanted} == pytest.approx(wanted)
    assert "val/bits_per_byte" not in rows[1]


def texts_below(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_a_run_is_kept_offline(run: Path, capfd: pytest.CaptureFixture[str]):
    assert play(whole_run(run), mode="offline", project="mine", tags=["a", "b"]) == []
    (folder,) = offline_folders(run)
    assert_whole_run(history(folder))
    (record, *_) = [found.run for found in records(folder) if found.HasField("run")]
    assert (record.run_id, record.display_name) == (run.name, run.name)
    assert (record.project, list(record.tags)) == ("mine", ["a", "b"])
    config = {item.key: json.loads(item.value_json) for item in record.config.update}
    assert {name: config[name] for name in CONFIG} == CONFIG
    assert capfd.readouterr() == ("", "")


def test_a_sample_is_a_page_that_shows_it_as_it_is(run: Path):
    play(whole_run(run), mode="offline")
    (page,) = run.rglob("sample_10_*.html")
    text = page.read_text("ascii")
    inside = text.removeprefix('<pre style="white-space: pre-wrap">').removesuffix("</pre>")
    assert "<" not in inside
    assert html.unescape(inside) == SAMPLE


def test_samples_can_be_left_out(run: Path):
    assert play(whole_run(run), mode="offline", samples=False) == []
    assert list(run.rglob("*.html")) == []


def test_a_sample_that_cannot_be_encoded_does_no_harm(run: Path):
    sample = SampleGenerated(step=10, prompt="", text="\x00 \ud800")
    assert play([train_start(run), sample, step_end(10), train_end()], mode="offline") == []
    (folder,) = offline_folders(run)
    assert [row["_step"] for row in history(folder)] == [10]


@pytest.mark.parametrize(
    ("status", "code"),
    [("completed", 0), ("paused", 78), ("interrupted", 255), ("diverged", 76), ("failed", 1)],
)
def test_it_ends_with_the_status_of_the_run(run: Path, status: str, code: int):
    play(whole_run(run, status), mode="offline")
    (folder,) = offline_folders(run)
    ends = [record.exit.exit_code for record in records(folder) if record.HasField("exit")]
    assert ends == [code]


def test_a_resumed_run_goes_on_at_its_step_under_its_name(run: Path):
    play([train_start(run), step_end(10), train_end(10, "interrupted")], mode="offline")
    again = train_start(run, step=10, resumed_from=10, config={"training": {"max_steps": 99}})
    assert play([again, step_end(20), train_end(20)], mode="offline") == []
    folders = offline_folders(run)
    assert [[row["_step"] for row in history(folder)] for folder in folders] == [[10], [20]]
    ids = {r.run.run_id for folder in folders for r in records(folder) if r.HasField("run")}
    assert ids == {run.name}


@pytest.mark.parametrize(("variable", "mode"), [("", "disabled"), ("disabled", "online")])
def test_disabled_leaves_nothing(
    run: Path, monkeypatch: pytest.MonkeyPatch, variable: str, mode: str
):
    monkeypatch.setenv("WANDB_MODE", variable)
    assert play(whole_run(run), mode=mode) == []
    assert list(run.iterdir()) == []


def test_without_a_key_it_is_offline_and_says_so(
    run: Path, service: Service, capsys: pytest.CaptureFixture[str]
):
    assert play(whole_run(run)) == []
    (folder,) = offline_folders(run)
    assert_whole_run(history(folder))
    shown = capsys.readouterr().err
    assert "warning: offline, because there is no API key: set WANDB_API_KEY" in shown
    assert f"wandb sync {folder}" in shown
    assert service.paths == []


def test_nobody_is_asked_on_a_terminal(run: Path, service: Service):
    pty = pytest.importorskip("pty", reason="pseudo-terminals are a matter of POSIX")
    here, there = pty.openpty()
    command = [sys.executable, story.__file__, str(run), "online"]
    process = subprocess.Popen(command, stdin=there, stdout=there, stderr=there)
    assert process.wait(timeout=60) == 0
    os.close(there)
    shown = os.read(here, 65536).decode()
    os.close(here)
    assert shown.startswith("wandb: warning: offline, because there is no API key")
    assert "account" not in shown
    assert len(offline_folders(run)) == 1
    assert service.paths == []


def test_offline_is_offline_for_reports_of_wandb_about_itself_too(run: Path, service: Service):
    command = [sys.executable, story.__file__, str(run), "offline"]
    environment = {**os.environ, "WANDB_API_KEY": KEY}
    subprocess.run(command, env=environment, check=True, timeout=60)
    assert len(offline_folders(run)) == 1
    assert service.paths == []


def test_a_run_is_sent_with_the_key_of_the_project(
    run: Path, home: Path, service: Service, capsys: pytest.CaptureFixture[str]
):
    (run.parents[1] / ".env").write_text(f"WANDB_API_KEY='{KEY}'\n")
    assert play(whole_run(run), entity="team", project="proj") == []
    assert_whole_run(service.history())
    assert service.streamed[-1]["exitcode"] == 0
    assert json.loads(service.uploads["wandb-summary.json"])["val/loss"] == 4.9
    assert any(name.endswith(".html") for name in service.uploads)
    created = service.created[0]
    assert (created["name"], created["project"], created["entity"]) == (run.name, "proj", "team")
    assert set(service.authorization) == {BASIC}
    assert capsys.readouterr().err == f"wandb: {service.url}/team/proj/runs/{run.name}\n"
    assert KEY.encode() not in texts_below(run) + texts_below(home)


def test_the_key_of_the_shell_wins_and_a_refused_one_means_offline(
    run: Path,
    service: Service,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    service.refuses = True
    (run.parents[1] / ".env").write_text("WANDB_API_KEY=from-the-file\n")
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    assert play(whole_run(run)) == []
    (folder,) = offline_folders(run)
    assert_whole_run(history(folder))
    assert (
        base64.b64decode(service.authorization[0].removeprefix("Basic ")).decode() == f"api:{KEY}"
    )
    shown = capsys.readouterr().err
    assert "warning: offline, because" in shown
    assert "401" in shown


def test_a_service_out_of_reach_means_offline_soon(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setattr(client, "INIT_SECONDS", 1.0)
    assert play(whole_run(run)) == []
    (folder,) = offline_folders(run)
    assert_whole_run(history(folder))
    assert "warning: offline, because" in capsys.readouterr().err


def test_a_service_that_stalls_does_not_hold_up_the_end(
    run: Path,
    service: Service,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    service.stalls = True
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setattr(client, "FINISH_SECONDS", 1.0)
    assert play(whole_run(run)) == []
    (folder,) = (run / "wandb").glob("run-*")
    assert f"not everything was sent in time; later: wandb sync {folder}" in capsys.readouterr().err
    assert_whole_run(history(folder))


def test_a_log_folder_outside_of_the_project_is_no_problem(tmp_path: Path):
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    assert play([train_start(folder), train_end()]) == []
    assert len(offline_folders(folder)) == 1


def test_another_run_of_the_same_process_is_left_alone(run: Path, tmp_path: Path):
    own = wandb.init(mode="offline", dir=tmp_path, settings=wandb.Settings(silent=True))
    assert play(whole_run(run), mode="offline") == []
    own.log({"theirs": 1})
    own.finish()
    (folder,) = (tmp_path / "wandb").glob("offline-run-*")
    assert [row.get("theirs") for row in history(folder)] == [1]
    assert_whole_run(history(offline_folders(run)[0]))


def test_training_outlives_the_process_of_wandb(run: Path):
    dropped: list[Dropped] = []
    callback = WandB(WandBConfig(mode="offline"))
    dispatcher = Dispatcher([("wandb", callback)], dropped.append)
    for event in whole_run(run)[:2]:
        dispatcher.emit(event)
    (process,) = [p for p in psutil.Process().children() if "wandb" in p.name()]
    process.kill()
    process.wait(timeout=30)
    for event in whole_run(run)[2:]:
        dispatcher.emit(event)
    assert [failure.name for failure in dropped] == ["wandb"]
    # What wandb does by itself at the end of the program.
    with pytest.raises(ConnectionError):
        wandb.teardown()


HANGS = """
import sys
import psutil
from pathlib import Path
from create_llm_wandb import client
from create_llm.testing.events import step_end, train_end, train_start
from create_llm_wandb.callback import WandB
from create_llm_wandb.config import WandBConfig
from create_llm.training.dispatch import Dispatcher
client.FINISH_SECONDS, client.SLACK_SECONDS, client.MOST_WAITING = 1.0, 0.5, int(sys.argv[2])
told = []
tell = Dispatcher([("wandb", WandB(WandBConfig(mode="offline")))], told.append).emit
tell(train_start(Path(sys.argv[1])))
for process in psutil.Process().children():
    process.suspend()
for step in range(1, 3000):
    tell(step_end(step))
tell(train_end(3000))
print([failure.error for failure in told])
"""


@pytest.mark.parametrize(
    ("waiting", "dropped", "said"),
    [
        (10_000, [], "not everything was sent in time; later: wandb sync"),
        (1_000, ["TimeoutError: wandb takes nothing any more"], ""),
    ],
)
def test_training_does_not_wait_for_a_process_that_hangs(
    run: Path, waiting: int, dropped: list[str], said: str
):
    """Nor does the end of the program, and neither shows a stack trace."""
    command = [sys.executable, "-c", HANGS, str(run), str(waiting)]
    ended = subprocess.run(command, capture_output=True, text=True, check=True, timeout=100)
    assert ended.stdout == f"{dropped}\n"
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr


def test_without_wandb_the_run_goes_on(run: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delitem(sys.modules, "create_llm_wandb.client")
    monkeypatch.setitem(sys.modules, "wandb.errors", None)
    (dropped,) = play(whole_run(run))
    assert (dropped.name, dropped.method) == ("wandb", "on_train_start")


def test_a_run_that_never_started_ends():
    assert play([eval_end(1), train_end(0, "failed")]) == []


def test_the_plugin_offers_the_callback():
    part = load_plugins({}).registry.get("callbacks", "wandb")
    assert part.distribution == "create-llm-wandb"
    assert part.load() is WandB
    assert part.config_model() is WandBConfig
    with pytest.raises(ValidationError):
        WandBConfig(mode="sometimes")
    with pytest.raises(ValidationError):
        WandBConfig(api_key=KEY)


def test_a_training_in_a_project_is_recorded(tmp_path: Path):
    llm(tmp_path, "new", "p", "--template", "nano", "--yes")
    project = tmp_path / "p"
    (project / "data" / "raw" / "days.txt").write_text(sentences(300))
    settings = (project / "llm.toml").read_text()
    named = 'plugins = ["console", "wandb"]'
    settings = settings.replace('plugins = ["console"]', named)
    settings += '\n[callbacks.wandb]\nproject = "days"\n'
    (project / "llm.toml").write_text(settings)
    shown = llm(project, "train", "--max-steps", 6, "--json", *SMALL)
    assert json.loads(shown.stdout)["status"] == "completed"
    assert "wandb: warning: offline, because there is no API key" in shown.stderr
    (manifest,) = (project / "logs").glob("*/run.json")
    lines = (manifest.parent / "events.jsonl").read_text().splitlines()
    events = [json.loads(line) for line in lines]
    told = [(e["step"], pytest.approx(e["loss"])) for e in events if e["event"] == "step"]
    (folder,) = offline_folders(manifest.parent)
    rows = history(folder)
    assert [row["_step"] for row in rows] == [2, 4, 6]
    assert [(row["_step"], row["train/loss"]) for row in rows] == told
    assert rows[-1]["val/bits_per_byte"] > 0
