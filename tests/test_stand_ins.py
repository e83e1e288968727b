"""The stand-in of the Hub itself: strict where the real one is, and as unkind as a test tells it to be."""

import http.client
import json
import os
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

import pytest
from azure_stand_in.http_server import Fault
from hub_stand_in import SIGNATURE, HubStandIn

NOTHING: Mapping[str, str] = {}
BODY = os.urandom(300_000)


@pytest.fixture
def hub() -> Iterator[HubStandIn]:
    with HubStandIn() as stand_in:
        yield stand_in


class Answer:
    """Reads one answer to its end, or to what ends it."""

    def __init__(self, came: http.client.HTTPResponse) -> None:
        self.status, self.headers, self.content, self.error = came.status, came.headers, b"", ""
        try:
            while piece := came.read1(65536):
                self.content += piece
        except OSError as error:
            self.error = type(error).__name__


def get_from_hub(hub: HubStandIn, path: str, headers: Mapping[str, str] = NOTHING) -> Answer:
    split = urlsplit(path if path.startswith("http") else hub.address + path)
    connection = http.client.HTTPConnection(split.hostname, split.port, timeout=60)
    connection.request("GET", f"{split.path}?{split.query}", headers=dict(headers))
    answer = Answer(connection.getresponse())
    connection.close()
    return answer


def test_a_hub_tells_a_dataset_page_by_page_and_serves_parts_of_files(hub):
    files = {"meta/info.json": b"{}", "data/a b#é?.parquet": BODY, "data/c.parquet": BODY}
    commit = hub.repository("me/set", files, kind="dataset")
    hub.page = 3
    first = get_from_hub(hub, "/api/datasets/me/set/tree/main?recursive=true&expand=false")
    second = get_from_hub(hub, first.headers["Link"].split("<")[1].split(">")[0])
    content = [*json.loads(first.content), *json.loads(second.content)]
    assert sorted([*files, "data", "meta"]) == [file["path"] for file in content]
    assert [file["path"] for file in content if "lfs" in file] == ["data/a b#é?.parquet", "data/c.parquet"]
    assert second.headers["Link"] is None
    led = get_from_hub(hub, f"/datasets/me/set/resolve/{commit}/data/a%20b%23%C3%A9%3F.parquet")
    part = get_from_hub(hub, led.headers["Location"], {"Range": "bytes=10-19"})
    assert (part.status, part.content) == (206, BODY[10:20])


def test_the_host_of_large_files_refuses_the_token_and_an_address_without_signature(hub):
    commit = hub.repository("me/set", {"a.bin": BODY}, kind="dataset")
    where = f"{hub.elsewhere}/cdn/datasets/me/set/{commit}/a.bin"
    assert get_from_hub(hub, where).status == 400
    assert get_from_hub(hub, f"{where}?{SIGNATURE}", {"Authorization": f"Bearer {hub.token}"}).status == 400
    assert hub.arrived_elsewhere[-1].headers["authorization"] == f"Bearer {hub.token}"
    assert urlsplit(hub.elsewhere).netloc != urlsplit(hub.address).netloc


def test_both_hosts_of_the_hub_have_bad_days(hub):
    commit = hub.repository("me/set", {"a.bin": BODY}, kind="dataset")
    where = f"{hub.elsewhere}/cdn/datasets/me/set/{commit}/a.bin?{SIGNATURE}"
    hub.faults += [Fault("/cdn/", reset=True, times=1), Fault("/api/", status=429, retry_after=3, times=1)]
    assert get_from_hub(hub, where).error == "ConnectionResetError"
    assert get_from_hub(hub, where).content == BODY
    refused = get_from_hub(hub, "/api/datasets/me/set")
    assert (refused.status, refused.headers["Retry-After"]) == (429, "3")
    assert get_from_hub(hub, "/api/datasets/me/set").status == 200
