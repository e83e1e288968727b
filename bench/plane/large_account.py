"""An account that lists as many blobs as one likes, page by page: below any prefix of `nCOUNT` there are so many."""

import base64
import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import parse_qs, urlsplit
from xml.sax.saxutils import escape

from azure_stand_in import AzureStandIn
from azure_stand_in.http_server import Handler, Server

ACCOUNT, PAGE, CONTENT = "rtmany", 5000, bytes(64)
HEADERS = {
    "Last-Modified": "Fri, 01 Mar 2024 00:00:00 GMT",
    "Etag": '"0x1"',
    "Content-MD5": base64.b64encode(hashlib.md5(CONTENT).digest()).decode(),
}
PROPERTIES = {**HEADERS, "Content-Length": len(CONTENT), "BlobType": "BlockBlob"}
LISTED = "".join(f"<{name}>{value}</{name}>" for name, value in PROPERTIES.items())


class _Handler(Handler):
    def do_GET(self) -> None:
        self.received()
        split = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(split.query).items()}
        if query.get("comp") != "list":
            first, last = map(int, re.findall(r"\d+", self.headers.get("Range") or f"0-{len(CONTENT) - 1}"))
            part = {"Content-Range": f"bytes {first}-{last}/{len(CONTENT)}", "x-ms-blob-type": "BlockBlob"}
            self.answer(206, CONTENT[first : last + 1], HEADERS | part)
            return
        prefix, first = escape(query.get("prefix", "")), int(query.get("marker", "0"))
        whole = int(split.path.removeprefix("/n"))
        last = min(whole, first + min(PAGE, int(query.get("maxresults", PAGE))))
        names = (f"{prefix}{number:09d}.bin" for number in range(first, last))
        blobs = "".join(f"<Blob><Name>{name}</Name><Properties>{LISTED}</Properties></Blob>" for name in names)
        more = "" if last == whole else last
        answer = f"<EnumerationResults><Blobs>{blobs}</Blobs><NextMarker>{more}</NextMarker></EnumerationResults>"
        self.answer(200, answer.encode(), {"Content-Type": "application/xml"})


@contextmanager
def large_account(azure: AzureStandIn) -> Iterator[None]:
    """Meanwhile it is one of the stand-in's accounts."""
    host = f"{ACCOUNT}.blob.core.windows.net"
    with Server(_Handler, azure.certificates) as server:
        azure.proxy.hosts[host] = server.port
        yield
        del azure.proxy.hosts[host]


def make_url(count: int, prefix: str) -> str:
    """The address of a folder with so many blobs."""
    return f"https://{ACCOUNT}.blob.core.windows.net/n{count}/{prefix}"
