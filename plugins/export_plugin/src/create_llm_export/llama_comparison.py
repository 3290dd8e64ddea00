"""A GGUF file beside the bundle that it was made of."""

from __future__ import annotations

from collections.abc import Sequence
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
from create_llm_export.llama import Llama
from create_llm_export.torture import same_ids

_PLACES = 8
"""In each prompt, at which the next token is compared."""
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
        return [*findings, both.drift(), both.sample()]


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
        pairs = [self._difference(ids) for ids in self._beginnings()]
        agreed, away = sum(same for same, _ in pairs), fmean(away for _, away in pairs)
        told = (
            f"the likeliest next token is the same in {agreed} of {len(pairs)} places; "
            f"log-probabilities differ by {away:.2g} on average"
        )
        return Finding("drift", agreed * 2 > len(pairs) and away < _FAR, told)

    def sample(self) -> Finding:
        prompt, decode = prompts_of(self.loaded, self.most)[0], self.loaded.tokenizer.decode
        return Finding(
            "sample", None, f"{decode(prompt)!r} goes on {decode(self._continue(prompt))!r}"
        )

    def _continue(self, ids: Sequence[int]) -> list[int]:
        return self.llama.continue_(ids, min(TOKENS, self.most - len(ids) + 1))

    def _beginnings(self) -> list[tuple[int, ...]]:
        """Of each prompt, some, without repeating any."""
        parts, prompts = range(1, _PLACES + 1), prompts_of(self.loaded, self.most)
        cut = [tuple(ids[: len(ids) * part // _PLACES]) for ids in prompts for part in parts]
        return [ids for ids in dict.fromkeys(cut) if ids]

    def _difference(self, ids: Sequence[int]) -> tuple[bool, float]:
        """Whether the likeliest token is the same, and the mean difference, in nats, of the log-
        probabilities of those that the module finds likeliest."""
        with torch.inference_mode():
            logits = self.loaded.module(torch.tensor([list(ids)])).logits()[0, -1]
        expected = logits.float().log_softmax(-1)
        likeliest = expected.topk(min(_LIKELIEST, expected.numel())).indices.tolist()
        [[letter, *_]] = self.loaded.tokenizer.encode_batch(["a"])
        found = self.llama.chances(ids, min(_KNOWN, expected.numel()), letter)
        least = min(found.values())
        away = fmean(abs(float(expected[token]) - found.get(token, least)) for token in likeliest)
        return max(found, key=found.__getitem__) == likeliest[0], away
