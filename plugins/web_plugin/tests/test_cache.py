"""What is kept of a download, and when it is fetched again."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
from plugins.web_plugin.tests.fetching import (
    BODY,
    DOWNLOAD,
    fetched,
    part,
    ranges,
)
from plugins.web_plugin.tests.site import Page, stalls, status

from create_llm.errors import DataError, NetworkError, StorageError
from create_llm.storage.disk import Disk
from create_llm.storage.durable import Storage
from create_llm_web.addresses import Address


def test_a_text_is_downloaded_once_and_then_read_without_a_network(site, cache):
    site.put("/a.txt", BODY)
    file = cache.file(Address.parse(site.url("/a.txt")))
    assert (file.name, file.read_bytes()) == ("a.txt", BODY)
    manifest = json.loads((file.parent / "manifest.json").read_text())
    assert manifest["files"]["a.txt"]["sha256"] == hashlib.sha256(BODY).hexdigest()
    assert (cache.folder / ".gitignore").read_text().endswith("\n*\n")
    site.server.shutdown()
    assert cache.file(Address.parse(site.url("/a.txt"))) == file
    assert len(site.seen) == 1
    left = {path.name for path in cache.folder.iterdir()}
    assert left == {".gitignore", file.parent.name, f"{file.parent.name}.lock"}


@pytest.mark.parametrize("name", ["download.json", "Manifest.json"])
def test_a_text_may_be_called_as_the_records_beside_it(site, cache, name):
    site.put(f"/{name}", BODY)
    assert fetched(cache, site.url(f"/{name}")) == BODY
    assert fetched(cache, site.url(f"/{name}")) == BODY
    assert len(site.seen) == 1


def test_another_command_goes_on_where_the_first_was_interrupted(site, cache):
    url = site.url("/a.txt")
    page = site.put("/a.txt", BODY)
    page.first = [stalls(BODY[:400_000], len(BODY), '"v1"', 30)]
    page.etag = '"v1"'
    with subprocess.Popen([sys.executable, "-c", DOWNLOAD, cache.folder, url]) as process:
        deadline = time.monotonic() + 20
        while not (part(cache, url).exists() and part(cache, url).stat().st_size > 300_000):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
    assert fetched(cache, url) == BODY
    assert 300_000 < int(ranges(site)[-1][6:-1]) <= 400_000


def test_what_was_not_yet_on_the_medium_is_not_trusted(site, cache):
    url = site.url("/a.txt")
    site.put("/a.txt", BODY, drops=[200_000, 0, 0, 0])
    with pytest.raises(NetworkError):
        fetched(cache, url)
    with part(cache, url).open("ab") as file:
        file.write(b"\0" * len(BODY))
    assert fetched(cache, url) == BODY
    os.truncate(cache.folder / Address.parse(url).key / "a.txt", 10)
    assert fetched(cache, url) == BODY


def test_a_complete_part_is_not_fetched_again(site, cache):
    url = site.url("/a.txt")
    site.put("/a.txt", BODY)

    class Full(Disk):
        def link(self, source, target):
            raise OSError(28, "No space left on device", str(target))

        def create(self, path):
            if path.name == "a.txt":
                raise OSError(28, "No space left on device", str(path))
            return super().create(path)

    with pytest.raises(OSError, match="No space"):
        fetched(replace(cache, storage=Storage(Full())), url)
    assert fetched(cache, url) == BODY
    assert ranges(site) == [None, f"bytes={len(BODY) - 1}-"]


def test_a_full_disk_is_told_before(site, cache):
    class Small(Disk):
        def free_bytes(self, path):
            return 1000

    site.put("/a.txt", BODY)
    with pytest.raises(StorageError, match="the download needs 2 MB"):
        fetched(replace(cache, storage=Storage(Small())), site.url("/a.txt"))


def test_a_checksum_is_enforced(site, cache):
    site.put("/a.txt", BODY)
    right = hashlib.sha256(BODY).hexdigest()
    with pytest.raises(DataError, match=right):
        fetched(cache, site.url(f"/a.txt#sha256={'0' * 64}"))
    assert not part(cache, site.url("/a.txt")).exists()
    assert fetched(cache, site.url(f"/a.txt#sha256={right}")) == BODY
    assert fetched(cache, site.url("/a.txt")) == BODY
    assert len(site.seen) == 2


def test_a_checksum_that_is_added_later_counts(site, cache):
    page = site.put("/a.txt", BODY)
    assert fetched(cache, site.url("/a.txt")) == BODY
    page.body = BODY + b"more\n"
    new = hashlib.sha256(page.body).hexdigest()
    assert fetched(cache, site.url(f"/a.txt#sha256={new}")) == page.body
    with pytest.raises(DataError, match="not the one"):
        fetched(cache, site.url(f"/a.txt#sha256={'0' * 64}"))
    assert fetched(cache, site.url("/a.txt")) == page.body, "what was right before stays"


def test_refresh_asks_whether_the_text_has_changed(site, cache):
    page = site.put("/a.txt", BODY)
    url, fresh = site.url("/a.txt"), replace(cache, refresh=True)
    assert fetched(fresh, url) == BODY
    assert fetched(fresh, url) == BODY
    assert site.asked("If-None-Match")[1]
    page.body = BODY + b"more\n"
    assert fetched(cache, url) == BODY
    assert fetched(fresh, url) == page.body
    page.first = [status(503)] * 3
    with pytest.raises(NetworkError) as caught:
        fetched(fresh, url)
    assert "leave out data.refresh" in caught.value.fixes[0]
    assert fetched(cache, url) == page.body


@pytest.mark.parametrize("name", ["a.txt", "download.json", "manifest.json"])
@pytest.mark.parametrize("how", ["changed", "gone"])
def test_a_damaged_copy_is_fetched_again(site, cache, name, how, capsys):
    site.put("/a.txt", BODY)
    file = cache.file(Address.parse(site.url("/a.txt"))).parent / name
    if how == "gone":
        file.unlink()
    else:
        file.write_bytes(b"x" + file.read_bytes()[1:])
    assert fetched(cache, site.url("/a.txt")) == BODY
    assert "is damaged" in capsys.readouterr().err
    assert fetched(cache, site.url("/a.txt")) == BODY
    assert len(site.seen) == 2


def test_two_commands_at_once_download_once(site, cache):
    url, page = site.url("/a.txt"), Page(BODY)

    def slow(request):
        time.sleep(0.2)
        page(request)

    site.pages["/a.txt"] = slow
    both = [subprocess.Popen([sys.executable, "-c", DOWNLOAD, cache.folder, url]) for _ in range(2)]
    assert [process.wait(30) for process in both] == [0, 0]
    assert len(site.seen) == 1
