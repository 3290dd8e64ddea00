"""A server in a thread, with a model that recites the alphabet."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
import torch
import uvicorn
from pydantic import BaseModel
from torch import nn

from create_llm.api import Model
from create_llm.data.tokenizer import SpecialTokens
from create_llm.models.architecture import CausalLM, ModelOutput
from create_llm.models.bundle import ModelBundle
from create_llm.models.loaded import LoadedModel
from create_llm.models.objective import Objective
from create_llm_serve.access import bind
from create_llm_serve.limits import Limits
from create_llm_serve.server import server_of
from create_llm_serve.service import Service

LETTERS = "\x00abcdefghijklmnopqrstuvwxyz :\nYMNTouodel"


class Config(BaseModel):
    max_length: int = 64


class Next(nn.Module):
    """Always goes on with the letter after the last one, and after z with a; waits at a gate."""

    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))
        self.gate, self.broken, self.read = threading.Event(), False, []
        self.gate.set()

    def forward(self, tokens):
        assert self.gate.wait(30), "nobody opened the gate"
        if self.broken:
            raise RuntimeError("secret details")
        self.read.append(LETTERS[int(tokens[0, -1])])
        follow = tokens % 26 + 1
        hidden = nn.functional.one_hot(follow, len(LETTERS)).float() * 50
        return ModelOutput(hidden, lambda values: values)


class Alphabet(CausalLM):
    config_class = Config

    def build(self, config, vocab_size):
        raise AssertionError("it is there already")


class Letters:
    """Ids are positions in LETTERS; 0 is the end."""

    vocab_size = len(LETTERS)
    special = SpecialTokens(eos=0)

    def encode_batch(self, texts):
        return [[max(LETTERS.find(letter), 1) for letter in text] for text in texts]

    def decode(self, ids):
        return "".join(LETTERS[i] for i in ids if i)


class Continues(Objective):
    def batch(self, samples, seeds):
        raise AssertionError("nothing is trained")

    def loss(self, output, batch):
        raise AssertionError("nothing is trained")


def model_of(folder, module, tokenizer, template=None):
    """An opened model, with a bundle's folder for its defaults."""
    bundle = ModelBundle(folder / "v1", {"parameters": 1})
    bundle.path.mkdir()
    (bundle.path / "generation_config.json").write_text('{"temperature": 0, "max_new_tokens": 5}')
    loaded = LoadedModel(
        Alphabet(),
        module.eval(),
        Config(),
        tokenizer,
        Continues(None, tokenizer),
        torch.device("cpu"),
        template=template,
    )
    return Model(bundle, loaded)


@dataclass
class Running:
    """A server that runs, and the module behind it."""

    port: int
    module: Next
    service: Service
    server: uvicorn.Server
    notices: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def ask(self, method, path, body=None, **headers):
        """Status, headers and body of an answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        if isinstance(body, dict):
            body, headers = (
                json.dumps(body).encode(),
                {"Content-Type": "application/json"} | headers,
            )
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def error(self, *asked, **headers):
        """Status and the error of an answer."""
        status, _, body = self.ask(*asked, **headers)
        return status, json.loads(body)["error"]

    def until(self, condition: Callable[[], bool]) -> None:
        for _ in range(1000):
            if condition():
                return
            time.sleep(0.02)
        raise AssertionError("it never came to that")


@contextmanager
def running(folder, limits=None, key=None, module=None) -> Iterator[Running]:
    module, notices = module or Next(), []
    service = Service(model_of(folder, module, Letters()), limits or Limits(), notices.append)
    listener = bind("127.0.0.1", 0)
    server = server_of(service, listener, key)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield Running(listener.getsockname()[1], module, service, server, notices)
    finally:
        module.gate.set()
        server.should_exit = True
        thread.join(30)
        assert not thread.is_alive(), "the server did not end"
        assert not service.worker.alive


@pytest.fixture
def start(tmp_path):
    """`start(limits, key) -> Running`; all end with the test."""
    from contextlib import ExitStack

    with ExitStack() as stack:
        yield lambda **given: stack.enter_context(running(tmp_path, **given))


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running(tmp_path_factory.mktemp("served")) as served:
        yield served
