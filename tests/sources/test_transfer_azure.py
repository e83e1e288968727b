"""Folders of blobs, from the account to the cache, with the real clients: names, TLS and the proxy are Azure's own."""

import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from azure_stand_in import Fault
from robotrain_runtime.contract.container_plugin import BatchFetch, ContainerContext
from robotrain_runtime.contract.document import JobSource
from robotrain_runtime.contract.problem import summarize_problem
from robotrain_sources.blob_url import fetch as half
from robotrain_sources.transfer import container
from transfer_fixtures import QUICK, read_tree

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings(  # of the stand-in, when a program ends at once that has just connected
        "ignore:Exception ignored in. <ssl.SSLSocket:pytest.PytestUnraisableExceptionWarning"
    ),
]

FILES = {"meta/info.json": b"{}", "large.bin": os.urandom(9 << 20), "empty": b"", "a b é#%.bin": b"odd"}
FILES |= {f"data/{number}.bin": os.urandom(20_000) for number in range(30)}
ONE, TWO = {**FILES, "which": b"1"}, {**FILES, "which": b"2"}


@pytest.fixture
def deliver(azure_identity, data_python, tmp_path, monkeypatch) -> Iterator[Callable[..., BatchFetch]]:
    """`deliver(ADDRESS, …)` with the identity of the test's account."""
    monkeypatch.setattr(container, "PATIENCE", QUICK)
    begun: list[BatchFetch] = []

    def deliver(
        *uris: str, pins: Sequence[str] = (), log_line: Callable[[str], None] = lambda line: None
    ) -> BatchFetch:
        pinned = itertools.zip_longest(uris, pins, fillvalue="")
        sources = [JobSource(role="dataset", kind="blob_url", uri=uri, pin=pin) for uri, pin in pinned]
        place = ContainerContext(cache=tmp_path / "cache", python=data_python, log_line=log_line)
        begun.append(container.deliver(sources, {"blob_url": half}, place, {"dataset": ["meta/info.json"]}))
        return begun[-1]

    yield deliver
    for fetch in begun:
        fetch.close()


@pytest.fixture
def blob_container(azure, request) -> str:
    """A container of this test's own, with two folders."""
    name: str = request.getfixturevalue("container")
    for folder, files in (("one", ONE), ("two", TWO)):
        azure.blobs.put(name, {f"sets/{folder}/{path}": content for path, content in files.items()})
    return name


def folders(made: BatchFetch) -> list[Path]:
    assert [survey.problems for survey in made.survey()] == [(), ()]
    return list(made.fetch(lambda far: None).values())


def test_two_prefixes_come_as_they_are_through_a_bad_day(azure, deliver, blob_container):
    azure.front.faults += [
        Fault("GET .*/data/", status=503, code="ServerBusy", times=10),
        Fault("GET .*large", cut=True, times=2),
        Fault("GET .*/data/", reset=True, times=5),
    ]
    uris = [azure.url(blob_container, f"sets/{folder}") for folder in ("one", "two")]
    assert [read_tree(files) for files in folders(deliver(*uris))] == [ONE, TWO]
    azure.front.requests.clear()
    assert len(folders(deliver(*uris))) == 2
    assert [request.partition("?")[2][:4] for request in azure.front.requests] == ["rest"] * 2  # the listings alone


def test_pinned_data_in_the_cache_needs_no_sign_in(azure, deliver, blob_container):
    uris = [azure.url(blob_container, f"sets/{folder}") for folder in ("one", "two")]
    pins = [survey.digest for survey in deliver(*uris).survey()]
    arrived = folders(deliver(*uris, pins=pins))
    azure.front.requests.clear()
    assert folders(deliver(*uris, pins=pins)) == arrived
    assert azure.front.requests == []


@pytest.mark.parametrize("code", ["AuthorizationPermissionMismatch", "AuthorizationFailure"])
@pytest.mark.parametrize("where", ["comp=list", "sets/one/"])
def test_who_may_not_list_or_read_is_told_at_once_with_the_role_that_would_do(
    azure, deliver, blob_container, code, where
):
    azure.front.faults.append(Fault(rf"GET /{blob_container}[/?].*{where}(?!.*two)", status=403, code=code))
    refused, two = deliver(*(azure.url(blob_container, f"sets/{folder}") for folder in ("one", "two"))).survey()
    assert refused.fault == "configuration"
    for part in (code, blob_container, azure.account, "Storage Blob Data Reader"):
        assert part in summarize_problem(refused.problems[0])
    assert where == "comp=list" or two.problems == ()
