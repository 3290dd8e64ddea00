"""`llm new --scripts`: small scripts at the paths where other projects have theirs."""

from __future__ import annotations

from pathlib import PurePosixPath

SHIMS = {
    "train.py": ("train",),
    "training/train.py": ("train",),
    "data/prepare.py": ("data", "prepare"),
    "data/generate.py": ("synth",),
    "tokenizer/train.py": ("tokenizer", "train"),
    "evaluation/evaluate.py": ("evaluate",),
    "evaluation/generate.py": ("generate",),
    "chat.py": ("chat",),
    "compare.py": ("compare",),
    "deploy.py": ("deploy",),
}
"""The script's path in the project → the command that it stands for."""

# The guard matters: where processes are spawned, each worker imports the script again.
_SHIM = '''\
"""The same as `llm {command}` in this project, from any folder."""

import sys
from pathlib import Path

from create_llm.cli import main

if __name__ == "__main__":
    main(["-C", str(Path(__file__).resolve().parents[{depth}]), {words}, *sys.argv[1:]])
'''


def shim(path: str) -> str:
    """The text of the script at `path`, one of `SHIMS`."""
    command = SHIMS[path]
    return _SHIM.format(
        command=" ".join(command),
        depth=len(PurePosixPath(path).parts) - 1,
        words=", ".join(f'"{word}"' for word in command),
    )


def readme_rows() -> str:
    """Rows for the README's table of paths."""
    return "".join(f"| `{path}` | `llm {' '.join(words)}` |\n" for path, words in SHIMS.items())
