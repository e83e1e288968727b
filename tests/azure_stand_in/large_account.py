"""An account that holds as many blobs as one likes, because it makes them up: listings page by page, and their content.

The container says how many lie below any prefix: `n1000` has a thousand. Blobs are known by name alone: a test can tell
what must arrive.
"""

import base64
import hashlib
import re
from typing import NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

from azure_stand_in.certificates import Certificates
from azure_stand_in.http_server import Handler, Server

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
    """size: bytes of every blob."""

    def __init__(self, made: Certificates, size: int = 64) -> None:
        self.size = size
        super().__init__(_Handler, made)

    def content(self, name: str) -> bytes:
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


class _Handler(Handler):
    server: Many

    def do_GET(self) -> None:
        self.received()
        asked = _asked(self.path)
        if self.fault.status:
            self._refuse(self.fault.status, self.fault.code)
        elif not self.headers.get("Authorization", "").startswith("Bearer "):
            self._refuse(401, "NoAuthenticationInformation")
        elif asked is None:
            self._refuse(404, "ContainerNotFound")
        elif asked.query.get("comp") == ["list"]:
            self.answer(200, self.server.page(self.headers["Host"], asked), {"Content-Type": "application/xml"})
        elif not re.fullmatch(r".*\d{9}\.bin", asked.name) or int(asked.name[-13:-4]) >= asked.count:
            self._refuse(404, "BlobNotFound")
        else:
            self._blob(asked.name)

    do_HEAD = do_GET

    def _blob(self, name: str) -> None:
        content = self.server.content(name)
        headers = {"ETag": etag(content), "Last-Modified": WHEN, "x-ms-blob-type": "BlockBlob"}
        md5 = base64.b64encode(hashlib.md5(content).digest()).decode()
        ranged = RANGE.fullmatch(self.headers.get("x-ms-range") or self.headers.get("Range") or "")
        if self.headers.get("If-Match", etag(content)) != etag(content):
            self._refuse(412, "ConditionNotMet")
        elif ranged:
            first, last = int(ranged[1]), min(int(ranged[2] or len(content)), len(content) - 1)
            part = {"Content-Range": f"bytes {first}-{last}/{len(content)}", "x-ms-blob-content-md5": md5}
            self.answer(206, content[first : last + 1], {**headers, **part})
        else:
            self.answer(200, content, {**headers, "Content-MD5": md5})

    def _refuse(self, status: int, code: str) -> None:
        self.answer(status, b"", {"x-ms-error-code": code})


def etag(content: bytes) -> str:
    """The tag of a blob with this content."""
    return f'"0x{hashlib.sha1(content).hexdigest()[:15].upper()}"'


def _asked(path: str) -> Asked | None:
    """None when the container does not say how many."""
    split = urlsplit(path)
    _, box, *rest = unquote(split.path).split("/", 2)
    count = re.fullmatch(r"n(\d+)", box)
    return Asked(int(count[1]), box, "".join(rest), parse_qs(split.query)) if count else None
