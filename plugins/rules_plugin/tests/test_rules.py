"""What the rules make of sentences."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from create_llm.data.synthesis.asking import Request
from create_llm.data.synthesis.rows import problem_of
from create_llm.errors import ConfigError
from create_llm_rules.config import RulesConfig
from create_llm_rules.rules import definition, number, pairs, what_is_next, word
from create_llm_rules.sentences import sentences
from create_llm_rules.synthesizer import RulesSynthesizer


@pytest.mark.parametrize(
    ("rule", "sentence", "question", "answer"),
    [
        (definition, "The old mill is a ruin now.", "What is the old mill?", None),
        (definition, "Whales are the largest animals.", "What are Whales?", None),
        (number, "It cost 1,200.50 in all.", 'Which number is missing? "It cost ____ in all."', 0),
        (word, "Then Marius went to Rome.", 'Which word is missing? "Then ____ went to Rome."', 0),
        (word, "the biggest of them ran", 'Which word is missing? "the ____ of them ran"', 0),
    ],
)
def test_what_a_rule_asks(rule, sentence, question, answer):
    asked, answered = rule(sentence, None)
    assert asked == question
    if answer is None:
        assert answered == sentence
    else:
        assert asked.split('"')[1].replace("____", answered) == sentence


@pytest.mark.parametrize(
    "sentence",
    [
        *("It is a ruin now.", "There was a man.", "Nobody knows the house.", "What is a whale?"),
        *("This old mill is the last.", "He who sleeps is a fool."),
    ],
)
def test_nothing_is_defined_where_nothing_is_named(sentence):
    assert definition(sentence, None) is None


def test_no_number_is_taken_out_of_a_word_or_another_number():
    assert number("The B2 flew at 3.5km.", None) is None


def test_a_word_that_stands_twice_is_not_asked_for():
    assert word("go Marius go Marius", None) is None


def test_the_last_sentence_has_no_next():
    assert what_is_next("This is the end of it.", None) is None


def test_sentences_end_where_they_end():
    text = (
        'Mr. Tal met Dr. J. Ost at noon. "Is that you?" she asked him then. It was 3.5 miles!\n'
        "And on it went… Too short.\n\nA heading without an end"
    )
    assert sentences(text) == [
        "Mr. Tal met Dr. J. Ost at noon.",
        '"Is that you?" she asked him then.',
        "It was 3.5 miles!",
        "And on it went…",
    ]


def test_lines_stand_in_for_sentences_in_a_poem():
    assert sentences("the sea is grey today\nand nobody sails out\n") == [
        "the sea is grey today",
        "and nobody sails out",
    ]


def test_a_topic_chooses_the_sentences():
    found = pairs(["The sea is the end.", "The hill is a start."], "HILL", ("definition", "next"))
    assert [question for question, _ in found] == ["What is the hill?"]


@pytest.mark.parametrize(
    ("passage", "topic", "problem"),
    [
        ("The sea is the end of it.", "zebra", "no sentence names 'zebra'"),
        ("Too short.", None, "there is no whole sentence to ask about"),
    ],
)
def test_a_passage_without_a_sentence_to_ask_about_is_told(passage, topic, problem):
    answer = RulesSynthesizer(RulesConfig()).ask(Request(3, topic, passage))
    assert not answer.documents
    assert [each.problem for each in answer.rejected] == [problem]


def test_what_is_known_is_not_asked_again():
    passage = "The sea is the end of it. The hill is a start of it."
    synthesizer = RulesSynthesizer(RulesConfig())
    first = synthesizer.ask(Request(2, passage=passage)).documents
    known = tuple(document.segments[0].text for document in first)
    others = synthesizer.ask(Request(99, passage=passage, known=known)).documents
    assert others
    assert not {document.segments[0].text for document in others} & set(known)


def test_without_a_text_it_says_what_to_do():
    with pytest.raises(ConfigError, match="no text is given"):
        RulesSynthesizer(RulesConfig()).ask(Request(1, "the sea"))


@given(st.text(max_size=300))
def test_whatever_the_text_the_pairs_are_sound(text):
    answer = RulesSynthesizer(RulesConfig()).ask(Request(50, passage=text))
    assert all(problem_of(document) is None for document in answer.documents)
