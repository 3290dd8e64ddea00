"""How the next token is to be chosen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from create_llm.errors import ConfigError

_MOST_TOKENS = 2**31 - 1
"""What engines can count to."""
_TEMPERATURE = "0.7 to 1 suits most models; 0 always takes the likeliest token"


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is chosen. What is kept is decided in the order of these attributes.

    Attributes:
        temperature: logits are divided by it; 0 always takes the most likely token.
        top_k: keep the k most likely tokens; 0 keeps all.
        top_p: then keep the fewest tokens whose probabilities reach p (Holtzman et al. 2019,
            arXiv 1904.09751); 1 keeps all.
        stop: the text ends before the first of these strings.
        seed: the same seed gives the same text; None draws one.
        min_p: then keep the tokens that have at least this share of the likeliest one's
            probability (Nguyen et al. 2024, arXiv 2407.01082); 0 keeps all.
        repetition_penalty: before all else, positive logits of tokens that the text already has,
            prompt included, are divided by it and negative ones multiplied (Keskar et al. 2019,
            arXiv 1909.05858); 1 changes nothing. What the model forgot, as the text outgrew its
            context, does not count.
    """

    max_new_tokens: int = 100
    temperature: float = 1.0
    top_k: int = 50
    top_p: float = 0.95
    stop: tuple[str, ...] = ()
    seed: int | None = None
    min_p: float = 0.0
    repetition_penalty: float = 1.0

    def __post_init__(self) -> None:
        for name, fine, allowed, advice in self._checks():
            if not fine:
                raise ConfigError(
                    f"{name} must be {allowed}{self._told(name)}",
                    where=name,
                    fixes=(advice, "leave it out to take what the model brings"),
                )

    def _told(self, name: str) -> str:
        """Of several texts there is no telling which was meant, and an empty one shows nothing."""
        return "" if name == "stop" else f", got {getattr(self, name)!r}"

    def _checks(self) -> Sequence[tuple[str, bool, str, str]]:
        """Name, whether it is fine, what is allowed, what to try."""
        heat, penalty = self.temperature, self.repetition_penalty
        warm = heat == 0 or 1e-3 <= heat < math.inf
        length = 1 <= self.max_new_tokens <= _MOST_TOKENS
        seeded = self.seed is None or 0 <= self.seed < 2**63
        return (
            ("max_new_tokens", length, "from 1 to 2^31 - 1", "100 is a paragraph"),
            ("temperature", warm, "0, or a number from 0.001", _TEMPERATURE),
            ("top_k", self.top_k >= 0, "0 or more (0 keeps all)", "20 to 100 is usual"),
            ("top_p", 1e-6 <= self.top_p <= 1, "above 0 and at most 1", "0.9 to 1 is usual"),
            ("stop", all(self.stop), "text that is not empty", "name the text to stop before"),
            ("seed", seeded, "from 0 to 2^63 - 1", "any small number will do"),
            ("min_p", 0 <= self.min_p <= 1, "from 0 to 1", "0.05 to 0.1 is usual"),
            ("repetition_penalty", 0.01 <= penalty <= 100, "from 0.01 to 100", "1.05 to 1.3"),
        )
