"""The whole pipeline from an address on a command line."""

from __future__ import annotations

import json
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.journey import SMALL, llm, sentences


@pytest.fixture
def address(tmp_path):
    served = tmp_path / "served"
    served.mkdir()
    (served / "days.txt").write_text(sentences(1500))
    handler = partial(SimpleHTTPRequestHandler, directory=str(served))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/days.txt"
        server.shutdown()
        thread.join()


def test_a_model_is_trained_from_an_address(tmp_path, address):
    llm(tmp_path, "new", "p", "--template", "nano", "--yes")
    project = tmp_path / "p"
    words = ("train", "--corpus-path", address, "--max-steps", 2, "--json", *SMALL)
    summary = json.loads(llm(project, *words).stdout)
    assert (summary["status"], summary["steps"]) == ("completed", 2)
    checked = json.loads(llm(project, "data", "check", address, "--json").stdout)
    assert [file["path"] for file in checked["files"]] == [address]
    assert checked["documents"] > 1
