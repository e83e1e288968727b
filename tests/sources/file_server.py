"""A server of files with the bad days of `azure_stand_in.http_server`, for the transfer alone: no account, no sign-in.

`http://HOST:PORT/SHELF` lists a shelf, a line of JSON for each file. The shelf `nN` has N files that it makes up.
"""

import functools
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler
from urllib.parse import unquote

from azure_stand_in.http_server import Fault, Server, meeting, send

MADE_UP = 64


class Shelves(Server):
    """files: by shelf and name. tells: what a listing says of a file beside name and size. asked: the requests."""

    def __init__(self) -> None:
        self.files: dict[str, dict[str, bytes]] = {}
        self.tells: tuple[str, ...] = ("version", "md5")
        self.faults: list[Fault] = []
        self.asked: list[str] = []
        self.listed: dict[str, list[tuple[str, int]]] = {}
        super().__init__(_Handler)

    def put(self, shelf: str, files: Mapping[str, bytes]) -> str:
        """Fill a shelf; its address."""
        self.files[shelf] = dict(files)
        return self.address(shelf)

    def address(self, shelf: str) -> str:
        """What is typed."""
        return f"http://127.0.0.1:{self.port}/{shelf}"

    def content(self, shelf: str, name: str) -> bytes | None:
        """Of a file; None when there is none."""
        if re.fullmatch(r"n\d+", shelf):
            return (name.encode() * MADE_UP)[:MADE_UP]
        return self.files.get(shelf, {}).get(name)

    def lines(self, shelf: str) -> Iterator[bytes]:
        """The listing."""
        if count := re.fullmatch(r"n(\d+)", shelf):
            names = (f"episodes/{number:09d}.bin" for number in range(int(count[1])))
        else:
            names = iter(self.files.get(shelf, {}))
        for name in names:
            content = self.content(shelf, name) or b""
            values = {what: known(content, what) for what in self.tells}
            yield json.dumps({"name": name, "size": len(content), **values}).encode() + b"\n"
        for name, size in self.listed.get(shelf, ()):  # what no server of ours would store
            yield json.dumps({"name": name, "size": size, "version": '"1"'}).encode() + b"\n"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Shelves
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        fault = meeting(self, self.server.faults, self.server.ended)
        shelf, _, name = unquote(self.path).lstrip("/").partition("/")
        if fault.status:
            self._answer(fault.status, f"<Error><Code>{fault.code}</Code></Error>".encode(), fault)
        elif not name:
            self._list(shelf)
        elif (content := self.server.content(shelf, name)) is None:
            self._answer(404, b"", fault)
        elif self.headers.get("If-Match", tag(content)) != tag(content):
            self._answer(412, b"", fault)
        else:
            self._file(content, fault)

    def log_message(self, format: str, *arguments: object) -> None:
        pass

    def _list(self, shelf: str) -> None:
        self.send_response_only(200)
        self.send_header("Connection", "close")
        self.end_headers()
        for line in self.server.lines(shelf):
            self.wfile.write(line)
        self.close_connection = True

    def _file(self, content: bytes, fault: Fault) -> None:
        match = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if not match:
            self._answer(200, content, fault, {"ETag": tag(content)})
            return
        first, last = int(match[1]), min(int(match[2]), len(content) - 1)
        values = {"Content-Range": f"bytes {first}-{last}/{len(content)}", "ETag": tag(content)}
        self._answer(206, content[first : last + 1], fault, values)

    def _answer(self, status: int, content: bytes, fault: Fault, said: Mapping[str, str] | None = None) -> None:
        self.send_response_only(status)
        when = {"Last-Modified": "Wed, 01 Jan 2025 00:00:00 GMT", "Content-Length": str(len(content))}
        for name, value in {**when, **(said or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        send(self, content, fault, self.server.ended)


@functools.lru_cache(256)
def tag(content: bytes) -> str:
    """The ETag of a file."""
    return f'"{hashlib.sha1(content).hexdigest()}"'


def known(content: bytes, what: str) -> str:
    """What a listing says of a file: its version, or a digest of that name."""
    return tag(content) if what == "version" else hashlib.new(what, content).hexdigest()
