"""Tokens as people read them."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from create_llm.data.tokenizer import Tokenizer

_BYTE = re.compile(r"<0x[0-9A-F]{2}>")
# What "surrogateescape" makes of bytes that are no whole character.
_ESCAPED = {0xDC00 + byte: f"<0x{byte:02X}>" for byte in range(0x80, 0x100)}


@cache
def byte_of_letter() -> dict[str, int]:
    """The letter that byte-level files spell a byte with (GPT-2's alphabet) → the byte."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in plain]
    moved = {chr(256 + place): byte for place, byte in enumerate(others)}
    return {**{chr(byte): byte for byte in plain}, **moved}


def spelling(tokenizer: Tokenizer, token_id: int) -> str:
    """A token as readable text; bytes of it that are no whole character come as "<0xC3>"."""
    text = tokenizer.decode([token_id])
    if text and "\ufffd" not in text:
        return text
    spelt = tokenizer.token(token_id)
    if not text:  # a control token
        return spelt
    bytes_of = [byte_of_letter().get(letter) for letter in spelt]
    known = bytes(byte for byte in bytes_of if byte is not None)
    if len(known) < len(bytes_of):
        return spelt
    return known.decode("utf-8", "surrogateescape").translate(_ESCAPED)


def is_of_bytes(spelt: str) -> bool:
    """Whether a token spelt so is a single byte, or holds bytes that are no whole character."""
    return (len(spelt) == 1 and spelt.isascii()) or bool(_BYTE.search(spelt))
