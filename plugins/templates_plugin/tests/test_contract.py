"""The contract of templates, for all five."""

from __future__ import annotations

from create_llm.testing import TemplateContract


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
