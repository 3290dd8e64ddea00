"""The command of a run, to go on with it or to try it again otherwise."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence, Set

from create_llm.runs.run import RunFolder

FLAGS = {
    f"training.{name.replace('-', '_')}": f"--{name}"
    for name in ("learning-rate", "max-steps", "epochs", "max-seconds", "batch-size", "seed")
}
"""Keys that have a flag of `llm train`, by which a person knows them, and which beats --set."""

_SECRET_SETTING = re.compile(r"(?i)^((?:--set=)?[\w.-]*(?:token|key|secret|password))=.*$", re.S)


def resume_command(run: RunFolder, *, newest: bool = True) -> str:
    """The command line that goes on with a run: the one that it was started with last.

    Its flags are part of its configuration, and another configuration would be another run.
    """
    kept = list(_without({"--resume"}, set(), run.manifest().get("command", [])[1:]))
    named = [] if newest else ["--resume", run.name]
    return shlex.join(["llm", *(kept or ["train"]), *named])


def rerun_command(command: Sequence[str], changes: Mapping[str, object]) -> str:
    """The command for a new run with other values, and all that the person had asked for beside.

    Args:
        command: that of the run, with the program; where there is none, or where it is none of
            `llm train`, the answer names the changes alone.
        changes: by their keys in llm.toml; "…" for a value that only a person can choose.
    """
    command = without_secrets(command)
    words = command[1:] if "train" in command[1:] else ["train"]
    own = {"--resume", *(FLAGS[key] for key in changes if key in FLAGS)}
    kept = shlex.join(_without(own, set(changes), words))
    # Not through shlex, which would quote "…".
    changed = (_spelt(key, value) for key, value in changes.items())
    return " ".join(["llm", kept, "--resume never", *changed])


def without_secrets(command: Sequence[str]) -> list[str]:
    """As it may be kept and shown."""
    return [_SECRET_SETTING.sub(r"\1=***", word) for word in command]


def _without(flags: Set[str], keys: Set[str], words: Sequence[str]) -> Iterator[str]:
    """The words that set none of these, be it as `--flag value`, `--flag=value` or by `--set`."""
    queue = iter(words)
    for word in queue:
        name, equals, value = word.partition("=")
        if name == "--set":
            setting = value if equals else next(queue, "")
            if setting.partition("=")[0].strip() not in keys:
                yield from ("--set", setting)
        elif name not in flags:
            yield word
        elif not equals:
            next(queue, None)


def _spelt(key: str, value: object) -> str:
    shown = f"{value:.2g}" if isinstance(value, float) else str(value)
    return f"{FLAGS[key]} {shown}" if key in FLAGS else f"--set {key}={shown}"
