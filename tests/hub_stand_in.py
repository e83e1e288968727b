"""A Hugging Face Hub on this machine, reached through `HF_ENDPOINT`: enough for huggingface_hub to fetch and to pin.

Small files come from the Hub itself, known by git's digest; large ones from a signed address, known by their SHA-256.
"""

import hashlib
import json
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from urllib.parse import unquote, urlsplit

LARGE = 1000
SIGNATURE = "X-Signature=5ecretSignature"


@dataclass
class Repository:
    """commits: files by commit. branches: the commit that each means. shut: empty, `private` or `gated`."""

    commits: dict[str, Mapping[str, bytes]] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    shut: str = ""

    def commit(self, files: Mapping[str, bytes], branch: str = "main") -> str:
        """A new commit on a branch, and its name."""
        content = repr((len(self.commits), sorted(files))).encode()
        name = hashlib.sha1(content).hexdigest()
        self.commits[name] = files
        self.branches[branch] = name
        return name


class HubStandIn(ThreadingHTTPServer):
    """requests: `METHOD path`, as they came. flip: files that arrive with another byte. cut: how often each breaks off.

    token: the one that opens what is shut. status: answered to everything, when it is set.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repositories: dict[str, Repository] = {}
        self.requests: list[str] = []
        self.flip: set[str] = set()
        self.cut: dict[str, int] = {}
        self.token = "hf_therightone123456789"
        self.status = 0

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def elsewhere(self) -> str:
        """Where large files lie: to a client another host, which never sees a token."""
        return f"http://localhost:{self.server_address[1]}"

    def repository(self, name: str, files: Mapping[str, bytes], kind: str = "model") -> str:
        """A repository with one commit, and the commit's name."""
        made = self.repositories[f"{kind}s/{name}"] = Repository()
        return made.commit(files)

    def __enter__(self) -> "HubStandIn":
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.shutdown()
        self.server_close()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is no news."""


class Refused(Exception):
    """An answer that is no file. code: as the Hub names it in a header."""

    def __init__(self, status: int, code: str = "", why: str = "") -> None:
        super().__init__(why)
        self.status = status
        self.headers = {name: told for name, told in (("X-Error-Code", code), ("X-Error-Message", why)) if told}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: HubStandIn

    def do_GET(self) -> None:
        self.server.requests.append(f"{self.command} {self.path}")
        path = unquote(urlsplit(self.path).path)
        try:
            if self.server.status:
                raise Refused(self.server.status)
            if path.startswith("/cdn/"):
                self._large(path)
            elif api := re.fullmatch(r"/api/(models|datasets)/(.+?)(?:/revision/(.+))?", path):
                self._info(*api.groups(default="main"))
            elif file := re.fullmatch(r"/(datasets/)?(.+?)/resolve/([^/]+)/(.+)", path):
                self._file((file[1] or "models/").rstrip("/"), *file.groups()[1:])
            else:
                raise Refused(404)
        except Refused as refused:
            self._answer(refused.status, refused.headers, b"{}")

    do_HEAD = do_GET

    def log_message(self, format: str, *arguments: object) -> None:
        pass

    def _info(self, kind: str, name: str, revision: str) -> None:
        commit, files = self._found(kind, name, revision)
        siblings = []
        for path, content in files.items():
            sibling = {"rfilename": path, "size": len(content), "blobId": git_digest(content)}
            if len(content) > LARGE:
                sha256 = hashlib.sha256(content).hexdigest()
                sibling["lfs"] = {"sha256": sha256, "size": len(content), "pointerSize": 134}
            siblings.append(sibling)
        told = {
            "id": name,
            "sha": commit,
            "siblings": siblings,
            "private": False,
            "tags": [],
            "downloads": 0,
            "likes": 0,
        }
        self._answer(200, {"Content-Type": "application/json"}, json.dumps(told).encode())

    def _file(self, kind: str, name: str, revision: str, path: str) -> None:
        commit, files = self._found(kind, name, revision)
        if path not in files:
            raise Refused(404, "EntryNotFound")
        content, headers = files[path], {"X-Repo-Commit": commit}
        if len(content) <= LARGE:
            self._answer(200, {**headers, "ETag": f'"{git_digest(content)}"'}, self._content(path, content))
            return
        linked = {"X-Linked-Etag": f'"{hashlib.sha256(content).hexdigest()}"', "X-Linked-Size": str(len(content))}
        where = f"{self.server.elsewhere}/cdn/{kind}/{name}/{commit}/{path}?{SIGNATURE}"
        self._answer(302, {**headers, **linked, "Location": where}, b"")

    def _large(self, path: str) -> None:
        if not self.path.endswith(f"?{SIGNATURE}") or self.headers.get("Authorization"):
            raise Refused(400)
        _, _, kind, owner, name, commit, file = path.split("/", 6)
        content = self.server.repositories[f"{kind}/{owner}/{name}"].commits[commit][file]
        start = int((re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", "")) or ["", "0"])[1])
        ranged = {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"} if start else {}
        self._answer(206 if start else 200, ranged, self._content(file, content)[start:], cut=self._cut(file))

    def _found(self, kind: str, name: str, revision: str) -> tuple[str, Mapping[str, bytes]]:
        """The commit that a revision means, and its files."""
        found = self.server.repositories.get(f"{kind}/{name}")
        given = self.headers.get("Authorization")
        if given and given != f"Bearer {self.server.token}":
            raise Refused(401, why="Invalid credentials in Authorization header")
        if found is None or (found.shut == "private" and not given):
            raise Refused(401 if not given else 404, "RepoNotFound", "Repository not found")
        if found.shut == "gated" and not given:
            raise Refused(401, "GatedRepo", "Access to this repository is restricted")
        commit = found.branches.get(revision, revision)
        if commit not in found.commits:
            raise Refused(404, "RevisionNotFound", "Invalid rev id")
        return commit, found.commits[commit]

    def _content(self, path: str, content: bytes) -> bytes:
        return content[:-1] + bytes([content[-1] ^ 1]) if path in self.server.flip else content

    def _cut(self, path: str) -> bool:
        left = self.server.cut.get(path, 0)
        self.server.cut[path] = max(left - 1, 0)
        return left > 0

    def _answer(self, status: int, headers: Mapping[str, str], content: bytes, cut: bool = False) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content[: len(content) // 2] if cut else content)
        self.close_connection = self.close_connection or cut


def git_digest(content: bytes) -> str:
    """What git calls a file with this content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
