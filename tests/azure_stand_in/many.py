"""An account that holds as many blobs as one likes, because it makes them up: listings page by page, and their content.

The container says how many lie below any prefix: `n1000` has a thousand. Blobs are known by name alone: a test can tell
what must arrive.
"""

import base64
import hashlib
import re
from http.server import BaseHTTPRequestHandler
from typing import NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

from azure_stand_in.certificates import Certificates
from azure_stand_in.fault import NONE, Fault, meeting, send
from azure_stand_in.serving import Server

PAGE = 5000
WHEN = "Fri, 01 Mar 2024 00:00:00 GMT"
HEAD = (
    '<?xml version="1.0" encoding="utf-8"?><EnumerationResults ServiceEndpoint="https://{host}/" ContainerName="{box}">'
)
BLOB = (
    "<Blob><Name>{name}</Name><Properties><Last-Modified>{when}</Last-Modified><Etag>{etag}</Etag>"
    "<Content-Length>{size}</Content-Length><Content-Type>application/octet-stream</Content-Type>"
    "<Content-MD5>{md5}</Content-MD5><BlobType>BlockBlob</BlobType><LeaseState>available</LeaseState>"
    "<LeaseStatus>unlocked</LeaseStatus><ServerEncrypted>true</ServerEncrypted></Properties></Blob>"
)
RANGE = re.compile(r"bytes=(\d+)-(\d*)")


class Asked(NamedTuple):
    """What a request is about. count: how many blobs lie below any prefix."""

    count: int
    box: str
    name: str
    query: dict[str, list[str]]


class Many(Server):
    """size: bytes of every blob. requests, faults: as those of the front."""

    def __init__(self, made: Certificates, size: int = 64) -> None:
        self.size = size
        self.requests: list[str] = []
        self.faults: list[Fault] = []
        super().__init__(_Handler, made)

    def content(self, name: str) -> bytes:
        """What the blob of that name holds."""
        seed = hashlib.sha256(name.encode()).digest()
        return (seed * (self.size // len(seed) + 1))[: self.size]

    def page(self, host: str, asked: Asked) -> bytes:
        """One page of the listing below a prefix; the marker is the number of the next blob."""
        prefix = asked.query.get("prefix", [""])[0]
        first = int(asked.query.get("marker", ["0"])[0])
        last = min(asked.count, first + min(PAGE, int(asked.query.get("maxresults", [str(PAGE)])[0])))
        blobs = "".join(self._blob(f"{prefix}{number:09d}.bin") for number in range(first, last))
        more = "" if last == asked.count else str(last)
        head = HEAD.format(host=host, box=asked.box) + f"<Prefix>{escape(prefix)}</Prefix>"
        return f"{head}<Blobs>{blobs}</Blobs><NextMarker>{more}</NextMarker></EnumerationResults>".encode()

    def _blob(self, name: str) -> str:
        content = self.content(name)
        md5 = base64.b64encode(hashlib.md5(content).digest()).decode()
        return BLOB.format(name=escape(name), when=WHEN, etag=etag(content), size=self.size, md5=md5)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Many

    def do_GET(self) -> None:
        self.server.requests.append(f"{self.command} {self.path}")
        fault = meeting(self, self.server.faults, self.server.ended)
        asked = _asked(self.path)
        if fault.status:
            self._refuse(fault.status, fault.code, fault)
        elif not self.headers.get("Authorization", "").startswith("Bearer "):
            self._refuse(401, "NoAuthenticationInformation")
        elif asked is None:
            self._refuse(404, "ContainerNotFound")
        elif asked.query.get("comp") == ["list"]:
            page = self.server.page(self.headers["Host"], asked)
            self._answer(200, {"Content-Type": "application/xml"}, page, fault)
        elif not re.fullmatch(r".*\d{9}\.bin", asked.name) or int(asked.name[-13:-4]) >= asked.count:
            self._refuse(404, "BlobNotFound")
        else:
            self._blob(asked.name, fault)

    do_HEAD = do_GET

    def log_message(self, format: str, *arguments: object) -> None:
        pass

    def _blob(self, name: str, fault: Fault) -> None:
        content = self.server.content(name)
        headers = {"ETag": etag(content), "Last-Modified": WHEN, "x-ms-blob-type": "BlockBlob"}
        md5 = base64.b64encode(hashlib.md5(content).digest()).decode()
        ranged = RANGE.fullmatch(self.headers.get("x-ms-range") or self.headers.get("Range") or "")
        if self.headers.get("If-Match", etag(content)) != etag(content):
            self._refuse(412, "ConditionNotMet")
        elif ranged:
            first, last = int(ranged[1]), min(int(ranged[2] or len(content)), len(content) - 1)
            part = {"Content-Range": f"bytes {first}-{last}/{len(content)}", "x-ms-blob-content-md5": md5}
            self._answer(206, {**headers, **part}, content[first : last + 1], fault)
        else:
            self._answer(200, {**headers, "Content-MD5": md5}, content, fault)

    def _refuse(self, status: int, code: str, fault: Fault = NONE) -> None:
        self._answer(status, {"x-ms-error-code": code, **fault.headers}, b"", fault)

    def _answer(self, status: int, headers: dict[str, str], content: bytes, fault: Fault) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            send(self, content, fault, self.server.ended)


def etag(content: bytes) -> str:
    """The tag of a blob with this content."""
    return f'"0x{hashlib.sha1(content).hexdigest()[:15].upper()}"'


def _asked(path: str) -> Asked | None:
    """None when the container does not say how many."""
    split = urlsplit(path)
    _, box, *rest = unquote(split.path).split("/", 2)
    count = re.fullmatch(r"n(\d+)", box)
    return Asked(int(count[1]), box, "".join(rest), parse_qs(split.query)) if count else None
