"""Sampling, stopping, streaming and sliding, on a model whose next token is known."""

from __future__ import annotations

import pytest
import torch
from pydantic import BaseModel
from torch import nn

from create_llm.data.tokenizer import SpecialTokens
from create_llm.errors import ConfigError
from create_llm.models.architecture import Architecture, CausalLM, ModelOutput
from create_llm.models.conversation import Message, render, reply
from create_llm.models.generation import Sampling, TextStream, choose, complete
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


@pytest.mark.parametrize(
    "wrong", [{"top_p": 0}, {"top_p": 1.1}, {"temperature": -1}, {"max_new_tokens": 0}]
)
def test_impossible_sampling_is_refused(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        Sampling(**wrong)


def test_a_conversation_is_a_script_that_stops_before_the_other_side(model):
    script = render([Message("user", "hello")])
    assert script == "You: hello\n"
    with pytest.raises(ConfigError, match="not a role"):
        render([Message("robot", "x")])
    stream = reply(model, [Message("user", "m")], Sampling(temperature=0, max_new_tokens=2), print)
    assert isinstance("".join(stream), str)


class Apart(Alphabet):
    """Reads its prompt apart from what it writes, which begins with the prompt's last letter."""

    capabilities = frozenset({"seq2seq", "generate"})

    def begin(self, module, inputs, length):
        return super().begin(module, {"tokens": inputs["tokens"][:, -1:]}, length)


def test_what_is_written_apart_ends_where_the_model_does():
    told = []
    model = loaded(Letters(), 8, architecture=Apart())
    done = complete(model, "abc", Sampling(temperature=0), told.append)
    assert (done.text, done.finish_reason) == ("defghij", "length")
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
