"""One address into one file, across broken connections and interrupted commands."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import click
import requests
from urllib3.exceptions import HTTPError, ReadTimeoutError
from urllib3.util import Retry

from create_llm.data.preparation.prepare import Progress
from create_llm.errors import DataError, NetworkError
from create_llm_web.addresses import Address
from create_llm_web.client import Client, Transient
from create_llm_web.content import check_head, check_type, media_type
from create_llm_web.part import HEAD, Part, PartState, PartWriter

_READ = 1 << 18
_RANGE = re.compile(r"bytes (\d{1,18})-\d{1,18}/(\d{1,18}|\*)")


@dataclass(frozen=True, slots=True)
class Patience:
    """How often and how long to wait before another attempt, in seconds.

    Attributes:
        attempts: in a row that bring nothing new, or less than `least`.
        asked: the longest wait that a server may ask for; beyond it the command ends.
        least: bytes that have to come in each `minute`; an attempt that brings fewer, brings
            nothing.
    """

    attempts: int = 6
    first: float = 1.0
    longest: float = 60.0
    asked: float = 120.0
    least: int = 60 << 10
    minute: float = 60.0

    def pause(self, failures: int) -> float:
        """Exponential and capped, the half of it random: those who failed together do not
        return together."""
        whole = min(self.longest, self.first * 2.0**failures)
        return whole * random.uniform(0.5, 1.0)


@dataclass(frozen=True, slots=True)
class Received:
    """A whole text is in the part file, or the one that is known has not changed.

    Attributes:
        kind: media type, as the server says.
    """

    changed: bool = True
    kind: str = ""
    etag: str | None = None
    last_modified: str | None = None


@dataclass(frozen=True)
class Download:
    """Fetches an address into `part`.

    Args:
        known: headers that make the server answer "not modified" to who has the text already.
    """

    client: Client
    address: Address
    part: Part
    max_bytes: int
    progress: Progress
    known: Mapping[str, str] = field(default_factory=dict)
    patience: Patience = field(default_factory=Patience)

    def run(self) -> Received:
        """Fetch it, as often as it takes; what has come stays where an error or a signal ends it.

        Raises:
            NetworkError: the server is out of reach, or asks to come back much later.
            DataError: what it sends is no text, or too much; nothing of it is kept.
            CredentialsError: it wants a password.
        """
        failures, most = 0, self.part.state().synced
        while True:
            try:
                return self._attempt()
            except DataError:
                self.part.discard()
                raise
            except Transient as problem:
                come = self.part.state().synced
                failures = 0 if come - most >= self.patience.least else failures + 1
                most = max(most, come)
                if failures >= self.patience.attempts:
                    raise self._gives_up(problem) from problem
                self._wait(problem, failures)

    def _attempt(self) -> Received:
        have = self.part.state()
        with self.client.get(self.address.url, self._headers(have)) as response:
            if response.status_code == 304 and self.known:
                return Received(changed=False)
            kind = media_type(response.headers.get("Content-Type"))
            check_type(str(self.address), kind)
            state = self._begin(response, have)
            self._receive(response, state, kind)
            headers = response.headers
            return Received(True, kind, headers.get("ETag"), headers.get("Last-Modified"))

    def _headers(self, have: PartState) -> Mapping[str, str]:
        if have.synced and have.validator:
            return {"Range": f"bytes={have.synced}-", "If-Range": have.validator}
        return self.known

    def _begin(self, response: requests.Response, have: PartState) -> PartState:
        """What the part file holds when the body begins: what is there, or nothing."""
        validator = _validator(response)
        if response.status_code == 200:
            return PartState(validator=validator, total=_length(response))
        match = _RANGE.fullmatch(response.headers.get("Content-Range", "").strip())
        if response.status_code == 206 and match and int(match[1]) == have.synced:
            total = None if match[2] == "*" else int(match[2])
            if not have.synced:
                return PartState(validator=validator, total=total)
            if validator in (None, have.validator) and total in (None, have.total):
                return have
        self.part.discard()
        raise Transient("the server sends another part of the text than it was asked for")

    def _receive(self, response: requests.Response, state: PartState, kind: str) -> None:
        """The body, to the end of the part file.

        Raises:
            Transient: it broke off.
            DataError: it is too long, or no text.
        """
        total = state.total
        if total is not None:
            self._check_size(total, f"the text has {total:,} bytes")
            self.part.storage.ensure_free(self.part.path, total - state.synced, "the download")
        with self.part.continued(state) as writer:
            self._copy(response, writer, total, kind)
        if not writer.size and not total:
            raise self._empty()
        check_head(str(self.address), kind, self.part.head())
        if total is not None and writer.size != total:
            if writer.size > total:
                self.part.discard()
            raise Transient("the connection broke off")

    def _copy(
        self, response: requests.Response, writer: PartWriter, total: int | None, kind: str
    ) -> None:
        stage, looked = f"downloading {self.address}", False
        begun, before = time.monotonic(), writer.size
        self.progress(stage, writer.size, total)
        while data := _next(response):
            writer.write(data)
            self._check_size(writer.size, "the text does not end where it should")
            if not looked and writer.size >= HEAD:
                looked = True
                check_head(str(self.address), kind, writer.head())
            self.progress(stage, writer.size, total)
            if time.monotonic() - begun >= self.patience.minute:
                if writer.size - before < self.patience.least and writer.size != total:
                    raise Transient("the server sends hardly anything")
                begun, before = time.monotonic(), writer.size

    def _check_size(self, size: int, what: str) -> None:
        if size > self.max_bytes:
            raise DataError(
                f"{what}; no more than {self.max_bytes:,} are downloaded",
                where=str(self.address),
                fixes=(
                    f"allow more: --set data.max_bytes={max(size, 10 * self.max_bytes)}",
                    "or use a smaller file",
                ),
            )

    def _empty(self) -> DataError:
        return DataError(
            "the server sends an empty text",
            where=str(self.address),
            fixes=(
                "check the address in a browser",
                "or download the file there and put it into data/raw",
            ),
        )

    def _wait(self, problem: Transient, failures: int) -> None:
        if _is_asked_long(problem, self.patience):
            raise self._gives_up(problem) from problem
        seconds = max(self.patience.pause(failures), problem.seconds or 0.0)
        click.echo(f"{self.address}: {problem}; again in {seconds:.0f} s", err=True)
        time.sleep(seconds)

    def _gives_up(self, problem: Transient) -> NetworkError:
        asked = ""
        if problem.seconds is not None and _is_asked_long(problem, self.patience):
            asked = f" and asks to come back in {_in_words(problem.seconds)}"
        come = self.part.state().synced
        kept = f"; it goes on after the {come:,} bytes that are here" if come else ""
        return NetworkError(
            f"the text could not be downloaded: {problem}{asked}",
            where=str(self.address),
            fixes=(
                f"run the same command again later{kept}",
                "check the network, and HTTPS_PROXY where a proxy is needed",
                "or download the file with a browser and put it into data/raw",
            ),
        )


def _is_asked_long(problem: Transient, patience: Patience) -> bool:
    return problem.seconds is not None and problem.seconds > patience.asked


def _in_words(seconds: float) -> str:
    most = Retry.DEFAULT_RETRY_AFTER_MAX  # what is longer, urllib3 makes as long as this
    if seconds >= most:
        return f"{most // 3600} hours or more"
    return f"{seconds / 60:.0f} minutes"


def _next(response: requests.Response) -> bytes:
    """What has come of the body, as the server sent it; empty at its end."""
    try:
        # Not iter_content, which unpacks what it was not asked to and waits for full blocks.
        return response.raw.read1(_READ, decode_content=False) or b""
    except ReadTimeoutError as error:
        raise Transient("the server says nothing more") from error
    except (HTTPError, OSError) as error:
        raise Transient("the connection broke off") from error


def _length(response: requests.Response) -> int | None:
    text = response.headers.get("Content-Length", "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def _validator(response: requests.Response) -> str | None:
    """What names this version of the text to the byte; a weak ETag does not."""
    etag = response.headers.get("ETag")
    if etag and not etag.startswith("W/"):
        return etag
    return response.headers.get("Last-Modified")
