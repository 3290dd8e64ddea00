"""What rows are taken for, what they become, and what is said of those that do not fit."""

import json

import pytest
from pydantic import ValidationError

from create_llm.config import load_config
from create_llm.config.explain import find_keys
from create_llm.data.documents import Document, Rejected
from create_llm.errors import ConfigError
from create_llm.kernel.plugins import default_plugins
from create_llm_text.config import Columns, TextConfig
from create_llm_text.source import TextSource


def source(folder, rows, **options):
    text = "\n".join(json.dumps(row) for row in rows)
    (folder / "a.jsonl").write_text(text)
    return TextSource(TextConfig(train_path=".", **options), folder)


def turns(segments):
    """role:text, with a star where it carries loss."""
    return [f"{s.role}{'*' if s.loss else ''}:{s.text}" for s in segments]


def only(folder, row, **options):
    """The structure that is detected, the segments of the row and those of the alternative."""
    text = source(folder, [row], **options)
    (document,) = text.documents()
    (file,) = text.survey()
    assert document.meta == {"structure": file.structure}
    worse = None if document.rejected is None else turns(document.rejected)
    return file.structure, turns(document.segments), worse


def messages(*pairs, role="role", content="content"):
    return [{role: who, content: text} for who, text in pairs]


U, A = ("user", "hi"), ("assistant", "hello")
TALK = ["user:hi", "assistant*:hello"]

SHAPES = [
    ({"text": "a"}, "text", ["text*:a"]),
    ({"id": 7, "Content": "a", "lang": None}, "text", ["text*:a"]),
    ({"id": 7, "review": "a", "stars": 5.0}, "text", ["text*:a"]),
    ("a", "text", ["text*:a"]),
    ({"instruction": "i", "output": "o"}, "instruction", ["user:i", "assistant*:o"]),
    ({"instruction": "i", "input": "", "output": "o"}, "instruction", ["user:i", "assistant*:o"]),
    (
        {"instruction": "i", "input": "x", "output": "o", "text": "whole", "system": "s"},
        "instruction",
        ["system:s", "user:i\n\nx", "assistant*:o"],
    ),
    (
        {"instruction": "i", "context": "x", "response": "o", "category": "qa"},
        "instruction",
        ["user:i\n\nx", "assistant*:o"],
    ),
    ({"prompt": "p", "completion": "c"}, "prompt_completion", ["user:p", "assistant*:c"]),
    ({"input": "p", "output": "c"}, "prompt_completion", ["user:p", "assistant*:c"]),
    ({"Question": "q", "Answer": "a"}, "prompt_completion", ["user:q", "assistant*:a"]),
    (
        {"system_prompt": "s", "question": "q", "response": "a"},
        "prompt_completion",
        ["system:s", "user:q", "assistant*:a"],
    ),
    ({"messages": messages(U, A)}, "messages", TALK),
    (messages(U, A), "messages", TALK),
    (
        {
            "conversations": messages(
                ("human", "hi"), ("gpt", "hello"), role="from", content="value"
            )
        },
        "messages",
        TALK,
    ),
    (
        {"system": "s", "conversations": messages(U, A, role="from", content="value"), "id": "x"},
        "messages",
        ["system:s", *TALK],
    ),
    (
        {
            "messages": [
                {"role": "system", "content": ""},
                {"role": "user", "content": [{"type": "text", "text": "h"}, {"text": "i"}]},
                {"role": "assistant", "content": [{"type": "text", "value": "hello"}]},
            ]
        },
        "messages",
        TALK,
    ),
    (
        {"messages": [*messages(U, ("assistant", "no"), U, A, ("tool", "42"))]},
        "messages",
        ["user:hi", "assistant*:no", *TALK, "tool:42"],
    ),
    (
        {
            "messages": [
                {"role": "user", "content": "hi", "loss_weight": 1.0},
                {"role": "assistant", "content": "no", "weight": 0},
                {"role": "assistant", "content": "hello", "loss_weight": 1},
            ]
        },
        "messages",
        ["user:hi", "assistant:no", "assistant*:hello"],
    ),
]


@pytest.mark.parametrize(("row", "structure", "expected"), SHAPES)
def test_a_structure_is_known_by_its_names_and_values(tmp_path, row, structure, expected):
    assert only(tmp_path, row) == (structure, expected, None)


PREFERENCES = [
    ({"prompt": "p", "chosen": "good", "rejected": "bad"}, ["user:p", "assistant*:good"]),
    ({"chosen": "good", "rejected": "bad"}, ["assistant*:good"]),
    (
        {"prompt": "p", "chosen": messages(("assistant", "good")), "rejected": "bad"},
        ["user:p", "assistant*:good"],
    ),
    (
        {
            "prompt": "p",
            "chosen": messages(("user", "p"), ("assistant", "good")),
            "rejected": messages(("user", "p"), ("assistant", "bad")),
        },
        ["user:p", "assistant*:good"],
    ),
    (
        {
            "prompt": messages(("system", "s"), ("user", "p")),
            "chosen": messages(("assistant", "good")),
            "rejected": messages(("assistant", "bad")),
        },
        ["system:s", "user:p", "assistant*:good"],
    ),
    (
        {
            "chosen": messages(U, A, ("user", "p"), ("assistant", "good")),
            "rejected": messages(U, A, ("user", "p"), ("assistant", "bad")),
        },
        ["user:hi", "assistant:hello", "user:p", "assistant*:good"],
    ),
]


@pytest.mark.parametrize(("row", "segments"), PREFERENCES)
def test_preference_pairs_keep_the_worse_answer_apart(tmp_path, row, segments):
    assert only(tmp_path, row) == ("preference", segments, ["assistant*:bad"])


FITTING = {
    "messages": {"messages": messages(U, A)},
    "instruction": {"instruction": "i", "input": "", "output": "o"},
    "prompt_completion": {"prompt": "p", "completion": "c"},
    "preference": {"prompt": "p", "chosen": "good", "rejected": "bad"},
}
UNFIT = [
    ("messages", {"messages": []}, "'messages' is empty"),
    ("messages", {"messages": "hi"}, "'messages' is not a list of messages"),
    ("messages", {}, "'messages' is missing"),
    ("messages", {"messages": messages(U)}, "'messages' hold no answer to learn"),
    ("messages", {"messages": ["hi"]}, "message 1 is not an object"),
    ("messages", {"messages": [{"content": "hi"}]}, "message 1 has no role"),
    ("messages", {"messages": [{"role": 3, "content": "hi"}]}, "message 1 has no role"),
    ("messages", {"messages": messages(U, ("asistant", "x"))}, "message 2 has the unknown role"),
    ("messages", {"messages": messages(U, ("assistant", " "))}, "message 2 is empty"),
    ("messages", {"messages": messages(U, ("assistant", None))}, "message 2 has no text"),
    ("messages", {"messages": messages(U, ("assistant", 7))}, "message 2 has a text that is not"),
    ("messages", {"messages": messages(U, ("assistant", "\ud83d"))}, "message 2 holds half a"),
    (
        "messages",
        {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
        "message 1 holds a part of type 'image_url'",
    ),
    (
        "messages",
        {"messages": [{"role": "assistant", "content": "x", "tool_calls": [{}]}]},
        "message 1 calls a tool",
    ),
    (
        "messages",
        {"messages": [{"role": "assistant", "content": "x", "weight": "no"}]},
        "message 1 has a weight that is no number",
    ),
    ("instruction", {"instruction": "i"}, "'output' is missing"),
    ("instruction", {"instruction": "i", "output": "  "}, "'output' is empty"),
    ("instruction", {"instruction": "", "input": "", "output": "o"}, "'instruction' is empty"),
    ("instruction", {"instruction": "i", "input": 7, "output": "o"}, "'input' is a number"),
    ("prompt_completion", {"completion": "c"}, "'prompt' is missing"),
    ("prompt_completion", {"prompt": "p", "completion": True}, "'completion' is true or false"),
    ("preference", {"chosen": "same", "rejected": "same"}, "the chosen and the rejected answer"),
    ("preference", {"chosen": "good"}, "'rejected' is missing"),
    (
        "preference",
        {"chosen": messages(U, A), "rejected": messages(U)},
        "one answer is the beginning of the other",
    ),
]


@pytest.mark.parametrize(("structure", "row", "problem"), UNFIT)
def test_a_row_that_does_not_fit_is_told(tmp_path, structure, row, problem):
    text = source(tmp_path, [FITTING[structure], row, FITTING[structure]])
    first, told, last = text.documents()
    assert isinstance(first, Document)
    assert isinstance(last, Document)
    assert isinstance(told, Rejected)
    assert told.problem.startswith(problem)
    assert told.suggestion
    assert str(told.origin) == "a.jsonl:2"
    assert next(text.survey()).structure == structure


def test_an_unknown_role_gets_the_nearest_name(tmp_path):
    talk = {"messages": messages(U, ("asistant", "x"))}
    told, _ = source(tmp_path, [talk, FITTING["messages"]]).documents()
    assert "did you mean 'assistant'?" in told.suggestion


@pytest.mark.parametrize(
    "text",
    [
        "Question: What?\nAnswer: That.\n\nQuestion: Why?\nAnswer: So,\nand so.\n",
        "\nQuestion: What? Answer: That.\nQuestion: Why? Answer: So,\nand so.",
        "Q: What?\r\nA: That.\r\n\r\nQ: Why?\r\nA: So,\r\nand so.\r\n",
    ],
)
def test_questions_with_answers_are_pairs(tmp_path, text):
    (tmp_path / "a.txt").write_bytes(text.encode())
    documents = list(TextSource(TextConfig(train_path="."), tmp_path).documents())
    assert [turns(document.segments) for document in documents] == [
        ["user:What?", "assistant*:That."],
        ["user:Why?", "assistant*:So,\nand so."],
    ]
    (file,) = TextSource(TextConfig(train_path="."), tmp_path).survey()
    assert (file.format, file.structure) == ("text", "prompt_completion")


def test_a_question_without_an_answer_is_told(tmp_path):
    pair = "Question: What?\nAnswer: That.\n"
    (tmp_path / "a.txt").write_text(pair * 3000 + "Question: Why?\n" + pair)
    items = list(TextSource(TextConfig(train_path="."), tmp_path).documents())
    (told,) = [item for item in items if isinstance(item, Rejected)]
    assert (len(items), told.origin.line) == (3002, 6001)
    assert told.problem == "a question without an answer"


@pytest.mark.parametrize(
    "text", ["Question: one only\n", "Q: a play\nB: speaks\nQ: again\nB: so\n"]
)
def test_a_text_that_only_begins_with_a_question_stays_text(tmp_path, text):
    (tmp_path / "a.txt").write_text(text)
    (document,) = TextSource(TextConfig(train_path="."), tmp_path).documents()
    assert document.segments[0].role == "text"
    assert document.meta == {"structure": "text"}


def test_what_cannot_be_told_is_rejected_as_a_whole_with_what_to_write(tmp_path):
    rows = [{"title": "t", "plot": "p", "year": 1}] * 3
    (tmp_path / "b.txt").write_text("kept\n")
    told, kept = source(tmp_path, rows).documents()
    assert kept.text == "kept\n"
    assert told.problem == "it cannot be told what its columns are: title, plot, year"
    assert '[data] columns = { text = "title" }' in told.suggestion
    (file, _) = source(tmp_path, rows).survey()
    assert (file.structure, file.evidence) == (None, (told.problem,))


def test_titles_of_what_lies_deeper_are_not_taken_for_the_text(tmp_path):
    about = {"context": "c " * 50, "qas": [{"question": "q?", "answers": [{"text": "a"}]}]}
    rows = [{"title": "t", "paragraphs": [about]}] * 3
    (tmp_path / "b.txt").write_text("kept\n")
    told, _ = source(tmp_path, rows).documents()
    assert told.problem.startswith("most of the text is in lists or objects under 'paragraphs'")
    assert '[data] columns = { text = "title" }' in told.suggestion
    (file, _) = source(tmp_path, rows).survey()
    assert (file.structure, file.evidence) == (None, (told.problem,))
    titles = list(source(tmp_path, rows, columns={"text": "title"}).documents())
    assert [title.text for title in titles[:3]] == ["t"] * 3
    numbers = [{"plot": "p", "vector": [0.125] * 99, "tags": ["a"]}]
    assert next(iter(source(tmp_path, numbers).documents())).text == "p"


DECLARED = [
    ({"text": "plot"}, "text", ["text*:p"]),
    ({"prompt": "title", "completion": "plot"}, "prompt_completion", ["user:t", "assistant*:p"]),
    (
        {"system": "note", "prompt": "title", "completion": "plot"},
        "prompt_completion",
        ["system:n", "user:t", "assistant*:p"],
    ),
]


@pytest.mark.parametrize(("columns", "structure", "expected"), DECLARED)
def test_columns_may_be_declared(tmp_path, columns, structure, expected):
    row = {"title": "t", "plot": "p", "note": "n", "text": "not this"}
    assert only(tmp_path, row, columns=columns) == (structure, expected, None)


def test_declared_conversations_and_preferences(tmp_path):
    row = {"talk": messages(U, A)}
    assert only(tmp_path, row, columns={"messages": "talk"}) == ("messages", TALK, None)
    row = {"ask": "p", "better": "good", "worse": "bad"}
    columns = {"prompt": "ask", "chosen": "better", "rejected": "worse"}
    expected = ("preference", ["user:p", "assistant*:good"], ["assistant*:bad"])
    assert only(tmp_path, row, columns=columns) == expected


def test_a_declared_column_that_is_not_there_is_an_error_with_the_nearest(tmp_path):
    text = source(tmp_path, [{"title": "t", "plot": "p"}], columns={"text": "plto"})
    for read in (text.documents, text.survey):
        with pytest.raises(ConfigError, match=r"data\.columns\.text names 'plto'") as caught:
            list(read())
        assert caught.value.fixes[:2] == ("did you mean 'plot'?", "its columns: title, plot")
        assert "[data.mix.NAME]" in caught.value.fixes[2]
        assert caught.value.where == "a.jsonl:1"


def test_files_without_the_declared_columns_are_read_by_their_own_beside_others(tmp_path):
    (tmp_path / "a.csv").write_text("question,answer\nq,a\n")
    (tmp_path / "b.jsonl").write_text('{"title": "t", "plot": "p"}\n')
    (tmp_path / "c.jsonl").write_text('"a string"\n')
    (tmp_path / "d.txt").write_text("plain\n")
    (tmp_path / "e.jsonl").write_text('{"title": "t", "stars": 1, "more": "m"}\n')
    config = TextConfig(train_path=".", columns=Columns(prompt="title", completion="plot"))
    mixed = TextSource(config, tmp_path)
    found = {each.origin.path: each for each in mixed.documents()}
    assert turns(found["a.csv"].segments) == ["user:q", "assistant*:a"]
    assert turns(found["b.jsonl"].segments) == ["user:t", "assistant*:p"]
    assert found["c.jsonl"].text == "a string"
    assert isinstance(found["e.jsonl"], Rejected)
    told = {file.path: file.evidence for file in mixed.survey()}
    other = "without 'title', which data.columns names; told by its own columns"
    assert other in told["a.csv"]
    assert other in told["c.jsonl"]
    assert "as data.columns says" in told["b.jsonl"]
    (tmp_path / "b.jsonl").unlink()
    with pytest.raises(ConfigError, match=r"no column of a\.csv"):
        list(TextSource(config, tmp_path).documents())


def test_a_declared_column_is_looked_for_where_the_columns_are_first_named(tmp_path):
    (tmp_path / "a.jsonl").write_text('\n\n{"title": "t", "plot": "p"}\n')
    (tmp_path / "b.csv").write_text("title,plot\nt,p\n")
    for name, place in (("a.jsonl", "a.jsonl:3"), ("b.csv", "b.csv:1")):
        config = TextConfig(train_path=name, columns=Columns(text="plto"))
        with pytest.raises(ConfigError) as caught:
            list(TextSource(config, tmp_path).documents())
        assert caught.value.where == place


@pytest.mark.parametrize("key", ["data", "rows"])
def test_conversations_in_a_list_under_a_key_are_rows(tmp_path, key):
    row = {"id": 1, "messages": messages(U, A)}
    (tmp_path / "a.json").write_text(json.dumps({"version": 2, key: [row, row]}))
    documents = list(TextSource(TextConfig(train_path="."), tmp_path).documents())
    assert [turns(document.segments) for document in documents] == [TALK, TALK]


def test_a_conversation_under_a_key_is_one_row(tmp_path):
    talk = messages(U, A, role="from", content="value")
    (tmp_path / "a.json").write_text(json.dumps({"id": "x" * 3000, "conversations": talk}))
    (document,) = TextSource(TextConfig(train_path="."), tmp_path).documents()
    assert turns(document.segments) == TALK


LLM_TOML = """\
[project]
template = "nano"
[data]
source = "text"
[data.columns]
completion = "body"
promt = "title"
"""


def test_a_mistyped_key_of_columns_is_told_with_its_line_and_the_nearest(tmp_path):
    (tmp_path / "llm.toml").write_text(LLM_TOML)
    with pytest.raises(ConfigError) as caught:
        load_config(tmp_path, default_plugins(), environ={})
    assert caught.value.where == "llm.toml:7"
    assert "data.columns.promt cannot be used: there is no such key" in caught.value.what
    assert "did you mean 'prompt'?" in caught.value.what


def test_a_key_of_columns_is_explained_by_itself():
    registry = default_plugins().registry
    (found,) = find_keys(registry, None, "data.columns.prompt").keys
    assert found.what.startswith("The column of questions")
    assert found.takes == "text, or unset"
    with pytest.raises(ConfigError, match=r"no key 'data\.columns\.promt'") as caught:
        find_keys(registry, None, "data.columns.promt")
    assert caught.value.fixes[0] == "did you mean 'prompt'?"


def test_the_keys_of_columns_are_explained_with_it():
    (found,) = find_keys(default_plugins().registry, None, "data.columns").keys
    for name, field in Columns.model_fields.items():
        assert f"{name}: {field.description.rstrip('.')}" in found.what


@pytest.mark.parametrize(
    "columns", [{}, {"prompt": "a"}, {"text": "a", "prompt": "b"}, {"txt": "a"}, {"text": 1}]
)
def test_columns_that_make_no_document_are_refused(columns):
    with pytest.raises(ValidationError):
        Columns.model_validate(columns)


def test_the_fingerprint_follows_the_columns(tmp_path):
    rows = [{"title": "t", "plot": "p"}]
    prints = {source(tmp_path, rows, columns={"text": name}).fingerprint() for name in rows[0]}
    assert len(prints) == 2


def test_the_nearest_role_is_one_of_those_that_are_told(tmp_path):
    row = {"messages": messages(("user", "Q"), ("robot", "A"))}
    (rejected,) = [
        item
        for item in source(
            tmp_path, [row, {"messages": messages(("user", "Q"), ("bot", "A"))}]
        ).documents()
        if isinstance(item, Rejected)
    ]
    assert rejected.suggestion == ("did you mean 'assistant'? use system, user, assistant or tool")


@pytest.mark.parametrize("columns", [("prompt", "completion"), ("instruction", "output")])
def test_one_blank_before_a_completion_is_the_templates(tmp_path, columns):
    asked, answered = columns
    _, segments, _ = only(tmp_path, {asked: "Two geese?", answered: "  Two."})
    assert segments[-1] == "assistant*: Two."
    _, segments, _ = only(tmp_path, {asked: "Two geese?", answered: "Two."})
    assert segments[-1] == "assistant*:Two."
