"""A GGUF file beside the bundle that it was made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

import torch

from create_llm.kernel.plugins import default_plugins
from create_llm.models.bundle import ModelBundle
from create_llm.models.export import Finding
from create_llm.models.loaded import LoadedModel
from create_llm.models.proof import TOKENS, prompts_of, writes_the_same
from create_llm_export.config import Quantised
from create_llm_export.gguf_file import kinds_in
from create_llm_export.llama import Llama
from create_llm_export.prose import PROSE
from create_llm_export.torture import same_ids

_PLACES = 200
"""At which the next token is compared."""
_LONGEST = 64
"""Tokens in front of a place: llama.cpp reads all of them for each."""
_LIKELIEST = 10
_FAR = 1.0
"""Nats. Weights in four bits come to a fifth of that, those of another model to several."""
_KNOWN = 1000
"""Tokens whose probability llama.cpp is asked for; a less likely one counts as the last of them."""


def compared(
    bundle: ModelBundle, file: Path, config: Quantised, *, words: bool = True
) -> list[Finding]:
    """
    Args:
        words: whether the file has the tokenizer.

    Raises:
        PluginError: llama.cpp is not installed.
    """
    loaded = LoadedModel.from_bundle(bundle, default_plugins().registry)
    with Llama(file, loaded.context) as llama:
        # One place of the context is for the token that llama.cpp writes last.
        both = _Both(loaded, llama, loaded.context - 1)
        findings = [both.ids(forced=config.force)] if words else []
        if config.precision == "f32":
            findings.append(both.text())
        return [*findings, *_precision(file, config), both.drift(), both.sample()]


def _precision(file: Path, config: Quantised) -> list[Finding]:
    """Not all rows can be divided into the blocks of a form, and tables keep more bits."""
    counts, asked = kinds_in(file), config.precision.upper()
    others = [f"{count} in {kind}" for kind, count in counts.items() if kind != asked]
    if not others:
        return []
    told = f"{counts[asked]} of {counts.total()} matrices in {asked}, {', '.join(others)}"
    return [Finding("precision", None, told)]


@dataclass(frozen=True, slots=True)
class _Both:
    """The module and its file; `most` is how many tokens both read."""

    loaded: LoadedModel
    llama: Llama
    most: int

    def ids(self, *, forced: bool) -> Finding:
        """What was written against advice promises nothing."""
        found = same_ids(self.loaded.tokenizer, self.llama.encode)
        return replace(found, same=None) if forced and not found.same else found

    def text(self) -> Finding:
        same = writes_the_same(self._continue, self.loaded, self.most)
        prompts = len(prompts_of(self.loaded, self.most))
        told = f"up to {TOKENS} tokens behind each of {prompts} prompts"
        return Finding("greedy text", same, told)

    def drift(self) -> Finding:
        """How far the probabilities of next tokens are from the module's.

        Most of the likeliest tokens have to be the same, and the others near.
        """
        pairs = [pair for ids in self._passages() for pair in self._differences(ids)]
        agreed, away = sum(same for same, _ in pairs), fmean(away for _, away in pairs)
        told = (
            f"the likeliest next token is the same in {agreed} of {len(pairs)} places; "
            f"log-probabilities differ by {away:.2g} on average"
        )
        same = agreed * 2 > len(pairs) and away < _FAR
        return Finding("drift", same, told, near=same and agreed < len(pairs))

    def sample(self) -> Finding:
        prompt, decode = prompts_of(self.loaded, self.most)[0], self.loaded.tokenizer.decode
        return Finding(
            "sample", None, f"{decode(prompt)!r} goes on {decode(self._continue(prompt))!r}"
        )

    def _continue(self, ids: Sequence[int]) -> list[int]:
        return self.llama.continue_(ids, min(TOKENS, self.most - len(ids) + 1))

    def _passages(self) -> list[list[int]]:
        """Of prose, over and over, `_PLACES` tokens in all; none of more than both read."""
        [ids] = self.loaded.tokenizer.encode_batch([PROSE])
        text, length = (ids * _PLACES)[:_PLACES], min(_LONGEST, self.most)
        return [text[start : start + length] for start in range(0, _PLACES, length)]

    def _differences(self, ids: Sequence[int]) -> Iterator[tuple[bool, float]]:
        """Behind each token of a passage, whether the likeliest next is the same, and the mean
        difference, in nats, of the log-probabilities of those that the module finds likeliest."""
        with torch.inference_mode():
            logits = self.loaded.module(torch.tensor([list(ids)])).logits()[0]
        [[letter, *_]] = self.loaded.tokenizer.encode_batch(["a"])
        for place, expected in enumerate(logits.float().log_softmax(-1), start=1):
            likeliest = expected.topk(min(_LIKELIEST, expected.numel())).indices.tolist()
            found = self.llama.chances(ids[:place], min(_KNOWN, expected.numel()), letter)
            least = min(found.values())
            differences = (
                abs(float(expected[each]) - found.get(each, least)) for each in likeliest
            )
            yield max(found, key=found.__getitem__) == likeliest[0], fmean(differences)
