"""Downloads from servers that break off, stall, refuse and lie."""

import email.utils
import time
from dataclasses import replace

import pytest
from plugins.web_plugin.tests.fetching import BODY, PATIENCE, fetched, page_of, part, ranges
from plugins.web_plugin.tests.site import drips_body, drips_headers, stalls, status

from create_llm.errors import CredentialsError, DataError, NetworkError
from create_llm_web.client import Client, Timeouts
from create_llm_web.download import Patience


def test_a_broken_connection_is_continued(site, cache):
    site.put("/a.txt", BODY, drops=[100, 250_000, 300_000, 0, 5])
    assert fetched(cache, site.url("/a.txt")) == BODY
    begins = [int(value[6:-1]) if value else 0 for value in ranges(site)]
    assert begins == [0, 100, 250_100, 550_100, 550_100, 550_105]
    assert len(set(site.asked("If-Range")[1:])) == 1


@pytest.mark.parametrize("options", [{"ranges": False}, {"etag": 'W/"weak"'}, {"etag": None}])
def test_where_it_cannot_be_continued_it_begins_again(site, cache, options):
    site.put("/a.txt", BODY, drops=[100_000], **options)
    assert fetched(cache, site.url("/a.txt")) == BODY
    assert len(site.seen) == 2
    assert bool(ranges(site)[1]) == ("ranges" in options)


def test_a_date_names_a_version_too(site, cache):
    date = "Sat, 01 Nov 2025 10:00:00 GMT"
    site.put("/a.txt", BODY, etag=None, modified=date, drops=[100_000])
    assert fetched(cache, site.url("/a.txt")) == BODY
    assert site.asked("If-Range") == [None, date]
    assert ranges(site)[1] == "bytes=100000-"


def test_a_text_that_changes_midway_is_not_mixed(site, cache):
    page = site.put("/a.txt", BODY, drops=[100_000])
    other = BODY.replace(b"text", b"poem")

    def change(request):
        page.body = other
        page(request)

    page.first = [page_of(page), change]
    assert fetched(cache, site.url("/a.txt")) == other


@pytest.mark.parametrize(
    "lie",
    [
        {"Content_Range": "bytes 0-99/100"},
        {"Content_Range": f"bytes 1000-2000/{len(BODY) + 1}"},
        {"Content_Range": "bytes one-two/three"},
        {"Content_Range": f"bytes 1000-2000/{len(BODY)}", "ETag": '"another"'},
        {},
    ],
)
def test_a_part_that_was_not_asked_for_is_not_used(site, cache, lie):
    page = site.put("/a.txt", BODY, drops=[1000])
    page.first = [page_of(page), status(206, b"lies " * 20, **lie)]
    assert fetched(cache, site.url("/a.txt")) == BODY
    assert ranges(site) == [None, "bytes=1000-", None]


@pytest.mark.parametrize(
    ("given", "begins"), [(BODY[1000:2000], [0, 1000, 2000]), (BODY[1000:] + b"more", [0, 1000, 0])]
)
def test_a_part_may_be_shorter_than_asked_for_but_not_longer(site, cache, given, begins):
    page = site.put("/a.txt", BODY, etag='"v1"', drops=[1000])
    place = f"bytes 1000-{999 + len(given)}/{len(BODY)}"
    page.first = [page_of(page), status(206, given, Content_Range=place, ETag='"v1"')]
    assert fetched(cache, site.url("/a.txt")) == BODY
    assert [int(value[6:-1]) if value else 0 for value in ranges(site)] == begins


def test_a_range_beyond_the_end_begins_again(site, cache):
    page = site.put("/a.txt", BODY, drops=[1000])
    page.first = [page_of(page), status(416)]
    assert fetched(cache, site.url("/a.txt")) == BODY


@pytest.mark.parametrize("code", [408, 425, 429, 500, 502, 503, 504])
def test_errors_that_may_pass_are_tried_again(site, cache, code, capsys):
    site.put("/a.txt", BODY, first=[status(code), status(code)])
    assert fetched(cache, site.url("/a.txt")) == BODY
    captured = capsys.readouterr()
    assert captured.err.count(f"the server answers {code}") == 2
    assert captured.out == ""


def test_retry_after_is_honoured_in_both_forms(site, cache, monkeypatch):
    waited = []
    monkeypatch.setattr(time, "sleep", waited.append)
    soon = email.utils.formatdate(time.time() + 1.9, usegmt=True)
    past = email.utils.formatdate(time.time() - 100, usegmt=True)
    answers = ["1", soon, past, "soon", "-3", "9" * 5000, "0"]
    site.put("/a.txt", BODY, first=[status(429, Retry_After=value) for value in answers[:3]])
    patient = replace(cache, patience=replace(PATIENCE, attempts=9))
    assert fetched(patient, site.url("/a.txt")) == BODY
    assert waited[0] == 1.0
    assert 0.0 <= waited[1] <= 2.0
    assert 0.005 <= waited[2] <= 0.02, "a date that is past takes no pause away"
    site.put("/b.txt", BODY, first=[status(503, Retry_After=value) for value in answers[3:]])
    assert fetched(patient, site.url("/b.txt")) == BODY
    assert all(0.005 <= pause <= 0.02 for pause in waited[3:])


def test_a_server_that_asks_for_a_long_pause_is_not_pestered(site, cache):
    site.put("/a.txt", BODY, first=[status(429, Retry_After="600")])
    with pytest.raises(NetworkError, match=r"429.* come back in 10 minutes") as caught:
        fetched(cache, site.url("/a.txt"))
    assert caught.value.exit_code == 69
    assert len(site.seen) == 1


def test_a_pause_beyond_what_can_be_said_is_not_called_exact(site, cache):
    site.put("/a.txt", BODY, first=[status(429, Retry_After="99999999999")])
    with pytest.raises(NetworkError, match="come back in 6 hours or more"):
        fetched(cache, site.url("/a.txt"))


def test_a_body_that_drips_is_given_up_and_continued_later(site, cache):
    body = b"a" * 20_000
    page = site.put("/a.txt", body, etag='"v1"')
    page.first = [drips_body(len(body), '"v1"')] * 3
    hasty = replace(cache, patience=replace(PATIENCE, minute=0.1, least=1000))
    with pytest.raises(NetworkError, match="sends hardly anything") as caught:
        fetched(hasty, site.url("/a.txt"))
    assert "bytes that are here" in caught.value.fixes[0]
    assert len(site.seen) == 3
    assert fetched(hasty, site.url("/a.txt")) == body
    assert ranges(site)[-1] is not None


def test_headers_that_drip_are_given_up(site, cache, capsys):
    site.put("/a.txt", BODY, first=[drips_headers])
    hasty = replace(cache, client=lambda: Client(Timeouts(read=5.0, headers=0.2)))
    assert fetched(hasty, site.url("/a.txt")) == BODY
    assert "says nothing more" in capsys.readouterr().err


def test_an_empty_text_is_not_kept(site, cache):
    page = site.put("/a.txt", b"")
    with pytest.raises(DataError, match="empty text"):
        fetched(cache, site.url("/a.txt"))
    page.body = BODY
    assert fetched(cache, site.url("/a.txt")) == BODY


def test_pauses_grow_to_a_cap_and_are_random():
    patience = Patience(first=1.0, longest=60.0)
    for failures, most in ((0, 1.0), (3, 8.0), (9, 60.0), (1000, 60.0)):
        pauses = {patience.pause(failures) for _ in range(50)}
        assert most / 2 <= min(pauses) <= max(pauses) <= most
        assert len(pauses) > 40


def test_attempts_end_and_what_came_is_kept(site, cache):
    url = site.url("/a.txt")
    site.put("/a.txt", BODY, drops=[1000, 0, 0, 0])
    with pytest.raises(NetworkError, match="the connection broke off") as caught:
        fetched(cache, url)
    assert "after the 1,000 bytes that are here" in caught.value.fixes[0]
    assert len(site.seen) == 4
    assert fetched(cache, url) == BODY


def test_silence_is_not_waited_for(site, cache, capsys):
    page = site.put("/a.txt", BODY, etag='"v1"')
    page.first = [stalls(BODY[:5000], len(BODY), '"v1"', 3)]
    assert fetched(cache, site.url("/a.txt")) == BODY
    assert "says nothing more" in capsys.readouterr().err
    assert ranges(site) == [None, "bytes=5000-"]


def test_nobody_there_is_told_in_plain_words(site, cache, capsys):
    url = site.url("/a.txt")
    site.server.shutdown()
    site.server.server_close()
    with pytest.raises(NetworkError, match="could not be downloaded: the connection failed"):
        fetched(cache, url)
    assert capsys.readouterr().err.count("again in") == 2


@pytest.mark.parametrize(
    ("code", "kind", "exit_code"),
    [
        (404, DataError, 65),
        (410, DataError, 65),
        (401, CredentialsError, 77),
        (403, CredentialsError, 77),
        (400, NetworkError, 69),
        (204, NetworkError, 69),
        (304, NetworkError, 69),
        (300, NetworkError, 69),
        (501, NetworkError, 69),
    ],
)
def test_answers_that_are_final(site, cache, code, kind, exit_code):
    site.pages["/a.txt"] = status(code)
    with pytest.raises(kind) as caught:
        fetched(cache, site.url("/a.txt"))
    assert caught.value.exit_code == exit_code
    assert len(caught.value.fixes) >= 2
    assert not part(cache, site.url("/a.txt")).exists()
