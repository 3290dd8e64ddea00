"""When a run tells something next."""

from __future__ import annotations

from create_llm.cli.units import count
from create_llm_dashboard.reading import ReadRun


def due(run: ReadRun, section: str, key: str) -> str:
    """Of what happens every so many steps, and at the end."""
    config = run.manifest().get("config")
    settings = config.get(section) if isinstance(config, dict) else None
    every = settings.get(key) if isinstance(settings, dict) else None
    total = run.total_steps()
    if not isinstance(every, int) or every < 1 or total is None:
        return "later"
    following = (run.step() // every + 1) * every
    if following >= total:
        return "at the end"
    return f"at step {count(following)}"
