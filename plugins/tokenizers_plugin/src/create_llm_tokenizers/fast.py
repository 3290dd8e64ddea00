"""A tokenizer in Hugging Face's tokenizer.json form, behind the contract of the core."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Self

import tokenizers
from tokenizers import AddedToken, Regex, decoders, models, pre_tokenizers

from create_llm.data.control_tokens import MASKS, hf_tokenizer_config
from create_llm.data.tokenizer import SpecialTokens
from create_llm.errors import DataError
from create_llm_tokenizers.encoders import Encoder, rapid
from create_llm_tokenizers.special import CONFIG, FIXES, kinds_in_files

FILE = "tokenizer.json"

# What a UTF-8 encoder refuses: halves of surrogate pairs, which JSON files can smuggle in.
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")

# Words that no vocabulary holds, so that what is done with such text shows when one is loaded.
_UNHEARD_OF = "qxjzvk \ue000\uffff \U0010fffd9 \x01"

# Characters after which a faster encoder is looked for: with 32,000 tokens that takes half a
# second, which a prompt need not wait for.
_WORTHWHILE = 200_000


class FastTokenizer:
    """Encodes and decodes with the Rust library; subclasses say how a vocabulary comes about.

    Lone surrogates in a text become U+FFFD; all else comes back as it was.
    """

    def __init__(self, rust: tokenizers.Tokenizer, kinds: Mapping[str, str]) -> None:
        """`kinds`: eos and, where there are such tokens, bos, pad, unk and mask, as spelt."""
        # Not part of tokenizer.json: without it, "</s>" in a text would become the control token.
        rust.encode_special_tokens = True
        rust.no_padding()
        rust.no_truncation()
        missing = [name for name in kinds.values() if rust.token_to_id(name) is None]
        if missing:
            raise ValueError(f"'{missing[0]}' is not in the vocabulary")
        flagged = flagged_tokens(rust)
        with_control_tokens(rust, [name for name in kinds.values() if name not in flagged])
        named = flagged_tokens(rust)
        hidden = [name for name in kinds.values() if name not in named]
        if hidden:
            raise ValueError(f"'{hidden[0]}' has the id of another token")
        # Text becomes the unknown one by its meaning, unless that is what ends a text as well.
        kept = {n: i for n, i in named.items() if n != kinds.get("unk") or n == kinds["eos"]}
        _keep_from_text(rust, kept)
        if written := _written_by_text(rust, kept):
            raise ValueError(f"ordinary text becomes the control token '{written[0]}'")
        self._rust = rust
        self._kinds = dict(kinds)
        ids = {kind: named[name] for kind, name in kinds.items()}
        self._special = SpecialTokens(**ids, named=named)
        self._vocab_size = 1 + max(rust.get_vocab(with_added_tokens=True).values())
        self._encoded = 0

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read tokenizer.json, and the kinds of its control tokens from tokenizer_config.json.

        Any tokenizer.json that the Rust library reads will do, not only those saved here.

        Raises:
            DataError: a file is missing or damaged, or no end-of-text token can be found.
        """
        path = folder / FILE
        try:
            rust = tokenizers.Tokenizer.from_str(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise DataError("there is no tokenizer here", where=str(path), fixes=FIXES) from error
        except OSError:
            raise
        except Exception as error:  # the Rust library raises nothing more precise
            raise DataError(
                f"the tokenizer is damaged: {FILE} cannot be read: {error}",
                where=str(path),
                fixes=FIXES,
            ) from error
        _try_out(rust, path)
        vocabulary = rust.get_vocab(with_added_tokens=True)
        kinds = kinds_in_files(folder, vocabulary, list(flagged_tokens(rust)))
        try:
            return cls(rust, kinds)
        except ValueError as error:
            raise DataError(
                f"the tokenizer is damaged: {error}", where=str(path), fixes=FIXES
            ) from error

    @property
    def vocab_size(self) -> int:
        return self._vocab_size

    @property
    def special(self) -> SpecialTokens:
        return self._special

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        clean = [without_surrogates(text) for text in texts]
        self._encoded += sum(map(len, clean))
        if self._encoded >= _WORTHWHILE and self._rapid is not None:
            return self._rapid.encode_batch(clean)
        encodings = self._rust.encode_batch_fast(clean, add_special_tokens=False)
        return [encoding.ids for encoding in encodings]

    @cached_property
    def _rapid(self) -> Encoder | None:
        return rapid(self._rust)

    def decode(self, ids: Sequence[int]) -> str:
        return self._rust.decode(list(ids), skip_special_tokens=True)

    def token(self, token_id: int) -> str:
        token = self._rust.id_to_token(token_id)
        if token is None:
            raise IndexError(f"token {token_id} of {self._vocab_size}")
        return token

    def save(self, folder: Path) -> None:
        """Write tokenizer.json, and tokenizer_config.json for Hugging Face's transformers."""
        text = hf_tokenizer_config(self._kinds, list(self._special.named))
        (folder / FILE).write_text(self._rust.to_str(pretty=True), encoding="utf-8", newline="\n")
        (folder / CONFIG).write_text(text, encoding="utf-8", newline="\n")


def byte_level(model: models.Model, longest_word: int | None = None) -> tokenizers.Tokenizer:
    """A tokenizer over bytes, each spelt as a printable character in its file.

    Words are those of GPT-2's pattern; longer ones than `longest_word` bytes are cut.
    """
    rust = tokenizers.Tokenizer(model)
    rust.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    if longest_word is not None:
        cut = pre_tokenizers.Split(Regex(f".{{{longest_word}}}"), "isolated")
        rust.pre_tokenizer = pre_tokenizers.Sequence([rust.pre_tokenizer, cut])
    rust.decoder = decoders.ByteLevel()
    return rust


def byte_letters() -> list[str]:
    """How the file spells each of the 256 bytes, sorted."""
    return sorted(pre_tokenizers.ByteLevel.alphabet())


def with_control_tokens(rust: tokenizers.Tokenizer, names: Sequence[str]) -> tokenizers.Tokenizer:
    """The tokenizer, whose vocabulary already holds those names, with them as control tokens."""
    # Words carry the space before them, so that one before a mask is the masked word's.
    tokens = [AddedToken(name, special=True, lstrip=name in MASKS) for name in names]
    rust.add_special_tokens(tokens)
    return rust


def without_surrogates(text: str) -> str:
    return text if text.isascii() else _LONE_SURROGATE.sub("\ufffd", text)


def flagged_tokens(rust: tokenizers.Tokenizer) -> dict[str, int]:
    """Spelling → id of the tokens that the file flags as control tokens, by id."""
    added = sorted(rust.get_added_tokens_decoder().items())
    return {token.content: token_id for token_id, token in added if token.special}


def _try_out(rust: tokenizers.Tokenizer, path: Path) -> None:
    """Raise DataError where unknown text would be an error: a vocabulary of whole words, say,
    without a token for all others."""
    try:
        rust.encode(_UNHEARD_OF, add_special_tokens=False)
    except Exception as error:  # the Rust library raises nothing more precise
        raise DataError(
            f"the tokenizer cannot encode text that is not in its vocabulary: {error}",
            where=str(path),
            fixes=(
                f"name the token that stands for it in {FILE}: model.unk_token, and in the "
                "vocabulary",
                FIXES[0],
            ),
        ) from error


def _keep_from_text(rust: tokenizers.Tokenizer, control: Mapping[str, int]) -> None:
    """Divide the spelling of a control token wherever a text has it.

    Needed where such tokens are pieces of the model like any other: a unigram model made with
    SentencePiece, whose words may hold any signs, finds "</s>" in a text without looking for it.
    """
    found = _encoded_as_itself(rust, control, list(control))
    if not found:
        return
    rest = "|".join(f"{re.escape(name[0])}(?={re.escape(name[1:])})" for name in found)
    before = [] if rust.pre_tokenizer is None else [rust.pre_tokenizer]
    divide = pre_tokenizers.Split(Regex(rest), "isolated")
    rust.pre_tokenizer = pre_tokenizers.Sequence([*before, divide])


def _written_by_text(rust: tokenizers.Tokenizer, control: Mapping[str, int]) -> list[str]:
    """The control tokens that a text can become all the same: pieces such as "a", of which there
    is nothing to divide, or "Ġa", which is no text before it is decoded."""
    decoder = rust.decoder
    texts = list(control) if decoder is None else [decoder.decode([name]) for name in control]
    spelt = _encoded_as_itself(rust, control, list(control))
    return spelt or _encoded_as_itself(rust, control, texts)


def _encoded_as_itself(
    rust: tokenizers.Tokenizer, control: Mapping[str, int], texts: Sequence[str]
) -> list[str]:
    """
    Args:
        texts: one for each control token, in their order.
    """
    encodings = rust.encode_batch(list(texts), add_special_tokens=False)
    return [name for name, own in zip(control, encodings, strict=True) if control[name] in own.ids]
