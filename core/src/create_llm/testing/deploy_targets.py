"""The contract of deploy targets."""

from __future__ import annotations

import contextlib
import hashlib
import socket
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from create_llm.errors import ConfigError
from create_llm.models.bundle import FORMAT, INFO, WEIGHTS
from create_llm.models.deploy import DeployTarget, Plan, PredictingTarget
from create_llm.storage.durable import Storage
from create_llm.testing.base import PartContract

_BESIDE = {"cache/engine/model.gguf": b"made anew where it is needed", "notes.txt": b"mine"}
"""What comes to lie in a model's folder and is no part of it; path → content."""


class DeployTargetContract(PartContract):
    """Where a model can be published."""

    kind = "deploy_targets"

    def target(self) -> DeployTarget:
        made: DeployTarget = self.part().load()(self.config())
        return made

    def service(self, root: Path) -> contextlib.AbstractContextManager[Callable[[], object]]:
        """A stand-in for the service while `apply` runs, and `predict` where the target has it;
        gives a function that tells what the service holds, so that two times can be compared."""
        raise NotImplementedError(f"{type(self).__name__} must stand in for its service")

    def test_plan_makes_no_network_call(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """`--dry-run` works on a train, and tells nobody anything."""
        calls = _watch_network(monkeypatch)
        self.target().plan(_bundle(tmp_path))
        assert not calls, f"plan calls the network: {', '.join(calls)}"

    def test_plan_names_the_files_as_they_are(self, tmp_path: Path) -> None:
        """Each planned file that comes from the bundle has its size and SHA-256; the weights are
        among them."""
        bundle = _bundle(tmp_path)
        plan = self.target().plan(bundle)
        assert isinstance(plan, Plan)
        assert plan.bundle == bundle
        assert plan.files, "no files"
        contents = _contents(bundle)
        for file in plan.files:
            assert len(file.sha256) == 64, f"{file.path}: no SHA-256"
            if file.path in contents:
                data = contents[file.path]
                told, real = (file.size, file.sha256), (len(data), _sha256(data))
                assert told == real, f"{file.path} is {real}, planned as {told}"
        weights = _sha256(contents[WEIGHTS])
        assert any(file.sha256 == weights for file in plan.files), "the weights are not sent"

    def test_plan_sends_the_model_and_no_more(self, tmp_path: Path) -> None:
        """What else lies in the model's folder stays there: an engine's cache, somebody's notes.
        `ModelBundle.files` names what belongs to the model."""
        planned = {file.sha256 for file in self.target().plan(_bundle(tmp_path)).files}
        sent = [path for path, data in _BESIDE.items() if _sha256(data) in planned]
        assert not sent, f"no part of the model: {', '.join(sent)}"

    def test_plan_is_deterministic(self, tmp_path: Path) -> None:
        """What was shown is what will be done: planning twice gives one plan."""
        bundle = _bundle(tmp_path)
        assert self.target().plan(bundle) == self.target().plan(bundle)

    def test_plan_leaves_the_bundle_alone(self, tmp_path: Path) -> None:
        """Looking changes nothing."""
        bundle = _bundle(tmp_path)
        before = _contents(bundle)
        self.target().plan(bundle)
        assert _contents(bundle) == before

    def test_apply_publishes(self, tmp_path: Path) -> None:
        """It changes what the service holds and returns an address."""
        bundle = _bundle(tmp_path)
        with self.service(tmp_path) as held:
            before = held()
            address = self.target().apply(self.target().plan(bundle))
            assert isinstance(address, str)
            assert address, "no address"
            assert held() != before, "the service holds what it held before"

    def test_apply_is_idempotent(self, tmp_path: Path) -> None:
        """Applied again, after a lost connection say, it leaves one result at one address."""
        bundle = _bundle(tmp_path)
        with self.service(tmp_path) as held:
            plan = self.target().plan(bundle)
            first, after_first = self.target().apply(plan), held()
            second, after_second = self.target().apply(plan), held()
        assert second == first, "another address"
        assert after_second == after_first, "the service holds something else"

    def test_predict_runs_what_is_deployed(self, tmp_path: Path) -> None:
        """What the deployed model writes comes in pieces of text, and leaves what the service
        holds as it is. Skips where the target runs nothing."""
        target, bundle = self._predicting(), _bundle(tmp_path)
        with self.service(tmp_path) as held:
            target.apply(target.plan(bundle))
            deployed = held()
            pieces = list(target.predict("Once upon a time"))
            assert held() == deployed, "the service holds something else"
        assert all(isinstance(piece, str) for piece in pieces), f"no text: {pieces}"
        assert "".join(pieces), "it writes nothing"

    def test_predict_says_where_nothing_is(self, tmp_path: Path) -> None:
        """Before anything is deployed it is an error in words, with what to do. Skips where the
        target runs nothing."""
        target = self._predicting()
        with self.service(tmp_path), pytest.raises(ConfigError) as caught:
            list(target.predict("Once upon a time"))
        assert caught.value.fixes, "the error says nothing to do"

    def _predicting(self) -> PredictingTarget:
        target = self.target()
        if not isinstance(target, PredictingTarget):
            pytest.skip(f"{self.name} keeps models and does not run them")
        return target


def _bundle(root: Path) -> Path:
    """A small bundle, used and annotated; its weights are not those of a model."""
    path = root / "models" / "v1"
    with Storage().commit(path) as writer:
        header = b"{}      "
        writer.write(WEIGHTS, [len(header).to_bytes(8, "little"), header])
        writer.write_json("config.json", {"model_type": "llama", "vocab_size": 8})
        writer.write_json("generation_config.json", {})
        writer.write_json("tokenizer.json", {"version": "1.0"})
        writer.write_json(INFO, {"format": FORMAT, "name": "v1", "parts": {}})
        writer.write("README.md", [b"# v1\n"])
    for name, data in _BESIDE.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


def _contents(folder: Path) -> dict[str, bytes]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _watch_network(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Refuse every connection and look-up; the list fills with what was tried."""
    calls: list[str] = []

    def refuse(what: str) -> Callable[..., NoReturn]:
        def refused(*arguments: object, **named: object) -> NoReturn:
            calls.append(what)
            raise OSError(f"{what} during a plan")

        return refused

    for owner, name in (
        (socket.socket, "connect"),
        (socket.socket, "connect_ex"),
        (socket.socket, "sendto"),
        (socket, "create_connection"),
        (socket, "getaddrinfo"),
        (socket, "gethostbyname"),
    ):
        monkeypatch.setattr(owner, name, refuse(name))
    return calls
