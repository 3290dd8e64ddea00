"""The tokenizer contract."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from pydantic import BaseModel


@dataclass(frozen=True, slots=True)
class SpecialTokens:
    """Ids of the control tokens; None where a tokenizer has none of that kind.

    Attributes:
        mask: stands for a token that a masked model is to guess.
        named: spelling → id of every control token, these five and any others.
    """

    eos: int
    bos: int | None = None
    pad: int | None = None
    unk: int | None = None
    mask: int | None = None
    named: Mapping[str, int] = field(default_factory=dict)


class Tokenizer(Protocol):
    """Text to ids and back.

    Text never becomes a control token: `encode_batch(["</s>"])` yields the ids of those four
    characters, not the id of the end-of-sequence token.
    """

    @property
    def vocab_size(self) -> int:
        """Number of ids, control tokens included; ids are 0 … vocab_size - 1."""
        ...

    @property
    def special(self) -> SpecialTokens: ...

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of each text, without control tokens."""
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """The text of the ids; control tokens are left out."""
        ...

    def token(self, token_id: int) -> str:
        """The vocabulary entry of one id, as the tokenizer's file spells it."""
        ...

    def save(self, folder: Path) -> None:
        """Write tokenizer.json, and what else `load` needs, into an existing folder."""
        ...


class TokenizerType(Protocol):
    """What `register_tokenizers` names: a class with these two constructors."""

    def train(
        self, texts: Iterable[str], config: BaseModel, control_tokens: Sequence[str] = ()
    ) -> Tokenizer:
        """Learn a vocabulary of at most `config.vocab_size` from the texts, deterministically.

        `control_tokens` are what the objective needs beside the tokenizer's own, such as
        "<mask>": spellings to reserve and to list in `special.named`.
        """
        ...

    def load(self, folder: Path) -> Tokenizer:
        """Read what `save` wrote.

        Raises:
            DataError: the folder holds no usable tokenizer.
        """
        ...
