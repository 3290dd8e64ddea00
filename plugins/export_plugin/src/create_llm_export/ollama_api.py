"""Ollama's service: https://github.com/ollama/ollama/blob/main/docs/api.md"""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from create_llm.errors import ConfigError, NetworkError
from create_llm.storage.manifest import hash_file

_PORT = 11434
_SECONDS = 600.0
"""For one answer; reading a large model from a disk takes minutes."""


class OllamaService:
    """Speaks to the Ollama that OLLAMA_HOST names, or to the one of this machine."""

    def __init__(self, host: str | None = None) -> None:
        self.address = _address(os.environ.get("OLLAMA_HOST", "") if host is None else host)
        # Most often it is this machine, which no proxy reaches.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def create(self, name: str, file: Path, request: Mapping[str, object]) -> None:
        """Make a model of a GGUF file, which is sent unless it is there.

        Raises:
            NetworkError: there is no answer, or not the one that was expected.
            ConfigError: Ollama refuses the model.
        """
        digest = f"sha256:{hash_file(file).sha256}"
        if not self._has(digest):
            with file.open("rb") as data:
                size = {"Content-Length": str(file.stat().st_size)}
                self._open("POST", f"/api/blobs/{digest}", data, size)
        asked = {"model": name, "files": {file.name: digest}, "stream": False, **request}
        answer = self._ask("/api/create", asked)
        if answer.get("status") != "success":
            raise NetworkError(
                f"Ollama did not make the model: {answer}",
                where=self.address,
                fixes=("see its log: ollama serve",),
            )

    def generate(self, name: str, prompt: str, tokens: int) -> str:
        """What the model puts behind a text, as it is, at temperature 0.

        Raises:
            NetworkError, ConfigError: as above.
        """
        options = {"temperature": 0, "num_predict": tokens, "repeat_penalty": 1.0, "stop": []}
        asked = {"model": name, "prompt": prompt, "raw": True, "stream": False, "options": options}
        return str(self._ask("/api/generate", asked)["response"])

    def _has(self, digest: str) -> bool:
        try:
            self._open("HEAD", f"/api/blobs/{digest}")
        except _Refused as error:
            if error.status != 404:
                raise
            return False
        return True

    def _ask(self, path: str, request: Mapping[str, object]) -> dict[str, Any]:
        kind = {"Content-Type": "application/json"}
        data = self._open("POST", path, json.dumps(request).encode(), kind)
        try:
            answer: dict[str, Any] = json.loads(data)
        except ValueError as error:
            raise self._silent("its answer is no JSON") from error
        return answer

    def _open(
        self, method: str, path: str, data: Any = None, headers: Mapping[str, str] | None = None
    ) -> bytes:
        asked = urllib.request.Request(
            self.address + path, data, dict(headers or {}), method=method
        )
        try:
            with self._opener.open(asked, timeout=_SECONDS) as response:
                answer: bytes = response.read()
                return answer
        except urllib.error.HTTPError as error:
            raise _Refused(error.code, _told(error), self.address) from error
        except OSError as error:
            raise self._silent(str(getattr(error, "reason", error))) from error

    def _silent(self, why: str) -> NetworkError:
        return NetworkError(
            f"Ollama does not answer: {why}",
            where=self.address,
            fixes=("start it: ollama serve", "or say where it is: OLLAMA_HOST=host:port"),
        )


class _Refused(ConfigError):
    def __init__(self, status: int, told: str, address: str) -> None:
        super().__init__(
            f"Ollama refuses: {told}",
            where=address,
            fixes=("see its log", "update it: https://ollama.com/download"),
        )
        self.status = status


def _told(error: urllib.error.HTTPError) -> str:
    text = error.read().decode("utf-8", "replace")
    try:
        found = json.loads(text)
    except ValueError:
        found = {}
    told = found.get("error") if isinstance(found, dict) else None
    return str(told or f"HTTP {error.code}")


def _address(host: str) -> str:
    """As Ollama reads OLLAMA_HOST: "", "host", ":port", "host:port" or a URL."""
    scheme, found, rest = host.strip().rstrip("/").rpartition("://")
    scheme = scheme if found else "http"
    name, _, port = rest.rpartition(":") if rest.rpartition(":")[2].isdecimal() else (rest, "", "")
    default = {"https": "443"}.get(scheme, str(_PORT)) if not found else ""
    end = port or default or ("443" if scheme == "https" else "80")
    name = "127.0.0.1" if name in ("", "0.0.0.0") else name
    return f"{scheme}://{name}:{end}"
