"""llama.cpp in this process, by way of the server that xllamacpp wraps.

That server listens wherever it runs. Here it listens in a folder that only its owner may enter and
that is removed as soon as it runs: nobody finds it.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from create_llm.models.engine import CannotRun

Chunk = dict[str, Any]
"""What the server says, as JSON has it."""

_BLOCK = 256
"""llama.cpp rounds contexts up to this."""


class LlamaServer:
    """A model in memory, with room for several texts."""

    def __init__(self, model: Path, context: int, slots: int, *, exact: bool = False) -> None:
        """
        Args:
            context: of each text, in tokens, with a place for the last one that is written.
            exact: keys and values in fp32 rather than fp16.

        Raises:
            CannotRun: llama.cpp cannot read the model.
        """
        try:
            import xllamacpp  # type: ignore[import-untyped]
        except ImportError as error:  # it needs libraries of the system
            raise CannotRun(
                f"xllamacpp cannot be loaded: {error}",
                fixes=("install what it lacks (on Debian: apt install libgomp1)",),
            ) from error
        self.slots = slots
        parameters = xllamacpp.CommonParams()
        parameters.model.path = str(model)
        parameters.n_parallel = slots
        parameters.n_ctx = slots * -(-context // _BLOCK) * _BLOCK
        parameters.cpuparams.n_threads = _threads()
        parameters.n_threads_http = 1
        parameters.cache_ram_mib = 0
        parameters.warmup = False
        parameters.verbosity = -1
        if exact:
            kind = xllamacpp.ggml_type.GGML_TYPE_F32
            parameters.cache_type_k = parameters.cache_type_v = kind
        with tempfile.TemporaryDirectory(prefix="llm-") as folder:
            parameters.hostnames = [str(Path(folder) / "s.sock")]
            try:
                self._server = xllamacpp.Server(parameters)
            except RuntimeError as error:
                raise CannotRun(f"llama.cpp cannot read the model: {error}") from error
            # One that has answered nothing yet may never end when it is asked to.
            self.complete({"prompt": [0], "n_predict": 1}, lambda chunk: False)

    def complete(self, request: Chunk, take: Callable[[Chunk], bool]) -> None:
        """Answer a request; `take` gets each token as it comes, and says whether to stop."""
        self._server.handle_completions({**request, "stream": True, "cache_prompt": False}, take)


def _threads() -> int:
    """As many as this process has cores, unless OMP_NUM_THREADS says fewer."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return min(int(asked), cores or 1) if asked.isdecimal() and int(asked) else cores or 1
