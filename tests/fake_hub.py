"""A Hub on the loopback: the few calls that download one revision of a data set."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit


class FakeHub(ThreadingHTTPServer):
    """Serves the files of a folder as one revision of the data set, or refuses with a status."""

    daemon_threads = True

    def __init__(self, folder: Path, repository: str, revision: str, status: int = 200):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder, self.repository, self.revision = folder, repository, revision
        self.status, self.files = status, []  # files: those that were fetched
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


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

    def do_GET(self) -> None:
        hub, path = self.server, urlsplit(self.path).path
        api = f"/api/datasets/{hub.repository}"
        if hub.status != 200:
            self._send(hub.status, b"{}")
        elif path == f"{api}/revision/{hub.revision}":
            self._send(200, json.dumps({"id": hub.repository, "sha": hub.revision}).encode())
        elif path.startswith(f"{api}/tree/{hub.revision}"):
            self._send(200, json.dumps(self._tree()).encode())
        else:
            self._send_file(path.partition(f"/resolve/{hub.revision}/")[2])

    do_HEAD = do_GET

    def _tree(self) -> list[dict]:
        folder = self.server.folder
        return [
            {"type": "file", "path": p.relative_to(folder).as_posix(), "size": p.stat().st_size}
            | {"oid": hashlib.sha1(p.read_bytes()).hexdigest()}
            for p in sorted(folder.rglob("*"))
            if p.is_file()
        ]

    def _send_file(self, name: str) -> None:
        path = self.server.folder / name
        if not name or not path.is_file():
            self._send(404, b"", {"X-Error-Code": "EntryNotFound"})
            return
        if self.command == "GET":
            self.server.files.append(name)
        tag = hashlib.sha1(path.read_bytes()).hexdigest()
        headers = {"X-Repo-Commit": self.server.revision, "ETag": f'"{tag}"'}
        self._send(200, path.read_bytes(), headers)

    def _send(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)
