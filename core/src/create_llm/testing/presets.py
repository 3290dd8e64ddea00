"""The contract of presets."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from create_llm.config import Config, load_config
from create_llm.config.layers import canonical, installed_templates
from create_llm.config.presets import PRESET_KEY
from create_llm.config.values import dotted, leaves
from create_llm.errors import CreateLLMError
from create_llm.kernel.plugins import Plugins
from create_llm.project.presets import Preset
from create_llm.project.recipe import Choices, make_recipe
from create_llm.project.scaffold import create_project
from create_llm.project.templates import Template
from create_llm.testing.base import PartContract


class PresetContract(PartContract):
    """Recipes to train with."""

    kind = "presets"

    def test_is_a_preset_of_its_name(self) -> None:
        """It is a `Preset`, and calls itself by the name that people choose it by."""
        assert isinstance(self._preset(), Preset)
        assert self._preset().name == self.part().name

    def test_says_what_it_is_for(self) -> None:
        """A title, a description and one case or more to use it in: people choose by these."""
        preset = self._preset()
        assert preset.title.strip(), "no title"
        assert preset.description.strip(), "no description"
        assert preset.use_cases, "no use case"
        assert all(case.strip() for case in preset.use_cases), "an empty use case"

    def test_sets_something_and_leaves_the_project_alone(self) -> None:
        """It has values, and none for [project]: a recipe does not say what a project is."""
        assert list(leaves(self._preset().values)), "no values"
        assert "project" not in self._preset().values

    def test_fits_every_installed_template(self, tmp_path: Path) -> None:
        """With it, a new project of any template has a valid configuration: where it changes one
        key of several that must agree, it sets the others too."""
        refused = []
        for template, folder, plugins in self._projects(tmp_path):
            try:
                self._load(folder, plugins)
            except CreateLLMError as error:
                refused.append(f"with the template {template.name}:\n{error.render()}")
        assert not refused, "\n".join(refused)

    def test_its_values_win(self, tmp_path: Path) -> None:
        """Named on the command line, each of its values replaces that of llm.toml."""
        values = [(canonical(path), value) for path, value in leaves(self._preset().values)]
        for _, folder, plugins in self._projects(tmp_path):
            settings = self._load(folder, plugins).settings
            for path, value in values:
                setting = settings.get(dotted(path))
                if setting is None:
                    continue  # inside a value that is a table itself, as weights of files are
                # A key that is left unset may follow another one.
                won = setting.value == value or (value is None and not setting.source.written)
                assert won, f"{dotted(path)} is {setting.value}, from {setting.source}"
            return

    def _preset(self) -> Preset:
        preset: Preset = self.part().load()
        return preset

    def _load(self, folder: Path, plugins: Plugins) -> Config:
        flags = {dotted(PRESET_KEY): (self.written(), "--preset")}
        return load_config(folder, plugins, flags=flags, environ={})

    def _projects(self, root: Path) -> Iterator[tuple[Template, Path, Plugins]]:
        """A new project of each installed template whose parts are installed too."""
        plugins, made = self.plugins(), 0
        for template in sorted(
            installed_templates(plugins.registry), key=lambda template: not template.default
        ):
            folder = root / f"project-{made}"
            with contextlib.ExitStack() as stack:
                try:
                    recipe = make_recipe(folder, plugins, Choices(template=template.name))
                except CreateLLMError:
                    continue  # not this preset's fault
                create_project(folder, recipe)
                own = recipe.own
                known = stack.enter_context(own.as_if_installed(plugins)) if own else plugins
                yield template, folder, known
                made += 1
        if not made:
            pytest.fail("no template is installed to try it with: llm plugins install templates")
