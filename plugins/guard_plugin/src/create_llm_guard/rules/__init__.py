"""All rules, in the order in which their findings are told."""

from __future__ import annotations

from create_llm_guard.rules.base import Rule, Run
from create_llm_guard.rules.data import TooLittleText
from create_llm_guard.rules.gradients import Exploding, Vanishing
from create_llm_guard.rules.loss import Divergence, Plateau, Spikes
from create_llm_guard.rules.machine import Memory, Throughput
from create_llm_guard.rules.rate import NotLearning
from create_llm_guard.rules.scores import Overfitting

RULES: tuple[type[Rule], ...] = (
    TooLittleText,
    Exploding,
    Divergence,
    Spikes,
    Vanishing,
    NotLearning,
    Plateau,
    Overfitting,
    Throughput,
    Memory,
)


def rules_of(run: Run) -> list[Rule]:
    return [rule(run) for rule in RULES]
