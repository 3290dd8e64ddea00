"""The contract of tokenizers against planted faults."""

from __future__ import annotations

import json
import random
import unicodedata
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from create_llm.data.tokenizer import SpecialTokens
from create_llm.errors import DataError
from create_llm.testing import TokenizerContract

EOS, BOS = 256, 257


class Config(BaseModel):
    model_config = ConfigDict(extra="forbid")

    vocab_size: int = Field(300, description="Entries at most.")


class Bytes:
    """A sound tokenizer: UTF-8 bytes, and control tokens behind them."""

    def __init__(self, control=()):
        self.control = list(dict.fromkeys(["</s>", "<s>", *control]))
        self.vocab_size = 256 + len(self.control)
        named = {name: 256 + place for place, name in enumerate(self.control)}
        self.special = SpecialTokens(eos=EOS, bos=BOS, named=named)

    @classmethod
    def train(cls, texts, config, control_tokens=()):
        return cls(control_tokens)

    @classmethod
    def load(cls, folder: Path):
        try:
            return cls(json.loads((folder / "tokenizer.json").read_text())["control"])
        except (OSError, ValueError) as error:
            raise DataError("no tokenizer here") from error

    def encode_batch(self, texts):
        return [self.encode(text) for text in texts]

    def encode(self, text):
        return list(text.encode("utf-8", "replace"))

    def decode(self, ids):
        return bytes(i for i in ids if i < 256).decode("utf-8", "replace")

    def token(self, token_id):
        return f"<0x{token_id:02X}>" if token_id < 256 else self.control[token_id - 256]

    def save(self, folder):
        (folder / "tokenizer.json").write_text(json.dumps({"control": self.control}))


def test_a_sound_tokenizer_passes(failures):
    assert failures(TokenizerContract, Bytes, Config) == set()


def test_normalising_is_caught(failures):
    class Normalises(Bytes):
        def encode(self, text):
            return super().encode(unicodedata.normalize("NFC", text))

    assert failures(TokenizerContract, Normalises, Config) == {
        "every_code_point_comes_back",
        "random_bytes_come_back",
        "awkward_texts_come_back",
    }


def test_truncating_is_caught(failures):
    class Truncates(Bytes):
        def encode(self, text):
            return super().encode(text)[:1500]

    assert failures(TokenizerContract, Truncates, Config) == {
        "awkward_texts_come_back",
        "random_bytes_come_back",
    }


def test_latin_1_as_all_there_is_is_caught(failures):
    class Latin(Bytes):
        def encode(self, text):
            return list(text.encode("latin-1", "replace"))

        def decode(self, ids):
            return bytes(i for i in ids if i < 256).decode("latin-1")

    assert failures(TokenizerContract, Latin, Config) == {
        "every_code_point_comes_back",
        "random_bytes_come_back",
        "awkward_texts_come_back",
    }


def test_a_declared_loss_is_allowed(failures):
    class Lower(Bytes):
        def encode(self, text):
            return super().encode(text.lower())

    class Declares(TokenizerContract):
        loses = "Upper case comes back as lower case."

        def expected(self, text):
            return text.lower()

    assert failures(Declares, Lower, Config) == set()


def test_a_loss_in_code_but_not_in_words_is_caught(failures):
    class Lower(Bytes):
        def encode(self, text):
            return super().encode(text.lower())

    class Hides(TokenizerContract):
        def expected(self, text):
            return text.lower()

    assert failures(Hides, Lower, Config) == {"what_is_lost_is_declared"}


def test_a_control_token_within_reach_of_text_is_caught(failures):
    class Injectable(Bytes):
        def encode(self, text):
            parts = text.split("</s>")
            ids = super().encode(parts[0])
            for part in parts[1:]:
                ids += [EOS, *super().encode(part)]
            return ids

    found = failures(TokenizerContract, Injectable, Config)
    assert found == {"text_never_becomes_a_control_token"}


def test_a_bos_before_every_text_is_caught(failures):
    class Begins(Bytes):
        def encode(self, text):
            return [BOS, *super().encode(text)]

    assert failures(TokenizerContract, Begins, Config) == {"text_never_becomes_a_control_token"}


def test_decoding_control_tokens_is_caught(failures):
    class Says(Bytes):
        def decode(self, ids):
            return super().decode(ids) + "</s>" * list(ids).count(EOS)

    assert failures(TokenizerContract, Says, Config) == {"control_tokens_are_not_decoded"}


def test_a_vocabulary_one_too_small_is_caught(failures):
    class Short(Bytes):
        def __init__(self, control=()):
            super().__init__(control)
            self.vocab_size -= 1

    found = failures(TokenizerContract, Short, Config)
    assert found == {"ids_are_those_of_the_vocabulary", "control_tokens_can_be_asked_for"}


def test_a_vocabulary_beyond_the_limit_is_caught(failures):
    class Small(BaseModel):
        model_config = ConfigDict(extra="forbid")
        vocab_size: int = Field(200, description="Entries at most.")

    found = failures(TokenizerContract, Bytes, Small)
    assert found == {"vocabulary_is_no_larger_than_asked", "control_tokens_can_be_asked_for"}


def test_stumbling_over_half_a_character_is_caught(failures):
    class Strict(Bytes):
        def decode(self, ids):
            return bytes(i for i in ids if i < 256).decode("utf-8")

    assert failures(TokenizerContract, Strict, Config) == {"any_ids_can_be_decoded"}


def test_stumbling_over_surrogates_is_caught(failures):
    class Strict(Bytes):
        def encode(self, text):
            return list(text.encode("utf-8"))

    assert failures(TokenizerContract, Strict, Config) == {"lone_surrogates_are_no_accident"}


def test_padding_a_batch_is_caught(failures):
    class Pads(Bytes):
        def encode_batch(self, texts):
            rows = super().encode_batch(texts)
            longest = max(map(len, rows), default=0)
            return [row + [EOS] * (longest - len(row)) for row in rows] if len(rows) < 100 else rows

    assert failures(TokenizerContract, Pads, Config) == {"a_batch_is_its_texts_one_by_one"}


def test_training_by_chance_is_caught(failures):
    class Chance(Bytes):
        def save(self, folder):
            content = {"control": self.control, "seed": random.random()}
            (folder / "tokenizer.json").write_text(json.dumps(content))

    assert failures(TokenizerContract, Chance, Config) == {"training_is_deterministic"}


def test_forgetting_on_save_is_caught(failures):
    class Forgets(Bytes):
        @classmethod
        def load(cls, folder):
            loaded = super().load(folder)
            loaded.special = SpecialTokens(eos=EOS, named=loaded.special.named)
            return loaded

    assert failures(TokenizerContract, Forgets, Config) == {"saved_and_loaded_is_the_same"}


def test_a_stack_trace_for_a_damaged_file_is_caught(failures):
    class Raw(Bytes):
        @classmethod
        def load(cls, folder):
            return cls(json.loads((folder / "tokenizer.json").read_text())["control"])

    found = failures(TokenizerContract, Raw, Config)
    assert found == {"a_folder_without_a_tokenizer_is_a_data_error"}


def test_not_reserving_what_is_asked_for_is_caught(failures):
    class Deaf(Bytes):
        @classmethod
        def train(cls, texts, config, control_tokens=()):
            return cls()

    assert failures(TokenizerContract, Deaf, Config) == {"control_tokens_can_be_asked_for"}


def test_reserving_a_token_twice_is_caught(failures):
    class Twice(Bytes):
        def __init__(self, control=()):
            super().__init__(control)
            self.control += [name for name in control if name in ("</s>", "<s>")]
            self.vocab_size = 300 + len(control)

    assert "control_tokens_can_be_asked_for" in failures(TokenizerContract, Twice, Config)


def test_forgetting_what_was_asked_for_is_caught(failures):
    class Loses(Bytes):
        def save(self, folder):
            (folder / "tokenizer.json").write_text(json.dumps({"control": []}))

    assert failures(TokenizerContract, Loses, Config) == {"control_tokens_can_be_asked_for"}


def test_a_control_token_without_a_name_is_caught(failures):
    class Nameless(Bytes):
        def __init__(self, control=()):
            super().__init__(control)
            named = {name: i for name, i in self.special.named.items() if name != "<s>"}
            self.special = SpecialTokens(eos=EOS, bos=BOS, named=named)

    assert failures(TokenizerContract, Nameless, Config) == {"control_tokens_are_listed"}
