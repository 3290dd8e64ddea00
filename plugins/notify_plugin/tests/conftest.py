"""No test reaches a real desktop; a private D-Bus session for those that want one."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from plugins.notify_plugin.tests.service import Service, serving

# Without service files: a service that is absent must not be started.
BUS = """\
<busconfig>
  <type>session</type>
  <listen>unix:path={path}</listen>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
"""
DESKTOP = ("CI", "SSH_CONNECTION", "SSH_TTY", "DBUS_SESSION_BUS_ADDRESS", "DISPLAY")
TERMINAL = ("NO_COLOR", "TMUX", "STY", "TERM_PROGRAM", "WT_SESSION", "ConEmuANSI", "VTE_VERSION")


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """No desktop, and a terminal that is nothing special."""
    for name in (*DESKTOP, *TERMINAL, "TERM_FEATURES", "PTYXIS_VERSION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


@contextmanager
def bus_at(path: Path) -> Iterator[str]:
    """A bus that listens at `path`; its address."""
    program = shutil.which("dbus-daemon")
    if program is None:
        pytest.skip("there is no dbus-daemon here")
    config = path.with_suffix(".conf")
    config.write_text(BUS.format(path=path))
    command = [program, f"--config-file={config}", "--nofork", "--print-address"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as daemon:
        assert daemon.stdout is not None
        try:
            yield daemon.stdout.readline().strip()
        finally:
            daemon.terminate()


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A socket's path has at most 108 characters: pytest's folders may be deeper."""
    with tempfile.TemporaryDirectory(prefix="notify-") as folder:
        yield Path(folder) / "bus"


@pytest.fixture(scope="session")
def bus_address() -> Iterator[str]:
    with (
        tempfile.TemporaryDirectory(prefix="notify-") as folder,
        bus_at(Path(folder) / "bus") as address,
    ):
        yield address


@pytest.fixture
def bus(bus_address: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of a D-Bus session without a notification service."""
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", bus_address)
    return bus_address


@pytest.fixture
def service(bus: str) -> Iterator[Service]:
    """A desktop that shows notifications."""
    with serving(bus) as service:
        yield service
