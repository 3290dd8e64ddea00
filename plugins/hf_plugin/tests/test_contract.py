"""The contracts of all that this package registers."""

from __future__ import annotations

import contextlib
from typing import ClassVar

import pytest
from plugins.hf_plugin.tests import theirs
from plugins.hf_plugin.tests.service import serving

from create_llm.testing import (
    ArchitectureContract,
    DataSourceContract,
    DeployTargetContract,
    ImporterContract,
)


class TestTarget(DeployTargetContract):
    name = "huggingface"
    options: ClassVar = {"repo_name": "org/model"}

    @contextlib.contextmanager
    def service(self, root):
        with serving() as service, pytest.MonkeyPatch.context() as patch:
            patch.setenv("HF_ENDPOINT", service.url)
            yield lambda: {name: dict(repo.branches) for name, repo in service.repos.items()}


class TestImporter(ImporterContract):
    name = "hf"
    kind_of_model: ClassVar[str] = "llama"

    def model(self, root):
        return theirs.save(root, self.kind_of_model)

    def logits(self, path, tokens):
        return theirs.logits(path, tokens)

    def ids(self, path, text):
        return theirs.ids(path, text)


class TestArchitecture(ArchitectureContract):
    name = "transformers"
    options: ClassVar = {
        "hf": {
            "model_type": "gpt_neox",
            "hidden_size": 16,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "intermediate_size": 32,
            "max_position_embeddings": 32,
            "attention_dropout": 0.0,
            "hidden_dropout": 0.0,
        }
    }


class TestSource(DataSourceContract):
    name = "hf"
    options: ClassVar = {"train_path": "org/nothing"}
    streaming: ClassVar[bool] = False

    @pytest.fixture(autouse=True)
    def _serve(self, monkeypatch):
        with serving() as service:
            monkeypatch.setenv("HF_ENDPOINT", service.url)
            monkeypatch.setattr("time.sleep", lambda seconds: None)
            self.hub = service
            self.hub.add("org/nothing", {"README.md": b"# nothing\n"})
            yield

    def corpus(self, root, size):
        line = f"of {size}: naïve words, again and again, in one line that goes on\n"
        # Many files: the client holds as much as 10 MB of one that it downloads.
        text = "".join(f"{number} {line}" for number in range(size // 20 // len(line)))
        files = {f"data/{name:02}.txt": f"{name} {text}".encode() for name in range(20)}
        self.hub.add(f"org/corpus-{size}", files)
        return {"train_path": f"org/corpus-{size}", "streaming": self.streaming}


class TestStreaming(TestSource):
    streaming: ClassVar[bool] = True
