"""Services that are busy."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from create_llm.errors import NetworkError
from create_llm.retries import Patience, Transient, patiently, retry_after

NOW = datetime(2026, 1, 31, 23, 59, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        (" 0.5 ", 0.5),
        ("-3", 0.0),
        ("Sun, 01 Feb 2026 00:00:00 GMT", 30.0),
        ("Sun, 01 Feb 2026 00:00:00 -0000", 30.0),
        ("Sat, 31 Jan 2026 23:00:00 GMT", 0.0),
        ("soon", None),
        ("inf", 31_536_000.0),
        ("1e300", 31_536_000.0),
        ("nan", 0.0),
        ("Sat, 31 Jan 9999 23:00:00 GMT", 31_536_000.0),
        ("Mon, 01 Jan 99999999999999 00:00:00 GMT", None),
        ("Mon, 01 Jan 2026 00:00:00 +99999999999999", None),
        ("", None),
        (None, None),
    ],
)
def test_both_forms_of_retry_after(header, seconds):
    assert retry_after(header, NOW) == seconds


class Service:
    """Fails as told, then answers."""

    def __init__(self, *faults: Transient) -> None:
        self.faults = list(faults)
        self.pauses: list[float] = []

    def __call__(self) -> str:
        if self.faults:
            raise self.faults.pop(0)
        return "answer"

    def ask(self, patience: Patience | None = None) -> str:
        return patiently("sea", self, patience, sleep=self.pauses.append)


def test_pauses_grow_and_are_never_shorter_than_the_service_asks_for():
    service = Service(*(Transient("busy") for _ in range(4)), Transient("busy", 40.0))
    assert service.ask() == "answer"
    for pause, longest in zip(service.pauses, (1, 2, 4, 8), strict=False):
        assert longest / 2 <= pause <= longest
    assert service.pauses[-1] == 40.0


def test_it_ends_after_so_many_attempts():
    service = Service(*(Transient("busy") for _ in range(9)))
    with pytest.raises(NetworkError, match="8 attempts"):
        service.ask()
    assert len(service.pauses) == 7


def test_a_service_that_asks_for_too_long_ends_it_at_once_and_says_when():
    service = Service(Transient("the day's limit is reached", 3600.0))
    with pytest.raises(NetworkError) as caught:
        service.ask()
    assert service.pauses == []
    assert "in 3600 s" in caught.value.render()


def test_other_errors_are_not_tried_again():
    def ask() -> str:
        raise ValueError("wrong")

    with pytest.raises(ValueError, match="wrong"):
        patiently("sea", ask, sleep=lambda seconds: pytest.fail("it waits"))
