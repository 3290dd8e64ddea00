"""Who gets in, and what no page of the web, no neighbour and no sample can do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.journey import environment

from create_llm.errors import ConfigError, CredentialsError
from create_llm_dashboard.access import Door, hosts_of
from create_llm_dashboard.server import is_loopback, listen, tls_of
from create_llm_dashboard.serving import check_reach

from .conftest import RUN, Served, Story

PATHS = [
    "/",
    f"/runs/{RUN}",
    f"/runs/{RUN}/stream",
    f"/runs/{RUN}/panels/curves",
    "/panels/curves.js",
    "/charts/bokeh.min.js",
    "/static/app.js",
    "/nothing",
]
Serve = Callable[..., Served]


@pytest.mark.parametrize("path", PATHS)
def test_without_the_link_there_is_nothing(outside: Served, path: str):
    answer = outside.ask(path)
    assert answer.status == 401
    assert RUN not in answer.body.decode()


def test_the_link_works_once_and_leaves_its_token_out_of_the_address(story: Story, serve: Serve):
    served = serve(inside=False)
    link = f"/?token={served.serving.token}"
    answer = served.ask(link)
    assert (answer.status, answer.headers["location"]) == (303, "/")
    assert served.ask(link).status == 401
    cookie = answer.headers["set-cookie"]
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))
    served.cookie = cookie.partition(";")[0]
    assert served.ask("/static/app.js").status == 200
    assert served.serving.token not in served.cookie


@pytest.mark.parametrize("token", ["", "x", "ü", "\u0000"])
def test_another_token_is_none_and_spends_nothing(story: Story, serve: Serve, token: str):
    served = serve(inside=False)
    quoted = "".join(f"%{byte:02X}" for byte in token.encode())
    assert served.ask(f"/?token={quoted}").status == 401
    assert served.ask(f"/?token={served.serving.token}", "HEAD").status == 401
    served.enter()


@pytest.mark.parametrize("cookie", ["", "create_llm_dashboard_{port}=x", "a=b; ;=;\x7f"])
def test_another_cookie_is_none(inside: Served, cookie: str):
    assert inside.ask("/static/app.js", Cookie=cookie.format(port=inside.port)).status == 401


ODD = [
    'a={"b": [1, 2], "c": "x;y"}',
    'quoted="never closed',
    "a,b@c=[1](2){3}<4>",
    "=; ;;= ;=x",
    "name without a value",
    "ü=ß\u00ff; \u0080=\u00e9",
    "path=/x; Path=/; HttpOnly; expires=Thu, 01 Jan 1970 00:00:00 GMT",
    f"long={'x' * 8192}",
    "; ".join(f"c{n}={'y' * 400}" for n in range(60)),
]


@pytest.mark.parametrize("odd", ODD)
def test_cookies_of_other_programs_lock_nobody_out(inside: Served, odd: str):
    for cookie in (f"{odd}; {inside.cookie}", f"{inside.cookie}; {odd}"):
        assert inside.ask("/static/app.js", Cookie=cookie).status == 200
    name = inside.cookie.partition("=")[0]
    assert inside.ask("/static/app.js", Cookie=f"{name}=x; {inside.cookie}").status == 200
    assert inside.ask("/static/app.js", Cookie=f"{odd}; {name}=x").status == 401
    assert inside.ask("/static/app.js", Cookie=f"{odd}; x{inside.cookie}").status == 401


@pytest.mark.parametrize("path", PATHS)
def test_a_page_of_another_name_gets_nothing(inside: Served, path: str):
    for host in ("evil.com", "evil.com:5000", "127.0.0.1.evil.com", "localhost.evil.com", ""):
        assert inside.ask(path, Host=host).status == 403
    for host in ("localhost", f"LOCALHOST:{inside.port}", "[::1]:5000"):
        assert inside.ask("/static/app.js", Host=host).status == 200


def test_the_link_is_not_spent_by_another_name(story: Story, serve: Serve):
    served = serve(inside=False)
    assert served.ask(f"/?token={served.serving.token}", Host="evil.com").status == 403
    served.enter()


@pytest.mark.parametrize("origin", [None, "", "null", "http://evil.com", "http://127.0.0.1:1"])
def test_only_the_page_itself_changes_anything(story: Story, serve: Serve, origin: str | None):
    served, path = serve(), f"/runs/{RUN}/control"
    with story.live():
        answer = served.ask(path, "POST", {"request": "stop"}, Origin=origin)
        assert answer.status == 403
        assert not (story.folder.path / "control").exists()
        assert served.ask(path, "POST", {"request": "stop"}, Cookie="").status == 401
        assert served.ask(path, "POST", {"request": "stop"}).status == 200
    assert [path.name for path in (story.folder.path / "control").iterdir()] == ["stop"]


@pytest.mark.parametrize("path", [*PATHS, f"/?token={'x' * 43}", f"/runs/{RUN}/control"])
def test_every_answer_is_fenced_in(inside: Served, path: str):
    cookie = "" if path.endswith("/stream") else inside.cookie  # to who is inside it does not end
    headers = inside.ask(path, Origin="http://evil.com", Cookie=cookie).headers
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert "unsafe-eval" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert not [name for name in headers if name.lower().startswith("access-control")]


@pytest.mark.parametrize("name", ["..", "%2e%2e", "..%2f..%2fetc", "%00", "a/../../b", "*"])
def test_a_run_is_a_name_among_those_there_are_and_never_a_path(inside: Served, name: str):
    for path in (f"/runs/{name}", f"/runs/{name}/panels/curves", f"/static/{name}"):
        assert inside.ask(path).status == 404
    assert inside.ask(f"/runs/{RUN}/panels/curves?with={name}").json["runs"][1:] == []


def test_what_is_no_request_is_refused(story: Story, serve: Serve):
    served, path = serve(), f"/runs/{RUN}/control"
    with story.live():
        for body in (None, [], {}, {"request": 1}, {"request": "../stop"}, {"request": []}):
            assert served.ask(path, "POST", body).status == 400
        assert served.ask(path, "POST", {"request": "x" * 5000}).status == 413
        assert served.ask(path, "GET").status == 405
    assert served.ask(path, "POST", {"request": "stop"}).status == 409
    assert not (story.folder.path / "control").exists()


def test_a_visit_from_outside_is_led_in_by_the_page_itself(inside: Served):
    link = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate"}
    answer = inside.ask("/", Cookie="", **link)
    assert answer.status == 200
    assert b'http-equiv="refresh"' in answer.body
    assert RUN.encode() not in answer.body
    assert inside.ask("/", Cookie="").status == 401
    assert inside.ask(f"/runs/{RUN}", Cookie="", **link).status == 401


def test_beyond_this_machine_only_with_tls_or_when_it_is_said():
    with listen("0.0.0.0", 0) as listener:
        assert not is_loopback(listener)
        with pytest.raises(CredentialsError, match="needs TLS"):
            check_reach(listener, None, insecure=False)
        check_reach(listener, None, insecure=True)
    with listen("127.0.0.1", 0) as listener:
        check_reach(listener, None, insecure=False)


def test_what_is_no_certificate_is_an_error(tmp_path: Path):
    (tmp_path / "cert.pem").write_text("nothing of the kind")
    with pytest.raises(ConfigError, match="no certificate and its key"):
        tls_of(tmp_path / "cert.pem", tmp_path / "cert.pem")


def test_over_tls_the_cookie_goes_no_other_way():
    assert "; Secure" in Door("x", secure=True).cookie(5000)
    assert "; Secure" not in Door("x", secure=False).cookie(5000)


def test_hosts_with_colons_stand_in_brackets():
    assert "[fe80::1]" in hosts_of(["fe80::1"])


CHILD = """\
import json, sys
from create_llm_dashboard.callback import Child
from pathlib import Path
child = Child(Path(sys.argv[1]), {"run": sys.argv[1], "port": 0, "open_browser": False})
child._reader.join(30)
arguments = Path(f"/proc/{child._process.pid}/cmdline").read_bytes().decode()
variables = Path(f"/proc/{child._process.pid}/environ").read_bytes().decode()
print(json.dumps([child.answer(), arguments, variables]))
child._process.terminate()
child._process.wait(20)
"""


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="there is no /proc here")
def test_the_token_is_in_no_command_line_and_no_file(story: Story, tmp_path: Path):
    (tmp_path / "llm.toml").write_text("")
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(story.folder.path)],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    answer, arguments, variables = json.loads(done.stdout)
    token = answer["link"].partition("token=")[2]
    assert len(token) >= 43
    assert token not in arguments + variables + done.stderr
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files if token.encode() in path.read_bytes()]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no modes of files")
def test_the_browser_is_given_a_file_of_its_owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from create_llm_dashboard import browser

    opened: list[str] = []
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("webbrowser.get", lambda: None)
    monkeypatch.setattr("webbrowser.open", lambda url: opened.append(url) or True)
    assert browser.open_link("http://127.0.0.1:5000/?token=secret")
    (file,) = tmp_path.iterdir()
    assert opened == [file.as_uri()]
    assert file.stat().st_mode & 0o077 == 0
    assert "token=secret" in file.read_text()
    for screen in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(screen, raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    assert not browser.open_link("http://127.0.0.1:5000/?token=secret")
