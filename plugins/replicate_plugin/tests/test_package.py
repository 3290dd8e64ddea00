"""The Cog package: complete, and served by Cog's own server."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

import create_llm
from create_llm.errors import PluginError
from create_llm.kernel.plugins import default_plugins
from create_llm.models.bundle import ModelBundle
from create_llm.storage.durable import Storage
from create_llm.testing.bundles import write_bundle
from create_llm_replicate import distributions
from create_llm_replicate.config import ReplicateConfig
from create_llm_replicate.package import CogPackage

MODEL = {"name": "gpt", "layers": 1, "dim": 32, "heads": 2, "ffn_dim": 64, "max_length": 64}
WORDS = {"name": "bpe", "vocab_size": 300}
GREEDY = {"temperature": 0.0, "max_new_tokens": 12}
ALONE = """
import json, sys
sys.path[:0] = [sys.argv[1]]
sys.path.append(sys.argv[2])
import create_llm
model = create_llm.load(sys.argv[3], engine="torch")
print(json.dumps([create_llm.__file__, model.generate("Once", temperature=0, max_new_tokens=12)]))
"""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "v1"
    return write_bundle(folder, default_plugins().registry, MODEL, WORDS)


@pytest.fixture(scope="module")
def package(bundle, tmp_path_factory):
    folder = tmp_path_factory.mktemp("package") / "v1"
    CogPackage.of(bundle.path, ReplicateConfig(model_name="m")).write(folder)
    return folder


@pytest.fixture(scope="module")
def expected(bundle):
    return create_llm.load(bundle.path, engine="torch").generate("Once", **GREEDY)


def test_versions_are_pinned_and_what_no_index_has_is_inside(package):
    lines = (package / "requirements.txt").read_text().splitlines()
    assert lines[0].startswith("--extra-index-url")
    assert all("==" in line for line in lines[1:])
    names = {line.partition("==")[0] for line in lines[1:]}
    assert {"torch", "numpy", "pydantic", "tokenizers"} <= names
    ours = {"create-llm-core", "create-llm-gpt", "create-llm-tokenizers", "create-llm-objectives"}
    inside = {path.name.partition("-")[0].replace("_", "-") for path in package.glob("*.whl")}
    assert ours <= names | inside
    assert not names & inside


def test_the_same_bundle_gives_the_same_package(bundle):
    config = ReplicateConfig(model_name="m")
    one, two = (CogPackage.of(bundle.path, config) for _ in range(2))
    assert one.files() == two.files()
    assert one.fingerprint == two.fingerprint


def test_the_wheels_are_enough(package, expected, tmp_path):
    """Without what is installed in the manner of developers, from folders: -S reads no .pth."""
    if not list(package.glob("*.whl")):
        pytest.skip("everything was installed from an index here")
    for wheel in package.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(tmp_path)
    installed = str(Path(pytest.__file__).parents[1])
    command = [sys.executable, "-S", "-c", ALONE, str(tmp_path), installed, package / "model"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    place, text = json.loads(done.stdout)
    assert Path(place).is_relative_to(tmp_path)
    assert text == expected


def test_a_part_that_is_not_installed(bundle):
    info = {**bundle.info, "packages": {"architectures": "nobody"}, "architecture": "nothing"}
    with pytest.raises(PluginError):
        distributions.needed_by(ModelBundle(bundle.path, info), default_plugins().registry)


@pytest.fixture(scope="module")
def server(package):
    with served(package, schema()) as port:
        yield port


@contextlib.contextmanager
def served(package, openapi):
    """The port at which Cog's own server runs a package."""
    pytest.importorskip("cog")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    # Cog's tool, which is no Python package, derives it from the runner when it builds the image.
    (package / ".cog").mkdir()
    (package / ".cog" / "openapi_schema.json").write_text(json.dumps(openapi))
    here = {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "COG_PREDICT_TYPE_STUB": "run.py:Runner",
        "PORT": str(port),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "cog.server.http", "--host", "127.0.0.1"],
        cwd=package,
        env={**os.environ, **here},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        _wait(port, process)
        yield port
    finally:
        process.terminate()
        process.communicate(timeout=20)


def schema(required=("prompt",), **more):
    prompt = {"type": "string", "title": "Prompt"}
    numbers = {name: {"type": "number"} for name in ("max_new_tokens", "temperature", "top_k")}
    schemas = {
        "Input": {
            "type": "object",
            "required": list(required),
            "properties": {"prompt": prompt, **numbers, **more},
        },
        "Output": {"type": "array", "items": {"type": "string"}, "x-cog-array-type": "iterator"},
    }
    return {
        "openapi": "3.0.2",
        "info": {"title": "Cog", "version": "0.1.0"},
        "paths": {"/predictions": {"post": {"x-cog-streaming": True}}},
        "components": {"schemas": schemas},
    }


def ask(port, method, path, body=None, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    with contextlib.closing(connection):
        data = None if body is None else json.dumps(body)
        connection.request(method, path, data, {"Content-Type": "application/json", **headers})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


def predict(port, body, **headers):
    """Cog answers 409 while it still clears up after the prediction before: a client asks again."""
    for _ in range(600):
        status, text = ask(port, "POST", "/predictions", body, **headers)
        if status != 409:
            break
        time.sleep(0.1)
    return status, text


def _wait(port, process):
    for _ in range(1200):
        with contextlib.suppress(OSError):
            health = json.loads(ask(port, "GET", "/health-check")[1])
            if health["status"] == "READY":
                return
            assert health["status"] == "STARTING", health
        assert process.poll() is None, process.stdout.read()
        time.sleep(0.1)
    raise AssertionError("Cog's server does not start")


def test_cog_serves_it(server, expected):
    body = {"input": {"prompt": "Once", **GREEDY, "max_new_tokens": 12}}
    status, text = predict(server, body)
    answer = json.loads(text)
    assert (status, answer["status"]) == (200, "succeeded")
    assert len(answer["output"]) > 1
    assert "".join(answer["output"]) == expected


def test_cog_streams_it(server, expected):
    body = {"input": {"prompt": "Once", **GREEDY}}
    status, text = predict(server, body, Accept="text/event-stream")
    assert status == 200, text
    assert text.count("event: output") > 1, text


def test_cog_asks_for_a_prompt(server):
    status, text = ask(server, "POST", "/predictions", {"input": {}})
    assert status == 422
    assert "prompt" in text


TEMPLATE = """\
{%- for message in messages %}{{ message.role }}> {{ message.content }}
{% endfor %}{% if add_generation_prompt %}assistant> {% endif %}"""
TALK = [
    {"role": "user", "content": "Once?"},
    {"role": "assistant", "content": "Upon."},
    {"role": "user", "content": "A sea?"},
]


@pytest.fixture(scope="module")
def talker(tmp_path_factory):
    """A model with a template, as one that has learnt conversations has it."""
    folder, registry = tmp_path_factory.mktemp("talker"), default_plugins().registry
    broad = {**MODEL, "layers": 2, "max_length": 128, "tied": False}
    # Weights whose answer depends on what was said before.
    plain = write_bundle(folder / "plain", registry, broad, WORDS, seed=3).path
    files = {path.name: path.read_bytes() for path in plain.iterdir() if path.is_file()}
    with Storage().commit(folder / "v1") as writer:
        for name in files.keys() - {"manifest.json"}:
            writer.write(name, [files[name]])
        writer.write("chat_template.jinja", [TEMPLATE.encode()])
    return create_llm.load(folder / "v1", engine="torch")


@pytest.fixture(scope="module")
def answering(talker, tmp_path_factory):
    folder = tmp_path_factory.mktemp("answering") / "v1"
    CogPackage.of(talker.bundle.path, ReplicateConfig(model_name="m")).write(folder)
    with served(folder, schema((), messages={"type": "string", "title": "Messages"})) as port:
        yield port


def answer(port, **given):
    status, text = predict(port, {"input": {**GREEDY, **given}})
    told = json.loads(text)
    return status, told["status"], "".join(told.get("output") or []).strip() or told.get("error")


def test_a_model_that_talks_answers_in_its_template(talker, answering):
    """A prompt is a turn of the user, behind what was said before it."""
    first, last = talker.chat(TALK[:1], **GREEDY), talker.chat(TALK, **GREEDY)
    assert len({first, last, talker.generate("Once?", **GREEDY).strip()}) == 3
    good = (200, "succeeded")
    assert answer(answering, prompt="Once?") == (*good, first)
    assert answer(answering, messages=json.dumps(TALK)) == (*good, last)
    before = json.dumps(TALK[:2])
    assert answer(answering, messages=before, prompt="A sea?") == (*good, last)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "nothing to answer"),
        ({"messages": '{"role": "user"}'}, "not a list"),
        ({"messages": '[{"role": "usr", "content": "a"}]'}, "'usr' is not a role"),
    ],
)
def test_what_cannot_be_answered_fails_in_words(answering, given, said):
    _, status, error = answer(answering, **given)
    assert status == "failed"
    assert said in error
