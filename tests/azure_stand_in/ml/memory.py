"""Blobs in this process: as much of the service as its SDK uses, for tests that need no Azurite.

Who asks shows a token for storage, the account's key, or a signature that holds and allows it.
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
from azure_stand_in.http_server import Handler, Server
from azure_stand_in.keys import shared_key
from azure_stand_in.sign_in import audience_of

NEEDS = {"GET": "r", "HEAD": "r", "PUT": "wc", "DELETE": "d"}
"""The letters of a signature of which one allows it."""


@dataclass
class Blob:
    content: bytes = b""
    kind: str = "BlockBlob"
    metadata: dict[str, str] = field(default_factory=dict)
    type: str = "application/octet-stream"
    changed: float = field(default_factory=time.time)

    @property
    def etag(self) -> str:
        """Another one after each change."""
        state = repr((self.content, sorted(self.metadata.items()))).encode()
        return f'"0x{hashlib.sha1(state).hexdigest()[:15].upper()}"'

    @property
    def headers(self) -> dict[str, str]:
        return {
            "ETag": self.etag,
            "Last-Modified": formatdate(self.changed, usegmt=True),
            "Content-Type": self.type,
            "Content-MD5": base64.b64encode(hashlib.md5(self.content).digest()).decode(),
            "x-ms-blob-type": self.kind,
            "x-ms-creation-time": formatdate(self.changed, usegmt=True),
            "Accept-Ranges": "bytes",
            **{f"x-ms-meta-{name}": value for name, value in self.metadata.items()},
        }


class Memory(Server):
    """An account. keys: whether it takes keys and signatures, or tokens alone."""

    def __init__(self, made: Certificates, account: str) -> None:
        self.account = account
        self.keys = True
        self.containers: dict[str, dict[str, Blob]] = {}
        self.staged: dict[tuple[str, str, str], bytes] = {}
        self.changing = threading.RLock()
        super().__init__(_Handler, made)

    def empty(self) -> None:
        self.requests.clear()
        self.faults.clear()
        self.containers.clear()
        self.staged.clear()
        self.keys = True

    def put(self, container: str, files: Mapping[str, bytes]) -> None:
        there = self.containers.setdefault(container, {})
        there.update({name: Blob(content) for name, content in files.items()})

    def get(self, container: str, name: str) -> bytes | None:
        found = self.containers.get(container, {}).get(name)
        return found.content if found else None

    def metadata(self, container: str, name: str) -> Mapping[str, str] | None:
        found = self.containers.get(container, {}).get(name)
        return found.metadata if found else None

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
            with self.server.changing:
                self._of_blob(container, rest[0]) if rest and rest[0] else self._of_container(container)
        except _No as no:
            answer = f"<Error><Code>{no.code}</Code><Message>The stand-in says so.</Message></Error>"
            headers = {"x-ms-error-code": no.code, "Content-Type": "application/xml", **no.headers}
            self._answer(no.status, headers, f'<?xml version="1.0" encoding="utf-8"?>{answer}'.encode())

    do_HEAD = do_PUT = do_POST = do_DELETE = do_GET

    def _let_in(self, container: str) -> None:
        """Refused in the words of the service: see azureml.md 6b."""
        account = (self.headers["Host"] or "").partition(".")[0]
        if "sig" in self.query:
            if not self.server.keys:
                raise _No(403, "KeyBasedAuthenticationNotPermitted")
            self._signed(account, container)
        elif (self.headers.get("Authorization") or "").startswith("SharedKey "):
            if not self.server.keys:
                raise _No(403, "KeyBasedAuthenticationNotPermitted")
            if self.headers["Authorization"] != shared_key(account, self.command, self.path, self.headers):
                raise _No(403, "AuthenticationFailed")
        elif audience_of(self.headers) not in ("https://storage.azure.com", f"https://{account}.blob.core.windows.net"):
            raise _No(401 if "Authorization" in self.headers else 403, "InvalidAuthenticationInfo")

    def _signed(self, account: str, container: str) -> None:
        query = self.query
        if keys.signature(account, container, query["sp"], query["se"]) != query["sig"]:
            raise _No(403, "AuthenticationFailed")
        if time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()) > query["se"]:
            raise _No(403, "AuthenticationFailed")
        need = "l" if self.query.get("comp") == "list" else NEEDS[self.command]
        if not set(need) & set(query["sp"]):
            raise _No(403, "AuthorizationPermissionMismatch")

    def _of_container(self, container: str) -> None:
        if container not in self.server.containers:
            raise _No(404, "ContainerNotFound")
        listed = self._list(self.server.containers[container], container)
        self._answer(200, {"Content-Type": "application/xml"}, listed.encode())

    def _list(self, blobs: Mapping[str, Blob], container: str) -> str:
        prefix = self.query.get("prefix", "")
        listed = "".join(_entry(name, blobs[name]) for name in sorted(blobs) if name.startswith(prefix))
        return (
            f'<?xml version="1.0" encoding="utf-8"?><EnumerationResults ContainerName="{container}"><Blobs>{listed}'
            "</Blobs><NextMarker></NextMarker></EnumerationResults>"
        )

    def _of_blob(self, container: str, name: str) -> None:
        if container not in self.server.containers:
            raise _No(404, "ContainerNotFound")
        there = self.server.containers[container]
        if self.command == "PUT":
            self._written(there, container, name)
            return
        if name not in there:
            raise _No(404, "BlobNotFound")
        self._read(there[name])

    def _read(self, blob: Blob) -> None:
        asked = (self.headers.get("x-ms-range") or self.headers.get("Range") or "").removeprefix("bytes=")
        if not asked or self.command == "HEAD":
            self._answer(200, blob.headers, blob.content)
            return
        first, _, last = asked.partition("-")
        begin, end = int(first), min(int(last or len(blob.content)), len(blob.content) - 1)
        if begin >= len(blob.content):
            raise _No(416, "InvalidRange", {"Content-Range": f"bytes */{len(blob.content)}"})
        headers = {**blob.headers, "Content-Range": f"bytes {begin}-{end}/{len(blob.content)}"}
        headers["x-ms-blob-content-md5"] = headers.pop("Content-MD5")
        self._answer(206, headers, blob.content[begin : end + 1])

    def _written(self, there: dict[str, Blob], container: str, name: str) -> None:
        what, blob = self.query.get("comp", ""), there.get(name)
        if what == "block":
            self.server.staged[container, name, self.query["blockid"]] = self.sent
            self._answer(201, {})
            return
        if what == "metadata":
            assert blob is not None
            blob.metadata = self._metadata()
        else:
            content = self._joined(container, name) if what else self.sent
            kind = self.headers.get("x-ms-blob-type", "BlockBlob")
            type_ = self.headers.get("x-ms-blob-content-type", "application/octet-stream")
            there[name] = Blob(content, kind, self._metadata(), type_)
        blob = there[name]
        headers = {"ETag": blob.etag, "Last-Modified": formatdate(blob.changed, usegmt=True)}
        self._answer(200 if what == "metadata" else 201, {**headers, "x-ms-request-server-encrypted": "true"})

    def _joined(self, container: str, name: str) -> bytes:
        ids = re.findall(r"<(?:Latest|Uncommitted|Committed)>([^<]+)<", self.sent.decode())
        return b"".join(self.server.staged[container, name, one] for one in ids)

    def _metadata(self) -> dict[str, str]:
        mark = "x-ms-meta-"
        return {key[len(mark) :]: value for key, value in self.headers.items() if key.lower().startswith(mark)}

    def _answer(self, status: int, headers: Mapping[str, str], content: bytes = b"") -> None:
        own = {"x-ms-version": keys.SERVICE, "x-ms-request-id": "1", "Date": formatdate(usegmt=True)}
        self.answer(status, content, {**own, **headers})


def _entry(name: str, blob: Blob) -> str:
    properties = {**blob.headers, "Etag": blob.etag, "Content-Length": str(len(blob.content)), "BlobType": blob.kind}
    listed = "".join(f"<{key}>{escape(value)}</{key}>" for key, value in properties.items() if key in _LISTED)
    return f"<Blob><Name>{escape(name)}</Name><Properties>{listed}</Properties></Blob>"


_LISTED = ("Etag", "Last-Modified", "Content-Type", "Content-MD5", "Content-Length", "BlobType")
