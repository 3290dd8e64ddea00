"""Write kernel/catalogue.json: which first-party package provides which parts.

Run by `make catalogue`; `--check` only compares, and fails where the file is out of date.
"""

from __future__ import annotations

import json
import sys
import tomllib
from pathlib import Path

from create_llm.kernel.catalogue import FILE
from create_llm.kernel.plugins import load_plugins

PLUGINS = Path(__file__).resolve().parents[1] / "plugins"


def main(arguments: list[str]) -> int:
    text = json.dumps(registered(), indent=2, sort_keys=True) + "\n"
    if "--check" not in arguments:
        FILE.write_text(text, "utf-8")
    elif text != FILE.read_text("utf-8"):
        print(f"{FILE} is out of date: make catalogue", file=sys.stderr)
        return 1
    return 0


def registered() -> dict[str, dict[str, list[str]]]:
    """distribution → kind → names, of every package under plugins/.

    Raises:
        SystemExit: one of them is not installed, or does not load.
    """
    loaded = {
        record.plugin.distribution: {kind: sorted(names) for kind, names in record.provides.items()}
        for record in load_plugins({"CREATE_LLM_STRICT": "1"}).records
    }
    packages = sorted(PLUGINS.glob("*_plugin/pyproject.toml"))
    names = [tomllib.loads(package.read_text("utf-8"))["project"]["name"] for package in packages]
    missing = sorted(set(names) - set(loaded))
    if missing:
        raise SystemExit(f"not installed: {', '.join(missing)}; run: make install")
    return {name: loaded[name] for name in names}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
