"""The stand-ins themselves: strict where the real services are, and as unkind as a test tells them to be."""

import http.client
import json
import os
import ssl
import subprocess
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from azure_stand_in import AzureStandIn, Fault
from azure_stand_in.fixtures import azure, azure_session
from azure_stand_in.sign_in import token
from hub_stand_in import SIGNATURE, HubStandIn

__all__ = ["azure", "azure_session"]

BEARER = {"Authorization": f"Bearer {token()}", "x-ms-version": "2023-11-03"}
NOTHING: Mapping[str, str] = {}
BODY = os.urandom(300_000)

LIST = """
import sys
from azure.identity import DefaultAzureCredential
from azure.storage.blob import ContainerClient
how, url, secret = sys.argv[1:]
credential = {"key": secret, "sas": secret}.get(how) or DefaultAzureCredential(retry_total=0)
client = ContainerClient.from_container_url(url, credential=credential, retry_total=0)
try:
    print([blob.name for blob in client.list_blobs()])
except Exception as error:
    print(type(error).__name__, error)
"""


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


def get_through_proxy(azure: AzureStandIn, url: str, headers: Mapping[str, str] = BEARER) -> Answer:
    """GET through the proxy, as every client there is."""
    with ProxyConnection(azure, url) as connection:
        split = urlsplit(url)
        connection.request("GET", f"{split.path}?{split.query}", headers=dict(headers))
        return Answer(connection.getresponse())


class ProxyConnection(http.client.HTTPSConnection):
    """A connection to the host of an address, through the proxy."""

    def __init__(self, azure: AzureStandIn, url: str) -> None:
        proxy = urlsplit(azure.proxy.address)
        super().__init__(proxy.hostname, proxy.port, context=ssl.create_default_context(cafile=azure.ca), timeout=60)
        self.set_tunnel(urlsplit(url).hostname)

    def __enter__(self) -> "ProxyConnection":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def get_from_hub(hub: HubStandIn, path: str, headers: Mapping[str, str] = NOTHING) -> Answer:
    split = urlsplit(path if path.startswith("http") else hub.address + path)
    connection = http.client.HTTPConnection(split.hostname, split.port, timeout=60)
    connection.request("GET", f"{split.path}?{split.query}", headers=dict(headers))
    answer = Answer(connection.getresponse())
    connection.close()
    return answer


@pytest.fixture
def blob(azure) -> str:
    azure.blobs.put("stand-ins", {"a/b.bin": BODY})
    return azure.url("stand-ins", "a/b.bin")


@pytest.mark.slow
def test_no_other_host_and_no_caller_without_an_identity(azure, blob):
    assert get_through_proxy(azure, blob).content == BODY
    assert get_through_proxy(azure, blob, {}).status == 403
    with pytest.raises(OSError, match="403 Forbidden"):
        get_through_proxy(azure, "https://elsewhere.blob.core.windows.net/stand-ins/a/b.bin")
    assert azure.proxy.refused == ["elsewhere.blob.core.windows.net"]


@pytest.mark.slow
def test_a_burst_of_refusals_has_an_end_and_says_when_to_come_back(azure, blob):
    azure.front.faults.append(Fault("GET .*b.bin", status=503, code="ServerBusy", retry_after=1, times=2, after=1))
    answers = [get_through_proxy(azure, blob) for _ in range(4)]
    assert [answer.status for answer in answers] == [200, 503, 503, 200]
    assert (answers[1].headers["Retry-After"], answers[1].headers["x-ms-error-code"]) == ("1", "ServerBusy")


@pytest.mark.slow
@pytest.mark.parametrize("fault", [{"reset": True}, {"cut": True}])
def test_a_body_ends_half_way(azure, blob, fault):
    azure.front.faults.append(Fault("GET .*b.bin", times=1, **fault))
    answer = get_through_proxy(azure, blob)
    assert answer.headers["Content-Length"] == str(len(BODY))
    assert len(answer.content) < len(BODY)
    assert get_through_proxy(azure, blob).content == BODY


@pytest.mark.slow
def test_a_stall_sends_the_rest_late_and_ends_when_the_client_leaves(azure, blob):
    azure.front.faults += [Fault("GET .*b.bin", stall=0.2, times=1), Fault("GET .*b.bin", stall=3600.0, times=1)]
    earlier = serving()  # of other tests of this process, whose clients may be there still
    assert get_through_proxy(azure, blob).content == BODY
    wait_until(lambda: serving() <= earlier)
    with ProxyConnection(azure, blob) as connection:
        connection.request("GET", urlsplit(blob).path, headers=BEARER)
        came = connection.getresponse()
        assert came.read(len(BODY) // 2) == BODY[: len(BODY) // 2]
        assert len(serving() - earlier) == 1
        came.close()
    wait_until(lambda: serving() <= earlier)


@pytest.mark.slow
def test_a_blob_changes_between_the_listing_and_the_first_byte(azure, blob):
    tag = get_through_proxy(azure, blob).headers["ETag"]
    azure.front.faults.append(Fault("GET .*b.bin", act=lambda: azure.blobs.put_one("stand-ins", "a/b.bin", b"another")))
    assert get_through_proxy(azure, blob, {**BEARER, "If-Match": tag}).status == 412
    assert get_through_proxy(azure, blob).content == b"another"


@pytest.mark.slow
def test_every_way_to_sign_in_reaches_the_blobs_and_no_wrong_one_does(azure, blob, data_python):
    def listed(environ: Mapping[str, str], how: str = "identity", secret: str = "") -> str:
        own = {"PATH": "/usr/bin:/bin", **environ}
        command = [str(data_python), "-c", LIST, how, azure.url("stand-ins", "").rstrip("/"), secret]
        return subprocess.run(command, env=own, capture_output=True, text=True, check=True).stdout

    found = "['a/b.bin']\n"
    federated = azure.workload_identity
    assert listed(azure.environ) == found
    assert listed(federated) == found
    assert listed(azure.managed_identity) == found
    assert listed(azure.way, "key", azure.key) == found
    assert listed(azure.way, "sas", azure.sas("stand-ins")) == found
    assert "AADSTS7000215" in listed({**azure.environ, "AZURE_CLIENT_SECRET": "another"})
    assert "No User Assigned" in listed({**azure.managed_identity, "AZURE_CLIENT_ID": "another"})
    for wrong in (azure.sas("another"), azure.sas("stand-ins", seconds=-60)):
        assert "Server failed to authenticate the request" in listed(azure.way, "sas", wrong)
    Path(federated["AZURE_FEDERATED_TOKEN_FILE"]).write_text("another")
    assert "AADSTS700213" in listed(federated)


@pytest.mark.slow
def test_as_many_blobs_as_one_likes_are_listed_in_pages_and_hold_what_they_say(azure, data_python):
    program = (
        "import sys; from azure.identity import DefaultAzureCredential as C; from azure.storage.blob import *\n"
        "c = ContainerClient.from_container_url(sys.argv[1], credential=C())\n"
        "names = [b.name for b in c.list_blobs(name_starts_with='a b/')]\n"
        "held = c.download_blob(names[-1], validate_content=True).readall().hex()\n"
        "print(len(names), len(set(names)), names[0], names[-1], held, sep='|')"
    )
    box = azure.url_of_many(11_000, "").rstrip("/")
    command = [str(data_python), "-c", program, box]
    result = subprocess.run(command, env={**os.environ, **azure.environ}, capture_output=True, text=True, check=True)
    last = "a b/000010999.bin"
    assert result.stdout.strip().split("|") == [
        *("11000", "11000", "a b/000000000.bin", last),
        azure.many.content(last).hex(),
    ]
    assert len([request for request in azure.many.requests if "comp=list" in request]) == 3
    assert get_through_proxy(azure, f"{box}/a/000000000.bin", {}).status == 401


def test_a_hub_tells_a_dataset_page_by_page_and_serves_parts_of_files(hub):
    files = {"meta/info.json": b"{}", "data/a b#é?.parquet": BODY, "data/c.parquet": BODY}
    commit = hub.repository("me/set", files, kind="dataset")
    hub.page = 3
    first = get_from_hub(hub, "/api/datasets/me/set/tree/main?recursive=true&expand=false")
    second = get_from_hub(hub, first.headers["Link"].split("<")[1].split(">")[0])
    content = [*json.loads(first.content), *json.loads(second.content)]
    assert sorted([*files, "data", "meta"]) == [one["path"] for one in content]
    assert [one["path"] for one in content if "lfs" in one] == ["data/a b#é?.parquet", "data/c.parquet"]
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


def serving() -> set[threading.Thread]:
    """One thread for each connection that has an answer, or waits for a request."""
    return {thread for thread in threading.enumerate() if "process_request_thread" in thread.name}


def wait_until(true) -> None:
    """Wait for a condition; the suite's own patience is the limit."""
    pause = threading.Event()
    for _ in range(6000):
        if true():
            return
        pause.wait(0.01)
    raise AssertionError("it never came")
