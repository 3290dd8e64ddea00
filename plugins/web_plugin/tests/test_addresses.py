"""Addresses: which can be used, how they are shown, where redirects may lead."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from create_llm.errors import DataError, NetworkError
from create_llm_web.addresses import Address, is_private, redirected
from create_llm_web.config import WebConfig, addresses
from create_llm_web.content import check_head, check_type, file_name, media_type

SHA = "ab" * 32


def test_a_checksum_is_no_part_of_the_address():
    plain = Address.parse("https://example.org/a.txt?page=1#chapter")
    pinned = Address.parse(f"https://example.org/a.txt?page=1#sha256={SHA.upper()}")
    assert (plain.url, plain.sha256) == ("https://example.org/a.txt?page=1", None)
    assert (pinned.url, pinned.sha256) == (plain.url, SHA)
    assert pinned.key == plain.key
    assert pinned.key != Address.parse("https://example.org/a.txt?page=2").key


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("book.txt", "source 'text'"),
        ("ftp://example.org/a.txt", "http:// or https://"),
        ("file:///etc/passwd", "http:// or https://"),
        ("https:///a.txt", "needs a host"),
        ("https://example.org/a b.txt", "no blanks"),
        ("https://example.org/a\n.txt", "no blanks"),
        ("https://example.org:port/", "port"),
        ("https://[::1/a", "host or the port"),
        ("https://example.org/a#sha256=12", "64 hexadecimal digits"),
    ],
)
def test_what_is_no_address_is_refused(text, said):
    with pytest.raises(ValueError, match=said):
        Address.parse(text)


def test_a_password_is_refused_and_not_repeated():
    with pytest.raises(ValidationError) as caught:
        WebConfig(train_path="https://me:hunter2@example.org/a.txt")
    (problem,) = caught.value.errors()
    assert "~/.netrc" in problem["msg"]
    assert "hunter2" not in problem["msg"]


@given(st.text(max_size=40))
def test_any_text_is_an_address_or_a_value_error(text):
    for start in ("", "http://", "https://example.org/"):
        try:
            address = Address.parse(start + text)
        except ValueError:
            continue
        assert str(address)
        assert file_name(address.url, "", b"")


@pytest.mark.parametrize("written", [(), ("http://a.org/x", "http://a.org/x#sha256=" + SHA)])
def test_a_list_names_each_address_once(written):
    with pytest.raises(ValueError, match=r"at least one|twice"):
        addresses(written)


def test_signatures_are_not_shown():
    address = Address.parse("https://example.org/a?page=2&X-Amz-Signature=abc&api_key=def")
    assert str(address) == "https://example.org/a?page=2&X-Amz-Signature=…&api_key=…"


@pytest.mark.parametrize(
    ("host", "private"),
    [
        ("127.0.0.1", True),
        ("10.1.2.3", True),
        ("192.168.0.1", True),
        ("169.254.169.254", True),
        ("::1", True),
        ("fd00::1", True),
        ("::ffff:127.0.0.1", True),
        ("0.0.0.0", True),
        ("localhost", True),
        ("8.8.8.8", False),
        ("2001:4860:4860::8888", False),
    ],
)
def test_private_hosts(host, private):
    assert is_private(host) is private


@pytest.mark.parametrize(
    ("current", "location", "target"),
    [
        ("http://8.8.8.8/a", "https://8.8.8.8/b", "https://8.8.8.8/b"),
        ("https://8.8.8.8/x/a", "../b?c#d", "https://8.8.8.8/b?c"),
        ("https://8.8.8.8/a", "//8.8.4.4/b", "https://8.8.4.4/b"),
        ("http://127.0.0.1/a", "http://127.0.0.1:81/b", "http://127.0.0.1:81/b"),
        ("http://127.0.0.1/a", "http://10.0.0.1/b", "http://10.0.0.1/b"),
        ("http://127.0.0.1/a", "https://8.8.8.8/b", "https://8.8.8.8/b"),
    ],
)
def test_redirects_that_are_followed(current, location, target):
    assert redirected(current, location) == target


@pytest.mark.parametrize(
    ("location", "said"),
    [
        ("http://8.8.8.8/b", "without the protection of https"),
        ("file:///etc/passwd", "no web address"),
        ("ftp://8.8.8.8/b", "no web address"),
        ("https://me:hunter2@8.8.4.4/b", "password"),
        ("https://127.0.0.1/b", "own network"),
        ("https://[::1]/b", "own network"),
        ("https://localhost/b", "own network"),
        ("https://169.254.169.254/latest/meta-data?token=hunter2", "own network"),
        ("https://[::1/b", "cannot be read"),
    ],
)
def test_redirects_that_are_not_followed(location, said):
    with pytest.raises(NetworkError, match=said) as caught:
        redirected("https://8.8.8.8/a?token=hunter2", location)
    assert "hunter2" not in caught.value.render()
    assert len(caught.value.fixes) == 2


@pytest.mark.parametrize(
    ("url", "kind", "head", "name"),
    [
        ("https://a.org/book.txt", "text/plain", b"x", "book.txt"),
        ("https://a.org/rows.jsonl?download=true", "", b"{", "rows.jsonl"),
        ("https://a.org/rows.jsonl.gz", "", b"\x1f\x8b\x08", "rows.jsonl.gz"),
        ("https://a.org/rows.jsonl", "", b"\x1f\x8b\x08", "rows.jsonl.gz"),
        ("https://a.org/rows.CSV.zst", "", b"\x28\xb5\x2f\xfd", "rows.CSV.zst"),
        ("https://a.org/rows.jsonl.gz", "", b"{", "rows.jsonl.gz.txt"),
        ("https://a.org/data", "", b"PAR1", "data.parquet"),
        ("https://a.org/pg100.txt.utf-8", "text/plain", b"x", "pg100.txt.utf-8.txt"),
        ("https://a.org/export?format=csv", "text/csv", b"x", "export.csv"),
        ("https://a.org/", "application/json", b"{", "text.json"),
        ("https://a.org/..%2F..%2F.bashrc", "", b"x", "bashrc.txt"),
        ("https://a.org/%00%0a", "", b"x", "text.txt"),
        ("https://a.org/" + "n" * 300 + ".csv", "", b"x", "n" * 76 + ".csv"),
    ],
)
def test_the_file_has_a_plain_name_that_says_what_it_is(url, kind, head, name):
    assert file_name(url, kind, head) == name


def test_what_is_no_text_is_refused():
    for kind in ("text/html", "image/png", "application/pdf", "video/mp4"):
        with pytest.raises(DataError):
            check_type("a", kind)
    for head in (b"%PDF-1.7", b"PK\x03\x04..", b"\x7fELF\0\0", b" \n<!DOCTYPE html>", b"<html>"):
        with pytest.raises(DataError):
            check_head("a", "application/octet-stream", head)
    for head in (b"plain", b"", b"\xff\xfex\0y\0", b"\x1f\x8b\x08\0", b"PAR1\0", b"<html lang>"):
        check_head("a", "text/plain", head)
    assert media_type("Text/HTML; charset=utf-8") == "text/html"
    assert media_type(None) == ""
