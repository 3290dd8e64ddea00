"""What has to be installed where a model runs: pinned, or as wheels where no index has it."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from create_llm.errors import PluginError
from create_llm.kernel.catalogue import install_command
from create_llm.kernel.plugins import CORE
from create_llm.kernel.registry import Registry
from create_llm.models.bundle import ModelBundle

_TORCH = "torch"
_CPU_INDEX = "https://download.pytorch.org/whl/cpu"
_WHEEL = "Wheel-Version: 1.0\nGenerator: create-llm\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def needed_by(bundle: ModelBundle, registry: Registry) -> Mapping[str, Distribution]:
    """All that it takes to run a model, by name; torch brings its own along.

    Raises:
        PluginError: something of it is not installed.
    """
    found: dict[str, Distribution] = {}
    waiting = [CORE.distribution, *_packages(bundle, registry)]
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name not in found:
            found[name] = _installed(name)
            # What torch needs differs between machines with and without a GPU; it pins that itself.
            waiting += [] if name == _TORCH else _requirements(found[name])
    return dict(sorted(found.items()))


def requirements_txt(needed: Mapping[str, Distribution], *, gpu: bool) -> str:
    """The exact versions, of what an index has."""
    lines = [] if gpu else [f"--extra-index-url {_CPU_INDEX}"]
    for name, found in needed.items():
        version = Version(found.version).public
        if name == _TORCH and not gpu:
            lines.append(f"{name}=={version}+cpu")
        elif not _is_local(found):
            lines.append(f"{name}=={version}")
    return "\n".join(lines) + "\n"


def wheels(needed: Mapping[str, Distribution]) -> dict[str, bytes]:
    """File name → wheel, of what was installed from a folder and is on no index."""
    return dict(_wheel(n) for n, found in needed.items() if n != _TORCH and _is_local(found))


def _packages(bundle: ModelBundle, registry: Registry) -> Iterator[str]:
    info = bundle.info
    named = [(kind + "s", info[kind]) for kind in ("architecture", "tokenizer") if kind in info]
    if "objective" in info:
        named.append(("objectives", info["objective"]["name"]))
    elif "architecture" in info:  # written before there was a choice
        architecture = bundle.part("architectures", info["architecture"], registry).load()
        named.append(("objectives", architecture.default_objective))
    for kind, name in named:
        part = bundle.part(kind, name, registry)
        yield part.distribution
        for requirement in part.requires:
            other, _, wanted = requirement.partition("/")
            yield registry.get(other, wanted, where=f"{kind}/{name}").distribution


def _installed(name: str) -> Distribution:
    try:
        return distribution(name)
    except PackageNotFoundError:
        raise PluginError(
            f"the model needs the package {name}, which is not installed",
            fixes=(install_command(name), "see what is installed: llm plugins list"),
        ) from None


def _requirements(found: Distribution) -> list[str]:
    wanted = [Requirement(text) for text in found.requires or ()]
    return [each.name for each in wanted if not each.marker or each.marker.evaluate({"extra": ""})]


def _is_local(found: Distribution) -> bool:
    """Whether it was installed from a folder, a file or a repository (PEP 610)."""
    return found.read_text("direct_url.json") is not None


@cache
def _wheel(distribution_name: str) -> tuple[str, bytes]:
    """A pure Python distribution as a wheel; the same bytes each time."""
    found = distribution(distribution_name)
    stem = f"{canonicalize_name(found.name).replace('-', '_')}-{found.version}"
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        for module in sorted(_modules(found)):
            for path, name in _sources(module):
                _add(archive, name, path.read_bytes())
        for name in ("METADATA", "entry_points.txt"):
            text = found.read_text(name) or ""
            _add(archive, f"{stem}.dist-info/{name}", text.encode())
        _add(archive, f"{stem}.dist-info/WHEEL", _WHEEL.encode())
    return f"{stem}-py3-none-any.whl", written.getvalue()


def _modules(found: Distribution) -> set[str]:
    """Its top-level modules, as far as its entry points tell."""
    return {entry.module.partition(".")[0] for entry in found.entry_points}


def _sources(module: str) -> Iterable[tuple[Path, str]]:
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise PluginError(f"the source of the module {module} cannot be found")
    origin = Path(spec.origin)
    if not spec.submodule_search_locations:
        return [(origin, origin.name)]
    paths = sorted(path for path in origin.parent.rglob("*") if path.is_file())
    return [
        (path, path.relative_to(origin.parents[1]).as_posix())
        for path in paths
        if "__pycache__" not in path.parts
    ]


def _add(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
