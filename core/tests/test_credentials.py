"""Secrets: found in one order, and shown nowhere."""

from __future__ import annotations

import base64
import copy
import dataclasses
import io
import traceback
from urllib.parse import quote

import pytest

from create_llm import credentials
from create_llm.credentials import Secret, credential, find_credential, refused
from create_llm.errors import CredentialsError

CANARY = "sk-canary-0123456789"
HELP = "https://example.org/keys"


@pytest.fixture(autouse=True)
def nobody_at_a_terminal(monkeypatch):
    monkeypatch.delenv("SEA_API_KEY", raising=False)
    monkeypatch.setattr("sys.stdin", io.StringIO())


@pytest.fixture
def project(tmp_path, monkeypatch):
    (tmp_path / "llm.toml").write_text("")
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    return tmp_path


def found(**more) -> Secret:
    return credential("Sea", env="SEA_API_KEY", help=HELP, **more)


def test_the_environment_goes_before_env_and_that_before_the_login(project, monkeypatch):
    def login():
        return "stored"

    assert found(login=login, login_name="sea login") == Secret("stored", "sea login")
    (project / ".env").write_text("# keys\nexport SEA_API_KEY = 'in file'\nSEA_API_KEY=file\n")
    assert found(login=login) == Secret("file", ".env:3")
    monkeypatch.setenv("SEA_API_KEY", " outside\n")
    assert found(login=login) == Secret("outside", "environment SEA_API_KEY")


def test_an_empty_variable_is_none(project, monkeypatch):
    (project / ".env").write_text("SEA_API_KEY=\n")
    monkeypatch.setenv("SEA_API_KEY", "")
    assert find_credential("SEA_API_KEY") is None


def test_a_named_project_is_asked_wherever_one_stands(tmp_path):
    (tmp_path / ".env").write_text("SEA_API_KEY=there\n")
    assert found(project=tmp_path).reveal() == "there"


def test_none_is_an_error_that_says_what_to_do(project):
    with pytest.raises(CredentialsError) as caught:
        found(login=lambda: None, login_name="sea login")
    told = caught.value.render()
    assert "SEA_API_KEY" in told
    assert HELP in told
    assert "sea login" in told


def test_only_a_terminal_is_asked_and_unseen(project, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(credentials.getpass, "getpass", lambda prompt: f" {CANARY} ")
    with pytest.raises(CredentialsError):
        found()
    monkeypatch.setattr("sys.stdin", Terminal())
    with pytest.raises(CredentialsError):
        found()  # stderr goes to a file: nobody would see the question
    monkeypatch.setattr("sys.stderr", Terminal())
    assert found().reveal() == CANARY
    assert list(project.rglob("*.env")) == []


@pytest.mark.parametrize("value", ["two words", "with\nHeader: x", "schlüssel", "\x07"])
def test_what_no_header_can_carry_is_refused_unquoted(project, monkeypatch, value):
    monkeypatch.setenv("SEA_API_KEY", f"{CANARY}{value}{CANARY}")
    with pytest.raises(CredentialsError) as caught:
        found()
    assert CANARY not in caught.value.render()


def test_a_secret_shows_nothing_of_itself():
    secret = Secret(CANARY, ".env:1")
    error = refused("Sea", secret, HELP, why=f"bad key {CANARY}")
    shown = [
        *(repr(secret), str(secret), f"{secret}", f"{secret!r}", repr([copy.copy(secret)])),
        *(error.render(), repr(error), secret.hide(f"401 for {CANARY}")),
    ]
    assert all(CANARY not in text for text in shown)
    assert ".env:1" in repr(secret)
    try:
        dataclasses.replace(secret, source=None).missing  # noqa: B018
    except AttributeError:
        assert CANARY not in traceback.format_exc()


LONG = "sk/canary+0123456789="


@pytest.mark.parametrize(
    "quoted",
    [
        *(LONG, quote(LONG, safe=""), f"{LONG[:7]}\n  {LONG[7:]}"),
        *(base64.b64encode(f"{user}{LONG}".encode()).decode() for user in ("", "api:", "a:", "me")),
        base64.b64encode(f"{LONG} and more".encode()).decode(),
    ],
)
def test_a_secret_is_hidden_in_every_form_and_before_anything_is_cut(quoted):
    secret = Secret(LONG, "x")
    hidden = secret.hide(f"401 for {quoted} here")
    # Of base64, the characters stay that other bytes have a part in: of one byte in ten at most.
    assert "***" in hidden
    assert hidden.startswith("401 for ")
    assert hidden.endswith(" here")
    assert len(hidden) <= len("401 for ***and more here") + 16
    for start in range(len(quoted) - 12):
        assert quoted[start : start + 12] not in hidden
    for room in range(len(quoted)):
        cut = secret.hide(f"{'x' * 50}{quoted}", 50 + room)
        assert len(cut) <= 50 + room
        assert quoted[:9] not in cut


def test_a_short_secret_hides_no_innocent_text():
    assert Secret("ab", "x").hide("YWI is base64 of ab") == "YWI is base64 of ***"
