"""Modelfiles, Go templates, and Ollama's service as a loopback server speaks it."""

from __future__ import annotations

import hashlib
import json
import re
import stat
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from create_llm.data.chat.rendering import Renderer
from create_llm.data.chat.template import ChatTemplate, chat_template, shipped_templates
from create_llm.data.documents import Segment
from create_llm.errors import ConfigError, NetworkError, PluginError
from create_llm.kernel.plugins import default_plugins
from create_llm.models.bundle import ModelBundle
from create_llm.models.exporting import export
from create_llm.models.loaded import LoadedModel
from create_llm.models.proof import continued
from create_llm.storage.durable import Storage
from create_llm.testing.bundles import write_bundle
from create_llm_export.config import OllamaConfig
from create_llm_export.go_template import go_template
from create_llm_export.ollama import Ollama
from create_llm_export.ollama_api import OllamaService, _address
from create_llm_export.words import tokenizer_of

MODEL = {"name": "gpt", "layers": 1, "heads": 2, "dim": 64, "max_length": 64, "tied": False}
CONTROL = ["<pad>", "<unk>", "<s>", "</s>", "<|im_start|>", "<|im_end|>"]
BPE = {"name": "bpe", "vocab_size": 320, "special_tokens": CONTROL}
DEFAULTS = {"do_sample": True, "temperature": 0.7, "top_k": 40, "max_new_tokens": 99}


def made(folder: Path, template: str | None = None) -> ModelBundle:
    bundle = write_bundle(folder / "plain", default_plugins().registry, MODEL, BPE)
    files = {path.name: path.read_bytes() for path in bundle.path.iterdir()}
    files["generation_config.json"] = json.dumps(DEFAULTS).encode()
    if template is not None:
        files["chat_template.jinja"] = chat_template(template).source.encode()
    with Storage().commit(folder / "v1") as writer:
        for name in files.keys() - {"manifest.json"}:
            writer.write(name, [files[name]])
    return ModelBundle.open(folder / "v1")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> ModelBundle:
    return made(tmp_path_factory.mktemp("model"), "chatml")


def as_go(template: str, messages: list[Segment]) -> str:
    """What Go makes of the few forms that are written here."""
    if head := re.match(r'\{\{ if ne [^}]*"system" \}\}(.*?)\{\{ end \}\}', template, re.DOTALL):
        template = template[head.end() :]
    text = head[1] if head and messages[0].role != "system" else ""
    turns, _, prompt = template.partition("{{ end }}{{ end }}")
    branch = r'if eq \.Role "(\w+)" \}\}(.*?)(?=\{\{ else |\Z)'
    branches = dict(re.findall(branch, turns, re.DOTALL))
    for message in messages:
        text += branches[message.role].replace("{{ .Content }}", message.text)
    return text + prompt


@pytest.mark.parametrize("name", shipped_templates())
def test_go_says_what_jinja_says(bundle, name):
    template, tokenizer = chat_template(name), tokenizer_of(bundle)
    spelt = {"bos_token": "<s>", "eos_token": "</s>"}
    written = go_template(template, tokenizer)
    assert written is not None
    renderer = Renderer(template, [], spelt)
    talk = [Segment("user", "Hi"), Segment("assistant", "Yes?"), Segment("user", "No.")]
    for messages in (talk[:1], talk, [Segment("system", "Be brief."), *talk]):
        expected = "".join(piece.text for piece in renderer.pieces(messages, prompt=True))
        assert as_go(written, messages) == expected


@pytest.mark.parametrize(
    "source",
    [
        "{{ messages | length }}{% for m in messages %}{{ m.content }}{% endfor %}",
        "{% for m in messages %}{{ loop.index }}{{ m.content }}{% endfor %}",
        "{{ raise_exception('no') }}",
        '{% for m in messages %}"""{{ m.content }}{% endfor %}',
    ],
)
def test_what_go_could_not_say_is_left_to_jinja(bundle, source):
    assert go_template(ChatTemplate("odd", source), tokenizer_of(bundle)) is None


def test_the_modelfile_has_all_that_ollama_needs(tmp_path, bundle):
    config = OllamaConfig(precision="q8_0", system="Be kind.")
    advice = export(Ollama(config), bundle, tmp_path / "out")
    text = (tmp_path / "out" / "Modelfile").read_text("utf-8")
    assert text.startswith('FROM ./v1-Q8_0.gguf\nTEMPLATE """{{ range .Messages }}')
    for line in (
        'SYSTEM """Be kind."""',
        "PARAMETER num_ctx 64",
        "PARAMETER temperature 0.7",
        "PARAMETER top_k 40",
        "PARAMETER num_predict 99",
        'PARAMETER stop "<|im_end|>"',
    ):
        assert f"{line}\n" in text
    made = tmp_path / "out" / "Modelfile"
    assert any(f'ollama create create-llm/v1 -f "{made}"' in line for line in advice)
    assert (tmp_path / "out" / "v1-Q8_0.gguf").is_file()


def test_a_model_without_conversations_continues_texts(tmp_path):
    export(Ollama(OllamaConfig()), made(tmp_path), tmp_path / "out")
    text = (tmp_path / "out" / "Modelfile").read_text("utf-8")
    assert 'TEMPLATE """{{ .Prompt }}"""\n' in text
    assert "stop" not in text


def test_a_system_message_that_would_end_itself_is_refused(tmp_path, bundle):
    with pytest.raises(ConfigError, match="quotation marks"):
        export(Ollama(OllamaConfig(system='a """ b')), bundle, tmp_path / "out")


class Peer:
    """Ollama's service, as far as it is used: blobs, create, generate."""

    def __init__(self, answer, refusal=None) -> None:
        self.blobs, self.created, self.asked = {}, [], []
        peer = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *arguments) -> None:
                pass

            def say(self, status: int, value: object = None) -> None:
                data = b"" if value is None else json.dumps(value).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def do_HEAD(self) -> None:
                self.say(200 if self.path.rpartition("/")[2] in peer.blobs else 404)

            def do_POST(self) -> None:
                data = self.rfile.read(int(self.headers["Content-Length"]))
                if self.path.startswith("/api/blobs/"):
                    digest = self.path.rpartition("/")[2]
                    right = digest == f"sha256:{hashlib.sha256(data).hexdigest()}"
                    peer.blobs[digest] = data
                    self.say(201 if right else 400)
                elif self.path == "/api/create" and refusal is None:
                    peer.created.append(json.loads(data))
                    self.say(200, {"status": "success"})
                elif self.path == "/api/create":
                    self.say(400, {"error": refusal})
                else:
                    peer.asked.append(json.loads(data))
                    self.say(200, {"response": answer(peer.asked[-1]["prompt"])})

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def serving(monkeypatch, tmp_path):
    """Start a peer, in an environment without the program `ollama`."""
    peers = []
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))

    def start(*given):
        peers.append(Peer(*given))
        monkeypatch.setenv("OLLAMA_HOST", peers[-1].host)
        return peers[-1]

    yield start
    for peer in peers:
        peer.server.shutdown()
        peer.server.server_close()


def writes_as(bundle: ModelBundle):
    loaded = LoadedModel.from_bundle(bundle, default_plugins().registry)

    def write(prompt: str) -> str:
        found = continued(loaded, loaded.tokenizer.encode_batch([prompt])[0])
        ends = [place for place, token in enumerate(found) if token in loaded.stop_tokens]
        return loaded.tokenizer.decode(found[: ends[0]] if ends else found)

    return write


def test_the_service_gets_the_file_once_and_the_model_each_time(tmp_path, bundle, serving):
    peer, exporter = serving(writes_as(bundle)), Ollama(OllamaConfig(precision="f32"))
    export(exporter, bundle, tmp_path / "out")
    for _ in range(2):
        text, sample = exporter.test(bundle, tmp_path / "out")
        assert text.same, text.told
        assert not text.near
        assert sample.same is None
    data = (tmp_path / "out" / "v1-F32.gguf").read_bytes()
    assert list(peer.blobs.values()) == [data]
    request = peer.created[0]
    assert peer.created == [request, request]
    assert request["model"] == "create-llm/v1"
    assert request["files"] == {"v1-F32.gguf": f"sha256:{hashlib.sha256(data).hexdigest()}"}
    assert request["parameters"]["stop"] == ["<|im_end|>"]
    assert request["template"].startswith("{{ range .Messages }}")
    assert all(asked["raw"] and asked["options"]["temperature"] == 0 for asked in peer.asked)


def test_texts_that_only_begin_the_same_are_near(tmp_path, bundle, serving):
    writes = writes_as(bundle)
    serving(lambda prompt: writes(prompt)[:5])
    exporter = Ollama(OllamaConfig(precision="q8_0"))
    export(exporter, bundle, tmp_path / "out")
    text, _ = exporter.test(bundle, tmp_path / "out")
    assert text.same
    assert text.near


def test_another_text_is_told(tmp_path, bundle, serving):
    serving(lambda prompt: "something else")
    exporter = Ollama(OllamaConfig())
    export(exporter, bundle, tmp_path / "out")
    assert exporter.test(bundle, tmp_path / "out")[0].same is False


def test_what_ollama_says_is_passed_on(tmp_path, bundle, serving):
    serving(str, "unsupported architecture")
    exporter = Ollama(OllamaConfig())
    export(exporter, bundle, tmp_path / "out")
    with pytest.raises(ConfigError, match="unsupported architecture"):
        exporter.test(bundle, tmp_path / "out")


def test_a_silent_service_is_said(bundle):
    with pytest.raises(NetworkError, match="does not answer"):
        OllamaService("127.0.0.1:1").generate("m", "a", 1)


def test_without_ollama_nothing_is_tried(tmp_path, bundle, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.delenv("OLLAMA_HOST", raising=False)
    export(Ollama(OllamaConfig()), bundle, tmp_path / "out")
    with pytest.raises(PluginError, match="not installed"):
        Ollama(OllamaConfig()).test(bundle, tmp_path / "out")


@pytest.mark.skipif(not Path("/bin/sh").exists(), reason="the stand-in is a shell script")
@pytest.mark.parametrize("works", [True, False])
def test_its_own_command_makes_the_model(tmp_path, bundle, serving, works):
    serving(writes_as(bundle))
    program = tmp_path / "bin" / "ollama"
    program.parent.mkdir()
    end = "" if works else "echo no room >&2; exit 1"
    program.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/called\n{end}\n', "utf-8")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    exporter = Ollama(OllamaConfig(name="me/mine"))
    export(exporter, bundle, tmp_path / "out")
    assert not (tmp_path / "called").exists()
    if works:
        assert exporter.test(bundle, tmp_path / "out")[0].same
    else:
        with pytest.raises(PluginError, match="no room"):
            exporter.test(bundle, tmp_path / "out")
    assert (tmp_path / "called").read_text("utf-8") == "create me/mine -f Modelfile\n"


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("", "http://127.0.0.1:11434"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        (":8000", "http://127.0.0.1:8000"),
        ("box:8000", "http://box:8000"),
        ("https://box", "https://box:443"),
        ("http://box/", "http://box:80"),
    ],
)
def test_addresses_are_read_as_ollama_reads_them(host, address):
    assert _address(host) == address
