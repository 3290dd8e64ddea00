"""The machine that a session runs on: what run.json and train.log say of it, and its changes."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from create_llm.config.hardware import Hardware
from create_llm.runs.run import RunFolder
from create_llm.training.session import Session, TextLog

WANTS_GPU_PARAMETERS = 50_000_000
"""Above this size a model is made for a GPU."""

_NO_GPU = "no GPU: training on the CPU; models above about 20 million parameters take days here"
_CGROUP = Path("/sys/fs/cgroup")
_OOM_KILLS = re.compile(r"^oom_kill (\d+)$", re.MULTILINE)


def record_machine(run: RunFolder) -> None:
    """Write into run.json where this session runs."""
    run.write_manifest({**run.manifest(), "machine": look_at_machine()})


def look_at_machine() -> dict[str, Any]:
    """This process, and how often the system has killed for want of memory so far.

    Returns:
        host, pid and boot (an id); group (the control group) and group_oom_kills, of which
        oom_kills counts the whole system's: None where the system does not count.
    """
    group = _memory_group()
    return {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "boot": _text(Path("/proc/sys/kernel/random/boot_id")).strip() or None,
        "group": str(group) if group else None,
        "group_oom_kills": _kills_of(group) if group else None,
        "oom_kills": _count(_text(Path("/proc/vmstat"))),
    }


def killed_for_memory(before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Whether the system ran out of memory and killed since `before`, where both were counted.

    The count of the process's own group is the better witness; that of the system speaks for
    other programs too.
    """
    if any(before.get(key) is None or before[key] != now[key] for key in ("host", "boot")):
        return False
    same_group = before.get("group") == now["group"]
    name = "group_oom_kills" if same_group and now["group_oom_kills"] is not None else "oom_kills"
    counted: int | None = before.get(name)
    return counted is not None and now[name] is not None and now[name] > counted


def changes_of_machine(manifest: Mapping[str, Any], hardware: Hardware) -> list[str]:
    """What is not as in the run's first session, each of which changes the last bits."""
    changes = []
    threads = manifest.get("frozen", {}).get("threads", 0)
    if threads > hardware.cores:
        changes.append(f"it computes with {threads} threads, and {hardware.cores} cores are here")
    pairs = {
        "torch": (manifest.get("versions", {}).get("torch"), version("torch")),
        "the processor": (manifest.get("hardware", {}).get("cpu_model"), hardware.cpu_model),
    }
    for what, (then, now) in pairs.items():
        if then and then != now:
            changes.append(f"{what}: {then} then, {now} now")
    return changes


def announce_machine(run: RunFolder, session: Session, hardware: Hardware, parameters: int) -> None:
    """One line in train.log; a warning where a model for a GPU has none."""
    log = TextLog(run.log)
    log.write(f"machine: {in_words(hardware)}\n")
    log.close()
    if parameters > WANTS_GPU_PARAMETERS and not _has_gpu(hardware):
        session.warn(
            f"{_NO_GPU}, and this one has {parameters / 1e6:.0f} million",
            "train a smaller template here, or this one where there is a GPU",
        )


def in_words(hardware: Hardware) -> str:
    memory = f"{hardware.ram_bytes / 1e9:.1f} GB of memory"
    free = f"{hardware.available_ram_bytes / 1e9:.1f} GB free"
    cores = f"{hardware.cores} cores ({hardware.cpu_model or 'of an unknown kind'})"
    return f"{cores}, {memory} ({free}), {_gpu_in_words(hardware)}"


def _gpu_in_words(hardware: Hardware) -> str:
    if hardware.gpu_name:
        return f"{hardware.gpu_name} ({hardware.gpu_memory_bytes / 1e9:.1f} GB)"
    return "an Apple GPU" if hardware.mps else "no GPU: training on the CPU"


def _has_gpu(hardware: Hardware) -> bool:
    return hardware.gpu_name is not None or hardware.mps


def _memory_group() -> Path | None:
    """The folder of this process's control group that counts memory, version 2 or 1."""
    for line in _text(Path("/proc/self/cgroup")).splitlines():
        _, controllers, name = line.split(":", 2)
        inside = name.lstrip("/")
        if controllers == "memory":
            return _CGROUP / "memory" / inside
        if not controllers and (_CGROUP / inside / "memory.events").is_file():
            return _CGROUP / inside
    return None


def _kills_of(group: Path) -> int | None:
    found = _count(_text(group / "memory.events"))
    return found if found is not None else _count(_text(group / "memory.oom_control"))


def _count(text: str) -> int | None:
    match = _OOM_KILLS.search(text)
    return int(match[1]) if match else None


def _text(path: Path) -> str:
    """What the system says in a file; nothing where it does not have it or show it."""
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""
