"""The lines of keys, against every way TOML has to write them."""

from __future__ import annotations

import tomllib

from hypothesis import given
from hypothesis import strategies as st

from create_llm.config.toml_lines import key_lines, line_of
from create_llm.config.values import leaves

TEXT = '''# a comment = "x"
plugins = ["a", # ] "
  "b",

  "c"] # done
top.dotted = 1

[training] # batch_size = 3
  batch_size=32
"learning_rate" = 1e-3
prompt = """
seed = 1
\\""" # not a comment
"quoted""""
literal = \'\'\'
[model]
x = 1\'\'\'
path = 'C:\\'
inline = { a = 1, b = ["=", '['] }
[ callbacks . "my.board" ]
port = 1
"a=b" = 2
[[rows]]
x = 1
[[rows]]
x = 2
[empty]'''


def test_every_spelling():
    expected = {
        ("plugins",): 2,
        ("top", "dotted"): 6,
        ("training",): 8,
        ("training", "batch_size"): 9,
        ("training", "learning_rate"): 10,
        ("training", "prompt"): 11,
        ("training", "literal"): 15,
        ("training", "path"): 18,
        ("training", "inline"): 19,
        ("callbacks", "my.board"): 20,
        ("callbacks", "my.board", "port"): 21,
        ("callbacks", "my.board", "a=b"): 22,
        ("rows",): 23,
        ("rows", "x"): 24,
        ("empty",): 27,
    }
    tomllib.loads(TEXT)
    assert key_lines(TEXT) == expected


def test_the_nearest_thing_around_a_key():
    lines = key_lines(TEXT)
    assert line_of(lines, ("training", "inline", "b")) == 19
    assert line_of(lines, ("training", "nothing")) == 8
    assert line_of(lines, ("nothing",)) == 1


VALUES = st.sampled_from(
    [
        "1",
        "true",
        "1e-3",
        "[1, 2]",
        "[\n 1, # ]\n 2\n]",
        "'#='",
        '"\\"]"',
        '"""\n[x]\n"""',
        "'''\ny = 1\n'''",
        "{ a = 1 }",
        "1979-05-27T07:32:00Z",
        "[{ b = '}' },\n]",
    ]
)
KEYS = st.one_of(
    st.from_regex(r"[A-Za-z0-9_-]{1,6}", fullmatch=True),
    st.sampled_from(['"a b"', "'x.y'", '"#"', '"\\u0041="', "ключ".join('""')]),
)


@given(
    st.lists(st.tuples(KEYS, VALUES, st.sampled_from(["", " # c", "\n", "\n# [x]\n"])), max_size=8),
    st.booleans(),
)
def test_every_key_is_found_where_it_was_written(rows, sections):
    text, written = "", {}
    for number, (key, value, after) in enumerate(rows):
        if sections:
            text += f"[s{number}]\n"
        line = text.count("\n") + 1
        text += f"k{number}.{key} = {value}{after}\n"
        (path, _), *_ = leaves(tomllib.loads(f"k{number}.{key} = 1"))
        written[(f"s{number}", *path) if sections else path] = line
    lines = key_lines(text)
    assert {path: lines[path] for path in written} == written
