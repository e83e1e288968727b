"""Single files at web addresses: what is taken, what is said of the rest, and what a server's answers become."""

import os
from pathlib import Path
from typing import Any

import pytest
from azure_stand_in import Fault
from origin_files import compute_digests, read_origin
from robotrain_sources.fetching.errors import FetchError
from robotrain_sources.https_file import fetch
from robotrain_sources.https_file.kind import KIND as HTTPS_KIND

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


@pytest.mark.parametrize(
    ("status", "why", "fault"),
    [
        (403, "needs a sign-in", "configuration"),
        (503, "answered HTTP 503", "network"),
        (410, "no file", "configuration"),
    ],
)
def test_a_servers_refusal_says_whose_fault_it_is(hub: Any, status: int, why: str, fault: str) -> None:
    uri = address(hub, "small.pt")
    hub.faults += [Fault("GET", status=status)] * 2
    said, blamed = refused(uri)
    assert why in said
    assert blamed == fault


def test_an_unknown_host_is_a_mistake_in_the_job() -> None:
    said, fault = refused("https://no-such-host.invalid/model.pt")
    assert said.startswith("no-such-host.invalid cannot be reached")
    assert fault == "configuration"


@pytest.mark.slow
def test_a_file_arrives_through_a_redirection(hub: Any, data_python: Path) -> None:
    assert read_origin(data_python, FETCH, address(hub, "model_19.pt"))["files"] == compute_digests(
        {"model_19.pt": LARGE}
    )
