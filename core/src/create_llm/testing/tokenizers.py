"""The contract of tokenizers."""

from __future__ import annotations

import random
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import ClassVar

import pytest

from create_llm.data.tokenizer import Tokenizer, TokenizerType
from create_llm.errors import DataError
from create_llm.testing.base import PartContract

_SENTENCES = (
    "The quick brown fox jumps over the lazy dog; 1234567890 times, she said.",
    "El pingüino Wenceslao hizo kilómetros bajo exhaustiva lluvia y frío.",
    "Съешь же ещё этих мягких французских булок, да выпей чаю.",
    "我能吞下玻璃而不伤身体。 いろはにほへと ちりぬるを",
    "def f(x):\n\treturn x ** 2  # naïve\n",
)
_AWKWARD = (
    "",
    " ",
    "  two leading, two trailing  ",
    "\ttab\n\n\nlines\r\nend\n",
    "\u00a0no-break\u200bzero-width\ufeff",
    "e\u0301 and \u00e9",
    "👩‍👩‍👧‍👦 🇪🇺",
    "a" * 5000,
    "no spaces" * 400,
    "A long document, line after line.\n" * 4000,
)
_SURROGATES = range(0xD800, 0xE000)
_CHUNK = 128
_ASKED = ("<asked-for-1>", "<asked-for-2>", "<|asked_for_3|>")


class TokenizerContract(PartContract):
    """Text to ids and back.

    Attributes:
        loses: one sentence about what does not come back, if anything; `expected` then says it in
            code.
    """

    kind = "tokenizers"
    loses: ClassVar[str] = ""
    _tokenizer: ClassVar[Tokenizer]

    def texts(self) -> Sequence[str]:
        """What the tokenizer is trained on."""
        return _SENTENCES * 20

    def expected(self, text: str) -> str:
        """What comes back of a text; override where the type cannot bring all of it back."""
        return text

    def test_every_code_point_comes_back(self) -> None:
        """All 1,112,064 characters of Unicode: a model cannot be asked to avoid the others."""
        points = [chr(code) for code in range(sys.maxunicode + 1) if code not in _SURROGATES]
        texts = ["".join(points[at : at + _CHUNK]) for at in range(0, len(points), _CHUNK)]
        self._check_round_trips(texts)

    def test_random_bytes_come_back(self) -> None:
        """Bytes read as Latin-1, and as UTF-8 with replacements: text nobody trained on."""
        chaos = random.Random(0)
        blocks = [chaos.randbytes(length) for length in (1, 2, 3, 7, 64, 1000) for _ in range(20)]
        self._check_round_trips([block.decode("latin-1") for block in blocks])
        self._check_round_trips([block.decode("utf-8", "replace") for block in blocks])

    def test_awkward_texts_come_back(self) -> None:
        """Empty, blank, very long, decomposed: nothing is stripped, joined or truncated."""
        self._check_round_trips(_AWKWARD)

    def test_what_is_lost_is_declared(self) -> None:
        """`loses` says in words what `expected` says in code, and neither without the other."""
        sample = (*_AWKWARD, *_SENTENCES, *(chr(code) for code in range(0x3000)))
        loses = any(self.expected(text) != text for text in sample)
        assert loses == bool(self.loses), (
            "`expected` changes text; say in `loses` which" if loses else "nothing is lost"
        )

    def test_lone_surrogates_are_no_accident(self) -> None:
        """Half a surrogate pair, which JSON can smuggle in, is encoded like any other text."""
        for ids in self._trained().encode_batch(["\ud800", "a\udfffb"]):
            assert isinstance(self._trained().decode(ids), str)

    def test_text_never_becomes_a_control_token(self) -> None:
        """Otherwise a document could end itself, or a user could speak as the assistant."""
        tokenizer = self._trained()
        control = self._control_ids()
        for spelt in [tokenizer.token(token) for token in control]:
            for text in (spelt, f"a{spelt}b", f" {spelt} ", spelt * 3, *_SENTENCES):
                ids = tokenizer.encode_batch([text])[0]
                found = [tokenizer.token(token) for token in ids if token in control]
                assert not found, f"{text!r} encodes to the control token {found[0]}"

    def test_control_tokens_are_not_decoded(self) -> None:
        """`decode` leaves control tokens out: they are no part of what a model says."""
        tokenizer = self._trained()
        ids = tokenizer.encode_batch([_SENTENCES[0]])[0]
        for token in self._control_ids():
            assert tokenizer.decode([token, *ids, token]) == tokenizer.decode(ids)

    def test_ids_are_those_of_the_vocabulary(self) -> None:
        """Ids lie in 0 … vocab_size - 1, each with an entry: the embedding has those rows."""
        tokenizer = self._trained()
        size = tokenizer.vocab_size
        used = {i for ids in tokenizer.encode_batch([*_SENTENCES, *_AWKWARD]) for i in ids}
        outside = sorted(i for i in used | set(self._control_ids()) if not 0 <= i < size)
        assert not outside, f"ids {outside[:5]} of a vocabulary of {size}"
        assert all(isinstance(tokenizer.token(i), str) for i in range(size))

    def test_vocabulary_is_no_larger_than_asked(self) -> None:
        """`vocab_size` in the options is a limit: it sizes the model."""
        limit = getattr(self.config(), "vocab_size", None)
        assert limit is None or self._trained().vocab_size <= limit

    def test_control_tokens_are_listed(self) -> None:
        """`special.named` has every control token by its spelling: objectives and formats of
        conversations look theirs up there."""
        tokenizer, special = self._trained(), self._trained().special
        kinds = (special.eos, special.bos, special.pad, special.unk, special.mask)
        missing = {token for token in kinds if token is not None} - set(special.named.values())
        assert not missing, f"not named: {[tokenizer.token(token) for token in sorted(missing)]}"
        for name, token in special.named.items():
            assert tokenizer.token(token) == name, f"{name!r} is {tokenizer.token(token)!r}"

    def test_control_tokens_can_be_asked_for(self, tmp_path: Path) -> None:
        """What an objective asks for is reserved, once, within `vocab_size`, also after loading;
        those that the tokenizer has anyway are no others."""
        own = list(self._trained().special.named)
        asked = [*_ASKED, *own]
        tokenizer = self._train(asked)
        _saved(tokenizer, tmp_path / "saved")
        for made in (tokenizer, self._type().load(tmp_path / "saved")):
            missing = set(asked) - set(made.special.named)
            assert not missing, f"not reserved: {', '.join(sorted(missing))}"
            self._check_reserved(made)
        limit = getattr(self.config(), "vocab_size", None)
        assert limit is None or tokenizer.vocab_size <= limit

    def _check_reserved(self, tokenizer: Tokenizer) -> None:
        ids = [tokenizer.special.named[name] for name in _ASKED]
        assert len(set(ids)) == len(ids), "two control tokens with one id"
        assert all(0 <= token < tokenizer.vocab_size for token in ids), f"ids {ids}"
        assert tokenizer.decode(ids) == "", "they are decoded"
        written = {token for text in _ASKED for token in tokenizer.encode_batch([text])[0]}
        assert not written & set(ids), "text becomes a control token"

    def test_any_ids_can_be_decoded(self) -> None:
        """A model may generate any ids in any order, half a character included."""
        tokenizer, chaos = self._trained(), random.Random(1)
        for length in (0, 1, 2, 50):
            ids = [chaos.randrange(tokenizer.vocab_size) for _ in range(length)]
            assert isinstance(tokenizer.decode(ids), str)

    def test_a_batch_is_its_texts_one_by_one(self) -> None:
        """No padding, no truncation, no order: a text's ids depend on the text alone."""
        tokenizer, texts = self._trained(), [*_AWKWARD, *_SENTENCES]
        alone = [ids for text in texts for ids in tokenizer.encode_batch([text])]
        assert tokenizer.encode_batch(texts) == alone
        assert tokenizer.encode_batch([]) == []

    def test_training_is_deterministic(self, tmp_path: Path) -> None:
        """The same texts and options give the same files: shards are keyed by their hash."""
        once, again = tmp_path / "once", tmp_path / "again"
        assert _saved(self._trained(), once) == _saved(self._train(), again)

    def test_saved_and_loaded_is_the_same(self, tmp_path: Path) -> None:
        """What `save` wrote is all that `load` needs, also after the folder has moved."""
        tokenizer = self._trained()
        _saved(tokenizer, tmp_path / "saved")
        assert (tmp_path / "saved" / "tokenizer.json").is_file(), "save writes no tokenizer.json"
        shutil.move(tmp_path / "saved", tmp_path / "moved")
        loaded = self._type().load(tmp_path / "moved")
        texts = [*_SENTENCES, *_AWKWARD]
        assert loaded.encode_batch(texts) == tokenizer.encode_batch(texts)
        assert (loaded.vocab_size, loaded.special) == (tokenizer.vocab_size, tokenizer.special)
        size = tokenizer.vocab_size
        assert [loaded.token(i) for i in range(size)] == [tokenizer.token(i) for i in range(size)]
        said = [tokenizer.decode(ids) for ids in tokenizer.encode_batch(texts)]
        assert [loaded.decode(ids) for ids in loaded.encode_batch(texts)] == said

    def test_a_folder_without_a_tokenizer_is_a_data_error(self, tmp_path: Path) -> None:
        """Nothing there, or a file cut short, is a `DataError`: a sentence, not a stack trace."""
        with pytest.raises(DataError):
            self._type().load(tmp_path)
        folder = tmp_path / "damaged"
        for name, content in _saved(self._trained(), folder).items():
            (folder / name).write_bytes(content[: len(content) // 2])
        with pytest.raises(DataError):
            self._type().load(folder)

    def _check_round_trips(self, texts: Sequence[str]) -> None:
        tokenizer = self._trained()
        for text, ids in zip(texts, tokenizer.encode_batch(texts), strict=True):
            if tokenizer.decode(ids) != self.expected(text):
                pytest.fail(_first_difference(tokenizer, text, self.expected), pytrace=False)

    def _control_ids(self) -> list[int]:
        """Control tokens; unk only where nothing is lost, for lost text may well become it."""
        special = self._trained().special
        ids = {special.eos, *special.named.values()} - {special.unk}
        return sorted(ids if self.loses or special.unk is None else {*ids, special.unk})

    def _type(self) -> TokenizerType:
        kind: TokenizerType = self.part().load()
        return kind

    def _train(self, control_tokens: Sequence[str] = ()) -> Tokenizer:
        config = self.config()
        assert config is not None, "a tokenizer registers a config, be it an empty one"
        return self._type().train(iter(self.texts()), config, control_tokens)

    @classmethod
    def _trained(cls) -> Tokenizer:
        """The tokenizer, trained once for all tests of the class."""
        if "_tokenizer" not in vars(cls):
            cls._tokenizer = cls()._train()
        return cls._tokenizer


def _saved(tokenizer: Tokenizer, folder: Path) -> dict[str, bytes]:
    """Save into a new folder; the files by name."""
    folder.mkdir()
    tokenizer.save(folder)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def _first_difference(tokenizer: Tokenizer, text: str, expected: Callable[[str], str]) -> str:
    """The shortest part of the text, halving it, that does not come back as expected."""
    while len(text) > 1:
        failing = [part for part in _halves(text) if _returned(tokenizer, part) != expected(part)]
        if not failing:
            break
        text = failing[0]
    shown = text if len(text) <= 40 else f"{text[:40]}…"
    return f"{shown!a} comes back as {_returned(tokenizer, text)[:80]!a}"


def _halves(text: str) -> Iterator[str]:
    middle = len(text) // 2
    yield text[:middle]
    yield text[middle:]


def _returned(tokenizer: Tokenizer, text: str) -> str:
    return tokenizer.decode(tokenizer.encode_batch([text])[0])
