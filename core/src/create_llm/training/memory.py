"""Memory of the training process: what it uses, and how freed memory is kept at hand."""

from __future__ import annotations

import ctypes
import gc
import platform
import sys

import psutil
import torch

# From malloc.h of glibc. Freed blocks of many megabytes would otherwise go back to the system,
# and each step would have all their pages made and zeroed anew: a seventh to a half of its time.
# The last of the three, how much more is asked for than is needed, also counts against a limit
# of addresses, so that a large one would let memory run out early.
_KEEP = ((-4, 0), (-1, 2**31 - 1), (-2, 1 << 24))


def keep_freed_memory() -> bool:
    """Tell glibc's allocator to keep what is freed; False where there is another allocator.

    It holds for the whole process, whose memory then stays at its peak.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL("libc.so.6").mallopt
    accepted = [mallopt(option, value) == 1 for option, value in _KEEP]
    return all(accepted)


def memory_in_use(device: torch.device) -> int:
    """Bytes: allocated on a CUDA device, resident in this process otherwise."""
    if device.type == "cuda":
        return int(torch.cuda.memory_allocated(device))
    return int(psutil.Process().memory_info().rss)


def memory_of(device: torch.device) -> int:
    """Bytes: all there are, used or not, of the same."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    return int(psutil.virtual_memory().total)


def release_memory() -> None:
    """Give back what a closed session held; its parts know each other, so that nobody else does."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def peak_memory(device: torch.device) -> int:
    """Bytes: the most that was in use so far, of the same."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
