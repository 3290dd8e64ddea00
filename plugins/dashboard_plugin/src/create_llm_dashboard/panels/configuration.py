"""What the run was made with: the command, every setting and where it came from."""

from __future__ import annotations

import shlex

from create_llm.runs.settings import flat
from create_llm_dashboard.panel import Json, Panel, View
from create_llm_dashboard.panels import SCRIPTS


def data(view: View) -> Json:
    manifest = view.run.manifest()
    sources = manifest.get("sources", {})
    words = [str(word) for word in manifest.get("command", [])]
    frozen = manifest.get("frozen", {})
    return {
        "command": shlex.join(["llm", *words[1:]]) if words else None,
        "settings": [
            {"key": key, "value": _shown(value), "source": str(sources.get(key, ""))}
            for key, value in flat(manifest.get("config", {})).items()
        ],
        "decided": [{"key": key, "value": _shown(value)} for key, value in frozen.items()],
    }


def _shown(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


PANEL = Panel("Configuration", 80, data, SCRIPTS / "configuration.js", wide=True)
