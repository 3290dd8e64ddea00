"""Supervised fine-tuning: from a conversation to the labels of a batch."""

from __future__ import annotations

import numpy as np
import pytest

from create_llm.data.chat.template import chat_template, shipped_templates
from create_llm.data.documents import Document, Origin, Segment
from create_llm.data.encoding import DocumentEncoder
from create_llm.data.samples import Sample
from create_llm.kernel.plugins import default_plugins
from create_llm.models.objective import IGNORED
from create_llm_objectives.sft import SFTObjective

CHAT = Document(
    (
        Segment("system", "Be brief.", loss=False),
        Segment("user", "why?", loss=False),
        Segment("assistant", "Because."),
        Segment("user", "no", loss=False),
        Segment("assistant", "Yes."),
    ),
    Origin("chats.jsonl", 1),
)


@pytest.mark.parametrize("name", shipped_templates())
def test_the_labels_are_what_the_assistant_says(name):
    registry = default_plugins().registry
    if "byte" not in registry.names("tokenizers"):
        pytest.skip("the package create-llm-tokenizers is not installed")
    template, part = chat_template(name), registry.get("tokenizers", "byte")
    tokenizer = part.load().train([], part.config_model()(), template.control_tokens)
    [encoded] = DocumentEncoder(tokenizer, template).encode([CHAT])
    # As the shards have it: the end of the text counts where the last token does.
    eos, ends = tokenizer.special.eos, encoded.counted[-1]
    sample = Sample(np.array([eos, *encoded.ids, eos]), np.array([False, *encoded.counted, ends]))
    batch = SFTObjective(None, tokenizer).batch([sample], [0])
    labels = batch.labels[batch.labels != IGNORED].tolist()
    assert tokenizer.decode(labels) == "Because.Yes."
    closing = [token for token in labels if token in tokenizer.special.named.values()]
    # Of each turn; and that of the document, where a turn's is another and nothing follows it.
    assert len(closing) == 2 + (name == "llama")
    assert batch.count == len(labels)
    assert batch.inputs["tokens"].tolist() == [[eos, *encoded.ids]]
