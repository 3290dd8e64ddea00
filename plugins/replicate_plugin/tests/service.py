"""Replicate on the loopback interface, with a `cog` that pushes to it."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.loopback import Loopback, Reply, Request, reply

TOKEN = "r8_canary4711"
MODELS = ("POST", "/v1/models")
HARDWARE, SKUS = ("GET", "/v1/hardware"), ("cpu", "gpu-t4", "gpu-b300")
PREDICTIONS = ("POST", "/v1/predictions")

_COG = """#!{python}
import json, re, sys, urllib.request
from pathlib import Path
assert Path("model/model.safetensors").is_file()
image = sys.argv[2]
text = re.search("package ([0-9a-f]+)", Path("run.py").read_text())[0]
body = json.dumps({{"arguments": sys.argv[1:], "image": image, "text": text}}).encode()
urllib.request.urlopen(urllib.request.Request("{url}/pushed", body, method="POST")).read()
print("pushed by cog")
"""


class Replicate(Loopback):
    """Knows one account, its models and their predictions; `words` is what a model writes."""

    def __init__(self) -> None:
        super().__init__()
        self.models: dict[str, dict[str, object]] = {}
        self.pushes: list[dict[str, object]] = []
        self.words = ["Once", " upon", " a", " time"]
        self.outcome = "succeeded"
        self.cancelled = 0
        self._seen = 0
        account = {"type": "user", "username": "me", "name": "Me", "github_url": None}
        self.on("GET", "/v1/account", reply(200, account))
        self.on(*HARDWARE, reply(200, [{"name": sku, "sku": sku} for sku in SKUS]))
        self.on(*MODELS, self._make)
        self.on("GET", "/v1/models/*", self._model)
        self.on("POST", "/pushed", self._push)
        self.on(*PREDICTIONS, lambda request: reply(201, self._prediction("starting", 0)))
        self.on("GET", "/v1/predictions/p1", self._progress)
        self.on("POST", "/v1/predictions/p1/cancel", self._cancel)

    def add(self, name: str, visibility: str = "private") -> None:
        owner, _, short = name.partition("/")
        nothing = ("description", "github_url", "paper_url", "license_url", "cover_image_url")
        self.models[name] = {
            **dict.fromkeys((*nothing, "default_example", "latest_version")),
            "url": f"https://replicate.test/{name}",
            "owner": owner,
            "name": short,
            "visibility": visibility,
            "run_count": 0,
        }

    def served(self, name: str, text: str) -> None:
        """A version of the model, whose schema says `text`."""
        self.models[name]["latest_version"] = {
            "id": f"v{len(self.pushes)}",
            "created_at": "2026-01-01T00:00:00Z",
            "cog_version": "0.23.1",
            "openapi_schema": {"info": text},
        }

    def _make(self, request: Request) -> Reply:
        wanted = request.json
        name = f"{wanted['owner']}/{wanted['name']}"
        if name in self.models:
            return reply(409, {"detail": "it exists", "status": 409})
        self.add(name, wanted["visibility"])
        return reply(201, self.models[name])

    def _model(self, request: Request) -> Reply:
        found = self.models.get(request.path.removeprefix("/v1/models/"))
        return reply(200, found) if found else reply(404, {"detail": "not found", "status": 404})

    def _push(self, request: Request) -> Reply:
        self.pushes.append(request.json)
        self.served(request.json["image"].removeprefix("r8.im/"), request.json["text"])
        return reply(200)

    def _progress(self, request: Request) -> Reply:
        self._seen += 2
        over = self._seen >= len(self.words)
        return reply(200, self._prediction(self.outcome if over else "processing", self._seen))

    def _cancel(self, request: Request) -> Reply:
        self.cancelled += 1
        return reply(200, self._prediction("canceled", self._seen))

    def _prediction(self, status: str, words: int) -> dict[str, object]:
        nothing = ("logs", "metrics", "created_at", "started_at", "completed_at", "urls")
        return {
            **dict.fromkeys(nothing),
            "id": "p1",
            "model": "me/model",
            "version": "v1",
            "status": status,
            "input": {},
            "output": self.words[:words] or None,
            "error": f"out of memory, {TOKEN}" if status == "failed" else None,
        }


@contextlib.contextmanager
def serving() -> Iterator[Replicate]:
    with Replicate() as service:
        yield service


def programs(folder: Path, service: Loopback, *names: str, fails: bool = False) -> Path:
    """A folder for PATH with stand-ins for these programs and nothing else."""
    folder.mkdir(exist_ok=True)
    for name in names:
        body = (
            _COG.format(python=sys.executable, url=service.url) if name == "cog" else "#!/bin/sh\n"
        )
        (folder / name).write_text(f"#!{sys.executable}\nraise SystemExit(3)" if fails else body)
        (folder / name).chmod(0o755)
    return folder


def reached(patch: pytest.MonkeyPatch, service: Loopback, path: Path) -> None:
    """This process finds the service, a token and the programs in `path`."""
    patch.setenv("REPLICATE_BASE_URL", service.url)
    patch.setenv("REPLICATE_API_TOKEN", TOKEN)
    patch.setenv("PATH", str(path))
