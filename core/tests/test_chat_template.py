"""Chat templates: shipped and from files; and what one from outside may do."""

from __future__ import annotations

import json
import tracemalloc

import pytest

from create_llm.data.chat import sandbox
from create_llm.data.chat.template import (
    chat_template,
    load_chat_template,
    save_chat_template,
    shipped_templates,
)
from create_llm.errors import ConfigError, DataError


def rendered(source, **variables):
    return sandbox.render(source, "mine", variables)


def test_shipped_templates_declare_their_control_tokens():
    needed = {name: chat_template(name).control_tokens for name in shipped_templates()}
    assert needed == {
        "alpaca": (),
        "chatml": ("<|im_start|>", "<|im_end|>"),
        "llama": ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
        "plain": (),
        "zephyr": (),
    }


# As the models that they are named after have them.
ORIGINALS = {
    "chatml": "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + "
    "message['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}"
    "{{ '<|im_start|>assistant\n' }}{% endif %}",
    "llama": "{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = "
    "'<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'+ message['content'] | trim "
    "+ '<|eot_id|>' %}{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}"
    "{{ content }}{% endfor %}{% if add_generation_prompt %}"
    "{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}",
    "zephyr": "{% for message in messages %}\n{% if message['role'] == 'user' %}\n"
    "{{ '<|user|>\n' + message['content'] + eos_token }}\n{% elif message['role'] == 'system' %}\n"
    "{{ '<|system|>\n' + message['content'] + eos_token }}\n"
    "{% elif message['role'] == 'assistant' %}\n{{ '<|assistant|>\n'  + message['content'] + "
    "eos_token }}\n{% endif %}\n{% if loop.last and add_generation_prompt %}\n"
    "{{ '<|assistant|>' }}\n{% endif %}\n{% endfor %}",
}


@pytest.mark.parametrize("name", ORIGINALS)
@pytest.mark.parametrize("prompt", [False, True])
def test_shipped_templates_are_those_that_models_know(name, prompt):
    messages = [
        {"role": role, "content": f" {role} says\n"} for role in ("system", "user", "assistant")
    ]
    given = {"messages": messages, "bos_token": "<s>", "eos_token": "</s>"}
    ours, theirs = chat_template(name).source, ORIGINALS[name]
    assert rendered(ours, add_generation_prompt=prompt, **given) == rendered(
        theirs, add_generation_prompt=prompt, **given
    )


def test_a_misspelt_name_is_met_with_the_nearest():
    with pytest.raises(ConfigError, match="no chat template 'chatlm'") as caught:
        chat_template("chatlm")
    assert caught.value.fixes[0] == "did you mean 'chatml'?"


def test_a_file_needs_what_it_declares_or_else_what_it_spells(tmp_path):
    (tmp_path / "a.jinja").write_text("{{ '<|user|>' }}<|end|>{{ '<|' + role + '|>' }}<|end|>")
    (tmp_path / "b.jinja").write_text("{#- control tokens: [INST] -#}\n[INST]<|user|>")
    (tmp_path / "c.jinja").write_text("{# control tokens: #}<|user|>")
    found = [chat_template(f"{name}.jinja", tmp_path).control_tokens for name in "abc"]
    assert found == [("<|user|>", "<|end|>"), ("[INST]",), ()]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (b"{% if %}", "no Jinja template"),
        (b"\xff\xfe", "not UTF-8"),
        (b"x" * (sandbox.MOST_SOURCE + 1), "too long"),
        (b"{{ 9999999999 }}", "too large"),
        (b"{{ x | nothing }}", "no Jinja template"),
        (b"{{ " + b"(" * 3000, "nested too deeply"),
        (b"{{ " + b"1+" * 20_000 + b"1 }}", "nested too deeply"),
        (b"{{ " + b"9" * 5000 + b" }}", "no Jinja template"),
        (b"{% for i in x %}" * 30 + b"{% endfor %}" * 30, "too many statically nested blocks"),
        (b"{% if x %}" * 120 + b"{% endif %}" * 120, "too many levels of indentation"),
        (b"{% break %}", "'break' outside loop"),
    ],
)
def test_a_file_that_is_no_template(tmp_path, source, said):
    (tmp_path / "bad.jinja").write_bytes(source)
    with pytest.raises(DataError, match=said) as caught:
        chat_template("bad.jinja", tmp_path)
    assert str(tmp_path / "bad.jinja") in caught.value.where


def test_what_is_saved_is_read_again(tmp_path):
    assert load_chat_template(tmp_path) is None
    template = chat_template("chatml")
    save_chat_template(template, tmp_path)
    again = load_chat_template(tmp_path)
    assert (again.source, again.control_tokens) == (template.source, template.control_tokens)


@pytest.mark.parametrize(
    "value", ["<|user|>x", [{"name": "tool", "template": "y"}, {"name": "default"}, 3]]
)
def test_a_template_in_the_tokenizers_configuration(tmp_path, value):
    if isinstance(value, list):
        value[1]["template"] = "<|user|>x"
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"chat_template": value}))
    found = load_chat_template(tmp_path)
    # It came with its tokenizer, which may spell "<|user|>" in several tokens, as TinyLlama's does.
    assert (found.source, found.control_tokens) == ("<|user|>x", ())


@pytest.mark.parametrize("config", ["{}", '{"chat_template": null}', "[]"])
def test_a_configuration_without_a_template(tmp_path, config):
    (tmp_path / "tokenizer_config.json").write_text(config)
    assert load_chat_template(tmp_path) is None


def test_a_damaged_configuration(tmp_path):
    (tmp_path / "tokenizer_config.json").write_text("{")
    with pytest.raises(DataError, match="not JSON"):
        load_chat_template(tmp_path)


ESCAPES = [
    "{{ ''.__class__.__mro__ }}",
    "{{ messages.append(1) }}",
    "{{ raise_exception.__globals__ }}",
    "{{ ().__class__.__base__.__subclasses__() }}",
    "{% set ns = namespace() %}{% set ns.__class__ = 1 %}",
    "{{ namespace(_a=1) }}",
    "{{ namespace.__init__.__globals__ }}",
    "{{ '%s' | format(cycler.__init__.__globals__) }}",
    "{{ '{0.__class__.__mro__}'.format('') }}",
    "{% include 'x' %}",
    "{{ self._TemplateReference__context.environment.turns }}",
]
BOMBS = [
    "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(90) }}",
    "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "{% set ns = namespace(x='ab') %}{% for i in range(99) %}{% set ns.x = ns.x ~ ns.x %}"
    "{% endfor %}",
    "{% set ns = namespace(x='ab') %}{% for i in range(99) %}{% set ns.x = ns.x + ns.x %}"
    "{% endfor %}",
    "{{ 'ab' * 9000000 }}",
    "{{ [1] * 9000000 * 9 }}",
    "{{ 9000000 ** 9000000 }}",
    "{{ 'x'.ljust(9000 * 9000) }}",
    "{{ 'x'.ljust('99999999999' | int) }}",
    "{% for i in range(9999) %}{{ 'x' * 9999 }}{% endfor %}",
    "{{ range(9999999) }}",
]
X = "{% set x = 'a' * 16000000 %}"
LARGE = [  # each would hold a gigabyte or more, if it were made
    X + "{{ ([x] * 200) | join }}",
    X + "{{ ''.join([x] * 200) }}",
    X + "{{ x.join('a' * 200) }}",
    X + "{{ [x] * 200 }}",
    X + "{{ ([x] * 200) | string }}",
    X + "{{ ([x] * 200) ~ '' }}",
    X + "{{ '%s' % ([x] * 200) }}",
    X + "{{ ('%s' * 200) | format(*[x] * 200) }}",
    X + "{{ ('{0}' * 200).format(x) }}",
    X + "{{ ('%(a)s' * 200) % dict(a=x) }}",
    X + "{{ x | replace('a', 'b' * 100) }}",
    X + "{{ ('a' * 100).replace('', x) }}",
    X + "{{ ([x] * 200) | tojson }}",
    "{{ ([1] * 200) | tojson(indent=16000000) }}",
    "{{ ('\n' * 200) | indent(16000000) }}",
    "{{ '%999999999d%999999999d' % (1, 2) }}",
    "{{ '{:999999999}{:999999999}'.format(1, 2) }}",
    "{{ '{:{}}'.format('a', [999999, 9999] | sum * 200) }}",
]
TOO_MUCH = [  # each value is small enough
    X + "{{ ([x] * 200) | map('upper') | join }}",
    "{% for i in range(100000) %}{% set x = 'a' * 16000000 %}{% endfor %}",
    X + "{% for i in range(100000) %}{% set y = x + 'a' %}{% endfor %}",
    X + "{% for i in range(100000) %}{% set y = x ~ i %}{% endfor %}",
    X + "{% for i in range(100000) %}{% set y = x[1:] %}{% endfor %}",
    X + "{% for i in range(100000) %}{% set y = x.upper() %}{% endfor %}",
    X + "{% for i in range(100000) %}{% set y = x | upper %}{% endfor %}",
    X + "{% set b %}{% for i in range(100000) %}{{ x }}{% endfor %}{% endset %}",
    "{% set b %}{% for i in range(100000) %}" + "text " * 10_000 + "{% endfor %}{% endset %}",
]


@pytest.mark.parametrize("source", ESCAPES)
def test_what_a_template_does_not_see(source):
    messages = [1]
    try:
        text = rendered(source, messages=messages)
    except DataError:
        text = ""
    assert (text, messages) == ("", [1])


@pytest.mark.parametrize("source", BOMBS)
def test_what_a_template_may_not(monkeypatch, source):
    monkeypatch.setattr(sandbox, "MOST_TURNS", 10_000)
    with pytest.raises(DataError, match="'mine' refuses"):
        rendered(source, messages=[1])


@pytest.mark.parametrize("source", LARGE)
def test_nothing_large_is_made_first_and_refused_then(source):
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="larger than"):
            rendered(source)
        assert tracemalloc.get_traced_memory()[1] < 4 * sandbox.LARGEST
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("source", TOO_MUCH)
def test_what_is_made_on_the_way_counts_together(source):
    with pytest.raises(DataError, match="on its way"):
        rendered(source)


MUCH_TO_LOOK_THROUGH = [
    "{% set b = 'ab' * 4000000 %}{% for i in range(90000) %}" + body + "{% endfor %}"
    for body in (
        "{% if 'ac' in b %}{% endif %}",
        "{% set x = b.find('ac') %}",
        "{% set x = b | wordcount %}",
        "{% set x = b is lower %}",
        "{% if 'x' in range(100000) %}{% endif %}",
        "{% set x = range(9000) | max %}",
        "{% set x = range(9000) | map('string') | first %}",
        "{% set x = range(9000) | select('equalto', b) | first %}",
        "{% for x in range(9000) if x == -1 %}{% endfor %}",
        "{% if range(9000) | reverse == range(9000) | reverse %}{% endif %}",
    )
]


@pytest.mark.parametrize("source", MUCH_TO_LOOK_THROUGH)
def test_what_is_looked_through_counts_together(monkeypatch, source):
    monkeypatch.setattr(sandbox, "MOST_READ", 2**26)
    with pytest.raises(DataError, match="looks through more than 67,108,864 characters"):
        rendered(source)


def test_what_templates_do_at_each_message_is_no_work():
    source = (
        "{% for message in messages %}{% if loop.index0 == messages | length - 1 %}last "
        "{% endif %}{% if message.role in ['user', 'tool'] and 'x' not in message.content %}"
        "{{ (messages[loop.index0 - 1].content == message.content) | string | length }}"
        "{% endif %}{% endfor %}"
    )
    messages = [{"role": "user", "content": "word " * 50 + str(n)} for n in range(5_000)]
    assert rendered(source, messages=messages) == "5" * 4_999 + "last 5"


def test_what_no_template_needs_is_refused():
    for source in ("{{ 'a' | wordwrap(1) }}", "{{ 'a'.translate({97: 'b'}) }}"):
        with pytest.raises(DataError):
            rendered(source)


def test_large_numbers_in_messages_may_be_shown():
    messages = [{"time": 1_700_000_000}]
    source = "{{ messages[0].time }} {{ messages[0].get('time') }} {{ messages[1:] | length }}"
    assert rendered(source, messages=messages) == "1700000000 1700000000 0"


def test_limits_do_not_add_up_over_renderings(monkeypatch):
    monkeypatch.setattr(sandbox, "MOST_TURNS", 100)
    source = "{% for i in range(60) %}{{ i % 2 }}{% endfor %}"
    assert rendered(source) == rendered(source) == "01" * 30
    with pytest.raises(DataError, match="more than 100 turns"):
        rendered(source.replace("60", "101"))


def test_operators_keep_their_meaning():
    source = (
        "{{ 2 ** 10 }} {{ 'a' ~ 1 ~ none }} {{ 'b' * 3 }} {{ '%s!' % 'c' }} {{ [1] + [2] }} "
        "{% for i in [1, 2] recursive %}{{ i }}{% else %}none{% endfor %}"
        "{% for i in [] %}{% else %}none{% endfor %}"
        "{% macro m(x) %}<{{ x }}{{ caller() }}>{% endmacro %}{% call m(1) %}in{% endcall %}"
        "{{ '%-3s|%(x)s'[:3] }} {{ '{:>3}{}'.format(1, 'a') }} {{ ['a', 1] | join(', ') }} "
        "{{ 'aXbX'.replace('X', '--') }} {{ [3, 1] | map('string') | join }} "
        "{% for x in 'ab' %}{{ 'aXb'.replace('X', x) + '-'.join([x, x]) + '{}'.format(x) }}"
        "{% endfor %}{% block b %}{% set y = '1' %}{{ 'aXb'.replace('X', y) }}{% endblock %} "
        "{{ '; '.join(['a', 'b']) }} {{ 'a\nb' | indent(2) }} {{ '%s-%s' | format('a', 2) }} "
        "{{ '7' | int }} {{ 'é<' | tojson }} {{ strftime_now('%Y') | length }} {{ dict(a=1).a }}"
    )
    assert rendered(source) == (
        "1024 a1None bbb c! [1, 2] 12none<1in>%-3   1a a, 1 a--b-- 31 aaba-aaabbb-bba1b "
        'a; b a\n  b a-2 7 "é<" 4 1'
    )
