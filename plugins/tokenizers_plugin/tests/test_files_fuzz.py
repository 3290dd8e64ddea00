"""tokenizer.json and tokenizer_config.json as anybody may have left them: read, or named."""

from __future__ import annotations

import copy
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from create_llm.errors import DataError
from create_llm_tokenizers.bpe import ByteLevelBPE
from create_llm_tokenizers.config import BPEConfig, UnigramConfig, WordPieceConfig
from create_llm_tokenizers.unigram import ByteLevelUnigram
from create_llm_tokenizers.wordpiece import ByteLevelWordPiece

CORPUS = [f"the fox and the dog, number {n}: naïve words\n" for n in range(50)]
KINDS = {"bpe": ByteLevelBPE, "unigram": ByteLevelUnigram, "wordpiece": ByteLevelWordPiece}
CONFIGS = {"bpe": BPEConfig, "unigram": UnigramConfig, "wordpiece": WordPieceConfig}
FILES = ("tokenizer.json", "tokenizer_config.json")

values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**40), 2**40),
    st.sampled_from([0, 1, -1, 2**31, 2**32, 2**63, 0.5, 1e308, "", "</s>", "a", "\ud800", [], {}]),
    st.sampled_from([[["a", "b"]], ["a b c"], {"type": "BPE"}, {"type": "Whitespace"}, [0, -1.0]]),
)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """The files of a tokenizer of each kind."""
    found = {}
    for name, kind in KINDS.items():
        folder = tmp_path_factory.mktemp(name)
        kind.train(CORPUS, CONFIGS[name](vocab_size=300)).save(folder)
        found[name] = {file: json.loads((folder / file).read_text()) for file in FILES}
    return found


def places(value, path=()):
    """Where something could be otherwise: of long lists and tables, the first and the last."""
    yield path
    if isinstance(value, dict):
        keys = list(value)
    else:
        keys = list(range(len(value))) if isinstance(value, list) else []
    for key in keys if len(keys) < 8 else [*keys[:3], *keys[-3:]]:
        yield from places(value[key], (*path, key))


def changed(file, data):
    """The same file but for one to three values, which are others or gone."""
    file = copy.deepcopy(file)
    for _ in range(data.draw(st.integers(1, 3))):
        *above, last = data.draw(st.sampled_from([path for path in places(file) if path]))
        holder = file
        for key in above:
            holder = holder[key]
        if data.draw(st.booleans()):
            holder[last] = copy.deepcopy(data.draw(values))  # lest it hold itself
        else:
            del holder[last]
        if not file:
            break
    return file


def loaded(kind, folder):
    """The tokenizer; None where what is there is told to be none, with the file that is wrong."""
    told = None
    try:
        return kind.load(folder)
    except DataError as error:
        told = error
    assert told.where in [str(folder / name) for name in FILES]
    return None


@settings(
    deadline=None,
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.sampled_from(sorted(KINDS)), st.sampled_from(FILES), st.data())
def test_files_that_somebody_changed_are_read_or_named(saved, tmp_path, kind, which, data):
    files = {**saved[kind], which: changed(saved[kind][which], data)}
    for name, content in files.items():
        (tmp_path / name).write_text(json.dumps(content))
    tokenizer = loaded(KINDS[kind], tmp_path)
    if tokenizer is None:
        return
    ids = tokenizer.encode_batch(["the fox </s> naïve", ""])
    assert all(0 <= token < tokenizer.vocab_size for token in ids[0])
    assert tokenizer.special.eos not in ids[0]
    assert isinstance(tokenizer.decode(ids[0]), str)


@settings(
    deadline=None,
    max_examples=100,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.sampled_from(sorted(KINDS)), st.sampled_from(FILES), st.data())
def test_files_that_were_damaged_are_read_or_named(saved, tmp_path, kind, which, data):
    for name, content in saved[kind].items():
        (tmp_path / name).write_text(json.dumps(content))
    raw = (tmp_path / which).read_bytes()
    start = data.draw(st.integers(0, len(raw)))
    stop = min(start + data.draw(st.sampled_from([0, 1, 5, len(raw)])), len(raw))
    (tmp_path / which).write_bytes(raw[:start] + data.draw(st.binary(max_size=4)) + raw[stop:])
    tokenizer = loaded(KINDS[kind], tmp_path)
    if tokenizer is not None:
        tokenizer.encode_batch(["the fox"])
