"""Which objective trains which kind of architecture; the others are refused before any work."""

from __future__ import annotations

import pytest

from create_llm.config import load_config
from create_llm.errors import ConfigError
from create_llm.kernel.plugins import default_plugins
from create_llm.models.chosen import objective_of_run

NAMES = {"gpt": "causal", "bert": "masked", "t5": "span"}


def chosen(tmp_path, model, objective):
    plugins = default_plugins()
    if model not in plugins.registry.names("architectures"):
        pytest.skip(f"the architecture {model} is not installed")
    overrides = [f"model.name={model}", f"objective.name={objective}", "project.template=nano"]
    config = load_config(tmp_path, plugins, overrides=overrides, environ={})
    return objective_of_run(config, plugins.registry)


@pytest.mark.parametrize("model", NAMES)
@pytest.mark.parametrize("objective", NAMES.values())
def test_pairs(tmp_path, model, objective):
    if NAMES[model] == objective:
        assert chosen(tmp_path, model, objective).part.name == objective
        return
    with pytest.raises(ConfigError, match=f"'{objective}' trains models that are") as caught:
        chosen(tmp_path, model, objective)
    assert "leave objective.name out" in caught.value.fixes[0]
