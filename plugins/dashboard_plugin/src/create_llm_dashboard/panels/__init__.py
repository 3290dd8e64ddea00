"""The panels that this package brings; each module has what the page gets from the server."""

from __future__ import annotations

from pathlib import Path

SCRIPTS = Path(__file__).parents[1] / "static" / "panels"
