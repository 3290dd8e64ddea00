"""llm serve, as a person starts and ends it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest

from create_llm.errors import ConfigError, CredentialsError
from create_llm.kernel.plugins import default_plugins
from create_llm_serve.access import VARIABLE, api_key, bind, check_reach, is_loopback, url_of

PROGRAM = "from create_llm.cli import main; main()"
CONFIG = """\
[model]
name = "gpt"
max_length = 64
layers = 1
heads = 2
dim = 32
[tokenizer]
name = "bpe"
vocab_size = 300
[training]
batch_size = 8
max_steps = 2
warmup_steps = 1
eval_interval = 2
save_interval = 2
compile = "off"
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    import create_llm

    registry = default_plugins().registry
    if "gpt" not in registry.names("architectures") or "bpe" not in registry.names("tokenizers"):
        pytest.skip("gpt and bpe are not installed")
    root = tmp_path_factory.mktemp("project")
    (root / "llm.toml").write_text(CONFIG)
    (root / "data" / "raw").mkdir(parents=True)
    lines = (f"the cat sat on the mat {i} times" for i in range(300))
    (root / "data" / "raw" / "a.txt").write_text("\n".join(lines))
    create_llm.train(root)
    return root


def llm_serve(root, *arguments, **env):
    kept = {name: value for name, value in os.environ.items() if name != VARIABLE}
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "serve", *arguments],
        cwd=root,
        env=kept | {"OMP_NUM_THREADS": "1"} | env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ends_with(code, process):
    _, told = process.communicate(timeout=60)
    assert process.returncode == code, told
    assert "Traceback" not in told
    return told


def ask(url, body):
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{url}/completions", json.dumps(body).encode(), headers)
    return urllib.request.urlopen(request, timeout=30)


@pytest.mark.skipif(os.name == "nt", reason="on Windows no signal can be sent to another process")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_finishes_what_it_began(project, number):
    process = llm_serve(project, "--port", "0", "--json", "--engine", "torch")
    try:
        told = json.loads(process.stdout.readline())
        assert told["model"] == "v1"
        with ask(told["url"], {"prompt": "the", "max_tokens": 2000, "stream": True}) as answer:
            assert answer.readline().startswith(b"data: {")
            process.send_signal(number)
            assert answer.read().endswith(b"data: [DONE]\n\n")
        assert "Finishing" in ends_with(0, process)
    finally:
        process.kill()


def test_a_port_in_use(project):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        told = ends_with(2, llm_serve(project, "--port", str(port)))
    assert f"port {port} is in use" in told


def test_no_such_model(project, tmp_path):
    assert "no model called 'v7'" in ends_with(2, llm_serve(project, "v7"))
    assert "is not a model bundle" in ends_with(65, llm_serve(tmp_path, "."))


def test_beyond_this_machine_a_key_is_needed(project):
    told = ends_with(77, llm_serve(project, "--host", "0.0.0.0", "--port", "0"))
    assert VARIABLE in told
    with bind("0.0.0.0", 0) as listener:
        assert not is_loopback(listener)
        check_reach(listener, "key")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.0.0.2"])
def test_this_machine_alone(host):
    with bind(host, 0) as listener:
        assert is_loopback(listener)
        check_reach(listener, None)
        assert url_of(listener).startswith("http://")


@pytest.mark.parametrize("host", ["no.such.host.invalid", "192.0.2.1", "a" * 70, "\x00"])
def test_addresses_of_others(host):
    with pytest.raises(ConfigError, match="no address of this machine"):
        bind(host, 0)


def test_where_the_key_comes_from(tmp_path, monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    assert api_key(tmp_path, None) is None
    (tmp_path / "llm.toml").touch()
    (tmp_path / ".env").write_text(f"{VARIABLE}=of-the-project\n")
    assert api_key(tmp_path, None) == "of-the-project"
    monkeypatch.setenv(VARIABLE, "of-the-shell")
    assert api_key(tmp_path, None) == "of-the-shell"
    (tmp_path / "key").write_text("of-the-file\n")
    assert api_key(tmp_path, tmp_path / "key") == "of-the-file"


@pytest.mark.parametrize("content", [b"", b"\n", b"two words", b"one\ntwo", b"\xff", b"k" * 5000])
def test_what_is_no_key_is_not_shown(tmp_path, content):
    (tmp_path / "key").write_bytes(content)
    with pytest.raises(CredentialsError) as raised:
        api_key(tmp_path, tmp_path / "key")
    assert "two" not in str(raised.value)
    with pytest.raises(CredentialsError, match="cannot be read"):
        api_key(tmp_path, tmp_path / "nothing")
