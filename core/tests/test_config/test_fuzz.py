"""Whatever stands in the files and the environment, only errors for people come out."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st

from create_llm.config import load_config
from create_llm.config.hardware import Hardware
from create_llm.config.schema import PART_TABLES, SECTIONS
from create_llm.errors import CreateLLMError

HARDWARE = Hardware(cores=2, ram_bytes=10**10, available_ram_bytes=10**10)
NAMES = st.sampled_from(
    [
        *SECTIONS,
        *PART_TABLES,
        "plugins",
        "name",
        "source",
        "type",
        "size",
        "layers",
        "board",
        "hub",
        "vocab_size",
        "max_length",
        "stride",
        "weights",
        "batch_size",
        "save_interval",
        "learning_rate",
        "special_tokens",
        "train_path",
        "template",
        "preset",
        "console",
        "port",
        "",
        "x",
        "precision",
    ]
)
SCALARS = st.one_of(
    st.sampled_from(
        ["net", "pieces", "files", "small", "quick", "auto", "bf16", "next", "watch", "hub", "5ep"]
    ),
    st.text(max_size=6),
    st.integers(),
    st.floats(),
    st.booleans(),
    st.dates(),
    st.none(),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)
SPELLED = st.sampled_from(
    [
        "1",
        "-1",
        "0.1",
        "nan",
        "inf",
        "true",
        "'net'",
        "'small'",
        "'quick'",
        "'5ep'",
        "'auto'",
        '"""a\nb"""',
        "[]",
        "['watch']",
        "{}",
        "{a = 1}",
        "{board = {port = 1}}",
        "1979-05-27",
        "07:32:00",
        "99999999999999999999",
        "[1, [2]]",
        "",
        "=",
        "'",
        "#",
    ]
)
LINES = st.one_of(
    st.builds("[{}]".format, NAMES),
    st.builds("[{}.{}]".format, NAMES, NAMES),
    st.builds("[[{}]]".format, NAMES),
    st.builds("{} = {}".format, NAMES, SPELLED),
    st.builds("{}.{} = {}".format, NAMES, NAMES, SPELLED),
    st.text(max_size=8),
)


def attempt(plugins, toml: bytes = b"", dotenv: bytes = b"", **arguments) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "llm.toml").write_bytes(toml)
        (root / ".env").write_bytes(dotenv)
        options = {"environ": {}, "hardware": HARDWARE, **arguments}
        try:
            config = load_config(root, plugins, **options)
        except CreateLLMError as error:
            refused = error
        else:
            json.dumps([config.identity(), config.as_dict()], allow_nan=False).encode()
            return
    refused.render().encode()
    assert refused.what
    assert refused.exit_code in (2, 70)


@settings(max_examples=150, deadline=None)
@given(lines=st.lists(LINES, max_size=8))
def test_toml_like_text(plugins, lines):
    attempt(plugins, "\n".join(lines).encode("utf-8", "surrogatepass"))


@settings(max_examples=100, deadline=None)
@given(toml=st.binary(max_size=60), dotenv=st.binary(max_size=60))
def test_bytes(plugins, toml, dotenv):
    attempt(plugins, toml, dotenv)


@settings(max_examples=150, deadline=None)
@given(
    flags=st.dictionaries(st.lists(NAMES, min_size=1, max_size=3).map(".".join), VALUES, max_size=4)
)
@example({"data.weights": {"a": {"b": 1}}, "data.weights.a": 1})
@example({"data.weights.a": 1, "data.weights.a.b": 2})
def test_values(plugins, flags):
    attempt(plugins, flags={key: (value, "--flag") for key, value in flags.items()})


@settings(max_examples=100, deadline=None)
@given(
    environ=st.dictionaries(
        st.lists(NAMES, min_size=2, max_size=3).map(lambda n: "CREATE_LLM_" + "__".join(n).upper()),
        st.one_of(SPELLED, st.text(max_size=6)),
        max_size=4,
    ),
    overrides=st.lists(st.builds("{}.{}={}".format, NAMES, NAMES, SPELLED), max_size=4),
)
def test_environment_and_overrides(plugins, environ, overrides):
    attempt(plugins, environ=environ, overrides=overrides)
