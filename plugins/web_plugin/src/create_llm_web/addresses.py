"""Web addresses: which ones may be asked for, how they are shown, where they may lead."""

from __future__ import annotations

import hashlib
import ipaddress
import re
import socket
from dataclasses import dataclass
from urllib.parse import SplitResult, urldefrag, urljoin, urlsplit, urlunsplit

from create_llm.errors import NetworkError

_SECRET = re.compile(r"token|key|secret|passw|signature|sig\b|credential|auth", re.IGNORECASE)
_CHECKSUM = re.compile(r"sha256=([0-9a-f]{64})")
_BLANK_OR_CONTROL = re.compile(r"[\s\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Address:
    """An http or https address.

    Attributes:
        url: without a fragment, which is never sent.
        sha256: of the content (hex), where the address ends in '#sha256=…'.
    """

    url: str
    sha256: str | None

    @classmethod
    def parse(cls, text: str) -> Address:
        """An address as a person writes it.

        Raises:
            ValueError: it cannot be used; says why, and never repeats what may be a password.
        """
        parts = _split(text)
        if parts.scheme not in ("http", "https"):
            raise ValueError(
                "an address must begin with http:// or https://; "
                "files and folders are read by the source 'text'"
            )
        if "@" in parts.netloc:
            raise ValueError(
                "an address with a name and a password in it would carry them into files; put "
                "them into ~/.netrc instead: machine HOST login NAME password PASSWORD"
            )
        if not parts.hostname or _BLANK_OR_CONTROL.search(text):
            raise ValueError("an address needs a host, and no blanks (write %20)")
        return cls(urldefrag(text).url, _checksum(parts.fragment))

    @property
    def key(self) -> str:
        """What the files of this address are called in the cache."""
        return hashlib.sha256(self.url.encode()).hexdigest()[:16]

    def __str__(self) -> str:
        """As messages and origins show it: the values of what look like secrets are left out."""
        parts = urlsplit(self.url)
        query = "&".join(_without_secret(item) for item in parts.query.split("&"))
        return urlunsplit(parts._replace(query=query))


def redirected(current: str, location: str) -> str:
    """Where a redirect leads.

    Text that a server chose to point at must not come from places that only this machine can
    reach, and never by a way that is less safe than the one that was asked for.

    Raises:
        NetworkError: it leads to where nobody should be sent.
    """
    try:
        target = urldefrag(urljoin(current, location)).url
        now, then = urlsplit(current), _split(target)
    except ValueError as error:
        raise _refused(current, "an address that cannot be read") from error
    if then.scheme not in ("http", "https") or not then.hostname:
        raise _refused(current, f"something that is no web address ('{then.scheme}:')")
    if now.scheme == "https" and then.scheme == "http":
        raise _refused(current, f"{bare(target)}, without the protection of https")
    if "@" in then.netloc:
        raise _refused(current, f"an address with a password in it, at {then.hostname}")
    if then.hostname != now.hostname and is_private(then.hostname) and not is_private(now.hostname):
        raise _refused(current, f"{then.hostname}, which is in this machine's own network")
    return target


def is_private(host: str | None) -> bool:
    """Whether a host is this machine or in its own network, in the eyes of its resolver.

    The answer is not pinned to the connection that follows: a resolver that changes its mind
    in between could mislead it, which takes an attacker inside the person's own name service.
    """
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):  # the connection will say so, or a proxy knows it
        return False
    return any(_is_private_ip(str(entry[4][0])) for entry in found)


def same_place(first: str, second: str) -> bool:
    """Whether two addresses are on one server: scheme, host and port."""
    return urlsplit(first)[:2] == urlsplit(second)[:2]


def bare(url: str) -> str:
    """Without the query: those that servers redirect to are often full of signatures."""
    return urlunsplit(urlsplit(url)._replace(query="", fragment=""))


def _split(text: str) -> SplitResult:
    """The parts; ValueError for a port or a bracket that is none."""
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError as error:
        raise ValueError("the host or the port of the address cannot be read") from error
    return parts


def _checksum(fragment: str) -> str | None:
    match = _CHECKSUM.fullmatch(fragment.lower())
    if fragment.lower().startswith("sha256") and not match:
        raise ValueError("'#sha256=' is followed by 64 hexadecimal digits")
    return match[1] if match else None


def _without_secret(item: str) -> str:
    name, equals, _ = item.partition("=")
    return f"{name}=…" if equals and _SECRET.search(name) else item


def _is_private_ip(text: str) -> bool:
    address = ipaddress.ip_address(text)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return not (mapped or address).is_global


def _refused(current: str, what: str) -> NetworkError:
    return NetworkError(
        f"{urlsplit(current).hostname} redirects to {what}; that is not followed",
        where=bare(current),
        fixes=(
            "if you know where it leads and trust it, write that address itself",
            "or download the file with a browser and put it into data/raw",
        ),
    )
