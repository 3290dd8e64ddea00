"""The contracts of what this package brings."""

from __future__ import annotations

from create_llm.testing import CommandContract


class TestServe(CommandContract):
    name = "serve"
