"""Blobs in this process: as much of the service as its SDK uses, for tests that need no Azurite.

Who asks shows a token for storage, the account's key, or a signature that allows it.
"""

import base64
import hashlib
import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

from azure_stand_in import keys
from azure_stand_in.certificates import Certificates
from azure_stand_in.front import MESSAGE
from azure_stand_in.http_server import Handler, Server
from azure_stand_in.sign_in import STORAGE, audience_of

NEEDS = {"GET": "r", "HEAD": "r", "PUT": "wc", "DELETE": "d"}
"""The letters of a signature of which one allows it."""
LISTED = ("ETag", "Last-Modified", "Content-Type", "Content-MD5")


@dataclass
class Blob:
    content: bytes = b""
    kind: str = "BlockBlob"
    metadata: dict[str, str] = field(default_factory=dict)
    type: str = "application/octet-stream"
    changed: float = field(default_factory=time.time)

    @property
    def headers(self) -> dict[str, str]:
        """Its tag is another one after each change."""
        state = repr((self.content, sorted(self.metadata.items()))).encode()
        return {
            "ETag": f'"0x{hashlib.sha1(state).hexdigest()[:15].upper()}"',
            "Last-Modified": formatdate(self.changed, usegmt=True),
            "Content-Type": self.type,
            "Content-MD5": base64.b64encode(hashlib.md5(self.content).digest()).decode(),
            "x-ms-blob-type": self.kind,
            "x-ms-creation-time": formatdate(self.changed, usegmt=True),
            "Accept-Ranges": "bytes",
            **{f"x-ms-meta-{name}": value for name, value in self.metadata.items()},
        }


class Memory(Server):
    """An account, with the methods of `Blobs`."""

    def __init__(self, made: Certificates, account: str) -> None:
        self.account = account
        self.containers: dict[str, dict[str, Blob]] = {}
        self.staged: dict[tuple[str, str, str], bytes] = {}
        self.changing = threading.RLock()
        super().__init__(_Handler, made)

    def empty(self) -> None:
        self.requests.clear()
        self.faults.clear()
        self.containers.clear()
        self.staged.clear()

    def put(self, container: str, files: Mapping[str, bytes]) -> None:
        there = self.containers.setdefault(container, {})
        there.update({name: Blob(content) for name, content in files.items()})

    def get(self, container: str, name: str) -> bytes | None:
        blob = self.containers.get(container, {}).get(name)
        return blob.content if blob else None

    def metadata(self, container: str, name: str) -> Mapping[str, str] | None:
        blob = self.containers.get(container, {}).get(name)
        return blob.metadata if blob else None

    def names(self, container: str, prefix: str = "") -> list[str]:
        return sorted(name for name in self.containers.get(container, {}) if name.startswith(prefix))

    def delete(self, container: str, name: str) -> None:
        del self.containers[container][name]

    def append(self, container: str, name: str, content: bytes) -> None:
        with self.changing:
            there = self.containers.setdefault(container, {})
            blob = there.setdefault(name, Blob(kind="AppendBlob", type="text/plain"))
            blob.content += content
            blob.changed = time.time()


@dataclass(frozen=True)
class _No(Exception):
    status: int
    code: str
    headers: Mapping[str, str] = field(default_factory=dict)


class _Handler(Handler):
    server: Memory

    def do_GET(self) -> None:
        self.sent = self.received()
        split = urlsplit(self.path)
        self.query = {name: values[0] for name, values in parse_qs(split.query, keep_blank_values=True).items()}
        _, container, *rest = unquote(split.path).split("/", 2)
        try:
            if self.fault.status:
                raise _No(self.fault.status, self.fault.code)
            self._let_in(container)
            if container not in self.server.containers:
                raise _No(404, "ContainerNotFound")
            with self.server.changing:
                if not (rest and rest[0]):
                    self._list(container)
                elif self.command == "PUT":
                    self._write(container, rest[0])
                else:
                    self._read(container, rest[0])
        except _No as no:
            headers = {"x-ms-error-code": no.code, "Content-Type": "application/xml", **no.headers}
            self._answer(no.status, headers, MESSAGE.format(code=no.code).encode())

    do_HEAD = do_PUT = do_POST = do_DELETE = do_GET

    def _let_in(self, container: str) -> None:
        """Refused in the words of the service: see azureml.md 6b."""
        account = (self.headers["Host"] or "").partition(".")[0]
        if "sig" in self.query:
            permissions, end = self.query["sp"], self.query["se"]
            if keys.sign(account, container, permissions, end) != self.query["sig"]:
                raise _No(403, "AuthenticationFailed")
            if not set("l" if self.query.get("comp") == "list" else NEEDS[self.command]) & set(permissions):
                raise _No(403, "AuthorizationPermissionMismatch")
        elif (self.headers.get("Authorization") or "").startswith(f"SharedKey {account}:"):
            return  # Azurite looks at these signatures
        elif audience_of(self.headers) not in (STORAGE, f"https://{account}.blob.core.windows.net"):
            raise _No(401 if "Authorization" in self.headers else 403, "InvalidAuthenticationInfo")

    def _list(self, container: str) -> None:
        blobs = "".join(
            _make_entry(name, self.server.containers[container][name])
            for name in self.server.names(container, self.query.get("prefix", ""))
        )
        start = f'<?xml version="1.0" encoding="utf-8"?><EnumerationResults ContainerName="{container}">'
        listed = f"{start}<Blobs>{blobs}</Blobs><NextMarker></NextMarker></EnumerationResults>"
        self._answer(200, {"Content-Type": "application/xml"}, listed.encode())

    def _read(self, container: str, name: str) -> None:
        blob = self.server.containers[container].get(name)
        if blob is None:
            raise _No(404, "BlobNotFound")
        byte_range = (self.headers.get("x-ms-range") or self.headers.get("Range") or "").removeprefix("bytes=")
        if not byte_range or self.command == "HEAD":
            self._answer(200, blob.headers, blob.content)
            return
        first, _, last = byte_range.partition("-")
        begin, end = int(first), min(int(last or len(blob.content)), len(blob.content) - 1)
        if begin >= len(blob.content):
            raise _No(416, "InvalidRange", {"Content-Range": f"bytes */{len(blob.content)}"})
        headers = {**blob.headers, "Content-Range": f"bytes {begin}-{end}/{len(blob.content)}"}
        headers["x-ms-blob-content-md5"] = headers.pop("Content-MD5")
        self._answer(206, headers, blob.content[begin : end + 1])

    def _write(self, container: str, name: str) -> None:
        """A whole blob, a block of one, the list that makes it of its blocks, or its metadata."""
        what, there = self.query.get("comp", ""), self.server.containers[container]
        metadata = {key.lower()[10:]: value for key, value in self.headers.items() if key.lower()[:10] == "x-ms-meta-"}
        if what == "block":
            self.server.staged[container, name, self.query["blockid"]] = self.sent
            self._answer(201, {})
            return
        if what == "metadata":
            there[name].metadata = metadata
        else:
            ids = re.findall(r"<(?:Latest|Uncommitted|Committed)>([^<]+)<", self.sent.decode()) if what else []
            content = b"".join(self.server.staged[container, name, block] for block in ids) if what else self.sent
            kind = self.headers.get("x-ms-blob-type", "BlockBlob")
            type_ = self.headers.get("x-ms-blob-content-type", "application/octet-stream")
            there[name] = Blob(content, kind, metadata, type_)
        told = {key: there[name].headers[key] for key in ("ETag", "Last-Modified")}
        self._answer(200 if what == "metadata" else 201, {**told, "x-ms-request-server-encrypted": "true"})

    def _answer(self, status: int, headers: Mapping[str, str], content: bytes = b"") -> None:
        own = {"x-ms-version": keys.SERVICE, "x-ms-request-id": "1", "Date": formatdate(usegmt=True)}
        self.answer(status, content, {**own, **headers})


def _make_entry(name: str, blob: Blob) -> str:
    """A blob in a listing."""
    told = {key.replace("ETag", "Etag"): value for key, value in blob.headers.items() if key in LISTED}
    properties = {**told, "Content-Length": len(blob.content), "BlobType": blob.kind}
    listed = "".join(f"<{key}>{escape(str(value))}</{key}>" for key, value in properties.items())
    return f"<Blob><Name>{escape(name)}</Name><Properties>{listed}</Properties></Blob>"
