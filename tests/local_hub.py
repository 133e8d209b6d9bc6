"""A hub on this machine: a server that speaks as much of the Hugging Face hub's protocol as downloads need.

Files are at `/OWNER/NAME/resolve/REVISION/FILE`, with the headers that clients ask for; weights are
somewhere else, as on the hub, where a redirect leads.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

TOKEN = "hf_of_somebody_who_may"


@dataclass
class Repository:
    """A model: its folder, and who may have it."""

    folder: Path
    revisions: tuple[str, ...] = ("main", "v1")
    gated: bool = False
    private: bool = False

    @property
    def commit(self) -> str:
        """A name for the content, as git has one."""
        found = hashlib.sha1()
        for path in sorted(self.folder.iterdir()):
            found.update(path.name.encode() + path.read_bytes())
        return found.hexdigest()


@dataclass
class LocalHub:
    """What the server knows, what it was asked, and how it misbehaves."""

    repositories: dict[str, Repository] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    """`GET /path`, and the range where one was asked for."""
    status: int = 0
    """Answer everything with this error."""
    bytes_at_once: int = 0
    """Close the connection after so many bytes of a file."""
    silent: bool = False
    """Answer as no hub does, without its headers."""
    url: str = ""
    strangers: list[str] = field(default_factory=list)
    """Tokens that came where the weights are stored, which is another host."""

    def got(self) -> list[str]:
        """The names of the files that were downloaded."""
        files = re.compile(r"GET /(?:stored/|[^/]+/[^/]+/resolve/).*")
        return [line.split("/")[-1] for line in self.asked if files.fullmatch(line)]


_FILE = re.compile(r"/(?P<repo>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<file>[^/]+)")
_INFO = re.compile(r"/api/models/(?P<repo>[^/]+/[^/]+)/revision/(?P<revision>[^/]+)")
_STORED = re.compile(r"/stored/(?P<repo>[^/]+/[^/]+)/(?P<file>[^/]+)")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: LocalHub

    def log_message(self, *_: object) -> None:
        """Nothing is printed on stderr, which the tests look at."""

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def _answer(self, with_body: bool) -> None:
        asked_range = self.headers.get("Range", "")
        self.hub.asked.append(f"{self.command} {self.path}{asked_range and f' {asked_range}'}")
        if self.hub.status:
            return self._refuse(self.hub.status)
        if found := _STORED.fullmatch(self.path):
            self.hub.strangers += [self.headers["Authorization"]] * (
                "Authorization" in self.headers
            )
            folder = self.hub.repositories[found["repo"]].folder
            return self._send((folder / found["file"]).read_bytes(), {}, with_body)
        found = _FILE.fullmatch(self.path) or _INFO.fullmatch(self.path)
        if found is None:
            return self._refuse(404)
        repository = self.hub.repositories.get(found["repo"])
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if token not in ("", TOKEN):
            return self._refuse(401, message="Invalid credentials in Authorization header")
        if repository is None or (repository.private and not token):
            return self._refuse(404 if token else 401, "RepoNotFound" if token else "")
        if repository.gated and not token:
            return self._refuse(401, "GatedRepo")
        if found["revision"] not in (*repository.revisions, repository.commit):
            return self._refuse(404, "RevisionNotFound")
        about = {} if self.hub.silent else {"X-Repo-Commit": repository.commit}
        if found.re is _INFO:
            files = [{"rfilename": path.name} for path in sorted(repository.folder.iterdir())]
            told = {"id": found["repo"], "sha": repository.commit, "siblings": files}
            return self._send(json.dumps(told).encode(), about, with_body)
        path = repository.folder / found["file"]
        if not path.is_file():
            return self._refuse(404, "EntryNotFound", more=about)
        return self._file(found["repo"], path, about, with_body)

    def _file(self, repo: str, path: Path, about: dict[str, str], with_body: bool) -> None:
        content = path.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        if path.suffix not in (".safetensors", ".bin"):
            self._send(content, about | {"ETag": f'"{digest[:40]}"'}, with_body)
            return
        stored = {"X-Linked-ETag": f'"{digest}"', "X-Linked-Size": str(len(content))}
        if self.hub.silent:
            stored = {}
        self.send_response(302)
        for name, value in (about | stored).items():
            self.send_header(name, value)
        elsewhere = self.hub.url.replace("127.0.0.1", "localhost")
        self.send_header("Location", f"{elsewhere}/stored/{repo}/{path.name}")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _send(self, content: bytes, more: dict[str, str], with_body: bool) -> None:
        first = int((re.match(r"bytes=(\d+)-", self.headers.get("Range", "")) or [0, 0])[1])
        self.send_response(206 if first else 200)
        rest = content[first:]
        if first:
            self.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
        for name, value in more.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        if not with_body:
            return
        most = self.hub.bytes_at_once
        if most and self.path.startswith("/stored/"):
            self.wfile.write(rest[: most if not first else 0])
            self.close_connection = True
        else:
            self.wfile.write(rest)

    def _refuse(
        self, status: int, code: str = "", *, message: str = "", more: dict[str, str] | None = None
    ) -> None:
        self.send_response(status)
        for name, value in {
            "X-Error-Code": code,
            "X-Error-Message": message,
            **(more or {}),
        }.items():
            if value:
                self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()


@contextmanager
def served() -> Iterator[LocalHub]:
    """A hub that answers during this block."""
    hub = LocalHub()
    handler = type("Handler", (_Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def be_the_hub(hub: LocalHub, cache: Path, patch: pytest.MonkeyPatch) -> None:
    """Let huggingface_hub, which reads the environment once, ask this hub and nobody else."""
    from huggingface_hub import constants, file_download

    patch.setattr(constants, "ENDPOINT", hub.url)
    template = f"{hub.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    for module in (constants, file_download):
        if hasattr(module, "HUGGINGFACE_CO_URL_TEMPLATE"):
            patch.setattr(module, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    patch.setattr(constants, "HF_HUB_CACHE", str(cache))
    patch.setattr(constants, "HF_TOKEN_PATH", str(cache / "no-token"))
    patch.delenv("HF_TOKEN", raising=False)
    patch.setattr(time, "sleep", lambda _: None)  # which it does before it tries again
