"""What the machine has, what follows from it, and what it cannot carry."""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from create_llm.errors import ConfigError

if TYPE_CHECKING:
    from create_llm.config.resolved import Config
    from create_llm.config.values import KeyPath
    from create_llm.project.templates import Template

KEPT_FREE = 0.1
"""The share of the available memory that a run leaves to the system."""

# fp32 weight, gradient and the optimizer's averages: two for Adam, a momentum for SGD and for the
# matrices of Muon, whose embeddings, head and norms take Adam's 16.
STATE_BYTES = {"adamw": 16, "adam": 16, "sgd": 12, "muon": 12}

# What /proc/cpuinfo calls native multiplication of bfloat16.
_BF16_FEATURES = ("avx512_bf16", "amx_bf16")
_BF16_CAPABILITY = (8, 0)

_CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class Hardware:
    """One machine; memory in bytes.

    Attributes:
        cores: logical processors that this process may use.
        ram_bytes: memory of the machine, or of the container if that is less.
        available_ram_bytes: what can be taken of it without swapping.
        cpu_model: the processor's name; empty if the system does not tell.
        cpu_features: those that decide about precision ("avx512_bf16", "amx_bf16").
        gpu_name: of the first CUDA device; None if there is none, or if nobody looked.
        gpu_available_bytes: of gpu_memory_bytes, what is free.
        gpu_capability: of that device, what CUDA calls its compute capability: "8.0".
        mps: whether there is an Apple GPU; its memory is the machine's.
    """

    cores: int
    ram_bytes: int
    available_ram_bytes: int
    cpu_model: str = ""
    cpu_features: tuple[str, ...] = ()
    gpu_name: str | None = None
    gpu_memory_bytes: int = 0
    gpu_available_bytes: int = 0
    gpu_capability: str | None = None
    mps: bool = False

    @property
    def cpu_bf16(self) -> bool:
        """Whether the processor multiplies bfloat16 natively (AVX512-BF16 or AMX)."""
        return bool(self.cpu_features)

    @property
    def gpu_bf16(self) -> bool:
        """Whether the CUDA device multiplies bfloat16 natively; older ones emulate it, slower
        than fp32."""
        numbers = (self.gpu_capability or "0").split(".")
        return tuple(map(int, numbers)) >= _BF16_CAPABILITY


def detect(*, with_gpu: bool = False) -> Hardware:
    """Look at this machine.

    Args:
        with_gpu: import torch to look for a GPU, which takes a second or more; otherwise it is
            looked for only where torch is imported already.
    """
    import psutil

    memory = psutil.virtual_memory()
    total, available = memory.total, memory.available
    limit = _container_limit()
    if limit is not None:
        total, available = min(total, limit[0]), min(available, limit[1])
    hardware = Hardware(_cores(), total, available, *_processor())
    return _with_gpu(hardware) if with_gpu or "torch" in sys.modules else hardware


def derived_values(hardware: Hardware) -> tuple[Mapping[KeyPath, int], str]:
    """Defaults that follow from the machine, and why.

    Where memory is short the micro-batch shrinks and accumulation makes up for it, so that the
    effective batch, and with it what is learned, stays that of every other machine. Total memory
    decides, not what is free: the same machine must give the same run twice.
    """
    gigabytes = hardware.ram_bytes / 1e9
    batch_size = 32 if gigabytes >= 8 else 16 if gigabytes >= 4 else 8
    values: dict[KeyPath, int] = {
        ("training", "batch_size"): batch_size,
        ("training", "gradient_accumulation_steps"): 32 // batch_size,
    }
    return (values if batch_size < 32 else {}), f"{gigabytes:.1f} GB of memory"


def devices(*, cuda: bool, mps: bool) -> list[str]:
    """What torch can compute on, the fastest first."""
    return [*(["cuda"] if cuda else []), *(["mps"] if mps else []), "cpu"]


def resolve_device(config: Config, hardware: Hardware) -> str:
    """The device to train on: cpu, cuda or mps; `hardware` must have been asked for its GPU.

    Raises:
        ConfigError: the configuration names one that is not here.
    """
    wanted = config.training.device
    here = devices(cuda=hardware.gpu_name is not None, mps=hardware.mps)
    if wanted == "auto":
        return here[0]
    if wanted in here:
        return wanted
    raise ConfigError(
        f'training.device is "{wanted}", but torch finds no such device here',
        where=config.settings["training.device"].source.label,
        fixes=(
            f"train on what there is: --device {here[0]}",
            'let it be chosen: training.device = "auto"',
            "for an NVIDIA GPU: check the driver with nvidia-smi, and that torch was built for it",
        ),
    )


def resolve_precision(config: Config, hardware: Hardware) -> tuple[str, str]:
    """fp32, bf16 or fp16, and why.

    Raises:
        ConfigError: the configuration asks for 16 bits that the device does not compute natively.
    """
    choices, reason = _precisions(resolve_device(config, hardware), hardware)
    wanted = config.training.precision
    if wanted == "auto" and not config.training.mixed_precision:
        return "fp32", "training.mixed_precision is off"
    if wanted == "auto":
        return choices[0], reason
    if wanted in choices:
        return wanted, "the configuration says so"
    raise ConfigError(
        f'training.precision is "{wanted}", but {reason}',
        where=config.settings["training.precision"].source.label,
        fixes=(
            f'use what this device is made for: training.precision = "{choices[0]}"',
            'let it be chosen: training.precision = "auto"',
        ),
    )


def _precisions(device: str, hardware: Hardware) -> tuple[tuple[str, ...], str]:
    """What a device computes natively, the best first, and why that is the best."""
    if device == "cpu" and hardware.cpu_bf16:
        features = ", ".join(hardware.cpu_features)
        return ("bf16", "fp32"), f"this processor multiplies bfloat16 natively ({features})"
    if device == "cpu":
        return ("fp32",), "this processor does not multiply 16-bit numbers natively"
    if device == "mps":
        return ("fp32",), "mixed precision is not used on mps devices"
    capability = f"compute capability {hardware.gpu_capability}"
    if hardware.gpu_bf16:
        return ("bf16", "fp16", "fp32"), f"this GPU multiplies bfloat16 natively ({capability})"
    return ("fp16", "fp32"), f"this GPU multiplies fp16 natively, and not bfloat16 ({capability})"


@dataclass(frozen=True, slots=True)
class Needs:
    """What a run cannot do without, in bytes of memory beside the program itself.

    Attributes:
        parameters: how many the model has.
        state: of weights, gradients and the optimizer's state.
        batch: of everything else, for one micro-batch of training.batch_size.
    """

    parameters: int
    state: int
    batch: int


def check_fit(
    config: Config, needs: Needs, hardware: Hardware, templates: Iterable[Template] = ()
) -> None:
    """Refuse, before any work, a run that cannot fit into memory.

    Args:
        templates: the installed ones, to name a smaller one that would fit.

    Raises:
        ConfigError: with the numbers, and with a batch or a template that fits.
    """
    free, where = _available(config, hardware)
    budget = int(free * (1 - KEPT_FREE))
    if needs.state + needs.batch <= budget:
        return
    fitting = max(budget - needs.state, 0) * config.training.batch_size // max(needs.batch, 1)
    raise ConfigError(
        f"this run needs about {_size(needs.state + needs.batch)} of memory, and {where} has "
        f"{_size(free)} free, of which {KEPT_FREE:.0%} stay with the system: "
        f"{_size(needs.state)} for {needs.parameters:,} parameters "
        f"({needs.state / needs.parameters:.0f} bytes each: weights, gradients, "
        f"{config.training.optimizer}) and {_size(needs.batch)} for a batch of "
        f"{config.training.batch_size}",
        where=f"training.batch_size, {config.settings['training.batch_size'].source}",
        fixes=_fit_fixes(config, fitting, budget, templates),
    )


def _fit_fixes(
    config: Config, fitting: int, budget: int, templates: Iterable[Template]
) -> tuple[str, ...]:
    smaller = _smaller_model(config, budget, templates)
    if fitting < 1:
        return smaller
    training = config.training
    effective = training.batch_size * training.gradient_accumulation_steps
    batch = next(size for size in range(fitting, 0, -1) if effective % size == 0)
    return (
        f"reduce training.batch_size from {training.batch_size} to {batch} and learn the same: "
        f"--set training.batch_size={batch} "
        f"--set training.gradient_accumulation_steps={effective // batch} "
        f"(the largest batch that fits is {fitting})",
        *smaller,
    )


def _smaller_model(config: Config, budget: int, templates: Iterable[Template]) -> tuple[str, ...]:
    """Advice that names the largest template that leaves half of the memory to activations."""
    most = budget // 2 // STATE_BYTES[config.training.optimizer]
    fitting = [t for t in templates if t.parameters <= most]
    advice = f"choose a smaller model: about {most / 1e6:.0f} million parameters fit well here"
    if not fitting:
        return (advice, "or shorten the sequences: data.max_length")
    best = max(fitting, key=lambda template: template.parameters)
    named = f'project.template = "{best.name}" has {best.parameters / 1e6:.0f} million'
    return (f"{advice}; {named}", "or shorten the sequences: data.max_length")


def _available(config: Config, hardware: Hardware) -> tuple[int, str]:
    if resolve_device(config, hardware) == "cuda":
        return hardware.gpu_available_bytes, hardware.gpu_name or "the GPU"
    return hardware.available_ram_bytes, "this machine"


def _size(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _processor() -> tuple[str, tuple[str, ...]]:
    """The processor's name, and its features that decide about precision."""
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.is_file():
        return platform.processor(), ()
    text = cpuinfo.read_text("utf-8", "replace")
    name = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    flags = set(text.split())
    features = tuple(feature for feature in _BF16_FEATURES if feature in flags)
    return name[1].strip() if name else platform.processor(), features


def _container_limit() -> tuple[int, int] | None:
    """The memory limit of this container (cgroup v2) and what is free below it, if it has one."""
    try:
        limit = int((_CGROUP / "memory.max").read_text("ascii"))
        used = int((_CGROUP / "memory.current").read_text("ascii"))
        rows = (_CGROUP / "memory.stat").read_text("ascii").splitlines()
    except (OSError, ValueError):  # no such files, or "max": no limit
        return None
    # Cached files count as used, but the kernel gives them back when memory is asked for.
    cached = sum(int(row.split()[1]) for row in rows if row.startswith("inactive_file "))
    return limit, max(limit - used + cached, 0)


def _with_gpu(hardware: Hardware) -> Hardware:
    import torch

    hardware = replace(hardware, mps=torch.backends.mps.is_available())
    if not torch.cuda.is_available():
        return hardware
    free, total = torch.cuda.mem_get_info(0)
    return replace(
        hardware,
        gpu_name=torch.cuda.get_device_name(0),
        gpu_memory_bytes=total,
        gpu_available_bytes=free,
        gpu_capability="{}.{}".format(*torch.cuda.get_device_capability(0)),
    )
