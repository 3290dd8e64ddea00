"""The services that commands speak to, behind one server that can be told to misbehave.

A peer carries out what it is asked, and afterwards says what came out and what was done twice.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from plugins.hf_plugin.tests import service as hub
from plugins.replicate_plugin.tests.service import Replicate, programs

from tests.loopback import Loopback, Reply, Request, forwarded, reply

KEY = "canary-of-the-network-4711"
BOOK = b"".join(b"Line %04d of a book of the sea.\n" % number for number in range(2000))
CONFIG = """\
[project]
template = "nano"
[deployment.huggingface]
repo_name = "mine"
[deployment.replicate]
model_name = "mine"
"""


@dataclass(frozen=True, slots=True)
class Call:
    """One kind of request that a command makes.

    Attributes:
        goes_on: refusals after which the command does without.
        tenths: it carries what is large, in the request ("up") or in the answer ("down").
        once: it is not made again where it may have begun something that costs money.
    """

    method: str
    path: str
    goes_on: frozenset[int] = frozenset()
    tenths: str = ""
    once: bool = False

    @property
    def at(self) -> tuple[str, str]:
        return self.method, self.path


class Peer(Protocol):
    """What came of a command, in the eyes of the service.

    Attributes:
        env: for the command to find it.
    """

    env: Mapping[str, str]

    def wrong(self, project: Path) -> list[str]:
        """What is missing or other than it should be, once the command has succeeded."""
        ...

    def twice(self) -> int:
        """What was sent, made or begun more often than once."""
        ...


class Serve(Protocol):
    def __call__(self, server: Loopback, project: Path) -> AbstractContextManager[Peer]: ...


@dataclass(frozen=True, slots=True)
class Client:
    """A command that asks a service.

    Attributes:
        serve: stands the service up behind a server, for the project of a trial.
    """

    name: str
    arguments: tuple[str, ...]
    calls: tuple[Call, ...]
    serve: Serve


@dataclass
class HubPeer:
    service: hub.Service
    env: Mapping[str, str]

    def twice(self) -> int:
        again = sum(self.service.puts.values()) - len(self.service.puts)
        return again + max(0, self.service.commits - 1)


class Published(HubPeer):
    def wrong(self, project: Path) -> list[str]:
        if self.service.commits != 1:
            return [f"{self.service.commits} commits"]
        held, bundle = self.service.held("me/mine"), project / "models" / "v1"
        names = ("model.safetensors", "config.json", "tokenizer.json")
        return [
            f"{name} is not what was sent"
            for name in names
            if held.get(name) != (bundle / name).read_bytes()
        ]


class Fetched(HubPeer):
    def wrong(self, project: Path) -> list[str]:
        whole = self.service.held("org/model")["model.safetensors"]
        path = project / "away" / "model.safetensors"
        same = path.is_file() and _digest(path.read_bytes()) == _digest(whole)
        return [] if same else ["the weights are not those of the repository"]


@contextmanager
def _hub(server: Loopback, project: Path) -> Iterator[hub.Service]:
    with hub.serving() as service:
        server.on("*", "*", forwarded(service.url))
        service.url = server.url  # it sends its clients where they came from
        service.token = KEY
        yield service


def _hub_env(server: Loopback) -> dict[str, str]:
    return {"HF_ENDPOINT": server.url, "HF_TOKEN": KEY}


@contextmanager
def _publishing(server: Loopback, project: Path) -> Iterator[Peer]:
    with _hub(server, project) as service:
        yield Published(service, _hub_env(server))


@contextmanager
def _fetching(server: Loopback, project: Path) -> Iterator[Peer]:
    with _hub(server, project) as service:
        files = [path for path in (project / "models" / "v1").iterdir() if path.is_file()]
        kept = {path.name: path.read_bytes() for path in files if path.name != "manifest.json"}
        service.add("org/model", kept, private=True)
        yield Fetched(service, _hub_env(server))


@dataclass
class ReplicatePeer:
    service: Replicate
    env: Mapping[str, str]
    begun: Counter[str] = field(default_factory=Counter)

    def wrong(self, project: Path) -> list[str]:
        there = list(self.service.models) == ["me/mine"]
        return [] if there else ["the model is not there"]

    def twice(self) -> int:
        return max(0, len(self.service.pushes) - 1) + sum(n - 1 for n in self.begun.values())


@contextmanager
def _replicate(server: Loopback, project: Path) -> Iterator[Peer]:
    with Replicate() as service:
        server.on("*", "*", forwarded(service.url))
        path = programs(project / "bin", service, "cog", "docker")
        env = {"REPLICATE_BASE_URL": server.url, "REPLICATE_API_TOKEN": KEY}
        peer = ReplicatePeer(service, {**env, "PATH": str(path)})
        yield peer


@contextmanager
def _running(server: Loopback, project: Path) -> Iterator[Peer]:
    with _replicate(server, project) as peer:
        assert isinstance(peer, ReplicatePeer)
        service = peer.service
        service.add("me/mine")
        service.served("me/mine", "")
        carry_out = forwarded(service.url)

        def begin(request: Request) -> Reply:
            peer.begun["a prediction"] += 1
            assert not isinstance(carry_out, Reply)
            return carry_out(request)

        server.on("POST", "/v1/predictions", begin)
        yield peer


@dataclass
class Writer:
    """Writes numbered questions with their answers, for either protocol of synthesis."""

    env: Mapping[str, str]
    keys: Counter[str] = field(default_factory=Counter)
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def pairs(self, count: int) -> list[dict[str, str]]:
        found = itertools.islice(self.numbers, count)
        return [{"question": f"Why is it {n}?", "answer": f"It is {n}."} for n in found]

    def complete(self, request: Request) -> Reply:
        number = re.search(r"Write (\d+)", request.json["messages"][-1]["content"])
        made = json.dumps({"pairs": self.pairs(int(number[1]) if number else 1)})
        message = {"role": "assistant", "content": made}
        choice = {"index": 0, "finish_reason": "stop", "message": message}
        body = {"id": "1", "object": "chat.completion", "created": 1, "model": "m"}
        return reply(200, {**body, "choices": [choice]})

    def samples(self, request: Request) -> Reply:
        self.keys[request.headers["Idempotency-Key"] or ""] += 1
        return reply(200, {"samples": self.pairs(request.json["samples"])})

    def wrong(self, project: Path) -> list[str]:
        files = (project / "data" / "raw").glob("synthetic-*.jsonl")
        rows = [line for file in files for line in file.read_text("utf-8").splitlines()]
        asked = {json.loads(row)["messages"][0]["content"] for row in rows}
        return [] if len(asked) == len(rows) == 4 else [f"{len(rows)} rows, {len(asked)} of them"]

    def twice(self) -> int:
        """By the key that each request has in the contract of the samples. OpenAI's protocol has
        none: there, a request whose answer was lost is paid for twice."""
        return max(0, len(self.keys) - 1) + max(0, self.keys.get("", 0) - 1)


@contextmanager
def _groq(server: Loopback, project: Path) -> Iterator[Peer]:
    writer = Writer({"GROQ_API_KEY": KEY})
    _add(project, f'[synth.groq]\nbase_url = "{server.url}/v1"\ntimeout = 0.5\n')
    server.on("GET", "/v1/models", reply(200, {"object": "list", "data": []}))
    server.on("POST", "/v1/chat/completions", writer.complete)
    yield writer


@contextmanager
def _synthex(server: Loopback, project: Path) -> Iterator[Peer]:
    writer = Writer({"SYNTHEX_API_KEY": KEY})
    _add(project, f'[synth.synthex]\nbase_url = "{server.url}"\ntimeout = 0.5\n')
    server.on("GET", "/v1/account", reply(200, {}))
    server.on("POST", "/v1/samples", writer.samples)
    yield writer


@dataclass
class Library:
    """Gives a book, or the rest of it, to who has the password."""

    env: Mapping[str, str]
    url: str

    def page(self, request: Request) -> Reply:
        tag = {"ETag": '"v1"', "Content-Type": "text/plain"}
        begin = re.fullmatch(r"bytes=(\d+)-", request.headers["Range"] or "")
        if begin is None:
            return Reply(200, BOOK, tag)
        place = {"Content-Range": f"bytes {begin[1]}-{len(BOOK) - 1}/{len(BOOK)}"}
        return Reply(206, BOOK[int(begin[1]) :], {**tag, **place})

    def wrong(self, project: Path) -> list[str]:
        texts = [path.read_bytes() for path in (project / "data" / "web").glob("*/book.txt")]
        return [] if texts == [BOOK] else ["the text is not that of the server"]

    def twice(self) -> int:
        return 0


@contextmanager
def _web(server: Loopback, project: Path) -> Iterator[Peer]:
    password = project / "netrc"
    password.write_text(f"machine 127.0.0.1 login me password {KEY}\n")
    password.chmod(0o600)
    _add(project, f'[data]\nsource = "web"\ntrain_path = "{server.url}/book.txt"\n')
    library = Library({"NETRC": str(password)}, server.url)
    server.on("GET", "/book.txt", library.page)
    yield library


def _add(project: Path, settings: str) -> None:
    with (project / "llm.toml").open("a", encoding="utf-8") as file:
        file.write(settings)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


_MINE = "/api/models/me/mine"
_SYNTH = ("--samples", "4", "--topic", "the sea")
CLIENTS = (
    Client(
        "llm deploy --to huggingface",
        ("deploy", "v1", "--to", "huggingface", "--json"),
        (
            Call("GET", "/api/whoami-v2"),
            Call("POST", "/api/repos/create"),
            Call("GET", f"{_MINE}/revision/main"),
            Call("POST", f"{_MINE}/preupload/main"),
            Call("POST", "/me/mine.git/info/lfs/objects/batch"),
            Call("PUT", "/store/*", tenths="up"),
            Call("POST", "/verify/*", goes_on=frozenset({503})),  # the next attempt finds it there
            Call("POST", f"{_MINE}/commit/main", tenths="up"),
            Call("GET", "/me/mine/resolve/*", tenths="down"),
        ),
        _publishing,
    ),
    Client(
        "llm import hf:",
        ("import", "hf:org/model", "--out", "away", "--json"),
        (
            Call("GET", "/api/models/org/model"),
            Call("HEAD", "/org/model/resolve/*", goes_on=frozenset({503})),  # GET says as much
            Call("GET", "/org/model/resolve/*", tenths="down"),
        ),
        _fetching,
    ),
    Client(
        "llm deploy --to replicate",
        ("deploy", "v1", "--to", "replicate", "--json"),
        (
            Call("GET", "/v1/account"),
            Call("GET", "/v1/models/me/mine", goes_on=frozenset({404})),
            Call("POST", "/v1/models", tenths="up"),
        ),
        _replicate,
    ),
    Client(
        "llm deploy --predict",
        ("deploy", "--to", "replicate", "--predict", "Once", "--json"),
        (
            Call("GET", "/v1/models/me/mine"),
            Call("POST", "/v1/predictions", once=True),
            Call("GET", "/v1/predictions/p1", tenths="down"),
        ),
        _running,
    ),
    Client(
        "llm synth --provider groq",
        ("synth", "--provider", "groq", *_SYNTH, "--json"),
        (
            Call("GET", "/v1/models", goes_on=frozenset({403, 404})),
            Call("POST", "/v1/chat/completions", tenths="up down"),
        ),
        _groq,
    ),
    Client(
        "llm synth --provider synthex",
        ("synth", "--provider", "synthex", *_SYNTH, "--json"),
        (
            Call("GET", "/v1/account", goes_on=frozenset({404})),
            Call("POST", "/v1/samples", tenths="up down"),
        ),
        _synthex,
    ),
    Client(
        "text from the web",
        ("data", "check", "--json"),
        (Call("GET", "/book.txt", tenths="down"),),
        _web,
    ),
)
