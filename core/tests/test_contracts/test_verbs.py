"""The core's own verbs keep the contract of commands: they come in by the same door."""

from __future__ import annotations

import pytest

from create_llm.cli.verbs import VERBS
from create_llm.testing import CommandContract


@pytest.fixture(params=[verb for verb, _ in VERBS])
def verb(request):
    return request.param


class TestVerbs(CommandContract):
    @pytest.fixture(autouse=True)
    def _verb(self, verb, monkeypatch):
        monkeypatch.setattr(type(self), "name", verb, raising=False)
