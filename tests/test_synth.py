"""llm synth as a person runs it: rows in data/raw that can be trained on, whatever happens."""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journey import start_llm, with_signals
from tests.loopback import Loopback, Reply, Request, redirect, reply, too_many

ROOT = Path(__file__).resolve().parents[1]
KEY = "sk-canary-synth-2718"
CHAT = ("POST", "/v1/chat/completions")
PASSAGE = re.compile(r"<passage>\n(.*?)\n</passage>", re.DOTALL)
NUMBER = re.compile(r"Write (\d+|one)")


class Model:
    """Answers each request with numbered pairs; holds request number `hold` back, if there is one.

    Attributes:
        passages: what each answered or held request was about, in order.
    """

    def __init__(self, hold: int | None = None) -> None:
        self.passages: list[str] = []
        self.hold, self.held, self.go_on = hold, threading.Event(), threading.Event()
        self.written = 0

    def __call__(self, request: Request) -> Reply:
        prompt = request.json["messages"][-1]["content"]
        found = PASSAGE.search(prompt)
        self.passages.append(found[1] if found else "")
        if len(self.passages) - 1 == self.hold:
            self.held.set()
            self.go_on.wait(30)
        return self.answer(prompt)

    def answer(self, prompt: str) -> Reply:
        number = NUMBER.search(prompt)
        wanted = int(number[1]) if number and number[1] != "one" else 1
        pairs = []
        for _ in range(wanted):
            self.written += 1
            question = f"What is number {self.written}?"
            pairs.append({"question": question, "answer": f"It is {self.written}, “ä”."})
        message = {"role": "assistant", "content": json.dumps({"pairs": pairs})}
        choice = {"index": 0, "finish_reason": "stop", "message": message}
        usage = {"prompt_tokens": 100, "completion_tokens": 40, "total_tokens": 140}
        body = {"id": "1", "object": "chat.completion", "created": 1, "model": "small-1"}
        return reply(200, {**body, "choices": [choice], "usage": usage})


@pytest.fixture
def service() -> Iterator[Loopback]:
    with Loopback() as server:
        server.on("GET", "/v1/models", reply(200, {"object": "list", "data": []}))
        server.on(*CHAT, Model())
        yield server


@pytest.fixture
def project(tmp_path, service) -> Iterator[Path]:
    """Asks the service for two pairs at once, about twelve passages of a book. At the end its key
    stands in no file of it."""
    book = [f"Chapter {n}. " + f"Passage {n} tells of the sea. " * 60 for n in range(12)]
    (tmp_path / "book.txt").write_text("\n\n".join(book) + "\n", encoding="utf-8")
    (tmp_path / "data" / "raw").mkdir(parents=True)
    (tmp_path / "llm.toml").write_text(
        f'[synth.groq]\nbase_url = "{service.url}/v1"\npairs_per_request = 2\n'
        "input_price = 1.0\noutput_price = 10.0\n"
    )
    (tmp_path / ".env").write_text(f"GROQ_API_KEY={KEY}\n")
    yield tmp_path
    written = [path for path in tmp_path.rglob("*") if path.is_file() and path.name != ".env"]
    assert all(KEY.encode() not in path.read_bytes() for path in written)


ASKING = ("synth", "--provider", "groq", "--samples", "10", "--from", "book.txt")


def rows(project: Path) -> list[dict]:
    files = sorted((project / "data" / "raw").glob("*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text("utf-8").splitlines()]


def test_pairs_from_a_book_are_rows_with_provenance_that_the_project_reads(llm, project, service):
    done = llm(*ASKING, "--json", cwd=project)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["documents"], told["requests"], told["repeated"]) == (10, 5, 0)
    assert told["usage"] == {"input_tokens": 500, "output_tokens": 200, "cost": 0.0025}
    assert "An estimate: 5 requests" in done.stderr
    found = rows(project)
    assert [message["role"] for message in found[0]["messages"]] == ["user", "assistant"]
    source = found[0]["provenance"]
    assert (source["provider"], source["model"]) == ("groq", "small-1")
    assert source["source"].startswith("book.txt:")
    checked = llm("data", "check", "--json", cwd=project)
    (file,) = json.loads(checked.stdout)["files"]
    assert (file["structure"], file["documents"], file["rejected"]) == ("messages", 10, 0)
    assert len({each.json["messages"][-1]["content"] for each in service.asked(*CHAT)}) == 5


def test_a_second_start_adds_others_and_waits_where_the_service_is_busy(llm, project, service):
    assert llm(*ASKING, cwd=project).returncode == 0
    service.first(*CHAT, too_many(1), reply(503))
    again = llm(*ASKING, cwd=project)
    assert again.returncode == 0, again.stderr
    assert "again in" in again.stderr
    assert len(rows(project)) == 20
    prompts = [each.json["messages"][-1]["content"] for each in service.asked(*CHAT)]
    assert len({PASSAGE.search(prompt)[1] for prompt in prompts}) == 10


def test_a_dry_run_asks_nobody(llm, project, service):
    done = llm(*ASKING, "--dry-run", "--json", cwd=project)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["requests"] == 5
    assert told["input_tokens"] > 1000
    assert told["cost"] > 0
    assert service.requests == []
    assert not (project / "data" / "synth").exists()


@with_signals
def test_killed_in_the_middle_it_goes_on_and_asks_for_nothing_twice(llm, project, service):
    model = Model(hold=3)
    service.on(*CHAT, model)
    process = start_llm(project, *ASKING, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert model.held.wait(30)
    process.kill()
    process.wait()
    model.go_on.set()
    assert len(rows(project)) == 6
    before = list(model.passages)
    done = llm(*ASKING, "--json", cwd=project)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["documents"], told["before"], told["requests"]) == (10, 6, 5)
    questions = [row["messages"][0]["content"] for row in rows(project)]
    assert len(set(questions)) == len(questions) == 10
    # The request in flight had no answer; those that had are not asked again.
    assert model.passages[len(before) :][0] == before[-1]
    assert not set(model.passages[len(before) + 1 :]) & set(before)


def test_what_repeats_is_left_out_and_in_the_end_it_gives_up(llm, project, service):
    service.on(*CHAT, lambda request: Model().answer("Write 2"))
    done = llm(*ASKING, "--json", cwd=project)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["documents"], told["requests"]) == (2, 11)
    assert told["repeated"] == 20
    assert "Fewer than the 10" in done.stderr


def test_nothing_usable_is_an_error_that_says_why(llm, project, service):
    service.on(*CHAT, reply(400, {"error": {"message": f"bad {KEY} model"}}))
    done = llm(*ASKING, cwd=project)
    assert done.returncode == 65
    assert "bad *** model" in done.stderr
    assert list((project / "data" / "raw").iterdir()) == []


def test_rules_work_offline_and_need_a_text_which_stories_do_not(llm, project, service):
    done = llm("synth", "--provider", "rules", "--samples", "8", "--from", "book.txt", cwd=project)
    assert done.returncode == 0, done.stderr
    assert len(rows(project)) == 8
    assert service.requests == []
    without = llm("synth", "--provider", "rules", cwd=project)
    assert without.returncode == 2
    assert "--from" in without.stderr
    stories = llm("synth", "--provider", "sample", "--from", "book.txt", cwd=project)
    assert stories.returncode == 2
    assert "takes no text" in stories.stderr


def test_what_was_refused_before_it_began_is_not_gone_on_with(llm, project, service):
    assert llm("synth", "--provider", "rules", cwd=project).returncode == 2
    service.on(*CHAT, reply(401, {"error": {"message": "no"}}))
    assert llm(*ASKING, cwd=project).returncode == 77
    assert list((project / "data" / "synth").iterdir()) == []
    service.on(*CHAT, Model(hold=None))
    done = llm(*ASKING, cwd=project)
    assert "Going on" not in done.stderr
    assert (project / "data" / "raw" / "synthetic-groq-001.jsonl").is_file()


def test_what_is_gone_on_with_is_told_after_the_service_took_the_key(llm, project, service):
    model = Model()
    service.on(*CHAT, lambda r: reply(401, {}) if len(model.passages) == 2 else model(r))
    assert llm(*ASKING, cwd=project).returncode == 77
    service.on("GET", "/v1/models", reply(401, {"error": {"message": "no"}}))
    refused = llm(*ASKING, cwd=project)
    assert refused.returncode == 77
    assert "Going on" not in refused.stderr


def test_a_topic_that_no_sentence_names_is_said(llm, project):
    done = llm(
        "synth", "--provider", "rules", "--topic", "zebra", "--from", "book.txt", cwd=project
    )
    assert done.returncode == 65
    assert done.stderr.startswith("Error: no sentence names 'zebra'\n")


@pytest.mark.parametrize("path", ["not s", "none.txt", "empty.txt"])
def test_text_that_is_not_there_is_a_matter_of_from(llm, project, path):
    (project / "not s").mkdir()
    (project / "empty.txt").touch()
    done = llm("synth", "--provider", "rules", "--from", path, cwd=project)
    assert done.returncode == 65
    assert "check --from" in done.stderr
    assert "data/raw" not in done.stderr
    assert "quickstart" not in done.stderr


def test_two_at_once_on_one_job_do_not_mix(llm, project, service):
    model = Model(hold=1)
    service.on(*CHAT, model)
    process = start_llm(project, *ASKING, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert model.held.wait(30)
    second = llm(*ASKING, cwd=project)
    model.go_on.set()
    assert second.returncode == 75, second.stderr
    assert process.wait(30) == 0
    assert len(rows(project)) == 10


FAULTS = {
    "key": (("GET", "/v1/models"), reply(401, {"error": {"message": f"not {KEY}!"}})),
    "limit": (CHAT, reply(429, {"error": {"message": f"not {KEY}!"}}, {"Retry-After": "9000"})),
    "away": (CHAT, redirect("http://127.0.0.1:9/v1")),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_not_even_a_stack_trace_shows_the_key(llm, project, service, fault):
    asked, answer = FAULTS[fault]
    service.on(*asked, answer)
    done = llm(*ASKING, "--debug", cwd=project)
    assert "Traceback" in done.stderr
    assert KEY not in done.stdout + done.stderr


def test_without_a_key_nothing_is_asked_and_no_prompt_waits(llm, project, service):
    (project / ".env").unlink()
    done = llm(*ASKING, cwd=project, env={"GROQ_API_KEY": ""})
    assert done.returncode == 77
    assert "GROQ_API_KEY" in done.stderr
    assert service.requests == []


@with_signals
def test_on_a_terminal_the_key_is_asked_for_unseen(project, service):
    import pty  # Windows has none

    (project / ".env").unlink()
    terminal, end = pty.openpty()
    streams = {"stdin": end, "stdout": end, "stderr": end}
    process = start_llm(
        project, *ASKING, env={"GROQ_API_KEY": ""}, start_new_session=True, **streams
    )
    os.close(end)
    shown = _until(terminal, b"not shown: ")
    os.write(terminal, f"{KEY}\n".encode())
    shown += _until(terminal, None)
    assert process.wait(30) == 0, shown
    assert KEY.encode() not in shown
    assert service.asked(*CHAT)[0].headers["Authorization"] == f"Bearer {KEY}"
    assert len(rows(project)) == 10


def test_the_example_of_the_page_asks_a_service(service, tmp_path, monkeypatch):
    page = (ROOT / "docs" / "plugins" / "synthesizers.md").read_text(encoding="utf-8")
    (code,) = (block for block in page.split("```python\n") if "class WeatherService" in block)
    code = code.partition("```")[0].replace("https://weather.example.org", service.url)
    (tmp_path / "weather_service.py").write_text(code, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("WEATHER_API_KEY", KEY)
    service.first("POST", "/questions", too_many(0.01))
    service.on("POST", "/questions", reply(200, [["Will it rain?", "It will."]]))
    synthesizer = importlib.import_module("weather_service").WeatherService(None)
    (document,) = synthesizer.generate(1, "the sea")
    assert document.text == "Will it rain?It will."
    assert service.asked("POST", "/questions")[1].json["topic"] == "the sea"


def _until(terminal: int, words: bytes | None) -> bytes:
    """What a terminal shows until it shows these words; None: until its other end is closed."""
    shown, late = b"", time.monotonic() + 30
    while (words is None or words not in shown) and time.monotonic() < late:
        try:
            shown += os.read(terminal, 4096)
        except OSError:
            break
    return shown
