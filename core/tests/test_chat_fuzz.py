"""Any text as a chat template: conversations are written out by it, or it is told why not."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from create_llm.data.chat.encoding import ChatEncoder
from create_llm.data.chat.template import ChatTemplate, chat_template, load_chat_template
from create_llm.data.documents import Document, Origin, Segment
from create_llm.errors import ConfigError, DataError
from create_llm.kernel.plugins import default_plugins

WORDS = [
    *("{{ ", " }}", "{% ", " %}", "{%- ", " -%}", "{# ", " #}", "'", '"', "(", ")", "[", "]"),
    *("for m in messages", "endfor", "if loop.last", "else", "endif", "m['content']", "m.role"),
    *("messages", "messages[0]", "messages[-1]['content']", "messages|length", "eos_token"),
    *(" | trim", " | upper", " | tojson", " | join", " | map(attribute='role')", " | list"),
    *("range(9)", "range(10**9)", "'a' * 9", "10 ** 9", "~", "+", "*", "%", ".__class__", "._x"),
    *("set x = ", "set ns = namespace(a=1)", "ns.a", "macro f(x)", "endmacro", "f(f)", "f(1)"),
    *("generation", "endgeneration", "break", "continue", "include 'x'", "extends 'x'", "block b"),
    *("raise_exception('no')", "strftime_now('%Y')", "true", "none", "0", "1 / 0", "x", "lipsum()"),
    *("<|im_start|>", "<|im_end|>", "</s>", "user\n", "\n", " "),
]
LOOP = "{% for m in messages %}{{ m['role'] + ': ' + m['content'] }}{% endfor %}"
sources = st.one_of(
    st.lists(st.sampled_from(WORDS), max_size=14).map("".join),
    st.lists(st.sampled_from(WORDS), max_size=5).map(lambda words: LOOP + "".join(words)),
    st.lists(st.sampled_from(WORDS), max_size=5).map(
        lambda words: "{% for m in messages %}{{ " + "".join(words) + " }}{% endfor %}"
    ),
    st.text(max_size=60),
)
TURNS = (("system", "a"), ("user", "b </s>"), ("assistant", "c{{ d }}"), ("user", "e"))
CHAT = Document(
    tuple(Segment(role, text, loss=role == "assistant") for role, text in TURNS),
    Origin("chats.jsonl", 7),
)


@pytest.fixture(scope="module")
def tokenizer():
    part = default_plugins().registry.get("tokenizers", "byte")
    return part.load().train([], part.config_model()(), chat_template("chatml").control_tokens)


@settings(deadline=None, max_examples=150)
@example("{% macro f(x) %}{{ f(f) }}{% endmacro %}{{ f(1) }}")
@example("{{ '%999999999d' % 1 }}")
@example("{{ messages | map(attribute='content') | join('x' * 9999999) }}")
@given(sources)
def test_any_text_is_a_template_or_an_error_that_names_it(tokenizer, source):
    told = made = None
    try:
        made = ChatEncoder(tokenizer, ChatTemplate("theirs.jinja", source)).encode([CHAT])
    except DataError as error:
        told = error
    if told is not None:
        assert told.where
        assert told.where.startswith(("theirs.jinja", "chats.jsonl:7"))
        return
    (chat,) = made
    assert len(chat.ids) == len(chat.counted)
    assert all(0 <= token < tokenizer.vocab_size for token in chat.ids)


@settings(
    deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.one_of(
        st.binary(max_size=40),
        st.recursive(
            st.one_of(st.none(), st.text(max_size=9), st.sampled_from(["default", LOOP, "{{"])),
            lambda inner: st.one_of(
                st.lists(inner, max_size=3),
                st.dictionaries(
                    st.sampled_from(["chat_template", "name", "template", "x"]), inner, max_size=3
                ),
            ),
        ).map(lambda value: json.dumps(value).encode()),
    )
)
def test_any_file_beside_a_tokenizer_holds_a_template_or_none(tmp_path, content):
    for name in ("tokenizer_config.json", "chat_template.jinja"):
        (tmp_path / name).write_bytes(content)
        try:
            found = load_chat_template(tmp_path)
        except (DataError, ConfigError) as error:
            told = error.where
        else:
            assert found is None or isinstance(found.source, str)
            told = name
        assert name in (told or "")
        (tmp_path / name).unlink()
