"""The contract of data sources, for `web`, over a loopback server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar

import pytest
from plugins.web_plugin.tests.site import Site, serving

from create_llm.testing import DataSourceContract


class TestWeb(DataSourceContract):
    name = "web"
    site: ClassVar[Site]

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _serve(cls) -> Iterator[None]:
        with serving() as site:
            TestWeb.site = site
            TestWeb.options = {"train_path": site.url("/nothing.txt")}
            yield

    def corpus(self, root: Path, size: int) -> Mapping[str, object]:
        urls = []
        for name in ("a.txt", "b.txt"):
            line = f"{name} of {size}, " + "naïve words " * 8
            text = "".join(f"{line}{number}\n" for number in range(size // 240))
            self.site.put(f"/{size}/{name}", text.encode())
            urls.append(self.site.url(f"/{size}/{name}"))
        return {"train_path": urls}
