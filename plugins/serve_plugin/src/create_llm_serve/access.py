"""Where a server listens, and who may ask it."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
from pathlib import Path

from create_llm.config.dotenv import read_dotenv
from create_llm.errors import ConfigError, CredentialsError
from create_llm.project.folder import find_project

VARIABLE = "CREATE_LLM_API_KEY"
_LONGEST_KEY = 4096
_NEW_KEY = "make one: python3 -c 'import secrets; print(secrets.token_urlsafe(32))' > key.txt"


def api_key(root: Path, file: Path | None) -> str | None:
    """The key that requests must bring: that of the file, of the environment, of .env, or none.

    Raises:
        CredentialsError: the file cannot be read, or what it holds cannot be a key.
    """
    if file is not None:
        return _checked(_read(file), str(file))
    if os.environ.get(VARIABLE):
        return _checked(os.environ[VARIABLE], VARIABLE)
    try:
        path = find_project(root).root / ".env"
    except ConfigError:
        return None  # a bundle can be served from anywhere
    variable = read_dotenv(path).get(VARIABLE)
    if variable is None or not variable.value:
        return None
    return _checked(variable.value, f"{path}:{variable.line}")


def bind(host: str, port: int) -> socket.socket:
    """A socket that listens; what connects before the server runs waits.

    Raises:
        ConfigError: there is no such address here, or the port is not to be had.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, address = found[0]
        return socket.create_server(address, family=family, backlog=2048)
    except (OSError, UnicodeError) as error:
        raise _cannot_listen(host, port, error) from error


def check_reach(listener: socket.socket, key: str | None) -> None:
    """
    Raises:
        CredentialsError: others than this machine can reach it, and no key is asked of them.
    """
    if key is None and not is_loopback(listener):
        raise CredentialsError(
            f"beyond this machine a server needs an API key, and {VARIABLE} is not set",
            where=f"--host {listener.getsockname()[0]}",
            fixes=(
                _NEW_KEY,
                "then: llm serve --api-key-file key.txt …",
                "or stay on this machine: leave --host out",
            ),
        )


def is_loopback(listener: socket.socket) -> bool:
    """Whether only this machine can reach it."""
    return ipaddress.ip_address(_address(listener)).is_loopback


def url_of(listener: socket.socket) -> str:
    """Where it listens, as clients on this machine reach it."""
    address = ipaddress.ip_address(_address(listener))
    port = listener.getsockname()[1]
    return f"http://[{address}]:{port}" if address.version == 6 else f"http://{address}:{port}"


def _address(listener: socket.socket) -> str:
    return str(listener.getsockname()[0]).partition("%")[0]  # without an IPv6 scope


def _read(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            return opened.read(_LONGEST_KEY + 1).decode("utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        told = error.strerror if isinstance(error, OSError) else "it is not text"
        raise CredentialsError(
            f"the API key cannot be read: {told}", where=f"--api-key-file {file}", fixes=(_NEW_KEY,)
        ) from error


def _checked(key: str, where: str) -> str:
    """The key, if a header can carry it. The error does not show it."""
    if 0 < len(key) <= _LONGEST_KEY and key.isascii() and key.isprintable() and " " not in key:
        return key
    raise CredentialsError(
        "the API key must be one line of ASCII without spaces", where=where, fixes=(_NEW_KEY,)
    )


def _cannot_listen(host: str, port: int, error: OSError | UnicodeError) -> ConfigError:
    where = f"--host {host} --port {port}"
    number = error.errno if isinstance(error, OSError) else None
    another = "let a free one be taken: --port 0"
    if number == errno.EADDRINUSE:
        fixes = (f"take another: --port {port % 65535 + 1}", another)
        return ConfigError(f"port {port} is in use", where=where, fixes=fixes)
    if number == errno.EACCES:
        fixes = ("take one from 1024: --port 8000", another)
        return ConfigError(f"port {port} is not for everybody", where=where, fixes=fixes)
    return ConfigError(
        f"'{host}' is no address of this machine",
        where=where,
        fixes=("only for this machine: --host 127.0.0.1", "for all who reach it: --host 0.0.0.0"),
    )
