"""The Hub's protocol on a loopback address, with faults by script.

Endpoints and bodies are those that huggingface_hub 2.4 was seen to use.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

TOKEN = "hf_" + "t" * 34


@dataclass
class Fault:
    """What happens to one request in place of its answer, or after its work was done.

    Attributes:
        status, headers, body: of the answer.
        read: the share of the body that is read before the connection is reset.
        silent: nothing is ever answered.
        afterwards: the request is carried out, and the reply lost.
    """

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    read: float = 0.0
    silent: bool = False
    afterwards: bool = False


@dataclass
class Repo:
    private: bool
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)


@dataclass
class Service:
    """What the service holds and has seen.

    Attributes:
        faults: route → what happens to the next requests there.
        before: route → what else is done before the next requests there.
        seen: (method, path, Authorization) of each request.
        agents: the User-Agent of each.
        puts: complete uploads, by SHA-256.
        lfs_from: files of so many bytes go to the store for large files.
        drips: what the paths end in that come byte by byte; `dripping` is set once one does.
    """

    url: str = ""
    repos: dict[str, Repo] = field(default_factory=dict)
    lfs: dict[str, bytes] = field(default_factory=dict)
    faults: dict[str, list[Fault]] = field(default_factory=dict)
    before: dict[str, list[Callable[[], None]]] = field(default_factory=dict)
    seen: list[tuple[str, str, str | None]] = field(default_factory=list)
    agents: list[str] = field(default_factory=list)
    puts: Counter[str] = field(default_factory=Counter)
    commits: int = 0
    lfs_from: int = 2000
    role: str = "write"
    token: str = TOKEN
    drips: str = ""
    dripping: threading.Event = field(default_factory=threading.Event)
    over: threading.Event = field(default_factory=threading.Event)

    def add(self, name: str, files: dict[str, bytes], *, private: bool = False) -> str:
        repo = self.repos.setdefault(name, Repo(private))
        return self.commit(repo, "main", files)

    def commit(self, repo: Repo, branch: str, files: dict[str, bytes]) -> str:
        whole = {**repo.commits.get(repo.branches.get(branch, ""), {}), **files}
        text = json.dumps([len(repo.commits), sorted(whole)])
        sha = hashlib.sha1(text.encode()).hexdigest()
        repo.commits[sha], repo.branches[branch] = whole, sha
        return sha

    def held(self, name: str, branch: str = "main") -> dict[str, bytes]:
        repo = self.repos[name]
        return repo.commits[repo.branches[branch]]


@contextlib.contextmanager
def serving(service: Service | None = None) -> Iterator[Service]:
    service = service or Service()
    handler = type("Handler", (_Handler,), {"service": service})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    service.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield service
    finally:
        service.over.set()
        server.shutdown()
        server.server_close()
        thread.join()


def blob_id(data: bytes) -> str:
    return hashlib.sha1(f"blob {len(data)}\0".encode() + data).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    service: Service
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # small answers would wait 40 ms for each other

    def log_message(self, format: str, *args: object) -> None: ...

    def do_GET(self) -> None:
        self._handle()

    do_HEAD = do_POST = do_PUT = do_GET

    def _handle(self) -> None:
        service, path = self.service, urlsplit(self.path).path
        service.seen.append((self.command, path, self.headers.get("Authorization")))
        service.agents.append(self.headers.get("User-Agent") or "")
        route, action = self._route(path)
        fault = service.faults[route].pop(0) if service.faults.get(route) else None
        length = int(self.headers.get("Content-Length") or 0)
        if fault and fault.silent:
            service.over.wait(30)
            return self._reset()
        if fault and not fault.status and not fault.afterwards:
            self.rfile.read(int(length * fault.read))
            return self._reset()
        body = self._body(length)
        if service.before.get(route):
            service.before[route].pop(0)()
        if fault and fault.status:
            return self._answer(fault.status, fault.body, fault.headers)
        status, answer, headers = action(body)
        if fault and fault.afterwards:
            return self._reset()
        data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        if service.drips and path.endswith(service.drips) and self.command == "GET":
            return self._drip(data, headers)
        self._answer(status, data, headers)
        return None

    def _body(self, length: int) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(length)
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _reset(self) -> None:
        option = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, option)
        self.close_connection = True
        self.connection.close()
        self.wfile = _Nowhere()

    def _answer(self, status: int, data: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _drip(self, data: bytes, headers: dict[str, str]) -> None:
        self.send_response(200)
        for name, value in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.close_connection = True
        for place in range(len(data)):
            with contextlib.suppress(OSError):  # nobody may be listening any more
                self.wfile.write(data[place : place + 1])
            self.service.dripping.set()
            if self.service.over.wait(0.02):
                return

    def _route(self, path: str) -> tuple[str, Callable]:
        parts = [unquote(part) for part in path.strip("/").split("/")]
        if path.startswith("/store/"):
            return "upload", lambda body: self._store(parts[1], body)
        if path.endswith("/info/lfs/objects/batch"):
            return "batch", self._batch
        if parts[0] == "verify":
            return "verify", lambda body: (200, {}, {})
        if "resolve" in parts:
            return "download", lambda body: self._resolve(parts)
        if parts[:2] == ["api", "whoami-v2"]:
            return "whoami", self._whoami
        if parts[:3] == ["api", "repos", "create"]:
            return "create", self._create
        if parts[:2] == ["api", "validate-yaml"]:
            return "yaml", lambda body: (200, {"errors": [], "warnings": []}, {})
        if parts[0] == "api" and parts[1] in ("models", "datasets") and len(parts) >= 4:
            return self._of_repo(parts)
        return "other", lambda body: (404, {}, {})

    def _of_repo(self, parts: list[str]) -> tuple[str, Callable]:
        name, rest = "/".join(parts[2:4]), parts[4:]
        if not self._may_see(name):
            return "missing", lambda body: (404, {}, {"X-Error-Code": "RepoNotFound"})
        if not rest or rest[0] == "revision":
            return "info", lambda body: self._info(name, "/".join(rest[1:]) or "main")
        if rest[0] == "preupload":
            return "preupload", self._preupload
        if rest[0] == "branch":
            return "branch", lambda body: self._branch(name, rest[1])
        if rest[0] == "commit":
            return "commit", lambda body: self._commit(name, rest[1], body)
        if rest[0] == "tree":
            return "tree", lambda body: self._tree(name, rest[1])
        return "other", lambda body: (404, {}, {})

    def _known(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {self.service.token}"

    def _may_see(self, name: str) -> bool:
        repo = self.service.repos.get(name)
        return repo is not None and (not repo.private or self._known())

    def _whoami(self, body: bytes) -> tuple[int, object, dict[str, str]]:
        if not self._known():
            return 401, {"error": "Invalid username or password."}, {}
        role = {"accessToken": {"role": self.service.role}}
        return 200, {"name": "me", "type": "user", "orgs": [], "auth": role}, {}

    def _create(self, body: bytes) -> tuple[int, object, dict[str, str]]:
        asked = json.loads(body)
        name = f"{asked.get('organization') or 'me'}/{asked['name']}"
        private = asked.get("visibility") == "private" or bool(asked.get("private"))
        answer = {"url": f"{self.service.url}/{name}"}
        if name in self.service.repos:
            return 409, answer, {}
        self.service.add(name, {".gitattributes": b""}, private=private)
        return 200, answer, {}

    def _branch(self, name: str, branch: str) -> tuple[int, object, dict[str, str]]:
        repo = self.service.repos[name]
        if branch in repo.branches:
            return 409, {}, {}
        repo.branches[branch] = repo.branches["main"]
        return 200, {}, {}

    def _sha(self, name: str, revision: str) -> str | None:
        repo = self.service.repos[name]
        sha = repo.branches.get(revision, revision)
        return sha if sha in repo.commits else None

    def _info(self, name: str, revision: str) -> tuple[int, object, dict[str, str]]:
        repo, sha = self.service.repos[name], self._sha(name, revision)
        if sha is None:
            return 404, {}, {"X-Error-Code": "RevisionNotFound"}
        siblings = [self._file(path, data) for path, data in repo.commits[sha].items()]
        return 200, {"id": name, "sha": sha, "private": repo.private, "siblings": siblings}, {}

    def _file(self, path: str, data: bytes) -> dict[str, object]:
        told: dict[str, object] = {"rfilename": path, "size": len(data), "blobId": blob_id(data)}
        if len(data) >= self.service.lfs_from:
            sha = hashlib.sha256(data).hexdigest()
            told["lfs"] = {"sha256": sha, "size": len(data), "pointerSize": 134}
        return told

    def _tree(self, name: str, revision: str) -> tuple[int, object, dict[str, str]]:
        sha = self._sha(name, revision)
        files = self.service.repos[name].commits[sha or ""]
        found = [
            {"type": "file", "path": path, "size": len(data), "oid": blob_id(data)}
            for path, data in files.items()
        ]
        return 200, found, {}

    def _preupload(self, body: bytes) -> tuple[int, object, dict[str, str]]:
        large = self.service.lfs_from
        files = [
            {
                "path": file["path"],
                "uploadMode": "lfs" if file["size"] >= large else "regular",
                "shouldIgnore": False,
            }
            for file in json.loads(body)["files"]
        ]
        return 200, {"files": files}, {}

    def _batch(self, body: bytes) -> tuple[int, object, dict[str, str]]:
        objects = []
        for asked in json.loads(body)["objects"]:
            oid = asked["oid"]
            actions = {
                "upload": {"href": f"{self.service.url}/store/{oid}"},
                "verify": {"href": f"{self.service.url}/verify/{oid}"},
            }
            have = oid in self.service.lfs
            objects.append({**asked, **({} if have else {"actions": actions})})
        return 200, {"transfer": "basic", "objects": objects}, {}

    def _store(self, oid: str, body: bytes) -> tuple[int, object, dict[str, str]]:
        if hashlib.sha256(body).hexdigest() != oid:
            return 400, {}, {}
        self.service.lfs[oid] = body
        self.service.puts[oid] += 1
        return 200, {}, {}

    def _commit(self, name: str, branch: str, body: bytes) -> tuple[int, object, dict[str, str]]:
        if not self._known():
            return 401, {}, {}
        repo, files = self.service.repos[name], {}
        lines = [json.loads(line) for line in body.splitlines()]
        header = next(line["value"] for line in lines if line["key"] == "header")
        parent = header.get("parentCommit")
        if parent and parent != repo.branches[branch]:
            return 412, {"error": "the branch has moved on"}, {}
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            if line["key"] == "lfsFile":
                files[value["path"]] = self.service.lfs[value["oid"]]
        sha = self.service.commit(repo, branch, files)
        self.service.commits += 1
        url = f"{self.service.url}/{name}/commit/{sha}"
        return 200, {"success": True, "commitOid": sha, "commitUrl": url}, {}

    def _resolve(self, parts: list[str]) -> tuple[int, object, dict[str, str]]:
        at = parts.index("resolve")
        name, revision, path = (
            "/".join(parts[at - 2 : at]),
            parts[at + 1],
            "/".join(parts[at + 2 :]),
        )
        if not self._may_see(name):
            return 404, {}, {"X-Error-Code": "RepoNotFound"}
        sha = self._sha(name, revision)
        data = self.service.repos[name].commits[sha or ""].get(path)
        if data is None:
            return 404, {}, {"X-Error-Code": "EntryNotFound"}
        etag = hashlib.sha256(data).hexdigest()
        return 200, data, {"X-Repo-Commit": str(sha), "ETag": f'"{etag}"'}


class _Nowhere:
    """What is written after a reset."""

    def write(self, data: bytes) -> int:
        return len(data)

    def flush(self) -> None: ...

    closed = False

    def close(self) -> None: ...
