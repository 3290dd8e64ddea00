"""Texts that tokenizers are known to disagree on."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from create_llm.data.tokenizer import Tokenizer
from create_llm.models.export import Finding

TEXTS = (
    "Once upon a time, there was a king's daughter.",
    "We'll see; they've said it's fine. I'M HERE, YOU'RE NOT. 'tis don't'",
    " leading, and trailing ",
    "two  spaces   three    four",
    "\ttabs\t\tand\n\nlines\r\n\r\nof Windows\n",
    "\n",
    " ",
    "        ",
    " \n \n ",
    "a\n \nb  \n\n  c",
    "\u00a0no-break\u00a0\u00a0space\u3000wide\u2009thin",
    "2024-01-31 3.14159 1,000,000 ½ ² ٣ 四",
    "x1y2z3 0x1F 1e-9",
    "!? ... --- ***  ### @#$%^&*()_+=[]{}|\\;:\"'<>,./`~",
    "def f(x):\n    return {'a': [1, 2], \"b\": x**2}  # done\n",
    "http://example.org/a?b=c&d=%20#e",
    "naïve café Ångström Zürich",
    "e\u0301 combined, \u0301 alone",
    "Ελληνικά Русский עברית العربية",
    "हिन्दी ไทย বাংলা தமிழ்",
    "中文，没有空格。日本語カタカナひらがな한국어",
    "😀 👩‍👩‍👧‍👦 🇫🇷 👍🏽",
    "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 ﬁ ﬀ ℌ ①",
    "\u200bzero\u200dwidth\ufeff",
    "\u202eright to left\u202c",
    "control \x01\x02\x7f\x1b[0m signs",
    "\ufffd replacement \ufffe\uffff",
    "A" * 300,
    "ab" * 200,
    "aaaa bbbb  cccc" * 8,
    "</s> <s> <pad> <unk> <mask> <|im_start|> <|endoftext|> [PAD]",
    "<0x0A> <0x41> <0xFF>",
    "▁ the sign for a space",
    "ĠĊ letters for bytes Ā",
    "CamelCase snake_case kebab-case SCREAMING",
    "'s 'S 'LL 're'Re n't",
    "İstanbul ıI ß ẞ ǆ",
    "1 2  3   ",
    "«quotes» „low“ ‘single’ “double”",
    "→ ⇒ ∑ ∫ √ ∞ ≠",
)


def same_ids(tokenizer: Tokenizer, encode: Callable[[str], Sequence[int]]) -> Finding:
    """Whether a program makes the ids that the model was trained on."""
    expected = tokenizer.encode_batch(TEXTS)
    differing = [
        text for text, ids in zip(TEXTS, expected, strict=True) if list(encode(text)) != ids
    ]
    if not differing:
        return Finding("token ids", True, f"equal on {len(TEXTS)} texts")
    told = f"other on {len(differing)} of {len(TEXTS)} texts, such as {differing[0]!r}"
    return Finding("token ids", False, told)
