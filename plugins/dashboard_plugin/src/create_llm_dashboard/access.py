"""Who may see the page: this machine, with a link that works once."""

from __future__ import annotations

import hmac
import secrets
import threading
from collections.abc import Iterable, Iterator, Mapping

from starlette.datastructures import Headers, MutableHeaders, QueryParams
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from create_llm_dashboard.connections import LET_IN
from create_llm_dashboard.pages import page

TOKEN_BYTES = 32
_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
_CHANGES = ("POST", "PUT", "PATCH", "DELETE")

# The charts set the style of elements, for which there is no other word than 'unsafe-inline'; no
# script may come from anywhere but this server, and none may be made of a text.
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
_HEADERS: Mapping[str, str] = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
# Of those who are refused, one request is answered: whatever they sent after it is not looked at.
_LAST: Mapping[str, str] = {"cache-control": "no-store", "connection": "close"}


class Door:
    """The token that lets a browser in once, and the sessions of those that are in."""

    def __init__(self, token: str, *, secure: bool) -> None:
        """
        Args:
            secure: whether it is reached by TLS.
        """
        self._token: str | None = token
        self._session = secrets.token_urlsafe(TOKEN_BYTES)
        self._secure = secure
        self._lock = threading.Lock()

    def admit(self, token: str) -> bool:
        """Whether that is the token, which then is none any more."""
        with self._lock:
            right = self._token is not None and _same(token, self._token)
            if right:
                self._token = None
            return right

    def knows(self, headers: Headers, port: int) -> bool:
        """Whether a request comes from a browser that was let in."""
        given = _cookies(headers, _cookie(port))
        return any(_same(value, self._session) for value in given)

    def cookie(self, port: int) -> str:
        """For Set-Cookie. The name has the port: cookies do not tell ports apart."""
        secure = "; Secure" if self._secure else ""
        return f"{_cookie(port)}={self._session}; Path=/; HttpOnly; SameSite=Strict{secure}"


class Guard:
    """What every request must pass: Host, then the token or the cookie, then Origin.

    Args:
        hosts: names that the Host header may have.
        port: that this server listens at.
    """

    def __init__(self, app: ASGIApp, *, door: Door, hosts: Iterable[str], port: int) -> None:
        self._app, self._door, self._port = app, door, port
        self._hosts = frozenset(host.lower() for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":  # there are no sockets here
            return
        answer = self._answer(scope, Headers(scope=scope))
        if answer is None:
            scope["state"][LET_IN]()
        await (answer or self._app)(scope, receive, _with_headers(send))

    def _answer(self, scope: Scope, headers: Headers) -> Response | None:
        """What to say instead, or None for a request that may pass."""
        # A page of the web whose name leads to this address (DNS rebinding) says its own name.
        if _host(headers.get("host", "")) not in self._hosts:
            return _refused(403, "This is another server than the one that was asked for.")
        token = QueryParams(scope["query_string"]).get("token")
        if scope["method"] == "GET" and scope["path"] == "/" and token is not None:
            if self._door.admit(token):
                cookie = {"set-cookie": self._door.cookie(self._port)}
                return RedirectResponse("/", 303, {**cookie, "cache-control": "no-store"})
            if not self._door.knows(headers, self._port):
                return _refused(401, "This link has been used already, or was never one.")
            return RedirectResponse("/", 303)
        if not self._door.knows(headers, self._port):
            return self._stranger(scope, headers)
        if scope["method"] in _CHANGES and not self._is_own(headers):
            return _refused(403, "Only this page itself may change anything.")
        return None

    def _stranger(self, scope: Scope, headers: Headers) -> Response:
        # A browser that was sent here from a link outside keeps a strict cookie back until this
        # page itself asks.
        outside = headers.get("sec-fetch-site") == "cross-site"
        if outside and scope["path"] == "/" and headers.get("sec-fetch-mode") == "navigate":
            return HTMLResponse(page("again.html"), headers=_LAST)
        return _refused(401, "Open the link that the terminal shows.")

    def _is_own(self, headers: Headers) -> bool:
        """Whether a change comes from this very origin. A browser always says where from."""
        origin, host = headers.get("origin", ""), headers.get("host", "").lower()
        return origin.lower() in (f"http://{host}", f"https://{host}")


def new_token() -> str:
    return secrets.token_urlsafe(TOKEN_BYTES)


def hosts_of(names: Iterable[str]) -> tuple[str, ...]:
    """What the Host header may say: this machine's names for itself, and those it is opened by."""
    return (*_LOOPBACK, *(f"[{name}]" if ":" in name else name for name in names))


def _refused(status: int, why: str) -> Response:
    return HTMLResponse(page("refused.html", why=why), status, _LAST)


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers[name] = value
        await send(message)

    return sending


def _same(given: str, right: str) -> bool:
    """Takes as long for what is nearly right."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), right.encode())


def _cookies(headers: Headers, name: str) -> Iterator[str]:
    """Those of a name. By hand, since a parser of cookies gives up at the first that is none, and
    other programs of this machine, whose cookies come along, set what they like."""
    for header in headers.getlist("cookie"):
        for pair in header.split(";"):
            found, _, value = pair.strip().partition("=")
            if found == name:
                yield value


def _cookie(port: int) -> str:
    return f"create_llm_dashboard_{port}"


def _host(header: str) -> str:
    """Without its port."""
    host = header.lower()
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdecimal() else host
