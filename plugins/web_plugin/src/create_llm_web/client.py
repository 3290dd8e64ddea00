"""One request for text: redirects, time limits, and what each answer of a server means."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3 import HTTPResponse
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError, InvalidHeader
from urllib3.util import Retry

from create_llm import __version__
from create_llm.errors import CreateLLMError, CredentialsError, DataError, NetworkError
from create_llm_web.addresses import bare, redirected, same_place

MAX_REDIRECTS = 5
_AGAIN = frozenset((408, 425, 429, 500, 502, 503, 504))
_REDIRECTS = frozenset((301, 302, 303, 307, 308))


class Transient(Exception):
    """What may pass by itself.

    Attributes:
        seconds: how long the server asks to wait, if it does.
    """

    def __init__(self, reason: str, seconds: float | None = None) -> None:
        super().__init__(reason)
        self.seconds = seconds


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds until a connection stands, until the next bytes come, and for all headers of an
    answer."""

    connect: float = 15.0
    read: float = 60.0
    headers: float = 120.0


class Client:
    """Asks for text, without cookies; proxies and ~/.netrc are those that the machine has set."""

    def __init__(self, timeouts: Timeouts = Timeouts()) -> None:
        self._session = _Session(timeouts.headers)
        self._timeouts = timeouts

    @contextlib.contextmanager
    def get(self, url: str, headers: Mapping[str, str]) -> Iterator[requests.Response]:
        """The answer at the end of the redirects: 200, 206, 304 or 416; its body is not read yet.

        Raises:
            Transient: another attempt may succeed.
            NetworkError, DataError, CredentialsError: none will.
        """
        response = self._follow(url, headers)
        try:
            _check_status(url, response)
            yield response
        finally:
            response.close()

    def _follow(self, url: str, headers: Mapping[str, str]) -> requests.Response:
        here = url
        for _ in range(MAX_REDIRECTS + 1):
            # The password for one server is nobody else's business, a netrc's default included.
            auth = None if same_place(url, here) else _NoPassword()
            response = self._ask(here, headers, auth)
            location = response.headers.get("Location")
            if response.status_code not in _REDIRECTS or location is None:
                return response
            response.close()
            here = redirected(here, location)
        raise NetworkError(
            f"more than {MAX_REDIRECTS} redirects, the last one to {bare(here)}",
            where=bare(url),
            fixes=("open the address in a browser and use the one that it ends at",),
        )

    def _ask(
        self, url: str, headers: Mapping[str, str], auth: AuthBase | None
    ) -> requests.Response:
        timeout = (self._timeouts.connect, self._timeouts.read)
        try:
            return self._session.get(
                url, headers=dict(headers), auth=auth, timeout=timeout, stream=True
            )
        except requests.exceptions.SSLError as error:
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                raise _not_safe(url) from None
            raise Transient("the protected connection broke off") from None
        # Never "from error": what requests says holds the whole address, signatures included.
        except (requests.ConnectionError, requests.Timeout) as error:
            raise Transient(_in_words(error)) from None
        except (requests.RequestException, HTTPError, UnicodeError) as error:
            raise NetworkError(
                f"the address cannot be asked for: {type(error).__name__}",
                where=bare(url),
                fixes=("check the address in a browser",),
            ) from None


class _Session(requests.Session):
    def __init__(self, headers: float) -> None:
        super().__init__()
        for scheme in ("http://", "https://"):
            self.mount(scheme, _Adapter(headers))
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        # Compressed on the way, a part of a file could not be asked for.
        self.headers.update(
            {"User-Agent": f"create-llm/{__version__}", "Accept-Encoding": "identity"}
        )

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """None: requests would read the whole body of a redirect, which need not end."""
        return None


class _Adapter(HTTPAdapter):
    """Makes connections that limit the seconds for all headers of an answer."""

    def __init__(self, headers: float) -> None:
        super().__init__()
        limit = {"headers": headers}
        self._plain = type("_Plain", (_Connection,), limit)
        self._secure = type("_Secure", (_Connection, HTTPSConnection), limit)

    def get_connection_with_tls_context(
        self,
        request: requests.PreparedRequest,
        verify: bool | str,
        proxies: dict[str, str] | None = None,
        cert: tuple[str, str] | str | None = None,
    ) -> HTTPConnectionPool:
        pool = super().get_connection_with_tls_context(request, verify, proxies, cert)
        secure = isinstance(pool, HTTPSConnectionPool)
        pool.ConnectionCls = self._secure if secure else self._plain
        return pool


class _Connection(HTTPConnection):
    headers: float

    def getresponse(self) -> HTTPResponse:  # type: ignore[override]  # as urllib3 has it
        """The time limit of a socket begins anew with each byte, so another thread ends this."""
        ended = threading.Event()

        def end(connection: socket.socket) -> None:
            ended.set()
            with contextlib.suppress(OSError):  # it is closed already
                connection.shutdown(socket.SHUT_RDWR)

        timer = threading.Timer(self.headers, end, (self.sock,))
        timer.daemon = True
        timer.start()
        try:
            return super().getresponse()
        finally:
            timer.cancel()
            if ended.is_set():  # to http.client, headers that break off are complete
                raise TimeoutError("the headers of the answer take too long")


class _NoPassword(AuthBase):
    def __call__(self, r: requests.PreparedRequest) -> requests.PreparedRequest:
        return r


def _check_status(url: str, response: requests.Response) -> None:
    status = response.status_code
    if status in (200, 206, 304, 416):
        return
    if status in _AGAIN:
        raise Transient(f"the server answers {_status(response)}", _retry_after(response))
    raise _refusal(url, response)


def _refusal(url: str, response: requests.Response) -> CreateLLMError:
    status, said = response.status_code, _status(response)
    if status in (404, 410):
        return DataError(
            f"there is nothing at this address: the server answers {said}",
            where=bare(url),
            fixes=("check the address in a browser", "text of your own: put it into data/raw"),
        )
    if status in (401, 403, 407):
        return CredentialsError(
            f"the server does not give the text to everybody: it answers {said}",
            where=bare(url),
            fixes=(
                "if you have an account there, put it into ~/.netrc: "
                "machine HOST login NAME password PASSWORD",
                "or download the file with a browser and put it into data/raw",
            ),
        )
    return NetworkError(
        f"the server does not give the text: it answers {said}",
        where=bare(url),
        fixes=(
            "check the address in a browser",
            "or download the file there and put it into data/raw",
        ),
    )


def _status(response: requests.Response) -> str:
    return f"{response.status_code} {(response.reason or '')[:60]}".rstrip()


def _retry_after(response: requests.Response) -> float | None:
    """Seconds of a Retry-After header, which says a number or a date; None without a usable one."""
    try:
        return Retry().parse_retry_after(response.headers.get("Retry-After", ""))
    except (InvalidHeader, ValueError, OverflowError):
        return None


def _in_words(error: requests.RequestException) -> str:
    if isinstance(error, requests.exceptions.ProxyError):
        return "the proxy does not answer"
    if isinstance(error, requests.ConnectTimeout):
        return "the server does not answer"
    if isinstance(error, requests.Timeout):
        return "the server says nothing more"
    name_unknown = "NameResolutionError" in str(error)
    return "the server's name is not known" if name_unknown else "the connection failed"


def _not_safe(url: str) -> NetworkError:
    return NetworkError(
        "the server cannot prove who it is (its certificate was refused)",
        where=bare(url),
        fixes=(
            "check the date and time of this machine",
            "behind a company's proxy: name its certificates in REQUESTS_CA_BUNDLE",
        ),
    )
