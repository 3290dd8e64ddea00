"""Sampling, stopping, streaming and sliding, on a model whose next token is known."""

from __future__ import annotations

import math

import pytest
import torch
from pydantic import BaseModel
from torch import nn

from create_llm.data.tokenizer import SpecialTokens
from create_llm.errors import ConfigError, DataError
from create_llm.models import generation
from create_llm.models.architecture import Architecture, CausalLM, ModelOutput
from create_llm.models.choosing import choose
from create_llm.models.generation import Prompt, Sampling, TextBatch, TextStream, complete
from create_llm.models.loaded import LoadedModel
from create_llm.models.objective import Objective

LETTERS = "\x00abcdefghijklmnopqrstuvwxyz :\nYMouodel"


class Config(BaseModel):
    max_length: int = 8


class Next(nn.Module):
    """Always continues with the letter after the last one; after z comes the end."""

    def __init__(self, size):
        super().__init__()
        self.size = size
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(self, tokens):
        follow = (tokens + 1) * (tokens < 26)
        hidden = nn.functional.one_hot(follow, self.size).float() * 50
        return ModelOutput(hidden, lambda values: values)


class Alphabet(CausalLM):
    config_class = Config

    def build(self, config, vocab_size):
        return Next(vocab_size)


class Letters:
    """Ids are positions in LETTERS; 0 is the end."""

    vocab_size = len(LETTERS)
    special = SpecialTokens(eos=0)

    def encode_batch(self, texts):
        return [[LETTERS.index(letter) for letter in text] for text in texts]

    def decode(self, ids):
        return "".join(LETTERS[i] for i in ids if i)


class TwoBytes(Letters):
    """Each character takes two tokens; the first alone decodes to the replacement character."""

    def decode(self, ids):
        whole = "".join(LETTERS[i] for i in ids[: len(ids) // 2 * 2])
        return whole + "\ufffd" * (len(ids) % 2)


@pytest.fixture
def model():
    return loaded(Letters())


class Continues(Objective):
    """Only its prompts matter here."""

    def batch(self, samples, seeds):
        raise AssertionError("nothing is trained")

    def loss(self, output, batch):
        raise AssertionError("nothing is trained")


def loaded(tokenizer, context=64, architecture=None, objective=Continues):
    architecture, config = architecture or Alphabet(), Config(max_length=context)
    module = architecture.build(config, len(LETTERS))
    cpu = torch.device("cpu")
    return LoadedModel(architecture, module, config, tokenizer, objective(None, tokenizer), cpu)


def test_greedy_text_and_its_end(model):
    done = complete(model, "ab", Sampling(max_new_tokens=100, temperature=0))
    assert (done.text, done.finish_reason, done.tokens) == ("cdefghijklmnopqrstuvwxyz", "eos", 25)


def test_length_is_a_limit(model):
    done = complete(model, "a", Sampling(max_new_tokens=3, temperature=0))
    assert (done.text, done.finish_reason) == ("bcd", "length")


@pytest.mark.parametrize(("stop", "text"), [("g", "bcdef"), ("fg", "bcde"), ("zz", None)])
def test_text_ends_before_a_stop_string(model, stop, text):
    done = complete(model, "a", Sampling(temperature=0, stop=(stop,)))
    assert done.text == (text or "bcdefghijklmnopqrstuvwxyz")
    assert done.finish_reason == ("stop" if text else "eos")


def test_pieces_add_up_and_never_show_what_a_stop_string_takes_back(model):
    stream = TextStream(model, "a", Sampling(temperature=0, stop=("efg",)), print)
    pieces = list(stream)
    assert "".join(pieces) == stream.result().text == "bcd"


def test_half_a_character_is_held_back():
    stream = TextStream(loaded(TwoBytes()), "a", Sampling(temperature=0, max_new_tokens=5), print)
    pieces = list(stream)
    assert all("\ufffd" not in piece for piece in pieces[:-1])
    assert "".join(pieces) == stream.result().text


def test_past_the_context_the_text_goes_on_and_says_so():
    told = []
    done = complete(loaded(Letters(), 8), "a", Sampling(temperature=0), told.append)
    assert done.text == "bcdefghijklmnopqrstuvwxyz"
    assert len(told) == 1
    assert "past 8 tokens" in told[0]


def test_a_prompt_longer_than_the_context_is_cut_and_says_so():
    told = []
    done = complete(loaded(Letters(), 4), "abcdefg", Sampling(temperature=0), told.append)
    assert done.text.startswith("hij")
    assert "7 tokens" in told[0]


def test_an_empty_prompt_begins_a_document(model):
    assert complete(model, "", Sampling(temperature=0)).text.startswith("abc")


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_the_same_seed_gives_the_same_choice():
    logits = torch.randn(50, generator=generator(1))
    sampling = Sampling(temperature=1.0, top_k=0, top_p=1.0)
    first = [choose(logits, sampling, generator(7)) for _ in range(5)]
    assert len(set(first)) == 1
    assert len({choose(logits, sampling, generator(seed)) for seed in range(50)}) > 5


@pytest.mark.parametrize(
    ("sampling", "allowed"),
    [
        (Sampling(temperature=0), {0}),
        (Sampling(top_k=1, top_p=1.0), {0}),
        (Sampling(top_k=2, top_p=1.0), {0, 1}),
        (Sampling(top_k=0, top_p=0.6), {0, 1}),
        (Sampling(top_k=0, top_p=0.4), {0}),
        (Sampling(top_k=0, top_p=1.0), {0, 1, 2, 3}),
    ],
)
def test_only_the_likeliest_are_chosen_from(sampling, allowed):
    logits = torch.tensor([0.5, 0.3, 0.15, 0.05]).log()
    drawn = generator()
    assert {choose(logits, sampling, drawn) for _ in range(400)} == allowed


@pytest.mark.parametrize(("least", "allowed"), [(0.7, {0}), (0.29, {0, 1, 2}), (0.5, {0, 1})])
def test_what_is_much_rarer_than_the_likeliest_is_not_chosen(least, allowed):
    logits = torch.tensor([0.5, 0.3, 0.15, 0.05]).log()
    sampling, drawn = Sampling(top_k=0, top_p=1.0, min_p=least), generator()
    assert {choose(logits, sampling, drawn) for _ in range(400)} == allowed


def test_what_was_said_becomes_rarer():
    sampling = Sampling(temperature=0, repetition_penalty=2.0)
    logits = torch.tensor([3.0, 2.0, -1.0])
    assert choose(logits, sampling, generator()) == 0
    assert choose(logits, sampling, generator(), [0, 0]) == 1
    below = torch.tensor([-2.0, -3.0, -9.0])
    assert choose(below, sampling, generator(), [0]) == 1
    assert choose(below, Sampling(temperature=0), generator(), [0]) == 0


@pytest.mark.parametrize("top_k", [0, 3])
def test_each_is_chosen_as_often_as_is_likely(top_k):
    shares = torch.tensor([0.5, 0.2, 0.2, 0.1])
    sampling, drawn, times = Sampling(top_k=top_k, top_p=1.0), generator(4), 20_000
    kept = shares if not top_k else shares[:top_k] / shares[:top_k].sum()
    chosen = torch.tensor([choose(shares.log(), sampling, drawn) for _ in range(times)])
    counts = chosen.bincount(minlength=4)[: len(kept)] / times
    deviations = (kept * (1 - kept) / times).sqrt()
    assert ((counts - kept).abs() < 5 * deviations).all()


@pytest.mark.parametrize("temperature", [0, 1])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_model_that_computes_no_numbers_is_told(temperature, value):
    sampling = Sampling(temperature=temperature)
    with pytest.raises(DataError, match="not finite"):
        choose(torch.tensor([0.0, value, 1.0]), sampling, generator())


@pytest.mark.parametrize(
    "wrong",
    [
        {"top_p": 0},
        {"top_p": 1.1},
        {"top_p": math.nan},
        {"top_k": -1},
        {"temperature": -1},
        {"temperature": math.inf},
        {"max_new_tokens": 0},
        {"min_p": 1.5},
        {"repetition_penalty": 0},
        {"stop": ("",)},
        {"seed": -1},
    ],
    ids=str,
)
def test_impossible_sampling_is_refused_with_advice(wrong):
    (name,) = wrong
    with pytest.raises(ConfigError, match=name) as caught:
        Sampling(**wrong)
    assert caught.value.where == name
    assert len(caught.value.fixes) == 2


class Weighing(nn.Module):
    """Each token depends on all before it, and on the order they came in."""

    def __init__(self, size):
        super().__init__()
        self.table = nn.Parameter(torch.randn(size, size, generator=generator(3)) * 2)

    def forward(self, tokens):
        weights = torch.arange(1, tokens.shape[1] + 1)[None, :, None]
        return ModelOutput((self.table[tokens] * weights).cumsum(1) / 4, lambda values: values)


class Weighed(Alphabet):
    def build(self, config, vocab_size):
        return Weighing(vocab_size)


class OneByOne(Weighed):
    """Knows no way to decode several at once."""

    def gather(self, rows):
        return None


PROMPTS = ["abc", "a", "hello you", "model", "z", "abc", ""]


@pytest.mark.parametrize("temperature", [0, 1.0])
@pytest.mark.parametrize("architecture", [Weighed(), OneByOne()], ids=["together", "one by one"])
@pytest.mark.parametrize("at_once", [3, 32])
def test_several_prompts_at_once_are_continued_as_one_by_one(
    monkeypatch, architecture, temperature, at_once
):
    """Of all lengths, past the context, and more of them than there is room for."""
    monkeypatch.setattr(generation, "_AT_ONCE", at_once)
    model = loaded(Letters(), 16, architecture=architecture)
    sampling = Sampling(temperature=temperature, max_new_tokens=30, seed=1, stop=("o",))
    alone = [complete(model, prompt, sampling) for prompt in PROMPTS]
    assert len({done.tokens for done in alone}) > 3, "they should end at different times"
    batch = TextBatch(model, [Prompt.of(text, model) for text in PROMPTS], sampling, print)
    pieces = [""] * len(PROMPTS)
    for number, piece in batch:
        pieces[number] += piece
    together = batch.results()
    assert [done.text for done in together] == [done.text for done in alone] == pieces
    for name in ("prompt", "tokens", "finish_reason"):
        assert [getattr(d, name) for d in together] == [getattr(d, name) for d in alone]


def test_a_text_is_shown_whole_before_the_next():
    model = loaded(Letters(), architecture=Weighed())
    sampling = Sampling(max_new_tokens=9, seed=2)
    batch = TextBatch(model, [Prompt.of(text, model) for text in PROMPTS], sampling, print)
    shown = ["".join(pieces) for pieces in batch.in_order()]
    assert shown == [done.text for done in batch.results()]


def test_a_prompt_may_fill_the_context_and_not_more():
    model = loaded(Letters(), 4)
    sampling = Sampling(temperature=0, max_new_tokens=2)
    assert "".join(TextStream(model, "abcd", sampling, print)) == "ef"
    with pytest.raises(ConfigError, match="5 tokens, and the model reads 4") as caught:
        TextStream(model, "abcde", sampling, print)
    assert "abcde" in caught.value.where


def test_what_an_objective_adds_to_a_prompt_takes_room():
    class Marked(Continues):
        def prompt(self, tokens):
            return super().prompt([1, 2, *tokens])

    model = loaded(Letters(), 6, objective=Marked)
    assert model.longest_prompt == 4
    sampling = Sampling(temperature=0, max_new_tokens=20)
    assert complete(model, "abcd", sampling).text == "efghijklmnopqrstuvwx"
    with pytest.raises(ConfigError):
        Prompt.of("abcde", model)


class Apart(Alphabet):
    """Reads its prompt apart from what it writes, which begins with the prompt's last letter."""

    capabilities = frozenset({"seq2seq", "generate"})

    def begin(self, module, inputs, length):
        return super().begin(module, {"tokens": inputs["tokens"][:, -1:]}, length)


def test_what_is_written_apart_ends_where_the_model_does():
    told = []
    model = loaded(Letters(), 8, architecture=Apart())
    done = complete(model, "abc", Sampling(temperature=0), told.append)
    assert (done.text, done.finish_reason) == ("defghijk", "length")
    assert not told


def test_an_objective_can_name_tokens_that_end_a_text():
    class UpToH(Continues):
        stop_tokens = frozenset({LETTERS.index("h")})

    done = complete(loaded(Letters(), objective=UpToH), "abc", Sampling(temperature=0))
    assert (done.text, done.finish_reason) == ("defg", "eos")


def test_an_objective_makes_the_prompt():
    class FromX(Continues):
        def prompt(self, tokens):
            return super().prompt([*tokens, LETTERS.index("x")])

    done = complete(loaded(Letters(), objective=FromX), "abc", Sampling(temperature=0))
    assert done.text == "yz"


def test_a_model_that_only_reads_says_so():
    class Reads(Architecture):
        config_class, build = Config, Alphabet.build

    with pytest.raises(ConfigError, match="does not write") as caught:
        complete(loaded(Letters(), architecture=Reads()), "a", Sampling())
    assert caught.value.fixes
