"""A Hub on the loopback: the few calls that download one revision of a data set."""

import hashlib
import json
import re
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@contextmanager
def serve(folder: Path, repository: str, revision: str, status: int = 200):
    """Serve a folder as a data set, or refuse with a status; yield the address, files fetched."""
    fetched: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *arguments) -> None:
            pass

        def do_GET(self) -> None:
            pattern = rf"{repository}/(\w+)/{revision}/?([^?]*)"
            kind, name = re.search(pattern, self.path).groups()
            content = json.dumps({"id": repository, "sha": revision}).encode()
            if kind == "resolve":
                content = (folder / name).read_bytes()
                fetched.append(name)
            elif kind == "tree":
                files = [str(f.relative_to(folder)) for f in folder.rglob("*") if f.is_file()]
                entry = {"type": "file", "oid": "0" * 40, "size": 1}
                content = json.dumps([entry | {"path": file} for file in files]).encode()
            self.send_response(status)
            self.send_header("X-Repo-Commit", revision)
            self.send_header("ETag", f'"{hashlib.sha1(content).hexdigest()}"')
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)

        do_HEAD = do_GET

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}", fetched
        server.shutdown()
