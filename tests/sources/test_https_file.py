"""Single files at web addresses: what is taken, what is said of the rest, and what a server's answers become."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from azure_stand_in import Fault
from local_server import QuietHandler, serve
from origin_files import compute_digests, read_origin
from robotrain_runtime.contract.container_plugin import ContainerContext
from robotrain_runtime.contract.document import JobSource
from robotrain_sources.fetching.errors import FetchError
from robotrain_sources.https_file import fetch
from robotrain_sources.https_file.kind import KIND as HTTPS_KIND
from robotrain_sources.transfer import container

FETCH = "robotrain_sources.https_file.fetch"
LARGE = os.urandom(3_000_000)
HOST = "https://example.org"


def test_blobs_are_left_to_their_own_kind() -> None:
    assert not HTTPS_KIND.recognizes("https://account.blob.core.windows.net/box/model.pt")


def address(hub: Any, name: str) -> str:
    """Of a file that the Hub serves: a large one by a redirection to another host."""
    hub.repository("u/policy", {"model_19.pt": LARGE, "small.pt": b"weights", "empty.pt": b""})
    return f"{hub.address}/u/policy/resolve/main/{name}"


def refused(uri: str) -> tuple[str, str]:
    with pytest.raises(FetchError) as raised:
        list(fetch.open(uri, "", "checkpoint", "").list_files())
    return str(raised.value), raised.value.fault


@pytest.mark.parametrize(("name", "size"), [("model_19.pt", len(LARGE)), ("small.pt", 7)])
def test_the_size_of_a_file_is_asked_with_one_request(hub: Any, name: str, size: int) -> None:
    (file,) = fetch.open(address(hub, name), "", "checkpoint", "").list_files()
    assert (file.name, file.size) == (name, size)


def test_a_file_that_is_not_there_is_a_mistake_in_the_job(hub: Any) -> None:
    uri = address(hub, "model_20.pt")
    assert refused(uri) == (f"there is no file at {uri}", "configuration")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("status", "message", "fault"),
    [
        (403, "needs a sign-in", "configuration"),
        (503, "answered HTTP 503", "network"),
        (410, "no file", "configuration"),
    ],
)
def test_a_servers_refusal_says_whose_fault_it_is(hub: Any, status: int, message: str, fault: str) -> None:
    uri = address(hub, "small.pt")
    hub.faults += [Fault("GET", status=status)] * 2
    text, blamed = refused(uri)
    assert message in text
    assert blamed == fault


def test_an_unknown_host_is_a_mistake_in_the_job(monkeypatch: pytest.MonkeyPatch) -> None:
    def find_no_host(*words: Any, **kwargs: Any) -> Any:  # a name server that is busy answers otherwise
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", find_no_host)
    text, fault = refused("https://no-such-host.invalid/model.pt")
    assert text.startswith("no-such-host.invalid cannot be reached")
    assert fault == "configuration"


@contextmanager
def serve_plainly(tags: dict[str, str], broken: int = 0) -> Iterator[SimpleNamespace]:
    """A server that answers every request with all of a file: `python -m http.server` is one.

    tags: headers of its answers. broken: how many answers after the first two break off in the middle.
    """
    server = SimpleNamespace(tags=tags, broken=broken, requests=0)

    class Handler(QuietHandler):
        def do_GET(self) -> None:
            server.requests += 1
            is_part = bool(server.tags.get("Accept-Ranges")) and self.headers.get("Range") == "bytes=0-0"
            content = LARGE[:1] if is_part else LARGE
            headers = {"Content-Range": f"bytes 0-0/{len(LARGE)}"} if is_part else {}
            if "Transfer-Encoding" not in server.tags:
                headers["Content-Length"] = str(len(content))
            self.send_response(206 if is_part else 200)
            for name, value in {**server.tags, **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            is_broken = server.requests > 2 and server.broken > 0
            server.broken -= is_broken
            with suppress(OSError):  # who asks for the size reads no more than the headers
                self.wfile.write(content[: len(content) // 2] if is_broken else content)

    with serve(Handler) as address:
        server.uri = f"{address}/model_19.pt"
        yield server


MODIFIED = {"Last-Modified": "Wed, 01 Jan 2025 00:00:00 GMT"}
PLAIN = {
    "neither": ({}, "without ranges and a strong ETag"),
    "a date": (MODIFIED, "without ranges and a strong ETag"),
    "a weak ETag": ({"ETag": 'W/"1"', "Accept-Ranges": "bytes"}, "without ranges and a strong ETag"),
    "an ETag": ({"ETag": '"1"'}, "without ranges and a strong ETag"),
}


@pytest.mark.parametrize("case", PLAIN)
def test_a_plain_server_is_enough_and_noted(case: str) -> None:
    tags, note = PLAIN[case]
    with serve_plainly(tags) as server:
        origin = fetch.open(server.uri, "", "checkpoint", "")
        (file,) = origin.list_files()
    assert (file.size, origin.has_ranges, bool(file.identity)) == (len(LARGE), False, True)
    assert f"answers {note}: model_19.pt" in origin.remark


def test_a_file_that_nothing_dates_is_never_the_one_of_the_cache() -> None:
    with serve_plainly({}) as server:
        first, second = (list(fetch.open(server.uri, "", "checkpoint", "").list_files()) for _ in range(2))
        assert first != second
        server.tags = MODIFIED
        first, second = (list(fetch.open(server.uri, "", "checkpoint", "").list_files()) for _ in range(2))
        assert first == second


def test_a_server_that_tells_no_size_is_named() -> None:
    with serve_plainly({"Transfer-Encoding": "chunked"}) as server:
        assert "does not tell the size" in refused(server.uri)[0]


@pytest.mark.slow
@pytest.mark.parametrize("broken", [0, 2])
def test_a_file_arrives_whole_from_a_plain_server(data_python: Path, tmp_path: Path, broken: int) -> None:
    lines: list[str] = []
    with serve_plainly(MODIFIED, broken) as server:
        source = JobSource(role="checkpoint", kind="https_file", uri=server.uri)
        place = ContainerContext(cache=tmp_path, python=data_python, log_line=lines.append)
        delivery = container.deliver([source], {"https_file": fetch}, place, {"checkpoint": ()})
        try:
            assert [survey.problems for survey in delivery.survey()] == [()]
            (folder,) = delivery.fetch(lambda progress: None).values()
        finally:
            delivery.close()
        assert (folder / "model_19.pt").read_bytes() == LARGE
        assert server.requests == 3 + broken
    assert any("without ranges" in line for line in lines)


@pytest.mark.slow
def test_a_file_arrives_through_a_redirection(hub: Any, data_python: Path) -> None:
    assert read_origin(data_python, FETCH, address(hub, "model_19.pt"))["files"] == compute_digests(
        {"model_19.pt": LARGE}
    )
