from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from create_llm.config import Config, load_config
from create_llm.config.hardware import Hardware
from create_llm.kernel.entry_points import InstalledPlugin
from create_llm.kernel.plugins import PluginRecord, Plugins
from create_llm.kernel.registry import Part, Registry

MODULE = "create_llm_config_test_parts"
GB = 10**9

# kind, name, target, config, plugin
PARTS = [
    ("architectures", "net", "NetConfig", "NetConfig", "nets"),
    ("architectures", "other", "OtherNetConfig", "OtherNetConfig", "nets"),
    ("architectures", "broken", "Missing", "Missing", "nets"),
    ("tokenizers", "pieces", "PiecesConfig", "PiecesConfig", "words"),
    ("tokenizers", "letters", "LettersConfig", "LettersConfig", "words"),
    ("data_sources", "files", "FilesConfig", "FilesConfig", "files"),
    ("data_sources", "stories", "StoriesConfig", "StoriesConfig", "files"),
    ("objectives", "next", "NetConfig", None, "goals"),
    ("callbacks", "console", "BoardConfig", None, "watch"),
    ("callbacks", "board", "BoardConfig", "BoardConfig", "board"),
    ("deploy_targets", "hub", "HubConfig", "HubConfig", "hub"),
    ("templates", "small", "SMALL", None, "templates"),
    ("templates", "large", "LARGE", None, "templates"),
    ("templates", "wrong", "WRONG", None, "templates"),
    ("presets", "quick", "QUICK", None, "recipes"),
    ("presets", "wide", "WIDE", None, "recipes"),
    ("presets", "odd", "ODD", None, "recipes"),
    ("presets", "owner", "OWNER", None, "recipes"),
    ("presets", "same", "SAME", None, "recipes"),
    ("presets", "wrong", "WRONG", None, "recipes"),
]


@pytest.fixture(scope="session", autouse=True)
def parts_module() -> Iterator[None]:
    """Make parts.py importable by the name that the registry's targets give."""
    spec = importlib.util.spec_from_file_location(MODULE, Path(__file__).with_name("parts.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[MODULE] = module
    spec.loader.exec_module(module)
    yield
    del sys.modules[MODULE]


def build_plugins(leave_out: tuple[str, ...] = ()) -> Plugins:
    registry = Registry()
    by_plugin: dict[str, list[Part]] = {}
    for kind, name, target, config, plugin in PARTS:
        if plugin in leave_out:
            continue
        model = f"{MODULE}:{config}" if config else None
        part = Part(kind, name, f"{MODULE}:{target}", f"{name}.", model, (), plugin, f"x-{plugin}")
        registry.add(part)
        by_plugin.setdefault(plugin, []).append(part)
    records = [
        PluginRecord(InstalledPlugin(name, MODULE, f"x-{name}", "1"), "loaded", None, tuple(parts))
        for name, parts in by_plugin.items()
    ]
    failed = InstalledPlugin("crashed", MODULE, "x-crashed", "1")
    records.append(PluginRecord(failed, "failed", "ImportError: no", ()))
    plugins = Plugins(tuple(records), registry)
    registry.explain_missing = plugins.explain_missing
    return plugins


@pytest.fixture(scope="session")
def plugins() -> Plugins:
    return build_plugins()


@pytest.fixture(scope="session")
def bare() -> Plugins:
    """The plugins without any template."""
    return build_plugins(leave_out=("templates",))


@pytest.fixture(scope="session")
def hardware() -> Hardware:
    return Hardware(cores=2, ram_bytes=16 * GB, available_ram_bytes=8 * GB)


Load = Callable[..., Config]


@pytest.fixture
def load(tmp_path: Path, plugins: Plugins, hardware: Hardware) -> Load:
    """`load(toml, dotenv=…, environ=…, …)`: the configuration of a project with this llm.toml."""

    def loaded(toml: str | bytes = "", *, dotenv: str | None = None, **arguments) -> Config:
        content = toml if isinstance(toml, bytes) else toml.encode()
        (tmp_path / "llm.toml").write_bytes(content)
        if dotenv is not None:
            (tmp_path / ".env").write_text(dotenv, "utf-8")
        options = {"plugins": plugins, "environ": {}, "hardware": hardware, **arguments}
        return load_config(tmp_path, **options)

    return loaded
