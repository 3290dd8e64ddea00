"""`--corpus-path https://…` chooses the source that reads addresses."""

from __future__ import annotations

import pytest

from create_llm.config import load_config
from create_llm.errors import ConfigError
from create_llm.kernel.plugins import load_plugins

ADDRESS = "https://example.org/book.txt"
LLM_TOML = """
[model]
name = "gpt"
[data]
source = "text"
separator = "***"
[tokenizer]
name = "byte"
"""


@pytest.fixture
def configured(tmp_path):
    (tmp_path / "llm.toml").write_text(LLM_TOML)

    def configure(path, *overrides):
        flags = {"data.train_path": (path, "--corpus-path")}
        plugins = load_plugins({})
        return load_config(tmp_path, plugins, flags=flags, overrides=overrides, environ={})

    return configure


def test_an_address_on_the_command_line_chooses_its_source(configured):
    config = configured(ADDRESS)
    assert config.source.part.name == "web"
    assert config.settings["data.source"].source.label == "--corpus-path"


def test_a_path_leaves_the_source(configured):
    assert configured("book.txt").source.part.name == "text"


@pytest.mark.parametrize(
    ("address", "fix"),
    [
        ("gopher://example.org/book.txt", "http://…, https://…"),
        ("htps://example.org/book.txt", "did you mean 'https'?"),
    ],
)
def test_an_address_that_nobody_reads_is_no_path(configured, address, fix):
    with pytest.raises(ConfigError, match="no installed data source reads") as caught:
        configured(address)
    assert any(fix in told for told in caught.value.fixes)
    assert caught.value.where == "--corpus-path"


def test_a_source_that_is_chosen_with_the_address_reads_what_it_will(configured):
    assert configured("gopher://x/book.txt", "data.source=text").source.part.name == "text"


def test_a_drive_is_no_scheme(configured):
    assert configured("C://books/a.txt").source.part.name == "text"


def test_an_address_in_the_file_does_not_overrule_the_source_beside_it(tmp_path):
    text = LLM_TOML.replace('source = "text"', f'source = "text"\ntrain_path = "{ADDRESS}"')
    (tmp_path / "llm.toml").write_text(text)
    config = load_config(tmp_path, load_plugins({}), environ={})
    assert config.source.part.name == "text"
