"""The contracts of templates, for all five, and of presets."""

from __future__ import annotations

from create_llm.testing import PresetContract, TemplateContract


class TestNano(TemplateContract):
    name = "nano"


class TestTiny(TemplateContract):
    name = "tiny"


class TestSmall(TemplateContract):
    name = "small"


class TestBase(TemplateContract):
    name = "base"


class TestCustom(TemplateContract):
    name = "custom"


class TestPipeline(PresetContract):
    name = "pipeline"
