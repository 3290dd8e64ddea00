"""A stand-in for Weights & Biases on this machine: enough of its API to take one run.

As a program it says its address, and serves until it is ended.
"""

from __future__ import annotations

import gzip
import json
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Service(ThreadingHTTPServer):
    """Keeps what it is sent.

    Attributes:
        refuses: answer every request with 401.
        stalls: take no metrics.
        paths: of all requests.
        authorization: the header of each GraphQL request.
        streamed: the bodies of the requests that carry metrics.
        uploads: file name → contents.
    """

    daemon_threads = True

    def __init__(self, *, refuses: bool = False, stalls: bool = False) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.refuses = refuses
        self.stalls = stalls
        self.paths: list[str] = []
        self.authorization: list[str] = []
        self.created: list[dict[str, Any]] = []
        self.streamed: list[dict[str, Any]] = []
        self.uploads: dict[str, str] = {}
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def history(self) -> list[dict[str, Any]]:
        """The rows of metrics, in order."""
        files = [body["files"] for body in self.streamed if body.get("files")]
        chunks = [file["wandb-history.jsonl"] for file in files if "wandb-history.jsonl" in file]
        return [json.loads(line) for chunk in chunks for line in chunk["content"]]

    def answer(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        """The data of a GraphQL answer; empty for what the client can do without."""
        where = {"id": "p", "name": "proj", "entity": {"id": "e", "name": "team"}}
        if query == "RunResumeStatus":
            return {"model": {**where, "bucket": None}}
        if query == "UpsertBucket":
            self.created.append(variables)
            bucket = {"id": "r", "name": variables["name"], "displayName": None, "project": where}
            return {"upsertBucket": {"bucket": bucket, "inserted": True}}
        if query == "CreateRunFiles":
            urls = [{"name": n, "uploadUrl": f"{self.url}/upload/{n}"} for n in variables["files"]]
            return {"createRunFiles": {"runID": "r", "uploadHeaders": [], "files": urls}}
        return {}


class _Handler(BaseHTTPRequestHandler):
    server: Service

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        if self.headers["Content-Encoding"] == "gzip":
            body = gzip.decompress(body)
        self.server.paths.append(self.path)
        if self.path == "/graphql":
            self._graphql(json.loads(body))
        elif self.path.startswith("/upload/"):
            self.server.uploads[self.path.removeprefix("/upload/")] = body.decode()
            self._reply(200, {})
        elif self.path.endswith("/file_stream"):
            self._file_stream(json.loads(body))
        else:
            self._reply(404, {})

    do_PUT = do_POST

    def do_GET(self) -> None:
        self.server.paths.append(self.path)
        self._reply(404, {})

    def _graphql(self, request: dict[str, Any]) -> None:
        self.server.authorization.append(self.headers["Authorization"])
        if self.server.refuses:
            return self._reply(401, {"errors": [{"message": "invalid key"}]})
        (name,) = re.findall(r"^\s*(?:query|mutation)\s+(\w+)", request["query"])
        data = self.server.answer(name, request.get("variables") or {})
        return self._reply(200, {"data": data})

    def _file_stream(self, body: dict[str, Any]) -> None:
        while self.server.stalls:
            time.sleep(0.1)
        self.server.streamed.append(body)
        self._reply(200, {})

    def _reply(self, status: int, content: dict[str, Any]) -> None:
        data = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None: ...


if __name__ == "__main__":
    print(Service().url, flush=True)
    threading.Event().wait()
