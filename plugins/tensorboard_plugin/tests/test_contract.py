"""The contract of callbacks, for `tensorboard`; its event files lie in the run's folder."""

from __future__ import annotations

from create_llm.testing import CallbackContract


class TestTensorBoard(CallbackContract):
    name = "tensorboard"
