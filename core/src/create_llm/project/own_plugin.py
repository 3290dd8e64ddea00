"""A project that is a plugin as well: it brings a part of its own."""

from __future__ import annotations

import contextlib
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from create_llm.authoring.names import PluginName, check_is_new
from create_llm.authoring.package import package_files
from create_llm.kernel.entry_points import GROUP, InstalledPlugin
from create_llm.kernel.plugins import Plugins

_COMMAND = "llm new {name} --template {template}"
_VERSION = "0.1.0"


@dataclass(frozen=True, slots=True)
class OwnPlugin:
    """The package of a new project, of which the project's own files are not yet part."""

    name: PluginName
    files: Mapping[str, str]

    @classmethod
    def of(cls, kind: str, project: str, template: str, plugins: Plugins) -> OwnPlugin:
        """
        Raises:
            ConfigError: the project's name cannot be a plugin's, or is taken.
        """
        command = _COMMAND.replace("{template}", template)
        name = PluginName.parse(project, command)
        check_is_new(kind, name, plugins, command)
        return cls(name, package_files(kind, name))

    @contextlib.contextmanager
    def as_if_installed(self, plugins: Plugins) -> Iterator[Plugins]:
        """The installed plugins and this one, which can be imported as long as this lasts; what
        was imported stays so."""
        with tempfile.TemporaryDirectory(prefix="create-llm-") as folder:
            for path, text in self.files.items():
                file = Path(folder, path)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text, encoding="utf-8")
            source = str(Path(folder, "src"))
            self._forget_imports()
            sys.path.insert(0, source)
            try:
                yield plugins.joined_by(self._installed)
            finally:
                sys.path.remove(source)

    def _forget_imports(self) -> None:
        """Of an earlier time, when the package stood in another folder."""
        for module in [m for m in sys.modules if f"{m}.".startswith(f"{self.name.module}.")]:
            del sys.modules[module]

    @property
    def _installed(self) -> InstalledPlugin:
        name = self.name
        return InstalledPlugin(name.plugin, f"{name.module}.plugin", name.distribution, _VERSION)


def plugins_of_project(root: Path) -> frozenset[str]:
    """Names of the plugins that a project's pyproject.toml says it brings; none where it has no
    such file, or one that only its packaging tool can complain about."""
    try:
        package = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
        return frozenset(package["project"]["entry-points"][GROUP])
    except (OSError, ValueError, KeyError, TypeError):
        return frozenset()
