"""No command writes a secret down.

Each command of `llm` runs with a secret in every variable that holds one, in the environment and
in .env, and in the logins of other programs; each one is also called wrongly, and those that ask a
service are answered with their own Authorization header. Then everything that was written, said or
sent is searched for the secrets: plain, URL-quoted, in base64, and inside archives.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import click
import pytest
from plugins.hf_plugin.tests import service as hub
from plugins.replicate_plugin.tests.service import Replicate, programs

from create_llm.kernel.plugins import default_plugins
from tests.journey import SMALL, environment, flags, run_llm, sentences, start_llm
from tests.loopback import Loopback, Reply, Request, reply

pytestmark = pytest.mark.skipif(os.name == "nt", reason="what stands in for cog is a script")

ROOT = Path(__file__).resolve().parents[1]
NAME = re.compile(r"[\"']([A-Z][A-Z0-9_]*_(?:KEY|TOKEN|SECRET|PASSWORD))[\"']")
MARK = b"CanaryThatMayNotSing"
"""What every secret begins with: no character of it changes where it is quoted."""
SECRET = re.compile(MARK + b"([0-9a-f]{32})")
ELSEWHERE = ("hf auth login", "netrc")

NETRC = "machine {host} login user password {password}\n"
CONFIG = """
[synth.groq]
base_url = "{url}/groq"
[synth.openai]
base_url = "{url}/openai"
model = "small"
[synth.synthex]
base_url = "{url}/synthex"
[deployment.huggingface]
repo_name = "mine"
[deployment.replicate]
model_name = "mine"
"""
RECORDED = flags(
    {"plugins": '["console", "wandb", "tensorboard"]', "callbacks.wandb.mode": "offline"}
)
# Every verb, in an order in which each finds what it needs: the exit code, None where that depends
# on what is installed, and the arguments.
COMMANDS: Mapping[str, Sequence[tuple[int | None, str]]] = {
    "data check": [(0, "--json")],
    "data prepare": [(0, "")],
    "data preview": [(0, "-n 1")],
    "tokenizer train": [(0, "--json")],
    "tokenizer inspect": [(0, "Once")],
    "train": [
        (2, "--set training.bathc_size=1"),
        (0, "--max-steps 6 SMALL"),
        (0, "--max-steps 6 --seed 2 SMALL RECORDED"),
    ],
    "evaluate": [(0, "--json")],
    "generate": [(0, "--max-new-tokens 2 --json")],
    "chat": [(0, "")],
    "compare": [(0, "v1 v2 --max-new-tokens 2")],
    "runs list": [(0, "--json")],
    "runs show": [(0, "v1 --json")],
    "runs diff": [(0, "v1 v2")],
    "runs use": [(0, "v1")],
    "runs pause": [(2, "")],
    "runs plot": [(0, "")],
    "runs reproduce": [(2, "v9")],
    "runs archive": [(0, "v2 --force")],
    "runs remove": [(2, "v1")],
    "synth": [(0, "--provider rules --samples 2 --from data/raw/days.txt")],
    "export": [(0, f"--to {form}") for form in ("hf", "ollama")],
    "deploy": [
        (0, "--to huggingface --dry-run --json"),
        (0, "--to huggingface --yes"),
        (0, "--to replicate --yes"),
        (0, "--to replicate --predict Once"),
    ],
    "import": [(0, "hf:me/mine"), (65, "hf:me/other")],
    "plugins list": [(0, "--json")],
    "plugins new": [(0, "my-lion --kind callback")],
    "plugins test": [(70, "nothing")],
    "plugins trace": [(0, "")],
    "plugins install": [(70, "./nothing")],
    "plugins uninstall": [(2, "nothing --yes")],
    "config show": [(0, ""), (0, "--json")],
    "config explain": [(0, "synth")],
    "config schema": [(0, "")],
    "config convert": [(2, "llm.config.js")],
    "doctor": [(None, "--json")],
    "bridge add": [(None, ".")],
    "bridge list": [(None, "--json")],
    "bridge remove": [(None, "poet")],
    "fill": [(2, "a<mask>")],
    "lm-eval": [(None, "--tasks nothing")],
    "quickstart": [(0, "demo --max-steps 2 SMALL")],
    "serve": [(2, "--host 300.1.1.1")],  # and see ask_the_server: it does not end by itself
    "dashboard": [(2, "nothing")],
    "new": [(0, "another --scripts --yes")],
}
ASKING = (
    "deploy --to huggingface --yes",
    "import hf:org/model --out away",
    "data check --set data.source=hf --set data.train_path=org/set",
    "deploy --to replicate --yes",
    "deploy --to replicate --predict Once",
    "synth --provider groq --samples 2 --topic sea",
    "synth --provider openai --samples 2 --topic sea",
    "synth --provider synthex --samples 2 --topic sea",
    "synth --provider synthex --samples 2 --topic sea --set synth.synthex.backend=tanaos",
    "data check --set data.source=web --set data.train_path={url}/book.txt",
)
ANSWERS = (200, 302, 400, 401, 403, 404, 429)
# Called in one process: a hundred commands that end at once would spend a minute with starting.
CALLS = """\
import json, os, sys, traceback
from create_llm.cli import main

for number, (root, arguments, variables) in enumerate(json.load(sys.stdin)):
    os.environ.update(variables)
    with open(f"{sys.argv[1]}/{number}", "w") as said:
        for stream in (1, 2):
            os.dup2(said.fileno(), stream)
    os.chdir(root)
    try:
        main(arguments)
    except SystemExit as ended:
        print("exit", ended.code, flush=True)
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
"""


@dataclass
class World:
    """A home, a project, and the secrets that were put there.

    Attributes:
        secrets: the digits of each → where it is kept.
        kept: the files that hold secrets because a person put them there.
        said: command → all that it printed.
        sent: service → the requests that it got.
        wrong: commands that ended as they should not have.
    """

    home: Path
    secrets: dict[str, str] = field(default_factory=dict)
    kept: set[Path] = field(default_factory=set)
    said: dict[str, bytes] = field(default_factory=dict)
    sent: dict[str, list[bytes]] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    @property
    def project(self) -> Path:
        return self.home / "poet"

    def secret(self, place: str) -> str:
        """A secret of its own for a place."""
        digits = hashlib.md5(place.encode()).hexdigest()
        self.secrets[digits] = place
        return f"{MARK.decode()}{digits}+/="

    def keep(self, path: Path, text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o600)
        self.kept.add(path)


def variables() -> list[str]:
    """The names of all secrets that the code of any package knows."""
    sources = [path for folder in ("core", "plugins") for path in (ROOT / folder).glob("**/src")]
    texts = [path.read_text("utf-8") for source in sources for path in source.rglob("*.py")]
    return sorted({name for text in texts for name in NAME.findall(text)})


def verbs() -> set[str]:
    """Every command that does something, by its words."""
    return {
        words
        for part in default_plugins().registry.parts("commands")
        for words in _leaves(part.name, part.load())
    }


def _leaves(words: str, command: click.Command) -> Iterator[str]:
    if not isinstance(command, click.Group):
        yield words
        return
    context = click.Context(command, obj=None)
    for name in command.list_commands(context):
        below = command.get_command(context, name)
        assert below is not None
        yield from _leaves(f"{words} {name}", below)


def forms(mark: bytes = MARK) -> list[bytes]:
    """The mark, plain (and so URL-quoted) and as base64 has it at each place in a triple."""
    encoded = []
    for before in range(3):
        text = base64.b64encode(bytes(before) + mark)
        encoded.append(text[-(-before * 8 // 6) : (before + len(mark)) * 8 // 6])
    return [mark, mark.lower(), mark[::-1], mark.hex().encode(), *encoded]


def found(data: bytes, secrets: Mapping[str, str]) -> list[str]:
    """What of the secrets stands in these bytes, and in what form."""
    plain = [secrets.get(each.decode(), "a part of one") for each in SECRET.findall(data)]
    other = [form.decode() for form in forms() if form in data]
    return sorted({*plain, *(other if not plain else ())})


def contents(path: Path) -> Iterator[bytes]:
    """A file, its name, and what is packed in it."""
    data = path.read_bytes()
    yield str(path).encode()
    yield data
    if data.startswith(b"\x1f\x8b"):
        yield gzip.decompress(data)
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            yield from map(archive.read, archive.namelist())


def leaks(world: World) -> dict[str, list[str]]:
    """Where secrets stand that nobody put there."""
    written = [
        path
        for path in world.home.rglob("*")
        if path.is_file() and not path.is_symlink() and path not in world.kept
    ]
    places = {str(p.relative_to(world.home)): b"\n".join(contents(p)) for p in written}
    everywhere = {**places, **{f"llm {words}": said for words, said in world.said.items()}}
    told = {place: found(data, world.secrets) for place, data in everywhere.items()}
    return {place: what for place, what in told.items() if what}


def echo(request: Request) -> Reply:
    """An answer with the status that the path begins with, which quotes what the request was
    authorised with wherever clients look."""
    status = int(request.path.split("/")[1] or 404)
    key = request.headers["Authorization"] or request.headers["X-API-Key"] or "nothing"
    port = request.headers["Host"].partition(":")[2]
    body = {"error": {"message": key, "code": key}, "message": key, "detail": key, "title": key}
    if request.path == "/200/book.txt":
        return reply(406)  # a text is what it is
    if "/api/" in request.path:
        body = {"error": key, "message": key}
    headers = {
        "X-Error-Message": key,
        "X-Request-Id": key,
        "Location": f"http://localhost:{port}/{status}/away?key={quote(key)}",
    }
    if status == 429:
        headers["Retry-After"] = "90000"
    return reply(status, body, headers if status != 200 else {})


def completion(request: Request) -> Reply:
    """Two questions with their answers."""
    asked = request.json["messages"][-1]["content"]
    pairs = [{"question": f"{len(asked)} {n}?", "answer": f"It is {n}."} for n in range(2)]
    message = {"role": "assistant", "content": json.dumps({"pairs": pairs})}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    body = {"id": "1", "object": "chat.completion", "created": 1, "model": "small"}
    return reply(200, {**body, "choices": [choice]})


def make_world(home: Path) -> World:
    """A home with the secrets and nothing else."""
    world = World(home)
    home.joinpath("tmp").mkdir()
    here = {name: world.secret(f"environment {name}") for name in variables()}
    password = world.secret("netrc")
    world.keep(home / ".netrc", NETRC.format(host="127.0.0.1", password=password))
    world.keep(home / "hf" / "token", world.secret("hf auth login"))
    places = {"XDG_CACHE_HOME": "cache", "XDG_CONFIG_HOME": "config", "XDG_DATA_HOME": "share"}
    places |= {"HF_HOME": "hf", "LLM_USER_PATH": "llm", "TMPDIR": "tmp", "HOME": "."}
    world.env = {**here, **{name: str(home / path) for name, path in places.items()}}
    return world


def run(
    world: World, words: str, arguments: str, code: int | None, root: Path | None = None
) -> None:
    """One command, which must end with this code; what it says is kept."""
    long = {"SMALL": SMALL, "RECORDED": RECORDED}
    given = [word for each in f"{words} {arguments}".split() for word in long.get(each, [each])]
    # A fork has its standard input opened already, which a chat wants to open anew.
    apart = {"stdin": subprocess.DEVNULL} if words == "chat" else {}
    done = run_llm(root or world.project, *given, env=world.env, **apart)
    said = done.stdout + done.stderr
    world.said[f"{words} {arguments}"] = said.encode()
    if done.returncode != code and (code is not None or done.returncode == 1):
        world.wrong.append(f"llm {words} {arguments}: exit {done.returncode}\n{said}")


def make_project(world: World, service: str) -> None:
    """A project that uses all that knows a secret, with others of them in its .env."""
    run(world, "new", "poet --template nano --yes", 0, world.home)
    config = world.project / "llm.toml"
    config.write_text(config.read_text("utf-8") + CONFIG.format(url=service))
    (world.project / "data" / "raw" / "days.txt").write_text(sentences(300))
    (world.project / "llm.config.js").write_text("export const x = 1\n")
    lines = [f"{name}={world.secret(f'.env {name}')}\n" for name in variables()]
    world.keep(world.project / ".env", "".join(lines))


def ask_the_server(world: World) -> None:
    """llm serve with the key of the environment: a request that brings it, and one that brings
    another."""
    guessed = world.secret("a key that somebody guessed")
    process = start_llm(world.project, "serve", "--port", 0, "--json", env=world.env)
    assert process.stdout is not None
    line = process.stdout.readline()
    try:
        _ask(json.loads(line)["url"], (world.env["CREATE_LLM_API_KEY"], guessed))
    finally:
        process.send_signal(signal.SIGTERM)
        rest = process.communicate(timeout=60)
    world.said["serve"] = "".join((line, *rest)).encode()


def _ask(url: str, keys: Sequence[str]) -> None:
    statuses = []
    for key in keys:
        headers = {"Authorization": f"Bearer {key}"}
        place = f"{url.rstrip('/').removesuffix('/v1')}/v1/models"
        try:
            with urllib.request.urlopen(urllib.request.Request(place, headers=headers)) as answer:
                statuses.append(answer.status)
        except urllib.error.HTTPError as refused:
            statuses.append(refused.code)
    assert statuses == [200, 401]


def go_through(world: World) -> None:
    """Every command that can succeed, with services that answer."""
    with ExitStack() as stack:
        peer = stack.enter_context(hub.serving())
        replicate = stack.enter_context(Replicate())
        peer.token = world.env["HF_TOKEN"]
        peer.add("me/other", {"config.json": b"{}"})
        path = programs(world.home / "bin", replicate, "cog", "docker")
        world.env |= {"HF_ENDPOINT": peer.url, "REPLICATE_BASE_URL": replicate.url}
        world.env |= {"PATH": f"{path}{os.pathsep}{os.environ['PATH']}"}
        for words in [each for each in COMMANDS if each in verbs()]:
            for code, arguments in COMMANDS[words]:
                run(world, words, arguments, code)
        world.sent["HF_TOKEN"] = [repr(each).encode() for each in peer.seen]
        world.sent["REPLICATE_API_TOKEN"] = list(map(whole, replicate.requests))
        if (peer.commits, len(replicate.pushes)) != (1, 1):
            world.wrong.append(f"{peer.commits} commits, {len(replicate.pushes)} pushes")
    ask_the_server(world)


def whole(request: Request) -> bytes:
    return f"{request.method} {request.path}?{request.query}\n{request.headers}".encode() + (
        request.body
    )


def call(world: World, calls: Sequence[tuple[Sequence[str], Mapping[str, str]]]) -> None:
    """Commands with variables of their own in one process, one after the other; all of them fail,
    and soon."""
    folder = world.home / "said"
    folder.mkdir()
    subprocess.run(
        [sys.executable, "-c", CALLS, str(folder)],
        input=json.dumps([[str(world.project), *each] for each in calls]),
        env=environment(env=world.env),
        text=True,
        timeout=300,
        check=True,
    )
    for number, (words, _) in enumerate(calls):
        said = (folder / str(number)).read_bytes()
        if b"exit 0" in said or b"Error: this is a bug" in said:
            world.wrong.append(f"llm {' '.join(words)}\n{said.decode()}")


def go_wrong(world: World) -> None:
    """Every command with an option that it has not, and services that quote the key."""
    only_dotenv = dict.fromkeys(variables(), "")
    wrong = [([*words.split(), "--nope", "--debug"], {}) for words in sorted(verbs())]
    with Loopback() as service:
        service.on("*", "/*", echo)
        for status in ANSWERS:
            wrong += asking(f"{service.url}/{status}", {})
        wrong += asking(f"{service.url}/401", only_dotenv)
        call(world, wrong)
        for part, name in SERVICES.items():
            requests = [each for each in service.requests if part in each.path]
            assert requests, f"nobody asked {part}"
            world.sent[name] = [*world.sent.get(name, []), *map(whole, requests)]


def asking(url: str, variables: Mapping[str, str]) -> list[tuple[Sequence[str], Mapping[str, str]]]:
    """The commands that ask services below an address."""
    env = {**variables, "HF_ENDPOINT": f"{url}/hf", "REPLICATE_BASE_URL": f"{url}/r8"}
    names = ("groq", "openai", "synthex")
    moved = flags({f"synth.{name}.base_url": f"{url}/{name}" for name in names})
    return [([*line.format(url=url).split(), *moved, "--debug"], env) for line in ASKING]


SERVICES = {
    "/hf/": "HF_TOKEN",
    "/r8/": "REPLICATE_API_TOKEN",
    "/groq/": "GROQ_API_KEY",
    "/openai/": "OPENAI_API_KEY",
    "/synthex/": "SYNTHEX_API_KEY",
    "/book.txt": "netrc",
}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """After everything."""
    world = make_world(tmp_path_factory.mktemp("home"))
    with Loopback() as service:
        service.on("GET", "/groq/models", reply(200, {"object": "list", "data": []}))
        service.on("POST", "/groq/chat/completions", completion)
        make_project(world, service.url)
        go_through(world)
        run(world, "synth", "--provider groq --samples 2 --topic sea", 0)
        world.sent["GROQ_API_KEY"] = list(map(whole, service.requests))
    go_wrong(world)
    return world


def test_every_command_has_its_line():
    assert verbs() <= set(COMMANDS), "a verb that is new here needs a line in COMMANDS"


def test_the_variables_are_those_that_the_code_names():
    assert len(variables()) >= 7, "the services that plugins ask, and the server's own key"


def test_every_command_ends_as_it_should(world: World):
    assert world.wrong == []


def test_no_secret_is_written_down(world: World):
    assert leaks(world) == {}
    looked_at = {path.suffix for path in world.home.rglob("*") if path.is_file()}
    assert looked_at >= {".jsonl", ".log", ".safetensors", ".wandb", ".gz", ".gguf", ".toml"}


def test_each_service_gets_its_own_secret_and_no_other(world: World):
    for name, requests in world.sent.items():
        got = {what for request in requests for what in found(request, world.secrets)}
        own = {f"environment {name}", f".env {name}"}
        if name == "netrc":  # goes as base64, which does not tell whose it is
            own = set(map(bytes.decode, forms()))
        assert got, f"{name} was never sent"
        assert got <= own


FORMS = {
    "plain": lambda secret: secret,
    "quoted": lambda secret: quote(secret, safe=""),
    "base64": lambda secret: base64.b64encode(secret.encode()).decode(),
    "user and password": lambda secret: base64.b64encode(f"me:{secret}".encode()).decode(),
    "a line of a dump": lambda secret: base64.b64encode(f"{{{secret}".encode()).decode(),
    "hexadecimal": lambda secret: secret.encode().hex(),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("packed", [False, True])
def test_a_planted_one_is_found(tmp_path: Path, form: str, packed: bool):
    world = World(tmp_path)
    text = f'{{"note": "{FORMS[form](world.secret("environment X_KEY"))}"}}'.encode()
    (tmp_path / "events").write_bytes(gzip.compress(text) if packed else text)
    world.said["quiet"] = b"nothing"
    assert list(leaks(world)) == ["events"]


def test_one_that_is_said_or_in_a_name_is_found(tmp_path: Path):
    world = World(tmp_path)
    world.said["loud"] = f"Bearer {world.secret('environment X_KEY')}".encode()
    (tmp_path / world.secret("environment Y_KEY").split("+")[0]).touch()
    assert [list(what) for what in leaks(world).values()] == [
        ["environment Y_KEY"],
        ["environment X_KEY"],
    ]
