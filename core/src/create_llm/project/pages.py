"""The files of a new project that people read: README, requirements, .env.example, .gitignore."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from importlib import resources
from string import Template as Text

from create_llm import __version__
from create_llm.kernel.compatible import compatible_range
from create_llm.project.shims import readme_rows
from create_llm.project.templates import Hardware, Template


def readme(name: str, template: Template, prompt: str, *, scripts: bool) -> str:
    return _skeleton("README.md").substitute(
        name=name,
        template=template.name,
        title=template.title,
        parameters=in_words(template.parameters),
        time=template.time,
        hardware=hardware_in_words(template.hardware),
        prompt=shlex.quote(prompt),
        first_changes="\n".join(f"- {change}" for change in template.first_changes),
        scripts=readme_rows() if scripts else "",
    )


def static_pages() -> dict[str, str]:
    """Path → text of the files that are the same in every project."""
    pages = {".env.example": "env.example", ".gitignore": "gitignore"}
    return {path: _skeleton(source).template for path, source in pages.items()}


def requirements(distributions: Mapping[str, str]) -> str:
    """requirements.txt for create-llm and the distributions (name → version) of chosen parts."""
    wanted = {"create-llm": __version__, **distributions}
    lines = (name + compatible_range(version) for name, version in sorted(wanted.items()))
    return "# pip install -r requirements.txt\n" + "".join(f"{line}\n" for line in lines)


def in_words(parameters: int) -> str:
    """1_000_000_000 → "1B"; one decimal where it says something."""
    for size, unit in ((10**9, "B"), (10**6, "M"), (10**3, "k")):
        if parameters >= size:
            return f"{parameters / size:.1f}".removesuffix(".0") + unit
    return str(parameters)


def hardware_in_words(hardware: Hardware) -> str:
    """ "4 GB of memory; no GPU needed"."""
    parts = [f"{hardware.min_ram_gb:g} GB of memory"]
    if hardware.recommended_gpu:
        parts.append(f"GPU: {hardware.recommended_gpu}")
    if hardware.can_run_on_cpu:
        parts.append("no GPU needed")
    return "; ".join(parts)


def _skeleton(name: str) -> Text:
    folder = resources.files("create_llm.project").joinpath("skeleton")
    return Text(folder.joinpath(name).read_text("utf-8"))
