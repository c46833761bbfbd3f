"""A hub on this machine: the few answers of the Hugging Face hub that a program here asks for."""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from huggingface_hub import constants


@dataclass
class Hub:
    """What is on it, and what it was asked for.

    Attributes:
        url: Where it answers.
        models: Files by repository.
        gated: Repositories that nobody may read.
        private: Repositories that were made for their owner alone.
        needs_login: Whoever writes must say who they are.
        broken: Everything is answered with an error of its own.
        asked: Method and path of every request.
    """

    url: str = ""
    models: dict[str, dict[str, bytes]] = field(default_factory=dict)
    gated: set[str] = field(default_factory=set)
    private: set[str] = field(default_factory=set)
    needs_login: bool = False
    broken: bool = False
    asked: list[tuple[str, str]] = field(default_factory=list)

    def add(self, repo: str, folder: Path) -> None:
        """Put the files of a folder into a repository."""
        files = {path.name: path.read_bytes() for path in folder.iterdir()}
        self.models.setdefault(repo, {}).update(files)

    def commit(self, repo: str) -> str:
        """Name the state of a repository."""
        digest = hashlib.sha1()
        for name, data in sorted(self.models[repo].items()):
            digest.update(name.encode() + data)
        return digest.hexdigest()

    def downloaded(self) -> set[str]:
        """Names of the files whose bytes were asked for."""
        paths = [path for method, path in self.asked if method == "GET" and "/resolve/" in path]
        return {path.rpartition("/")[2] for path in paths}


@contextmanager
def serve(monkeypatch: pytest.MonkeyPatch, cache: Path) -> Iterator[Hub]:
    """Run a hub, and have the client here ask it in place of the real one."""
    hub = Hub()

    class Handler(_Handler):
        pass

    Handler.hub = hub
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.url = f"http://127.0.0.1:{server.server_port}"
    template = hub.url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "ENDPOINT", hub.url)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(cache / "token"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""

    def do_GET(self) -> None:
        self._read()

    def do_HEAD(self) -> None:
        self._read()

    def do_POST(self) -> None:
        path = self._path()
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = self._chunks()
        if self.hub.broken:
            self._refuse(400, "")
        elif self.hub.needs_login and "Authorization" not in self.headers:
            self._refuse(401, "")
        elif path == "/api/validate-yaml":
            self._answer({"errors": [], "warnings": []})
        elif path == "/api/repos/create":
            self._create(json.loads(body))
        elif path.endswith("/preupload/main"):
            files = json.loads(body)["files"]
            modes = {"uploadMode": "regular", "shouldIgnore": False}
            self._answer({"files": [{"path": file["path"], **modes} for file in files]})
        else:
            repo = path.removeprefix("/api/models/").removesuffix("/commit/main")
            self._commit(repo, [json.loads(line) for line in body.splitlines()])

    def _path(self) -> str:
        path = unquote(urlsplit(self.path).path)
        self.hub.asked.append((self.command, path))
        return path

    def _chunks(self) -> bytes:
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _read(self) -> None:
        path = self._path()
        of_api = path.startswith("/api/models/")
        org, name, *rest = path.removeprefix("/api/models/" if of_api else "/").split("/")
        repo = f"{org}/{name}"
        if self.hub.broken:
            self._refuse(400, "")
        elif repo not in self.hub.models:
            self._refuse(404, "RepoNotFound")
        elif len(rest) > 1 and rest[1] not in ("main", self.hub.commit(repo)):
            self._refuse(404, "RevisionNotFound")
        elif of_api:
            self._describe(repo, tree=rest[:1] == ["tree"])
        elif repo in self.hub.gated:
            self._refuse(403, "GatedRepo")
        elif rest[-1] not in self.hub.models[repo]:
            self._refuse(404, "EntryNotFound")
        else:
            self._send(self.hub.models[repo][rest[-1]], {"X-Repo-Commit": self.hub.commit(repo)})

    def _describe(self, repo: str, *, tree: bool) -> None:
        files = self.hub.models[repo].items()
        if tree:
            kinds = [{"type": "file", "path": name, "size": len(data)} for name, data in files]
            self._answer(
                [
                    {**kind, "oid": _digest(self.hub.models[repo][str(kind["path"])])}
                    for kind in kinds
                ]
            )
        else:
            siblings = [{"rfilename": name} for name, _ in files]
            self._answer({"id": repo, "sha": self.hub.commit(repo), "siblings": siblings})

    def _create(self, wanted: dict[str, object]) -> None:
        repo = f"{wanted.get('organization') or 'me'}/{wanted['name']}"
        self.hub.models.setdefault(repo, {})
        if wanted.get("private") or wanted.get("visibility") == "private":
            self.hub.private.add(repo)
        self._answer({"url": f"{self.hub.url}/{repo}", "id": repo, "name": repo})

    def _commit(self, repo: str, lines: list[dict[str, dict[str, str]]]) -> None:
        for line in lines[1:]:
            value = line["value"]
            self.hub.models[repo][value["path"]] = base64.b64decode(value["content"])
        url = f"{self.hub.url}/{repo}/commit/{self.hub.commit(repo)}"
        self._answer({"commitUrl": url, "commitOid": self.hub.commit(repo)})

    def _answer(self, value: object) -> None:
        self._send(json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _refuse(self, status: int, code: str) -> None:
        self._send(b"", {"X-Error-Code": code} if code else {}, status=status)

    def _send(self, data: bytes, headers: dict[str, str], *, status: int = 200) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("ETag", f'"{_digest(data)}"')
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


def _digest(data: bytes) -> str:
    return hashlib.sha1(data).hexdigest()
