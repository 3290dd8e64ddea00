"""A site to download from, and a cache to download into."""

import contextlib

import pytest
from plugins.web_plugin.tests.fetching import PATIENCE
from plugins.web_plugin.tests.site import serving

from create_llm_web.cache import Cache
from create_llm_web.client import Client, Timeouts


@pytest.fixture
def site():
    with serving() as site:
        yield site


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch, tmp_path):
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "no-netrc"))


@pytest.fixture
def cache(tmp_path):
    return Cache(
        tmp_path / "web",
        max_bytes=10_000_000,
        refresh=False,
        patience=PATIENCE,
        client=lambda: Client(Timeouts(connect=2.0, read=0.3)),
        bars=lambda: contextlib.nullcontext(lambda stage, done, total: None),
    )
