"""The contract of callbacks, for `guard` under each policy."""

from __future__ import annotations

from typing import ClassVar

from create_llm.testing import CallbackContract


class TestAuto(CallbackContract):
    name = "guard"
    options: ClassVar = {"on_anomaly": "auto"}


class TestPause(CallbackContract):
    name = "guard"
    options: ClassVar = {"on_anomaly": "pause"}


class TestUnset(CallbackContract):
    name = "guard"
