"""The contract of callbacks, for `notify`, with a desktop and without."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from plugins.notify_plugin.tests.service import Service
from plugins.notify_plugin.tests.story import all_sent, train_end

from create_llm.testing import CallbackContract
from create_llm.training.callbacks import Callback


class TestWithoutDesktop(CallbackContract):
    name = "notify"


class TestWithDesktop(CallbackContract):
    name = "notify"

    @pytest.fixture(autouse=True)
    def _ended(self, service: Service) -> Iterator[None]:
        """Some of the contract's runs have no end: theirs would notify during the next test."""
        self.__class__.made = []
        with all_sent():
            yield
            for callback in self.made:
                callback.on_train_end(train_end(status="interrupted"))

    def callback(self, root: Path) -> Callback:
        self.made.append(super().callback(root))
        return self.made[-1]
