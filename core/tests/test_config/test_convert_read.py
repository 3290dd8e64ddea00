"""An llm.config.js is read as data: what it says, what cannot be told, what is wrong with it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from create_llm.config.javascript import StaticData, parse_static, read_static
from create_llm.errors import ConfigError, StorageError

NAME = "llm.config.js"


def parsed(text: str) -> StaticData:
    return parse_static(text, NAME)


def value_of(expression: str) -> object:
    data = parsed(f"module.exports = {{ key: {expression} }};")
    assert data.skipped == ()
    return data.table["key"]


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("3e-4", 3e-4), ("1_000", 1000), ("0x1F", 31), ("0o17", 15), ("0b1_1", 3), (".5", 0.5),
        ("5.", 5.0), ("-2", -2), ("+2", 2), ("- - 2", 2), ("10n", 10), ("1e5", 100_000),
        ("1024 * 4", 4096), ("2 + 3 * 4 - 1", 13), ("(2 + 3) * 4", 20), ("8 / 2", 4), ("4 - 4", 0),
        ("true", True), ("false", False), ("null", None), ("undefined", None),
        ("'it\\'s'", "it's"), ('"a\\tb\\u0041\\x42\\u{1F600}"', "a\tbAB😀"),
        ('"\\ud83d\\ude00"', "😀"), ("'one\\\nline'", "oneline"), ("`two\nlines`", "two\nlines"),
        ("`\\${not} one`", "${not} one"), ("'// no comment /* */'", "// no comment /* */"),
        ("[1, [2, 'x'],]", [1, [2, "x"]]), ("[]", []), ("{}", {}),
        ("{ a: 1, 'b-c': 2, 3: /* three */ 4, }", {"a": 1, "b-c": 2, "3": 4}),
        ("(\n{ a: 1 })", {"a": 1}),
    ],
)  # fmt: skip
def test_plain_values(expression, value):
    found = value_of(expression)
    assert found == value
    assert type(found) is type(value) or isinstance(value, float | int)


@pytest.mark.parametrize(
    "text",
    [
        "module.exports = { model: { dim: 8 } };",
        "export default { model: { dim: 8 } }\n",
        "/** @type {import('create-llm').Config} */\nexport default { model: { dim: 8 } };",
        "const config = {\n  model: { dim: 8 },\n};\n\nmodule.exports = config;",
        "/** @type {Config} */ var config = { model: { dim: 8 } }\nexport default config",
        "'use strict'\nconst d = 2 * 4\nconst path = require('path');\nimport x, { y } from 'z'\n"
        "const { join } = path\nfunction f(a = {}) { return {}; }\n"
        "module.exports = { model: { dim: d } }",
        "const config = ({ model: { dim: 8 } })\nmodule.exports = config",
        "const own = ({ model: 1, run: f() });\nmodule.exports = { model: { dim: 8 } }",
        '{ "model": { "dim": 8 } }',
        "\ufeff// first\r\nmodule.exports = {\r\n  model: {\r\n dim: 8 /* \r\n */ }\r\n}\r\n",
    ],
)
def test_ways_to_write_a_file(text):
    data = parsed(text)
    assert (data.table, data.skipped) == ({"model": {"dim": 8}}, ())


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("process.env.BATCH", "comes from the environment variable BATCH"),
        ("process.env.BATCH ?? 8", "comes from the environment variable BATCH"),
        ("require('./other').x", "comes from another file"),
        ("() => ({ a: [1, 2], })", "is a function"),
        ("({ a = 1 }, b) => a + b", "is a function"),
        ("function () { return { a: 1, b: /[}]/ }; }", "is a function"),
        ("size", "is the name 'size', which stands for no plain value here"),
        ("NaN", "is the name 'NaN', which stands for no plain value here"),
        ("`v${ {a: `}`}.a }`", "is a text with ${…} in it"),
        ("/a[/}]b/g", "is a regular expression"),
        ("'a' + 'b'", "has to be computed"),
        ("1 / 0", "has to be computed"),
        ("{ a: f() }.a", "has to be computed"),
        ("debug ? 1 : 2", "has to be computed"),
        ("!0", "has to be computed"),
        ("[1, ...more]", "is a list whose item 2 is a spread (...)"),
        ("[1,, 2]", "is a list whose item 2 is missing"),
        ("['a', process.env.B]", "is a list whose item 2 comes from the environment variable B"),
    ],
)
def test_what_is_not_data_is_skipped_with_its_reason_and_nothing_else(expression, reason):
    data = parsed(f"module.exports = {{\n  a: 1,\n  key: {expression},\n  z: 2,\n}};")
    assert data.table == {"a": 1, "z": 2}
    (skipped,) = data.skipped
    assert (skipped.path, skipped.place.line, skipped.reason) == (("key",), 3, reason)


def test_what_is_no_key_with_a_value_is_skipped_too():
    data = parsed(
        "module.exports = { ...base, [name]: 1, run() { return 1 }, get x() { return 2 }, short,\n"
        "  __proto__: { training: { batch_size: 1 } }, a: 1 };\nmodule.exports.a = 2;"
    )
    assert data.table == {"a": 1}
    assert [(s.path, s.place.line, s.reason) for s in data.skipped] == [
        ((), 1, "holds a spread (...)"),
        ((), 1, "holds a key that is computed"),
        (("run",), 1, "is a function"),
        (("get",), 1, "is a function"),
        (("short",), 1, "is the name 'short', which stands for no plain value here"),
        (("__proto__",), 2, "says what an object inherits, which is no setting"),
        ((), 3, "is a statement, to be run"),
    ]


def test_places_are_counted_as_editors_do():
    places = parsed("module.exports = {\r\n  é: 1, b: [\r\n 2]}").places
    at = {path: (place.line, place.column) for path, place in places.items()}
    assert at == {(): (1, 18), ("é",): (2, 6), ("b",): (2, 12), ("b", "0"): (3, 2)}


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("", "1:1", "exports no settings"),
        ("const a = {}", "1:1", "exports no settings"),
        ("module.exports = [1]", "1:18", "where an object is needed"),
        ("module.exports = () => ({})", "1:18", "something that is a function"),
        ("module.exports = wrap({})", "1:18", "something that has to be computed"),
        ("module.exports = {}; export default {}", "1:22", "exported twice"),
        ("module.exports = { a: 'b\n}", "1:23", "not closed on its line"),
        ("module.exports = { a: `b\n}", "1:23", "not closed"),
        ("module.exports = {\n /* a: 1 }", "2:2", "comment is not closed"),
        ("module.exports = {\n a: [1, 2\n}", "3:1", "a comma or ] is expected here, not '}'"),
        ("module.exports = {\n a: [1, 2", "2:5", "this [ is not closed"),
        ("module.exports = { a: f(x }", "1:27", "a comma or ) is expected"),
        ("module.exports = { a: 1\n b: 2 }", "2:2", "a comma is missing before 'b'"),
        ("module.exports = { a 1 }", "1:22", "a colon is expected after 'a'"),
        ("module.exports = { a: , b: 1 }", "1:23", "a value is expected here, not ','"),
        ("module.exports = { : 1 }", "1:20", "a key is expected here"),
        ("module.exports = { a: 1,\n 'a': 2 }", "2:2", "written twice, in line 1 too"),
        ("module.exports = { a: f(), a: 2 }", "1:28", "written twice"),
        ("module.exports = { a: 010 }", "1:23", "'010' is not a number"),
        ("module.exports = { a: 3px }", "1:23", "'3px' is not a number"),
        ("module.exports = { a: '\\xZZ' }", "1:24", "stands for no character"),
        ("module.exports = { a: '\\07' }", "1:24", "stands for no character"),
        ("module.exports = { a: “b” }", "1:23", "'“' cannot stand here"),
        ("module.exports = { a\u202e: 1 }", "1:21", "'U+202E' cannot stand here"),
        ("module.exports = { a: 1 } }", "1:27", "a value is expected here, not '}'"),
        ('{ "a": 1 }\n{', "2:1", "the file goes on"),
    ],
)
def test_mistakes_are_told_with_their_place_and_a_way_out(text, place, words):
    with pytest.raises(ConfigError) as caught:
        parsed(text)
    assert caught.value.where == f"{NAME}:{place}"
    assert words in caught.value.what
    assert caught.value.fixes


@pytest.mark.parametrize("start", ["module.exports = ", "x = "])
@pytest.mark.parametrize("nest", ["[", "(", "{a:", "-", "- ", "1+(", "`${", "[{a:("])
def test_deep_nesting_is_an_error_and_no_stack_overflow(start, nest):
    with pytest.raises(ConfigError):
        parsed(start + nest * 20_000)


@pytest.mark.parametrize("unit", ["/*/", "=/[", "(1)+", "'a',", "x=>", "'", "a.b\n", "`${`"])
@pytest.mark.parametrize("start", ["module.exports = { a:", "x = `${/*"])
def test_long_files_take_no_more_than_their_length(start, unit):
    # Each of these took minutes where the time grew with the square of the length.
    with pytest.raises(ConfigError):
        parsed(start + unit * (900_000 // len(unit)))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("module.exports = {}".encode("utf-16"), "UTF-16"),
        ("module.exports = {}".encode("utf-16-le"), "UTF-16"),
        (b"\x7fELF\x02\x01\x00\x00", "no text at all"),
        (b"\xef\xbb\xbfmodule.exports = {\n a: '\xe9' }", "byte 0xe9"),
        (b"// " + b"x" * 50_000_000, "larger than 1 MB"),
        (b"module.exports = [" + b"1," * 60_000 + b"]", "100,000 words"),
        (b"module.exports = {" + b"".join(b"k%d:1," % n for n in range(10_001)), "10,000 keys"),
    ],
)
def test_files_that_are_no_configuration(tmp_path: Path, content: bytes, words: str):
    path = tmp_path / NAME
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=words) as caught:
        read_static(path)
    assert caught.value.fixes
    if "0xe9" in words:
        assert caught.value.where == f"{NAME}:2:6"


def test_a_file_that_is_not_there(tmp_path: Path):
    with pytest.raises(StorageError):
        read_static(tmp_path / NAME)


KEYS = st.text(max_size=8).filter(lambda key: key != "__proto__") | st.sampled_from(
    ["get", "async", "true", "null", "constructor", "const", "model", "a1", "$", "_"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)  # fmt: skip
GAPS = st.sampled_from(["", "", " ", "\n", "\r\n", "\t", "/* , } */", "// ]'\n", "/**\n * `\n */"])


def printed(value: object, draw) -> str:
    """The value in one of the ways that JavaScript has, with comments between the words."""

    def spaced(*words: str) -> str:
        return "".join(draw(GAPS) + word for word in words) + draw(GAPS)

    match value:
        case dict():
            entries = [spaced(_key(key, draw), ":", printed(v, draw)) for key, v in value.items()]
            return spaced("{", _joined(entries, draw), "}")
        case list():
            return spaced("[", _joined([printed(item, draw) for item in value], draw), "]")
        case str():
            return spaced(_quoted(value, draw))
        case _:
            return spaced(json.dumps(value))


def _joined(items: list[str], draw) -> str:
    return ",".join(items) + ("," if items and draw(st.booleans()) else "")


def _key(key: str, draw) -> str:
    bare = key.isascii() and key.replace("$", "_").isidentifier()
    return key if bare and draw(st.booleans()) else _quoted(key, draw, keys=True)


def _quoted(text: str, draw, *, keys: bool = False) -> str:
    quote = draw(st.sampled_from("\"'" if keys else "\"'`"))
    plain = json.dumps(text, ensure_ascii=draw(st.booleans()))[1:-1].replace('\\"', '"')
    escaped = plain.replace(quote, "\\" + quote)
    return quote + (escaped.replace("${", "\\${") if quote == "`" else escaped) + quote


@given(st.dictionaries(KEYS, JSON, max_size=4), st.data())
@example({"a": {"b": [None, True, -0.0, 1e300, 2**70, "\u2028'\"`${}\\"]}}, None)
def test_any_json_value_reads_back_equal(value, data):
    text = printed(value, data.draw) if data else json.dumps(value)
    for around in ("module.exports = {};", "export default {}", "const x={};module.exports=x"):
        found = parsed(around.replace("{}", f"{text.strip()}\n"))
        assert (found.table, found.skipped) == (value, ())


WORDS = st.sampled_from(
    [*"{}[]()<>=+-*/,.;:?!'\"`\\\n \ufeff\u202e\0$#@é", "${", "=>", "...", "//", "/*", "*/", "1",
     "0x", "1e", "a", "get ", "module.exports=", "export default ", "const ", "function ",
     "process.env.", "require", "__proto__", "\\u{110000}", "\r\n", "null"]
)  # fmt: skip


@given(st.lists(WORDS, max_size=40).map("".join), st.sampled_from(["", "module.exports={", "{a:"]))
def test_whatever_stands_in_the_file_only_errors_for_people_come_out(text, start):
    try:
        data = parsed(start + text)
    except ConfigError as error:
        complete = error.where and error.fixes and error.what.isprintable()
    else:
        complete = isinstance(data.table, dict)
    assert complete


def test_statements_without_semicolons_are_seen():
    data = parsed(
        "const config = { training: { batch_size: 4 } }\n"
        "config.training.batch_size = 64\n"
        "Object.assign(config, { plugins: ['x'] })\n"
        "for (const key of []) { config[key] = 1 }\n"
        "module.exports = config\n"
    )
    assert data.table == {"training": {"batch_size": 4}}
    assert [skipped.place.line for skipped in data.skipped] == [2, 3, 4]


def test_an_expression_may_go_on_after_a_line():
    data = parsed("const a = 2 *\n  3\nconst b = { c: 1 }\nmodule.exports = { x: a }\n")
    assert data.table == {"x": 6}
    assert data.skipped == ()
