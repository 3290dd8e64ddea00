"""What a tokenizer learns from: what the model will see, but for control tokens."""

import pytest

from create_llm.config import load_config
from create_llm.data.chat.template import chat_template, shipped_templates
from create_llm.data.corpus import Corpus
from create_llm.data.documents import Document, Origin, Segment
from create_llm.data.encoding import DocumentEncoder
from create_llm.data.pipeline import ensure_tokenizer
from create_llm.data.training_texts import ModelTexts, training_texts
from create_llm.data.vocabulary import VocabularyFit
from create_llm.errors import DataError
from create_llm.kernel.plugins import default_plugins
from create_llm.project.folder import Project

TURNS = [("system", "Be brief."), ("user", "hi  there"), ("assistant", " hello\n"), ("user", "so?")]


def chat(*turns, line=1):
    segments = tuple(Segment(role, text, loss=role == "assistant") for role, text in turns)
    return Document(segments, Origin("chats.jsonl", line))


class Chats:
    def __init__(self, documents):
        self._documents = documents

    def documents(self):
        yield from self._documents

    def fingerprint(self):
        return "0" * 64

    def total_bytes(self):
        return None


def test_of_a_conversation_headers_are_learnt_and_control_tokens_are_not():
    texts = ModelTexts(chat_template("chatml"), ()).of(chat(*TURNS[1:3]))
    assert texts == ["user\nhi  there", "\n", "assistant\n hello\n", "\n"]


def test_without_a_template_a_conversation_is_a_script_and_its_end_no_text():
    assert ModelTexts(None, ()).of(chat(*TURNS[:3])) == [
        "Be brief.\n\nUser: hi  there\nAssistant:  hello\n"
    ]


def test_what_a_message_says_is_learnt_though_it_spells_a_control_token():
    template = chat_template("chatml")
    texts = ModelTexts(template, ()).of(chat(("user", "<|im_end|></s> it says")))
    assert texts == ["user\n<|im_end|></s> it says", "\n"]


def test_plain_text_and_rows_of_several_texts_are_as_they_are():
    texts = ModelTexts(None, ())
    assert texts.of(Document.plain("User: a</s>", Origin("a.txt", 1))) == ["User: a</s>"]
    two = Document((Segment("text", "a"), Segment("text", "b")), Origin("a.txt", 1))
    assert texts.of(two) == ["a", "b"]


@pytest.fixture(scope="module", params=shipped_templates())
def trained(request, tmp_path_factory):
    """A template and a tokenizer with its control tokens."""
    folder = tmp_path_factory.mktemp("project")
    template = chat_template(request.param)
    (folder / "llm.toml").write_text(
        f'[project]\ntemplate = "nano"\n[data]\nchat_template = "{template.name}"\n'
        '[tokenizer]\nname = "byte"\n'
    )
    raw = folder / "data" / "raw"
    raw.mkdir(parents=True)
    rows = (f'{{"question": "what is {n}?", "answer": "it is {n}."}}\n' for n in range(100))
    (raw / "a.jsonl").write_text("".join(rows))
    config = load_config(folder, default_plugins(), environ={})
    return template, ensure_tokenizer(Project(folder), config)


def test_it_is_what_the_model_sees(trained):
    """With a token a byte, all that is no control token spells the texts."""
    template, tokenizer = trained
    document = chat(*TURNS)
    (encoded,) = DocumentEncoder(tokenizer, template).encode([document])
    texts = ModelTexts(template, ()).of(document)
    assert tokenizer.decode(encoded.ids) == "".join(texts)


def test_the_vocabulary_is_measured_on_the_same_texts(trained):
    template, tokenizer = trained
    documents = [chat(("user", f"hi {n}"), ("assistant", f"hello {n}"), line=n) for n in range(99)]
    fit = VocabularyFit.of(tokenizer, Corpus((Chats(documents),), 0.1), template=template)
    texts = ModelTexts(template, ())
    size = sum(len(text) for document in documents for text in texts.of(document))
    assert fit.train.bytes + fit.val.bytes == fit.train.tokens + fit.val.tokens == size


def test_the_side_the_sample_and_the_copies_go_by_the_document():
    template = chat_template("chatml")
    documents = [chat(("user", f"hi {n}"), ("assistant", "yes"), line=n) for n in range(200)]
    once = list(training_texts(Chats(documents), val_split=0.5, template=template))
    assert 50 * 4 < len(once) < 150 * 4
    assert len(once) % 4 == 0
    twice = training_texts(Chats(documents * 2), val_split=0.5, template=template, deduplicate=True)
    assert list(twice) == once


def test_a_conversation_that_the_template_refuses_is_named(tmp_path):
    strict = tmp_path / "strict.jinja"
    strict.write_text("{{ raise_exception('no') if messages|length > 2 else 'ok' }}")
    with pytest.raises(DataError, match="refuses a conversation: no") as caught:
        ModelTexts(chat_template(str(strict)), ()).of(chat(*TURNS, line=7))
    assert caught.value.where == "chats.jsonl:7"
