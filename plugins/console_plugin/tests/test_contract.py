"""The contract of callbacks, for `console` in both of its styles."""

from __future__ import annotations

from typing import ClassVar

from create_llm.testing import CallbackContract


class TestPlain(CallbackContract):
    name = "console"
    options: ClassVar = {"style": "plain"}


class TestLive(CallbackContract):
    name = "console"
    options: ClassVar = {"style": "live"}
