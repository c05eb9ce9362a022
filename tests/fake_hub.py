"""A Hub on the loopback: the few calls that `datasets` makes to load one data set."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

REPOSITORY = "timm/eurosat-rgb"


class FakeHub(ThreadingHTTPServer):
    """Serves the files of a folder as one revision of the data set."""

    daemon_threads = True

    def __init__(
        self, folder: Path, revision: str, status: int = 200, repository: str = REPOSITORY
    ):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder, self.revision, self.status = folder, revision, status
        self.repository = repository
        self.requests: list[tuple[str, str, str | None]] = []  # method, path, Authorization

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def tree(self, below: str = "", recursive: bool = True) -> list[dict]:
        """What the Hub tells of the files and folders below a folder."""
        top = self.folder / below
        paths = sorted(top.rglob("*") if recursive else top.glob("*"))
        return [self._told(path) for path in paths]

    def _told(self, path: Path) -> dict:
        kind = "file" if path.is_file() else "directory"
        name = path.relative_to(self.folder).as_posix()
        content = path.read_bytes() if path.is_file() else name.encode()
        oid = hashlib.sha1(content).hexdigest()
        return {"type": kind, "path": name, "size": len(content), "oid": oid}


@contextmanager
def running(hub: FakeHub) -> Iterator[FakeHub]:
    threading.Thread(target=hub.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield hub
    finally:
        hub.shutdown()
        hub.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FakeHub

    def log_message(self, *arguments) -> None:
        pass

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        url = urlsplit(self.path)
        self.server.requests.append((self.command, url.path, self.headers.get("Authorization")))
        repository = self.server.repository
        api, files = f"/api/datasets/{repository}", f"/datasets/{repository}/resolve/"
        revision = self.server.revision
        if self.server.status != 200:
            self._send(self.server.status, b"{}")
        elif url.path == f"{api}/revision/{revision}":
            self._send_json({"id": repository, "sha": revision, "siblings": []})
        elif url.path.startswith(f"{api}/tree/{revision}"):
            below = url.path.removeprefix(f"{api}/tree/{revision}").strip("/")
            self._send_json(self.server.tree(below, "recursive=true" in url.query.lower()))
        elif url.path == f"{api}/paths-info/{revision}":
            wanted = _paths(body)
            self._send_json([f for f in self.server.tree() if f["path"] in wanted])
        elif url.path.startswith(f"{files}{revision}/"):
            self._send_file(url.path.removeprefix(f"{files}{revision}/"))
        else:
            self._send(404, b"{}", {"X-Error-Code": "RevisionNotFound"})

    do_GET = do_HEAD = do_POST = _answer

    def _send_file(self, name: str) -> None:
        path = self.server.folder / name
        headers = {"X-Repo-Commit": self.server.revision}
        if path.is_file():
            content = path.read_bytes()
            etag = hashlib.sha1(content).hexdigest()
            self._send(200, content, headers | {"ETag": f'"{etag}"'})
        else:
            self._send(404, b"", headers | {"X-Error-Code": "EntryNotFound"})

    def _send_json(self, answer) -> None:
        self._send(200, json.dumps(answer).encode(), {"Content-Type": "application/json"})

    def _send(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


def _paths(body: bytes) -> list[str]:
    try:
        return json.loads(body)["paths"]
    except ValueError:
        return parse_qs(body.decode()).get("paths", [])
