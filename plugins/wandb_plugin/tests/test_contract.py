"""The contract of callbacks, for `wandb`: recording offline, and switched off."""

from __future__ import annotations

import os
from pathlib import Path
from typing import ClassVar

import pytest
import wandb

from create_llm.testing import CallbackContract
from create_llm.training.callbacks import Callback


@pytest.fixture(autouse=True)
def nobody(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch):
    """A person who has never used wandb; its processes are gone after each test."""
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path_factory.mktemp("home")))
    yield
    wandb.teardown()


class TestOffline(CallbackContract):
    name = "wandb"
    options: ClassVar = {"mode": "offline"}

    def callback(self, root: Path) -> Callback:
        wandb.teardown()  # each callback is in a process of its own, as in a run that goes on
        return super().callback(root)


class TestDisabled(CallbackContract):
    name = "wandb"
    options: ClassVar = {"mode": "disabled"}
