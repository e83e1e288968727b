"""A Hugging Face Hub on this machine, reached through `HF_ENDPOINT`: huggingface_hub fetches, pins and publishes there.

Small files come from the Hub itself, known by git's digest; large ones from a signed address of another host, known by
their SHA-256.
"""

import hashlib
import json
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from operator import itemgetter
from pathlib import PurePosixPath
from types import TracebackType
from typing import Any, NamedTuple
from urllib.parse import parse_qs, quote, unquote, urlsplit

from azure_stand_in.http_server import NONE, Fault, Server, done, meeting, send

from hub_stand_in.writing import HubWriting, WriteRefused

__all__ = ["SIGNATURE", "HubStandIn", "Repository"]

LARGE = 1000
"""Bytes; a file with more lies on another host."""


@dataclass
class Repository:
    """commits: files by commit. branches, tags: the commit that each means. parents, messages: of each commit.

    shut: empty, `private`, or one that everybody may list: `gated`, whose licence the token's account has accepted, and
    `unaccepted`.
    """

    commits: dict[str, Mapping[str, bytes]] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    shut: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    parents: dict[str, str] = field(default_factory=dict)
    messages: dict[str, str] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock, repr=False, compare=False)

    def commit(self, files: Mapping[str, bytes], branch: str = "main", message: str = "a commit") -> str:
        """A new commit on a branch, and its name."""
        digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}  # caches know commits
        content = repr((len(self.commits), sorted(digests.items()))).encode()
        name = hashlib.sha1(content).hexdigest()
        self.commits[name] = files
        self.messages[name] = message
        if before := self.branches.get(branch):
            self.parents[name] = before
        self.branches[branch] = name
        return name

    def squash(self, branch: str = "main") -> None:
        """One commit in place of those of a branch, as `HfApi.super_squash_history` leaves it; tags stay."""
        del self.parents[self.commit(self.commits[self.branches[branch]], branch, "Super-squash")]


def large(content: bytes, digest: str) -> dict[str, Any]:
    """What is told of a file that lies elsewhere, its SHA-256 under the given name; nothing of a small one."""
    if len(content) <= LARGE:
        return {}
    return {"lfs": {digest: hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 134}}


def described(content: bytes) -> dict[str, Any]:
    """What a tree tells of a file beside its path."""
    return {"size": len(content), "oid": git_digest(content), **large(content, "oid")}


def git_digest(content: bytes) -> str:
    """What git calls a file with this content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


SIGNATURE = "X-Signature=5ecretSignature"
RANGE = re.compile(r"bytes=(\d+)-(\d*)")


Answer = tuple[int, Mapping[str, str], Any]
"""Status, headers, and the body: bytes, or what is sent as JSON."""


class Arrival(NamedTuple):
    """A request as it came. headers: by name, in small letters."""

    request: str
    headers: Mapping[str, str]


class HubStandIn(Server):
    """requests: `METHOD path`, as they came.

    token: the one that opens what is shut, and may write; read_token: one that may only read. user, organizations: the
    namespaces that it may write to. large_files: what was uploaded, by its SHA-256. status: answered to everything,
    when it is set. faults: as those of the Azure stand-in; of the other host too, whose paths begin with /cdn/.
    arrived_elsewhere: what came there. page: how many files of a tree are told at once. answers: by path, in place of
    what the repositories hold.
    """

    page = 1000

    def __init__(self) -> None:
        super().__init__(_Handler)
        self.repositories: dict[str, Repository] = {}
        self.requests: list[str] = []
        self.arrived_elsewhere: list[Arrival] = []
        self.faults: list[Fault] = []
        self.answers: dict[str, Answer | Callable[[], Answer]] = {}
        self.token = "hf_therightone123456789"
        self.read_token = "hf_readsonly1234567890"
        self.user, self.organizations = "me", ["lab"]
        self.large_files: dict[str, bytes] = {}
        self.expected_sizes: dict[str, int] = {}
        self.signature = SIGNATURE
        self.status = 0
        self.writing = HubWriting(self)
        self._elsewhere = Elsewhere(self)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def roles(self) -> Mapping[str, str]:
        """Each token, and what it may do."""
        return {self.token: "write", self.read_token: "read"}

    @property
    def elsewhere(self) -> str:
        """Where large files lie: another host, on another port, which never sees a token."""
        return f"http://localhost:{self._elsewhere.port}"

    def repository(self, name: str, files: Mapping[str, bytes], kind: str = "model") -> str:
        """A repository with one commit, and the commit's name."""
        made = self.repositories[f"{kind}s/{name}"] = Repository()
        return made.commit(files)

    def add_repository(self, name: str, shut: str = "") -> Repository:
        """A repository for a model, without a commit."""
        made = self.repositories[f"models/{name}"] = Repository(shut=shut)
        return made

    def __enter__(self) -> "HubStandIn":
        self._elsewhere.__enter__()
        super().__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        super().__exit__(kind, error, at)
        self._elsewhere.__exit__(kind, error, at)


class Elsewhere(Server):
    """Where the large files of a Hub lie."""

    def __init__(self, hub: HubStandIn) -> None:
        super().__init__(_Large)
        self.hub = hub


class Refused(Exception):
    """An answer that is no file. code: as the Hub names it in a header."""

    def __init__(self, status: int, code: str = "", message: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.headers = {
            name: result for name, result in (("X-Error-Code", code), ("X-Error-Message", message)) if result
        }


class _Answers(BaseHTTPRequestHandler):
    """What both hosts have in common: faults, parts of files, refusals."""

    protocol_version = "HTTP/1.1"
    fault = NONE

    def log_message(self, format: str, *arguments: object) -> None:
        pass

    def answered(self, hub: HubStandIn) -> None:
        """The answer to one request, whatever it is."""
        hub.requests.append(f"{self.command} {self.path}")
        self.fault = NONE
        body = self.received()
        self.fault = meeting(self, hub.faults, self.server.ended)
        try:
            if status := self.fault.status or hub.status:
                raise Refused(status, self.fault.code)
            if not self.written(hub, urlsplit(self.path).path, body):
                self.found(unquote(urlsplit(self.path).path))
        except Refused as refused:
            self.answer(refused.status, {**refused.headers, **self.fault.headers}, b"{}")

    def received(self) -> bytes:
        """The body of the request, whole or in chunks."""
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        pieces = []
        while size := int(self.rfile.readline().strip() or b"0", 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(pieces)

    def written(self, hub: HubStandIn, path: str, body: bytes) -> bool:
        """Answer a request that writes, or tells about an account; whether it was one. Raises Refused."""
        return False

    def found(self, path: str) -> None:
        """Answer what lies there. Raises Refused."""
        raise NotImplementedError

    def part(self, content: bytes, headers: Mapping[str, str]) -> None:
        """The content of a file, or the part of it that is asked for."""
        ranged = RANGE.fullmatch(self.headers.get("Range", ""))
        if ranged is None:
            self.answer(200, {**headers, "Accept-Ranges": "bytes"}, content)
            return
        first, last = int(ranged[1]), min(int(ranged[2] or len(content)), len(content) - 1)
        if first > last:
            raise Refused(416)
        values = {"Content-Range": f"bytes {first}-{last}/{len(content)}"}
        self.answer(206, {**headers, **values}, content[first : last + 1])

    def json(self, content: Any, headers: Mapping[str, str]) -> None:
        """An answer of the API."""
        self.answer(200, {"Content-Type": "application/json", **headers}, json.dumps(content).encode())

    def answer(self, status: int, headers: Mapping[str, str], content: bytes) -> None:
        """The whole of it, as the fault has it. Raises ConnectionError when the answer is lost."""
        done(self.fault)
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            send(self, content, self.fault, self.server.ended)


class _Large(_Answers):
    server: Elsewhere

    def do_GET(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.hub.arrived_elsewhere.append(Arrival(f"{self.command} {self.path}", headers))
        self.answered(self.server.hub)

    do_HEAD = do_PUT = do_GET

    def written(self, hub: HubStandIn, path: str, body: bytes) -> bool:
        if self.command != "PUT":
            return False
        if not self.path.endswith(f"?{SIGNATURE}") or self.headers.get("Authorization"):
            raise Refused(400)
        try:
            hub.writing.store(path.rpartition("/")[2], body)
        except WriteRefused as refused:
            raise Refused(refused.status, "", refused.why) from None
        self.answer(200, {"ETag": '"uploaded"'}, b"")
        return True

    def found(self, path: str) -> None:
        if not self.path.endswith(f"?{SIGNATURE}") or self.headers.get("Authorization"):
            raise Refused(400)
        _, _, kind, owner, name, commit, file = path.split("/", 6)
        content = self.server.hub.repositories[f"{kind}/{owner}/{name}"].commits[commit][file]
        self.part(content, {"ETag": f'"{hashlib.sha256(content).hexdigest()}"'})


class _Handler(_Answers):
    server: HubStandIn

    def do_GET(self) -> None:
        self.answered(self.server)

    do_HEAD = do_POST = do_DELETE = do_GET

    def written(self, hub: HubStandIn, path: str, body: bytes) -> bool:
        if self.path in hub.answers:
            return False
        try:
            answer = hub.writing.answer(self.command, path, self.headers.get("Authorization") or "", body)
        except WriteRefused as refused:
            content = refused.why if refused.why.startswith("{") else json.dumps({"error": refused.why})
            names = {
                "X-Error-Message": "" if refused.why.startswith("{") else refused.why,
                "X-Error-Code": refused.code,
            }
            headers = {name: value for name, value in names.items() if value}
            self.answer(refused.status, {"Content-Type": "application/json", **headers}, content.encode())
            return True
        if answer is None:
            return False
        self.json(answer, {})
        return True

    def found(self, path: str) -> None:
        authorization = self.headers.get("Authorization")
        if authorization and authorization.removeprefix("Bearer ") not in self.server.roles:
            raise Refused(401, message="Invalid credentials in Authorization header")
        if answer := self.server.answers.get(self.path):
            status, headers, body = answer() if callable(answer) else answer
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.answer(status, {"Content-Type": "application/json", **headers}, content)
        elif api := re.fullmatch(r"/api/(models|datasets)/([^/]+/[^/]+)/auth-check", path):
            self._repository(*api.groups(), "main")
            self.json({}, {})
        elif api := re.fullmatch(r"/api/(models|datasets)/([^/]+/[^/]+)/tree/([^/]+)(?:/(.+))?", path):
            self._tree(*api.groups(default=""))
        elif api := re.fullmatch(r"/api/(models|datasets)/(.+?)(?:/revision/(.+))?", path):
            self._info(*api.groups(default="main"))
        elif file := re.fullmatch(r"/(datasets/)?(.+?)/resolve/([^/]+)/(.+)", path):
            self._file((file[1] or "models/").rstrip("/"), *file.groups()[1:])
        else:
            raise Refused(404)

    def _info(self, kind: str, name: str, revision: str) -> None:
        commit, files = self._repository(kind, name, revision, is_listing=True)
        siblings = []
        for path, content in files.items():
            sibling = {"rfilename": path, "size": len(content), "blobId": git_digest(content)}
            siblings.append(sibling | large(content, "sha256"))
        shut = self.server.repositories[f"{kind}/{name}"].shut
        gated = "auto" if shut in ("gated", "unaccepted") else False
        values = {"private": shut == "private", "gated": gated, "tags": [], "downloads": 0, "likes": 0}
        self.json({"id": name, "sha": commit, "siblings": siblings, **values}, {})

    def _tree(self, kind: str, name: str, revision: str, below: str) -> None:
        """All files and folders below a folder, a page at a time."""
        _, files = self._repository(kind, name, revision, is_listing=True)
        tree = [{"type": "file", "path": path, **described(content)} for path, content in files.items()]
        folders = {str(folder) for path in files for folder in PurePosixPath(path).parents} - {"."}
        tree += [{"type": "directory", "path": path, "oid": git_digest(b""), "size": 0} for path in folders]
        tree = sorted((node for node in tree if node["path"].startswith(below and f"{below}/")), key=itemgetter("path"))
        query = parse_qs(urlsplit(self.path).query)
        first = int(query.get("cursor", ["0"])[0])
        last = first + min(self.server.page, int(query.get("limit", [self.server.page])[0]))
        rest = f"{self.server.address}{urlsplit(self.path).path}?recursive=true&cursor={last}"
        self.json(tree[first:last], {"Link": f'<{rest}>; rel="next"'} if last < len(tree) else {})

    def _file(self, kind: str, name: str, revision: str, path: str) -> None:
        commit, files = self._repository(kind, name, revision)
        if path not in files:
            raise Refused(404, "EntryNotFound")
        content, headers = files[path], {"X-Repo-Commit": commit}
        if not large(content, ""):
            self.part(content, {**headers, "ETag": f'"{git_digest(content)}"'})
            return
        linked = {"X-Linked-Etag": f'"{hashlib.sha256(content).hexdigest()}"', "X-Linked-Size": str(len(content))}
        where = f"{self.server.elsewhere}/cdn/{kind}/{name}/{commit}/{quote(path)}?{SIGNATURE}"
        self.answer(302, {**headers, **linked, "Location": where}, b"")

    def _repository(
        self, kind: str, name: str, revision: str, is_listing: bool = False
    ) -> tuple[str, Mapping[str, bytes]]:
        """The commit that a revision means, and its files."""
        repository = self.server.repositories.get(f"{kind}/{name}")
        authorization = self.headers.get("Authorization")
        if repository is None or (repository.shut == "private" and not authorization):
            raise Refused(401 if not authorization else 404, "RepoNotFound", "Repository not found")
        is_gated = repository.shut == "unaccepted" or (repository.shut == "gated" and not authorization)
        if is_gated and not is_listing:
            raise Refused(403 if authorization else 401, "GatedRepo", "Access to this repository is restricted")
        commit = repository.branches.get(revision) or repository.tags.get(revision, revision)
        if commit not in repository.commits:
            raise Refused(404, "RevisionNotFound", "Invalid rev id")
        return commit, repository.commits[commit]
