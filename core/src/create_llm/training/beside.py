"""Threads that work beside the training's own."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import torch


def thread_beside(name: str) -> ThreadPoolExecutor:
    """An executor of one thread, whose torch operations use that thread and no other.

    With a team of its own there would be more OpenMP threads than cores, and libgomp lets the
    training's threads hardly spin from then on when they wait for each other: the steps of a small
    model took a fifth longer after its first checkpoint.
    """
    threads = torch.get_num_threads()
    executor = ThreadPoolExecutor(1, thread_name_prefix=name)
    executor.submit(_use_one_thread).result()
    torch.set_num_threads(threads)  # what the thread has set holds for later threads too
    return executor


def _use_one_thread() -> None:
    torch.get_num_threads()  # a thread's first look takes over what holds for the process
    torch.set_num_threads(1)
