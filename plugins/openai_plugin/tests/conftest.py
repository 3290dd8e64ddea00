"""A service of OpenAI's kind on the loopback interface."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from tests.loopback import Loopback, Reply, Request, reply

KEY = "sk-canary-4711"
CHAT = ("POST", "/v1/chat/completions")
MODELS = ("GET", "/v1/models")


def completion(text: str, finish_reason: str = "stop") -> Reply:
    return reply(
        200,
        {
            "id": "1",
            "object": "chat.completion",
            "created": 1,
            "model": "small-1",
            "choices": [
                {
                    "index": 0,
                    "finish_reason": finish_reason,
                    "message": {"role": "assistant", "content": text},
                }
            ],
            "usage": {"prompt_tokens": 100, "completion_tokens": 40, "total_tokens": 140},
        },
    )


class Model:
    """Writes as many pairs as it is asked for, each with a number of its own."""

    def __init__(self) -> None:
        self.written = 0

    def __call__(self, request: Request) -> Reply:
        prompt = request.json["messages"][-1]["content"]
        wanted = int(next((word for word in prompt.split() if word.isdigit()), "1"))
        about = "the sea" if "the sea" in prompt else "things"
        pairs = []
        for _ in range(wanted):
            self.written += 1
            question = f"What is number {self.written} of {about}?"
            pairs.append({"question": question, "answer": f"It is {self.written}."})
        return completion(json.dumps({"pairs": pairs}))


@pytest.fixture
def service() -> Iterator[Loopback]:
    with Loopback() as server:
        server.on(*CHAT, Model())
        server.on(*MODELS, reply(200, {"object": "list", "data": [{"id": "small-1"}]}))
        yield server


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("OPENAI_API_KEY", "GROQ_API_KEY"):
        monkeypatch.setenv(name, KEY)
