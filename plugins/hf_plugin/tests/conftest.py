"""A Hub of one's own for each test."""

from __future__ import annotations

import pytest
from plugins.hf_plugin.tests.service import TOKEN, serving


@pytest.fixture(autouse=True)
def _apart(monkeypatch, tmp_path_factory):
    """Neither this machine's account nor its cache."""
    from huggingface_hub import constants

    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    cache = str(tmp_path_factory.mktemp("hub"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", cache)


@pytest.fixture
def service(monkeypatch):
    with serving() as service:
        monkeypatch.setenv("HF_ENDPOINT", service.url)
        yield service


@pytest.fixture
def slept(monkeypatch):
    """Nothing sleeps; how long it would have."""
    seconds: list[float] = []
    monkeypatch.setattr("time.sleep", seconds.append)
    return seconds
