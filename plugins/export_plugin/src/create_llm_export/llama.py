"""llama.cpp, which reads a GGUF file as Ollama and LM Studio do, by way of xllamacpp's server."""

from __future__ import annotations

import http.client
import json
import os
import socket
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from create_llm.errors import ConfigError, PluginError

_BLOCK = 256
"""llama.cpp rounds contexts up to this."""


class Llama:
    """A GGUF file in llama.cpp, to be used as a context manager.

    Its server insists on listening: it does so in a folder that only its owner may enter.
    """

    def __init__(self, model: Path, context: int) -> None:
        """
        Args:
            context: in tokens.

        Raises:
            PluginError: xllamacpp is not installed.
            ConfigError: llama.cpp cannot read the file.
        """
        try:
            import xllamacpp  # type: ignore[import-untyped]
        except ImportError as error:
            raise PluginError(
                f"to try the file, llama.cpp is needed: {error}",
                fixes=("install it: pip install 'create-llm-export[test]'",),
            ) from error
        self._folder = tempfile.TemporaryDirectory(prefix="llm-")
        parameters = xllamacpp.CommonParams()
        parameters.model.path = str(model)
        parameters.n_ctx = -(-context // _BLOCK) * _BLOCK
        parameters.cpuparams.n_threads = _threads()
        parameters.n_parallel = parameters.n_threads_http = 1
        parameters.cache_ram_mib = 0
        parameters.warmup = False
        parameters.verbosity = -1
        # Else keys and values are rounded to fp16, whatever the weights are in.
        kind = xllamacpp.ggml_type.GGML_TYPE_F32
        parameters.cache_type_k = parameters.cache_type_v = kind
        parameters.hostnames = [self._socket]
        try:
            self._server = xllamacpp.Server(parameters)
        except RuntimeError as error:
            self._folder.cleanup()
            raise ConfigError(
                f"llama.cpp cannot read the model: {error}", where=str(model)
            ) from error
        # One that has answered nothing yet may never end when it is asked to.
        self.continue_([0], 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._folder.cleanup()
        del self._server

    def encode(self, text: str) -> list[int]:
        """Ids of a text, with whatever the file says to put around it."""
        asked = {"content": text, "add_special": True, "parse_special": False}
        ids: list[int] = self._ask("/tokenize", asked)["tokens"]
        return ids

    def continue_(self, ids: Sequence[int], count: int) -> list[int]:
        """The likeliest tokens behind others, `count` or up to the end of the text."""
        return list(self._complete(ids, n_predict=count, return_tokens=True)["tokens"])

    def chances(self, ids: Sequence[int], most: int, letter: int) -> Mapping[int, float]:
        """The `most` likeliest next tokens → log-probability of each, in nats.

        Args:
            letter: any token that is a whole character. It is what the server writes: it tells
                nothing of a token that ends the text or is part of a character, and takes the
                probabilities before it is told what to write.
        """
        told = {"logit_bias": [[letter, 1e4]]}
        answer = self._complete(ids, n_predict=1, n_probs=most, **told)
        found = answer["completion_probabilities"][0]["top_logprobs"]
        return {each["id"]: each["logprob"] for each in found}

    @property
    def _socket(self) -> str:
        return str(Path(self._folder.name) / "s.sock")

    def _complete(self, ids: Sequence[int], **more: object) -> dict[str, Any]:
        greedy = {"samplers": ["top_k"], "top_k": 1, "cache_prompt": False}
        return self._ask("/completion", {"prompt": list(ids), **greedy, **more})

    def _ask(self, path: str, request: Mapping[str, object]) -> dict[str, Any]:
        connection = http.client.HTTPConnection("localhost")
        connection.sock = socket.socket(socket.AF_UNIX)
        try:
            connection.sock.connect(self._socket)
            headers = {"Content-Type": "application/json"}
            connection.request("POST", path, json.dumps(request), headers)
            response = connection.getresponse()
            answer: dict[str, Any] = json.loads(response.read())
        finally:
            connection.close()
        if response.status != 200:
            told = answer.get("error", {}).get("message", response.status)
            raise ConfigError(f"llama.cpp refuses: {told}")
        return answer


def _threads() -> int:
    """As many as this process has cores, unless OMP_NUM_THREADS says fewer."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return min(int(asked), cores or 1) if asked.isdecimal() and int(asked) else cores or 1
