"""Spans: text and targets together are the text; lengths fit the model."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plugins.objectives_plugin.tests.stand_in import EOS, FIRST, PAD, Numbers, sample

from create_llm.models.objective import IGNORED
from create_llm_objectives.config import SpanConfig
from create_llm_objectives.span import SpanObjective


def span(**options):
    return SpanObjective(SpanConfig(**options), Numbers())


def put_back(text, written):
    """The spans of the decoder in place of the sentinels of the encoder."""
    spans = {}
    for token in written:
        if token >= FIRST:
            current = spans.setdefault(token, [])
        elif token != EOS:
            current.append(token)
    return [t for token in text if token != EOS for t in spans.get(token, [token])]


OPTIONS = st.fixed_dictionaries(
    {"density": st.floats(0.05, 0.9), "mean_span": st.floats(1.0, 10.0)}
)


@settings(deadline=None)
@given(OPTIONS, st.integers(1, 200), st.integers(0, 2**63 - 1))
def test_text_and_spans_together_are_the_text(options, size, seed):
    tokens = list(range(5, 5 + min(size, 190))) + [7] * max(size - 190, 0)
    batch = span(**options).batch([sample(tokens)], [seed])
    text, written = batch.inputs["tokens"][0].tolist(), batch.labels[0].tolist()
    assert text[-1] == written[-1] == EOS
    sentinels = [token for token in text if token >= FIRST]
    assert sentinels == [FIRST + place for place in range(len(sentinels))]
    assert [token for token in written if token >= FIRST] == sentinels
    assert put_back(text, written) == tokens


@settings(deadline=None)
@given(OPTIONS, st.integers(3, 600))
def test_a_window_fills_the_encoder_and_no_more(options, context):
    objective = span(**options)
    size = objective.window(context)
    batch = objective.batch([sample(np.full(size, 9))], [1])
    lengths = {name: tensor.shape[1] for name, tensor in batch.inputs.items()}
    assert max(lengths.values()) <= context
    assert objective._spans(size) == 100 or max(lengths.values()) >= context - 2


def test_the_share_and_the_length_of_spans():
    objective = span()
    batch = objective.batch([sample(np.full(400, 9))] * 20, range(20))
    cut = (batch.labels == 9).sum(1)
    spans = (batch.labels >= FIRST).sum(1)
    assert cut.tolist() == [60] * 20
    assert spans.tolist() == [20] * 20
    assert len({tuple(row.tolist()) for row in batch.inputs["tokens"]}) == 20


def test_the_decoder_sees_what_it_has_written():
    batch = span().batch([sample(range(10, 40)), sample(range(50, 56))], [0, 1])
    seen, labels = batch.inputs["decoder_tokens"], batch.labels
    assert (seen[:, 0] == PAD).all()
    counted = labels[:, 1:] != IGNORED
    assert (seen[:, 1:][counted] == labels[:, :-1][counted]).all()


def test_padding_is_named_and_ignored():
    batch = span().batch([sample(range(10, 40)), sample([50, 51, 52])], [0, 1])
    lengths = batch.inputs["attention_mask"].sum(1).tolist()
    assert lengths[1] < lengths[0] == batch.inputs["tokens"].shape[1]
    assert batch.labels[1, -1] == IGNORED


def test_what_does_not_count_is_written_without_a_label():
    tokens, counted = list(range(10, 40)), [place < 15 for place in range(30)]
    objective = span(density=0.5)
    plain = objective.batch([sample(tokens)], [2])
    batch = objective.batch([sample(tokens, counted)], [2])
    left_out = (batch.labels == IGNORED) & (plain.labels != IGNORED)
    assert sorted(plain.labels[left_out].tolist()) == sorted(
        token for token in plain.labels[0].tolist() if 25 <= token < 40
    )


def test_a_prompt_is_a_text_whose_end_is_to_be_written():
    prompt = span().prompt([10, 11])
    assert prompt["tokens"].tolist() == [[10, 11, FIRST, EOS]]
    assert prompt["decoder_tokens"].tolist() == [[PAD, FIRST]]
    assert FIRST + 1 in span().stop_tokens
    assert span().hf_config() == {"decoder_start_token_id": PAD}


@pytest.mark.parametrize("size", [1, 2])
def test_the_shortest_samples_have_something_to_write(size):
    batch = span().batch([sample([9] * size)], [0])
    assert (batch.labels == 9).sum() == 1
