"""The contract of synthesizers, against a service that answers."""

from __future__ import annotations

from typing import ClassVar

import pytest

from create_llm.testing import SynthesizerContract


class _Served(SynthesizerContract):
    @pytest.fixture(autouse=True)
    def _served(self, service):
        self._service = service

    def synthesizer(self):
        url = f"{self._service.url}/v1"
        return self.part().load()(self.config(base_url=url, model="small-1"))


class TestOpenAI(_Served):
    name = "openai"
    options: ClassVar = {"model": "small-1"}


class TestGroq(_Served):
    name = "groq"
