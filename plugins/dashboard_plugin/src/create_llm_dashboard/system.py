"""Processor, memory and GPUs of this machine, every two seconds while somebody looks."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from importlib import import_module
from types import ModuleType

import psutil

EVERY_SECONDS = 2.0
_KEPT = 150
"""Five minutes."""


@dataclass(frozen=True, slots=True)
class Gpu:
    """Shares are 0 … 1; the temperature in °C. None: the driver does not say."""

    name: str
    used: float | None
    memory_bytes: int
    memory_total: int
    temperature: float | None


@dataclass(frozen=True, slots=True)
class Reading:
    """Attributes:
    time: seconds since the epoch.
    cpu: share of all cores, 0 … 1, since the reading before; None at the first.
    process_cpu: of the training process, in cores.
    """

    time: float
    cpu: float | None
    memory_bytes: int
    memory_total: int
    process_cpu: float | None = None
    process_bytes: int | None = None
    gpus: tuple[Gpu, ...] = ()


@dataclass
class System:
    """Readings, oldest first. They are taken as pages ask: with nobody there, none are."""

    readings: deque[Reading] = field(default_factory=lambda: deque(maxlen=_KEPT))
    version: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _process: psutil.Process | None = None
    _gpus: _Gpus | None = None

    def look(self, pid: int | None) -> None:
        """Take a reading, unless the last one is fresh.

        Args:
            pid: of the training on this machine, if there is one.
        """
        with self._lock:
            now = time.time()
            if self.readings and 0 <= now - self.readings[-1].time < EVERY_SECONDS:
                return
            self._gpus = self._gpus or _Gpus()
            memory = psutil.virtual_memory()
            cores, resident = self._of_process(pid)
            reading = Reading(
                time=now,
                cpu=self._cpu(),
                memory_bytes=memory.total - memory.available,
                memory_total=memory.total,
                process_cpu=cores,
                process_bytes=resident,
                gpus=tuple(self._gpus.read()),
            )
            self.readings.append(reading)
            self.version += 1

    def _cpu(self) -> float | None:
        share = psutil.cpu_percent() / 100  # the first answer of a process means nothing
        return share if self.readings else None

    def as_json(self) -> list[dict[str, object]]:
        return [asdict(reading) for reading in list(self.readings)]

    def _of_process(self, pid: int | None) -> tuple[float | None, int | None]:
        try:
            if pid is None:
                self._process = None
                return None, None
            if self._process is None or self._process.pid != pid:
                self._process = psutil.Process(pid)
            # The first answer of a new process is 0: it is the share since the last question.
            return self._process.cpu_percent() / 100, self._process.memory_info().rss
        except psutil.Error:
            self._process = None
            return None, None


class _Gpus:
    """NVIDIA's, through nvidia-ml-py; none where that, or its driver, is not there."""

    def __init__(self) -> None:
        self._nvml: ModuleType | None = None
        self._handles: Sequence[object] = ()
        with contextlib.suppress(ImportError):
            pynvml = import_module("pynvml")

            with contextlib.suppress(pynvml.NVMLError):
                pynvml.nvmlInit()
                count = pynvml.nvmlDeviceGetCount()
                self._handles = [pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(count)]
                self._nvml = pynvml

    def read(self) -> Iterator[Gpu]:
        nvml = self._nvml
        if nvml is None:
            return
        for handle in self._handles:
            try:
                memory = nvml.nvmlDeviceGetMemoryInfo(handle)
                name = nvml.nvmlDeviceGetName(handle)
            except nvml.NVMLError:
                continue
            yield Gpu(
                name=name.decode() if isinstance(name, bytes) else str(name),
                used=self._ask("nvmlDeviceGetUtilizationRates", handle, scale=0.01),
                memory_bytes=int(memory.used),
                memory_total=int(memory.total),
                temperature=self._ask(
                    "nvmlDeviceGetTemperature", handle, nvml.NVML_TEMPERATURE_GPU
                ),
            )

    def _ask(self, function: str, *given: object, scale: float = 1.0) -> float | None:
        """A figure that not every card has."""
        assert self._nvml is not None
        try:
            answer = getattr(self._nvml, function)(*given)
        except self._nvml.NVMLError:
            return None
        return float(getattr(answer, "gpu", answer)) * scale
