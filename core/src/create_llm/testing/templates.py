"""The contract of templates."""

from __future__ import annotations

from pathlib import Path

import pytest

from create_llm.config import Config, load_config
from create_llm.errors import CreateLLMError
from create_llm.models.architecture import Architecture, count_parameters
from create_llm.project.recipe import Choices, make_recipe
from create_llm.project.scaffold import create_project
from create_llm.project.templates import Template
from create_llm.testing.base import PartContract

_SECTIONS = ("model", "tokenizer", "data", "training")


class TemplateContract(PartContract):
    """Sizes of model to start a project from."""

    kind = "templates"

    def test_is_a_template_of_its_name(self) -> None:
        """It is a `Template`, and calls itself by the name that people choose it by."""
        assert isinstance(self._template(), Template)
        assert self._template().name == self.part().name

    def test_chooses_every_part(self) -> None:
        """It says which model, tokenizer, source and training it means: a project keeps them."""
        missing = [section for section in _SECTIONS if section not in self._template().values]
        assert not missing, f"nothing about {', '.join(missing)}"

    def test_makes_a_project_that_loads(self, tmp_path: Path) -> None:
        """A project made from it has a valid llm.toml, without a single edit."""
        config = self._project(tmp_path)
        assert config.project.template == self.written()

    def test_parameters_are_as_claimed(self, tmp_path: Path) -> None:
        """The model it makes has the parameters it claims, within 5 %."""
        config = self._project(tmp_path)
        architecture: Architecture = config.model.part.load()()
        vocabulary = config.vocab_size or getattr(config.tokenizer.options, "vocab_size", None)
        assert vocabulary, "neither model nor tokenizer says how large the vocabulary is"
        counted = count_parameters(architecture, config.model.options, vocabulary)
        claimed = self._template().parameters
        assert abs(counted - claimed) <= 0.05 * claimed, f"{counted:,} counted, {claimed:,} claimed"

    def test_says_what_it_needs(self) -> None:
        """Memory, time and a device that can run it: people decide by these."""
        hardware, template = self._template().hardware, self._template()
        assert hardware.min_ram_gb > 0
        assert hardware.can_run_on_cpu or hardware.recommended_gpu, "nothing it could run on"
        assert template.title.strip(), "no title"
        assert template.time.strip(), "no word about time"

    def test_says_what_to_change_first(self) -> None:
        """Two or three sentences for the README of the project."""
        assert 2 <= len(self._template().first_changes) <= 3
        assert all(change.strip() for change in self._template().first_changes)

    def test_is_not_one_default_of_several(self) -> None:
        """Only one installed template is the default, or none of them would be."""
        parts = list(self.plugins().registry.parts("templates"))
        defaults = [part.name for part in parts if part.load().default]
        assert not self._template().default or len(defaults) == 1, f"defaults: {defaults}"

    def _template(self) -> Template:
        template: Template = self.part().load()
        return template

    def _project(self, root: Path) -> Config:
        folder, plugins = root / "project", self.plugins()
        try:
            recipe = make_recipe(folder, plugins, Choices(template=self.written()))
            create_project(folder, recipe)
            if recipe.own is None:
                return load_config(folder, plugins, environ={})
            with recipe.own.as_if_installed(plugins) as known:
                config = load_config(folder, known, environ={})
                config.model.part.load()  # it stays imported
                return config
        except CreateLLMError as error:
            pytest.fail(error.render(), pytrace=False)
