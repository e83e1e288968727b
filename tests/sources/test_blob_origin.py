"""Folders of blobs as the transfer sees them: listed by Azure's own SDK and got by obstore, from Azurite."""

import hashlib
import os
import re
from pathlib import Path
from typing import Any

import pytest
from azure_stand_in import CLIENT, Fault
from origin_files import STRANGE_NAMES, compute_digests, read_origin
from robotrain_sources.blob_url import blob_client, fetch
from robotrain_sources.fetching.errors import FetchError

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("azure_identity")]

POLICY = {"config.json": b'{"type": "act"}', "model.safetensors": os.urandom(3_000_000), "sub/a b é.txt": b"a note"}


@pytest.fixture
def policy(azure, container) -> str:
    """The address of a policy that lies below `policies/act`."""
    azure.blobs.put(container, {f"policies/act/{name}": content for name, content in POLICY.items()})
    return azure.url(container, "policies/act")


def open_files(uri: str, pin: str = "") -> fetch.BlobFiles:
    return fetch.open(uri, pin, "policy", "")


def list_names(uri: str) -> list[str]:
    return sorted(entry.name for entry in open_files(uri).list_files())


def explain_empty(uri: str) -> str:
    """Why nothing is there: a mistake in the job, which no second try mends."""
    files = open_files(uri)
    assert list(files.list_files()) == []
    assert files.explain_empty().fault == "configuration"
    return str(files.explain_empty())


def describe_refusal(uri: str) -> tuple[str, str]:
    """What is said, and whose fault it is."""
    files = open_files(uri)
    with pytest.raises(Exception) as raised:
        list(files.list_files())
    result = files.explain_error(raised.value)
    assert "\n" not in str(result)
    return str(result), result.fault


def read_file(python: Path, uri: str) -> Any:
    return read_origin(python, "robotrain_sources.blob_url.fetch", uri)


def test_every_file_comes_as_it_was_written_whatever_its_name(azure, data_python, container):
    files = {f"{name}/{name}.txt": f"content of {name}".encode() for name in STRANGE_NAMES}
    azure.blobs.put(container, {f"strange ü/{name}": content for name, content in files.items()})
    assert read_file(data_python, azure.url(container, "strange ü"))["files"] == compute_digests(files)


def test_a_file_is_known_by_its_size_tag_and_digest(azure, policy):
    (config,) = [entry for entry in open_files(policy).list_files() if entry.name == "config.json"]
    assert (config.size, config.md5) == (15, hashlib.md5(POLICY["config.json"]).hexdigest())
    assert re.fullmatch(r'"\w+"', config.version)


def test_a_listing_of_several_pages_is_whole(azure, container, monkeypatch):
    names = [f"{number:02}" for number in range(7)]
    azure.blobs.put(container, {f"many/{name}": b"x" for name in names})
    monkeypatch.setattr(blob_client, "PAGE_SIZE", 3)
    azure.front.requests.clear()
    assert list_names(azure.url(container, "many")) == names
    assert len([request for request in azure.front.requests if "comp=list" in request]) == 3


def test_a_checkpoint_may_be_a_single_blob_with_its_parameters(azure, container):
    run = {"000020/model_19.pt": b"19", "000020/params/agent.yaml": b"{}", "000020/model_9.pt": b"9", "other.txt": b"x"}
    azure.blobs.put(container, {f"run/{name}": content for name, content in run.items()})
    at = azure.url(container, "run/000020/model_19.pt")
    files = fetch.open(at, "", "checkpoint", "")
    assert sorted(entry.name for entry in files.list_files()) == ["model_19.pt", "params/agent.yaml"]
    assert files.get_store_path("model_19.pt") == "run/000020/model_19.pt"
    missing = fetch.open(azure.url(container, "run/000020/model_18.pt"), "", "checkpoint", "")
    assert list(missing.list_files()) == []
    assert "model_18.pt" in str(missing.explain_empty())


def test_a_prefix_is_a_folder_and_not_the_beginning_of_a_name(azure, policy, container):
    azure.blobs.put(container, {"policies/act2/config.json": b"another", "policies/act.txt": b"another"})
    assert list_names(policy) == sorted(POLICY)


def test_h1_15_a_folder_of_nothing_but_markers_is_empty(azure, policy, container):
    azure.blobs.put_one(container, "policies/empty", b"", {"hdi_isfolder": "true"})
    azure.blobs.put_one(container, "policies/empty/sub", b"", {"hdi_isfolder": "true"})
    assert "there are no blobs below" in explain_empty(azure.url(container, "policies/empty"))


def test_a_single_blob_is_no_folder(azure, policy, container):
    url = azure.url(container, "policies/act/config.json")
    assert f"there are no blobs below {url}" in explain_empty(url)


def test_h1_16_markers_of_folders_are_skipped(azure, policy, container):
    azure.blobs.put_one(container, "policies/act", b"", {"hdi_isfolder": "true"})
    azure.blobs.put_one(container, "policies/act/sub", b"", {"hdi_isfolder": "true"})
    azure.blobs.put_one(container, "policies/act/sub/", b"")
    azure.blobs.put_one(container, "policies/act/none", b"", {"hdi_isfolder": "true"})
    assert list_names(policy) == sorted(POLICY)


def test_an_address_that_is_none_is_refused_and_not_repeated(azure):
    with pytest.raises(FetchError, match=r"^the job's blob URL is invalid: A blob URL has the form") as raised:
        open_files("https://account.blob.core.windows.net/box/act?sig=s3cret")
    assert "s3cret" not in str(raised.value)


def test_an_identity_without_the_role_is_told_which_it_is_and_which_role(azure, policy, container):
    azure.front.faults.append(Fault("comp=list", status=403, code="AuthorizationPermissionMismatch"))
    text, fault = describe_refusal(policy)
    assert fault == "configuration"
    for part in (azure.account, container, CLIENT, "Storage Blob Data Reader", "AuthorizationPermissionMismatch"):
        assert part in text
    assert "network" not in text


def test_a_sign_in_that_azure_does_not_accept(azure, policy):
    azure.front.faults.append(Fault("comp=list", status=401, code="InvalidAuthenticationInfo"))
    text, fault = describe_refusal(policy)
    assert f"the identity with client id {CLIENT}" in text
    assert fault == "configuration"


def test_a_container_that_is_not_there(azure):
    text = f"the storage account {azure.account} has no container no-such-container"
    assert describe_refusal(azure.url("no-such-container", "x")) == (text, "configuration")


def test_an_account_that_is_not_there(azure):
    text, fault = describe_refusal(azure.url("box", "x").replace(azure.account, "nosuchaccount"))
    assert "the storage account nosuchaccount cannot be reached" in text
    assert fault == "network"


def test_a_busy_service_is_asked_again_once(azure, policy):
    azure.front.faults.append(Fault("comp=list", status=503, code="ServerBusy", times=1))
    assert list_names(policy) == sorted(POLICY)
    azure.front.faults.append(Fault("comp=list", status=503, code="ServerBusy"))
    text, fault = describe_refusal(policy)
    assert text.endswith("HTTP 503 ServerBusy: try again later")
    assert fault == "network"


BLOBS = [
    (Fault("GET .*config.json", status=403, code="AuthorizationFailure"), "network rules", "configuration"),
    (
        Fault("GET .*config.json", status=412, code="ConditionNotMet"),
        "412 ConditionNotMet: .*start the run again",
        "data",
    ),
    (Fault("GET .*config.json", status=404, code="BlobNotFound"), "404 BlobNotFound.*start the run again", "data"),
    (Fault("GET .*config.json", status=503, code="ServerBusy"), "503 ServerBusy: try again later", "network"),
    (Fault("GET .*config.json", cut=True), "the storage account rtaccount cannot be reached", "network"),
]


@pytest.mark.parametrize(("fault", "reason", "whose"), BLOBS, ids=lambda fault: getattr(fault, "code", None) or None)
def test_what_obstore_is_told_of_one_blob_is_the_same_sentence(azure, policy, data_python, fault, reason, whose):
    azure.front.faults.append(fault)
    content = read_file(data_python, policy)
    assert re.search(reason, content["refused"])
    assert content["fault"] == whose


def test_the_state_that_was_listed_is_really_asked_for(azure, policy, data_python, container):
    """Between the listing and the first byte another one is written: the old one's tag is asked for, so none comes."""

    def sneak() -> None:
        azure.blobs.put_one(container, "policies/act/config.json", b"sneaked in")

    azure.front.faults.append(Fault("GET .*config.json", act=sneak))
    assert "412 ConditionNotMet" in read_file(data_python, policy)["refused"]


def test_what_the_environment_says_to_obstore_changes_nothing(azure, policy, data_python, monkeypatch):
    monkeypatch.setenv("AZURE_STORAGE_ENDPOINT", "https://elsewhere.invalid")
    monkeypatch.setenv("AZURE_STORAGE_USE_EMULATOR", "true")
    monkeypatch.setenv("AZURE_SKIP_SIGNATURE", "true")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "bm9uZQ==")
    assert read_file(data_python, policy)["files"] == compute_digests(POLICY)
