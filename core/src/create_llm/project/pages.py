"""The files of a new project that people read: README, requirements, .env.example, .gitignore."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from importlib import resources
from string import Template as Text
from typing import TYPE_CHECKING

from create_llm import __version__
from create_llm.kernel.compatible import compatible_range
from create_llm.kernel.kinds import KINDS
from create_llm.project.own_plugin import OwnPlugin
from create_llm.project.shims import readme_rows
from create_llm.project.templates import Hardware, Template

if TYPE_CHECKING:
    from create_llm.project.recipe import Recipe


_INSTALL_OWN = (
    "llm plugins install --editable .         # the model in src/, which is this project's own\n"
)
_CHAT = "llm chat                                 # talk to it\n"
_OWN_ROWS = """\
| `src/{module}/` | the {kind} `{name}`: change it, and train again |
| `tests/test_contract.py` | what must hold for it: `llm plugins test {name}` |
| `pyproject.toml` | makes this folder a package that others can install, too |
"""


def readme(name: str, recipe: Recipe, prompt: str) -> str:
    template, own = recipe.template, recipe.own
    return _skeleton("README.md").substitute(
        name=name,
        template=template.name,
        title=template.title,
        parameters=in_words(template.parameters),
        time=template.time,
        hardware=hardware_in_words(template.hardware),
        try_it=f"{first_use(prompt)}\n{_CHAT}" if prompt else "",
        first_changes="\n".join(f"- {change}" for change in template.first_changes),
        install_own=_INSTALL_OWN if own else "",
        rows=(_own_rows(template, own) if own else "") + (readme_rows() if recipe.scripts else ""),
    )


def first_use(prompt: str) -> str:
    """What to do first with a trained model; one without a prompt does not write."""
    return f"llm generate --prompt {shlex.quote(prompt)}" if prompt else "llm evaluate"


def _own_rows(template: Template, own: OwnPlugin) -> str:
    kind = KINDS[template.package].singular if template.package else ""
    return _OWN_ROWS.format(module=own.name.module, name=own.name.plugin, kind=kind)


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
