"""[data.mix.NAME]: several sources, each over what [data] says."""

from __future__ import annotations

import json

import pytest

from create_llm.config import load_config
from create_llm.config.explain import find_keys
from create_llm.config.json_schema import json_schema
from create_llm.config.layers import leaves
from create_llm.config.problems import ConfigProblems
from create_llm.kernel.plugins import load_plugins

MIX = """\
[data]
train_path = "data/all"
weights = { a = 1.0 }

[data.mix.wiki]
source = "stories"
size_mb = 2.0

[data.mix.books]
weight = 3
train_path = "data/raw/books"
"""


def told(caught):
    return [(each.where, each.what, each.fixes) for each in caught.value.problems]


def test_each_source_stands_over_what_data_says(load):
    books, wiki = load(MIX).mixture
    assert (books.name, books.weight, books.source.part.name) == ("books", 3.0, "files")
    assert books.as_dict() == {
        "weight": 3.0,
        "source": "files",
        "train_path": "data/raw/books",
        "weights": {"a": 1.0},
    }
    assert (wiki.weight, wiki.source.part.name) == (1.0, "stories")
    assert wiki.source.options.size_mb == 2.0


def test_without_a_mixture_there_is_none(load):
    for toml in ("", "[data.mix]"):
        config = load(toml)
        assert config.mixture == ()
        assert config.as_dict()["data"]["mix"] == {}


def test_settings_come_with_their_source(load):
    settings = load(MIX).settings
    labels = {
        key: str(settings[f"data.mix.{key}"].source)
        for key in (
            "books.weight",
            "books.source",
            "books.train_path",
            "books.weights",
            "wiki.weight",
            "wiki.source",
            "wiki.languages",
        )
    }
    assert labels == {
        "books.weight": "llm.toml:10",
        "books.source": "as data.source",
        "books.train_path": "llm.toml:11",
        "books.weights": "as data.weights",
        "wiki.weight": "default",
        "wiki.source": "llm.toml:6",
        "wiki.languages": "default",
    }
    assert "data.mix" not in settings


def test_an_option_is_taken_over_whole_or_not_at_all(load):
    books, _ = load(MIX + "weights = { b = 2.0 }").mixture
    assert books.source.options.weights == {"b": 2.0}


def test_the_command_line_sets_keys_and_adds_sources(load):
    overrides = ["data.mix.books.weight=2", "data.mix.more.train_path=data/more"]
    config = load(MIX, overrides=overrides)
    assert [each.name for each in config.mixture] == ["books", "more", "wiki"]
    assert config.settings["data.mix.books.weight"].value == 2.0
    assert config.settings["data.mix.more.train_path"].source.label == "--set"
    environ = {"CREATE_LLM_DATA__MIX__BOOKS__WEIGHT": "0.5"}
    assert load(MIX, environ=environ).mixture[0].weight == 0.5


@pytest.mark.parametrize(
    "change",
    [
        "data.mix.books.weight=2",
        "data.mix.wiki.size_mb=3",
        "data.mix.more.weight=1",
        "data.weights={b=1.0}",
    ],
)
def test_a_change_of_the_mixture_makes_another_run(load, change):
    before, after = load(MIX).identity(), load(MIX, overrides=[change]).identity()
    assert before != after
    assert load(MIX).identity() == before


def test_what_nobody_takes_over_makes_no_other_run(load):
    assert load(MIX.replace("data/all", "data/x")).identity() == load(MIX).identity()


def test_the_order_of_the_sources_is_no_matter(load):
    first, second = MIX.split("[data.mix.books]")
    head, wiki = first.split("[data.mix.wiki]")
    turned = f"{head}[data.mix.books]{second}[data.mix.wiki]{wiki}"
    assert load(turned).as_dict() == load(MIX).as_dict()
    assert list(load(turned).settings) == list(load(MIX).settings)


@pytest.mark.parametrize(
    "flag",
    [{"data.train_path": ("book.txt", "--corpus-path")}, {"data.source": ("files", "--source")}],
)
def test_a_stronger_layer_that_says_what_is_read_replaces_the_mixture(load, flag):
    config = load(MIX, flags=flag)
    assert config.mixture == ()
    assert config.source.part.name == "files"
    assert load(MIX, flags={"data.val_split": (0.2, "--val")}).mixture


def test_what_data_says_need_not_stand_alone(load):
    config = load("""\
[data]
source = "stories"
languages = ["es"]
[data.mix.a]
size_mb = 1.0
[data.mix.b]
size_mb = 2.0
languages = ["en"]
""")
    assert config.source.options is None
    assert [each.source.options.languages for each in config.mixture] == [("es",), ("en",)]


def test_mistakes_are_told_where_they_are(load):
    with pytest.raises(ConfigProblems) as caught:
        load(
            MIX + "wieght = 1\nval_split = 0.5\nsize_mb = 1.0\n[data.mix.c]\nweight = 0\n"
            "train_path = 3\n[data.mix.d]\nsource = 'storys'\n"
        )
    where = {where: (what, fixes) for where, what, fixes in told(caught)}
    assert where["llm.toml:12"][1][0] == "did you mean 'data.mix.books.weight'?"
    assert where["llm.toml:13"][1][0] == "it belongs to [data]: data.val_split"
    assert 'data.mix.books.source = "stories"' in where["llm.toml:14"][1][0]
    assert where["llm.toml:16"][0] == "data.mix.c.weight must be greater than 0, got 0"
    assert where["llm.toml:17"][0] == "data.mix.c.train_path must be text in quotes, got 3"
    assert "did you mean 'stories'?" in where["llm.toml:19"][1][0]
    assert len(where) == 6


def test_a_mistake_that_all_take_over_is_told_once(load):
    with pytest.raises(ConfigProblems) as caught:
        load("[data]\ntrain_path = 3\n[data.mix.a]\n[data.mix.b]\n")
    assert [(where, what) for where, what, _ in told(caught)] == [
        ("llm.toml:2", "data.train_path must be text in quotes, got 3")
    ]


def test_what_a_source_needs_is_missed_in_its_table(load):
    with pytest.raises(ConfigProblems) as caught:
        load("[data.mix.a]\n[data.mix.b]\nsource = 'stories'\n")
    assert told(caught)[0][:2] == (
        "llm.toml:2",
        "data.mix.b.size_mb is not set, and has no default",
    )
    assert told(caught)[0][2][0] == "set it in llm.toml, below [data.mix.b]: size_mb = …"


@pytest.mark.parametrize(
    "toml", ["[data]\nmix = 3", "[data.mix]\nbooks = 3", "[data.mix.'a.b']", "[data.mix.'']"]
)
def test_what_is_no_mixture_is_an_error_at_its_line(load, toml):
    with pytest.raises(ConfigProblems) as caught:
        load(toml)
    assert told(caught)[0][0] == f"llm.toml:{len(toml.splitlines())}"
    assert "Undefined" not in str(caught.value)


def test_it_is_explained(load, plugins):
    def explained(key, config):
        return find_keys(plugins.registry, config, key)

    config = load(MIX)
    (mix,) = explained("data.mix", config).keys
    assert "weight" in mix.what
    assert mix.identity
    (weight,) = explained("data.mix.books.weight", config).keys
    assert (weight.setting.value, weight.default) == (3.0, 1.0)
    (size,) = explained("data.mix.wiki.size_mb", config).keys
    assert (size.setting.value, size.owner) == (2.0, "data source 'stories'")
    # Where the configuration is wrong, this is what the error sends people to.
    assert explained("data.mix.books.weight", None).keys[0].key == "data.mix.NAME.weight"
    assert explained("data.mix.books.train_path", None).keys[0].key == "data.train_path"
    names = [key.key for key in explained("data", load("")).keys]
    assert "data.mix.NAME.source" in names


def test_editors_are_told_its_keys(plugins):
    mix = json_schema(plugins.registry)["properties"]["data"]["properties"]["mix"]
    table = mix["additionalProperties"]
    assert table["properties"]["weight"]["exclusiveMinimum"] == 0
    assert table["properties"]["source"]["examples"] == ["files", "stories"]
    assert any("size_mb" in part.get("properties", {}) for part in table["anyOf"])
    json.dumps(mix)


def test_what_it_says_of_itself_gives_itself_again(load):
    config = load(MIX)
    flags = {
        ".".join(path): (value, "run.json")
        for path, value in leaves(config.as_dict())
        if value is not None and value != {}
    }
    assert load("", flags=flags).as_dict() == config.as_dict()
    flat = {".".join(path): value for path, value in leaves(config.as_dict())}
    assert flat["data.mix.books.weight"] == config.settings["data.mix.books.weight"].value


def test_an_address_chooses_the_source_of_its_table(tmp_path):
    (tmp_path / "llm.toml").write_text(
        "[model]\nname = 'gpt'\n[tokenizer]\nname = 'byte'\n[data]\nsource = 'text'\n"
        "separator = '***'\n[data.mix.a]\n[data.mix.b]\ntrain_path = 'https://example.org/b'\n"
    )
    a, b = load_config(tmp_path, load_plugins({}), environ={}).mixture
    assert (a.source.part.name, b.source.part.name) == ("text", "web")
    assert a.source.options.separator == "***"
