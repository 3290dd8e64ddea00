"""Finding the installed plugins, with a cache that notices installs."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from create_llm.kernel import entry_points
from create_llm.kernel.entry_points import InstalledPlugin, installed_plugins


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder / "create-llm"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on sys.path, last changed an hour ago."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.setattr(sys, "path", [str(folder)])
    install(folder, "lion")
    return folder


def install(site: Path, name: str, version: str = "1.0", *, metadata: bool = True) -> None:
    info = site / f"{name}_dist-{version}.dist-info"
    info.mkdir()
    if metadata:
        (info / "METADATA").write_text(f"Name: {name}-dist\nVersion: {version}\n")
    points = f"[{entry_points.GROUP}]\n{name} = {name}.plugin\n"
    (info / "entry_points.txt").write_text(points)
    age(site, 3600)


def age(folder: Path, seconds: float) -> None:
    moment = folder.stat().st_mtime_ns - int(seconds * 1e9)
    os.utime(folder, ns=(moment, moment))


def names() -> list[str]:
    return [plugin.name for plugin in installed_plugins()]


@pytest.fixture
def scans(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """Grows by one with each scan of the environment."""
    counted: list[None] = []
    scan = entry_points._scan

    def counting():
        counted.append(None)
        return scan()

    monkeypatch.setattr(entry_points, "_scan", counting)
    return counted


def test_an_entry_point_is_found_with_its_distribution(site: Path):
    assert installed_plugins() == [InstalledPlugin("lion", "lion.plugin", "lion-dist", "1.0")]


def test_the_second_reading_is_from_the_cache(site: Path, scans: list[None]):
    first = installed_plugins()
    assert installed_plugins() == first
    assert len(scans) == 1


def test_a_new_install_is_noticed(site: Path):
    assert names() == ["lion"]
    install(site, "bear")
    age(site, 60)
    assert names() == ["bear", "lion"]


def test_a_removal_is_noticed(site: Path):
    install(site, "bear")
    assert names() == ["bear", "lion"]
    for file in (site / "bear_dist-1.0.dist-info").iterdir():
        file.unlink()
    (site / "bear_dist-1.0.dist-info").rmdir()
    assert names() == ["lion"]


def test_a_folder_that_changed_just_now_is_not_cached(site: Path, scans: list[None]):
    # Another change within the same tick of the clock would not show in its time.
    os.utime(site)
    installed_plugins()
    installed_plugins()
    assert len(scans) == 2


def test_another_path_has_another_cache(site: Path, tmp_path: Path, monkeypatch):
    assert names() == ["lion"]
    other = tmp_path / "other"
    other.mkdir()
    install(other, "bear")
    monkeypatch.setattr(sys, "path", [str(site), str(other)])
    assert names() == ["bear", "lion"]


def test_caches_do_not_pile_up(site: Path, cache: Path):
    for version in ("1", "2", "3"):
        install(site, "bear", version)
        installed_plugins()
    assert len(list(cache.iterdir())) == 1


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "null",
        "[]",
        '{"folders": {}}',
        '{"folders": FOLDERS, "plugins": [{"name": "x"}]}',
        '{"folders": FOLDERS, "plugins": [1]}',
        '{"folders": FOLDERS, "plugins": null}',
        '{"folders": FOLDERS, "plugins": [{"name": 1, "module": "m", "distribution": "d", '
        '"version": "1"}]}',
        "\x00\x01",
    ],
)
def test_a_damaged_cache_is_ignored(site: Path, cache: Path, content: str):
    installed_plugins()
    (file,) = cache.iterdir()
    folders = json.dumps(json.loads(file.read_text())["folders"])
    file.write_text(content.replace("FOLDERS", folders))
    assert names() == ["lion"]


def test_a_cache_that_is_not_text_is_ignored(site: Path, cache: Path):
    installed_plugins()
    (file,) = cache.iterdir()
    file.write_bytes(b"\xff\xfe\xff")
    assert names() == ["lion"]


def test_a_cache_folder_that_cannot_be_written_costs_only_time(site: Path, tmp_path, monkeypatch):
    blocker = tmp_path / "file"
    blocker.write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocker))
    assert names() == ["lion"]
    assert names() == ["lion"]


def test_a_distribution_without_metadata_is_found(site: Path):
    install(site, "odd", metadata=False)
    (odd,) = [plugin for plugin in installed_plugins() if plugin.name == "odd"]
    assert (odd.distribution, odd.version) == ("unknown", "unknown")


def test_of_two_versions_on_the_path_the_first_counts(site: Path, tmp_path, monkeypatch):
    overlay = tmp_path / "overlay"
    overlay.mkdir()
    install(overlay, "lion", "2.0")
    monkeypatch.setattr(sys, "path", [str(overlay), str(site)])
    assert [plugin.version for plugin in installed_plugins()] == ["2.0"]
