"""What is usual, for advice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from create_llm.config.layers import installed_templates
from create_llm.kernel.plugins import default_plugins


def usual_rate(config: Mapping[str, Any]) -> float | None:
    """The learning rate of the template that the run's configuration names; None where that
    template is not installed, or where it is meant for another optimizer."""
    name, training = config.get("project", {}).get("template"), config.get("training", {})
    known = {one.name: one.values for one in installed_templates(default_plugins().registry)}
    usual = known.get(name, {}).get("training", {})
    if usual.get("optimizer") != training.get("optimizer"):
        return None
    rate = usual.get("learning_rate")
    return float(rate) if rate else None
