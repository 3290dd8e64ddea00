"""What is not followed, not sent and not taken."""

import traceback
from dataclasses import replace

import pytest
from plugins.web_plugin.tests.fetching import BODY, fetched, part
from plugins.web_plugin.tests.site import endless, serving, status

from create_llm.errors import DataError, NetworkError
from create_llm_web.addresses import Address


def test_requests_carry_no_cookies_and_ask_for_no_compression(site, cache):
    site.pages["/a.txt"] = status(302, Location="/b.txt", Set_Cookie="id=1")
    site.put("/b.txt", BODY)
    assert fetched(cache, site.url("/a.txt")) == BODY
    assert site.asked("Cookie") == [None, None]
    assert site.asked("Accept-Encoding") == ["identity"] * 2
    assert all(agent.startswith("create-llm/") for agent in site.asked("User-Agent"))


def test_a_stack_trace_does_not_show_the_signature_of_an_address(site, cache):
    with serving() as gone:
        away = f"{gone.url('/b.txt')}?X-Signature=canary-4711"
    site.pages["/a.txt"] = status(302, Location=away)
    with pytest.raises(NetworkError) as caught:
        fetched(cache, site.url("/a.txt"))
    assert "canary" not in "".join(traceback.format_exception(caught.value))


def test_the_size_is_limited_by_what_is_said_and_by_what_comes(site, cache):
    limited = replace(cache, max_bytes=len(BODY) - 1)
    site.put("/a.txt", BODY)
    with pytest.raises(DataError, match=f"has {len(BODY):,} bytes; no more than") as caught:
        fetched(limited, site.url("/a.txt"))
    assert "data.max_bytes=" in caught.value.fixes[0]
    site.put("/b.txt", BODY, length=False)
    site.pages["/c.txt"] = endless()
    site.pages["/d.txt"] = endless(Transfer_Encoding="identity")
    for path in ("/b.txt", "/c.txt", "/d.txt"):
        with pytest.raises(DataError, match="does not end"):
            fetched(limited, site.url(path))
        assert not part(cache, site.url(path)).exists()
    assert fetched(replace(cache, max_bytes=len(BODY)), site.url("/b.txt")) == BODY


@pytest.mark.parametrize(
    ("body", "kind", "said"),
    [
        (BODY, "text/html; charset=utf-8", "web page"),
        (b"<!doctype HTML><title>log in</title>" + BODY, None, "web page"),
        (b"%PDF-1.7\n" + BODY, "application/octet-stream", "PDF"),
        (b"PK\x03\x04" + BODY, "text/plain", "ZIP"),
        (b"\x7fELF\x02\x01\x00" + BODY, "application/octet-stream", "binary"),
        (b"\x00\x01", "text/plain", "binary"),
        (BODY, "image/png", "image/png"),
    ],
)
def test_what_is_no_text_is_refused_with_advice(site, cache, body, kind, said):
    site.put("/a.txt", body, kind=kind)
    with pytest.raises(DataError, match=said) as caught:
        fetched(cache, site.url("/a.txt"))
    assert caught.value.where == site.url("/a.txt")
    assert not part(cache, site.url("/a.txt")).exists()


def test_what_a_server_packs_unasked_stays_packed_and_says_so(site, cache):
    packed = b"\x1f\x8b\x08\x00" + bytes(range(256)) * 20
    site.pages["/a.txt"] = status(200, packed, Content_Encoding="gzip")
    file = cache.file(Address.parse(site.url("/a.txt")))
    assert (file.name, file.read_bytes()) == ("a.txt.gz", packed)


def test_redirects_are_followed_to_a_limit(site, cache):
    site.put("/5", BODY)
    for number in range(5):
        site.pages[f"/{number}"] = status(302, Location=f"/{number + 1}")
    assert fetched(cache, site.url("/0")) == BODY
    site.pages["/round"] = status(301, Location="/round")
    with pytest.raises(NetworkError, match="more than 5 redirects"):
        fetched(cache, site.url("/round"))
    site.pages["/first"] = status(302, Location="/0")
    with pytest.raises(NetworkError, match="more than 5 redirects"):
        fetched(cache, site.url("/first"))


def test_a_redirect_whose_body_does_not_end_is_followed(site, cache):
    site.pages["/a"] = endless(302, Location="/b")
    site.put("/b", BODY)
    assert fetched(cache, site.url("/a")) == BODY


def test_a_redirect_to_another_kind_of_address_is_refused(site, cache):
    site.pages["/a"] = status(302, Location="file:///etc/passwd")
    with pytest.raises(NetworkError, match="no web address"):
        fetched(cache, site.url("/a"))


@pytest.mark.parametrize("host", ["a..b.invalid", f"{'a' * 70}.invalid"])
def test_a_redirect_to_a_name_that_is_none_is_told(site, cache, host):
    site.pages["/a"] = status(302, Location=f"http://{host}/")
    with pytest.raises(NetworkError, match="cannot be asked for"):
        fetched(cache, site.url("/a"))


def test_a_public_server_cannot_point_into_this_network(site, cache, monkeypatch):
    """The public server is played by a proxy, which answers for any."""
    monkeypatch.setenv("HTTP_PROXY", site.url(""))
    public = "http://8.8.8.8/book.txt"
    site.put(public, BODY)
    assert fetched(cache, public) == BODY
    site.pages["http://8.8.8.8/evil.txt"] = status(302, Location=site.url("/secret"))
    with pytest.raises(NetworkError, match="own network"):
        fetched(cache, "http://8.8.8.8/evil.txt")
    assert [path for path, _ in site.seen] == [public, "http://8.8.8.8/evil.txt"]


def test_a_password_goes_to_its_own_server_alone(site, cache, monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("default login me password hunter2\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with serving() as other:
        other.put("/b", BODY)
        site.pages["/a"] = status(302, Location=other.url("/b"))
        assert fetched(cache, site.url("/a")) == BODY
        assert site.asked("Authorization")[0].startswith("Basic ")
        assert other.asked("Authorization") == [None]
    written = [path.read_bytes() for path in cache.folder.rglob("*") if path.is_file()]
    assert not any(b"hunter2" in data for data in written)
