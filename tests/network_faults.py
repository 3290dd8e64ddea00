"""Commands that ask a service, while the service misbehaves: each fault at each call.

A trial runs a real command in this process, against one server that follows a script. Pauses are
noted and not waited for, and silence is given up after half a second instead of a minute.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from unittest import mock

from create_llm import retries
from create_llm.cli import main
from create_llm.kernel.plugins import default_plugins
from create_llm.testing.bundles import write_bundle
from tests.loopback import (
    Answer,
    Loopback,
    Reply,
    Request,
    lost,
    redirect,
    reply,
    reset,
    stalled,
    too_many,
    torn,
)
from tests.network_peers import CLIENTS, CONFIG, KEY, Call, Client, Peer

SILENCE = 0.5
REFUSED = {401: (77, 2), 403: (77,), 404: (2, 65, 69)}
"""Exit codes after a refusal; where the service hides that something is there, 401 is no name."""
NETWORK = 69
LOST = "the answer lost"
MODEL = {"name": "gpt", "layers": 1, "dim": 32, "heads": 2, "ffn_dim": 64, "max_length": 32}

Expected = Literal["recovered", "refused", "either"]
Script = Callable[[Answer, str], Sequence[Answer]]
"""What the next requests meet, of the standing answer and the address of another host."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to one call.

    Attributes:
        waits: the seconds that the service asks for.
        unclear: afterwards nobody knows whether the request was carried out.
        codes: exit codes where it is refused.
        most: requests for one thing until the command gives up.
    """

    name: str
    script: Script
    expected: Expected = "recovered"
    waits: float = 0.0
    unclear: bool = False
    codes: tuple[int, ...] = (NETWORK,)
    most: int = 40


@dataclass(frozen=True, slots=True)
class Case:
    client: Client
    call: Call
    fault: Fault

    def __str__(self) -> str:
        return f"{self.client.name}, {' '.join(self.call.at)}, {self.fault.name}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of a trial: what the command did about the fault, and what was wrong.

    Attributes:
        requests: the most that one address got of the call.
        elsewhere: requests that followed to another host.
        leaked: whether the key went there, or was shown.
        twice: what was sent, made or begun again.
    """

    case: Case
    ended: str
    requests: int
    elsewhere: int
    leaked: bool
    twice: int
    wrong: list[str]


@dataclass(frozen=True, slots=True)
class Ending:
    code: int
    said: str
    pauses: list[float]


def cases() -> list[Case]:
    """Every fault at every call that can meet it."""
    return [
        Case(client, call, fault)
        for client in CLIENTS
        for call in client.calls
        for fault in _faults(call)
    ]


def run(case: Case, folder: Path, model: Path) -> Outcome:
    """One trial, in an empty folder."""
    project = folder / "project"
    shutil.copytree(model, project / "models" / "v1")
    (project / "llm.toml").write_text(CONFIG)
    with Loopback() as server, Loopback() as other, case.client.serve(server, project) as peer:
        other.on("*", "*", reply(404))
        env = {**peer.env, "HF_HOME": str(folder / "hf")}
        server.first(*case.call.at, *_script(case, server, other))
        ending = command(project, case.client.arguments, env)
        paths = Counter(request.path for request in server.asked(*case.call.at))
        requests = max(paths.values(), default=0)
        left = server.calm()
        wrong = _judge(case, ending, requests)
        if not requests:
            wrong.append("the fault was not met")
        leaks, twice = _leaks(other, ending), peer.twice()
        wrong += [*leaks, *_repeated(case, peer)]
        ended = "recovered" if ending.code == 0 else "refused"
        if ending.code or left:
            again = command(project, case.client.arguments, env)
            wrong += [f"then exit {again.code}: {again.said[-300:]}"] if again.code else []
        wrong += peer.wrong(project)
        if not any(call.once for call in case.client.calls):  # those begin anew at each command
            wrong += _repeated(case, peer)
    return Outcome(case, ended, requests, len(other.requests), bool(leaks), twice, wrong)


def command(root: Path, arguments: Sequence[str], env: Mapping[str, str]) -> Ending:
    """`llm` in a folder, to its end, in this process."""
    pauses: list[float] = []
    code = 0
    with _apart(root, env), _hasty(pauses), _heard() as said:
        try:
            main(["-C", str(root), *arguments])
        except SystemExit as ended:
            code = int(ended.code or 0)
    return Ending(code, "".join(said), pauses)


@contextlib.contextmanager
def a_model() -> Iterator[Path]:
    """A small bundle, to be sent."""
    with tempfile.TemporaryDirectory() as folder:
        words = {"name": "bpe", "vocab_size": 300}
        yield write_bundle(Path(folder) / "v1", default_plugins().registry, MODEL, words).path


def _quoting(status: int) -> Answer:
    """A refusal that quotes what the request was authorised with."""

    def answer(request: Request) -> Reply:
        key = request.headers["Authorization"] or ""
        text = {"error": {"message": f"not {key}"}, "detail": key, "status": status}
        return reply(status, text, {"X-Error-Message": f"not {key}"})

    return answer


def _faults(call: Call) -> Iterator[Fault]:
    for status, codes in REFUSED.items():
        goes_on = status in call.goes_on
        expected: Expected = "recovered" if goes_on else "refused"
        yield Fault(f"{status}", _once(_quoting(status)), expected, codes=codes, most=1)
    yield Fault("429, seconds", lambda *_: [too_many(3)], waits=3)
    yield Fault("429, a date", lambda *_: [too_many(30, as_date=True)], waits=25)
    yield Fault("429, two hours", lambda *_: [too_many(7200)] * 40, "refused", most=1)
    yield Fault("503, seconds", lambda *_: [too_many(2, status=503)], waits=2)
    for burst in ((500,), (502, 504), (503, 503)):
        name, unclear = "burst " + " ".join(map(str, burst)), 503 not in burst
        yield Fault(name, _once(*map(reply, burst)), unclear=unclear)
    over: Expected = "either" if 503 in call.goes_on else "refused"
    yield Fault("503 for ever", lambda *_: [reply(503)] * 200, over)
    yield Fault("reset", _once(reset()), unclear=True)
    yield Fault("silence", _once(stalled(30)), unclear=True)
    yield Fault(LOST, lambda answer, _: [lost(answer)], unclear=True)
    yield from _tenths(call)
    for status in (301, 302, 303, 307, 308):
        yield Fault(f"{status} to another host", _away(status), "either")


def _tenths(call: Call) -> Iterator[Fault]:
    for tenth in range(10):
        share = tenth / 10
        if "up" in call.tenths:
            yield Fault(f"reset at {tenth}/10 of the request", _once(reset(share)), unclear=True)
        if "down" in call.tenths:
            yield Fault(f"torn at {tenth}/10 of the answer", _torn(share))


def _once(*answers: Answer) -> Script:
    return lambda answer, other: answers


def _torn(share: float) -> Script:
    return lambda answer, other: [torn(answer, share)]


def _away(status: int) -> Script:
    return lambda answer, other: [redirect(other, status)] * 200


def _script(case: Case, server: Loopback, other: Loopback) -> Sequence[Answer]:
    standing = server.take(case.call.method, case.call.path.replace("*", "x"))
    elsewhere = other.url.replace("127.0.0.1", "localhost") + case.call.path.replace("*", "x")
    return case.fault.script(standing, elsewhere)


def _judge(case: Case, ending: Ending, requests: int) -> list[str]:
    fault, wrong = case.fault, list[str]()
    expected = fault.expected
    if case.call.once and fault.unclear:
        expected = "refused"
    if "Traceback" in ending.said or "this is a bug" in ending.said or ending.code == 1:
        wrong.append(f"a bug: {ending.said[-300:]}")
    if expected == "recovered" and ending.code:
        wrong.append(f"exit {ending.code}: {ending.said[-300:]}")
    if expected == "refused" and ending.code not in fault.codes:
        wrong.append(f"exit {ending.code}, not one of {fault.codes}: {ending.said[-300:]}")
    most = 1 if case.call.once and fault.unclear else fault.most
    if expected == "refused" and requests > most:
        wrong.append(f"asked {requests} times")
    if expected == "recovered" and fault.waits > max(ending.pauses, default=0.0):
        wrong.append(f"asked to wait for {fault.waits} s, it waited {ending.pauses}")
    return wrong


def _leaks(other: Loopback, ending: Ending) -> list[str]:
    told = [request for request in other.requests if _has_key(request)]
    wrong = [f"the key went to another host: {each.method} {each.path}" for each in told]
    return [*wrong, *(["the key was shown"] if KEY in ending.said else [])]


def _has_key(request: Request) -> bool:
    whole = f"{request.path}?{request.query} {request.headers}".encode() + request.body
    return "Authorization" in request.headers or KEY.encode() in whole


def _repeated(case: Case, peer: Peer) -> list[str]:
    # A large file is kept under its hash: where nobody said that it came, it is sent again.
    allowed = int(case.call.method == "PUT" and case.fault.name == LOST)
    return [f"{peer.twice()} done twice"] if peer.twice() > allowed else []


@contextlib.contextmanager
def _apart(root: Path, env: Mapping[str, str]) -> Iterator[None]:
    """Neither this machine's accounts nor its caches and proxies."""
    import huggingface_hub
    from huggingface_hub import constants

    kept = {k: v for k, v in os.environ.items() if not k.lower().endswith(("_proxy", "_token"))}
    own = {"NETRC": str(root / "none"), "XDG_CACHE_HOME": str(root.parent / "cache")}
    cache = mock.patch.object(constants, "HF_HUB_CACHE", f"{root.parent}/hub")
    with mock.patch.dict(os.environ, {**kept, **own, **env}, clear=True), cache:
        huggingface_hub.close_session()
        try:
            yield
        finally:
            huggingface_hub.close_session()


@contextlib.contextmanager
def _hasty(pauses: list[float]) -> Iterator[None]:
    """No pause is waited for, and no silence for long."""
    import httpx

    from create_llm_hf import hub
    from create_llm_replicate.service import Service
    from create_llm_web.client import Client as WebClient
    from create_llm_web.client import Timeouts

    patient = retries.patiently.__kwdefaults__
    with contextlib.ExitStack() as stack:
        for patch in (
            mock.patch.object(time, "sleep", pauses.append),
            mock.patch.dict(patient, {"sleep": pauses.append}),
            mock.patch.object(hub, "SILENCE", SILENCE),
            mock.patch.object(Service.__init__, "__defaults__", (httpx.Timeout(SILENCE),)),
            mock.patch.object(WebClient.__init__, "__defaults__", (Timeouts(read=SILENCE),)),
        ):
            stack.enter_context(patch)
        yield


@contextlib.contextmanager
def _heard() -> Iterator[list[str]]:
    """All that is said, also by programs that are started: they have the descriptor itself."""
    said: list[str] = []
    text = io.StringIO()
    sys.stderr.flush()
    with tempfile.TemporaryFile("w+") as file:
        kept = os.dup(2)
        os.dup2(file.fileno(), 2)
        try:
            with contextlib.redirect_stdout(text), contextlib.redirect_stderr(text):
                yield said
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            file.seek(0)
            said += [text.getvalue(), file.read()]
