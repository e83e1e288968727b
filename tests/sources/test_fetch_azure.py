"""Folders of blobs really fetched: by Azure's own SDK in the data environment, from Azurite behind Azure's names."""

import os
import re
from pathlib import Path

import pytest
from azure_stand_in import CLIENT, Fault
from robotrain_runtime.document import Source
from robotrain_runtime.half import Place
from robotrain_sources.blob_url import container

pytestmark = pytest.mark.slow

WEIGHTS = os.urandom(40_000_000)  # more than one range
POLICY = {"config.json": b'{"type": "act"}', "model.safetensors": WEIGHTS, "sub/a b é.txt": b"a note", "empty": b""}


@pytest.fixture
def place(tmp_path, data_python, azure, monkeypatch) -> Place:
    for name, value in azure.environ.items():
        monkeypatch.setenv(name, value)
    said: list[str] = []
    return Place(cache=tmp_path / "cache", python=data_python, say=said.append)


@pytest.fixture
def box(request) -> str:
    """A container of this test's own."""
    return re.sub(r"[^a-z0-9]+", "-", request.node.name.lower())[-60:].strip("-")


@pytest.fixture
def policy(azure, box) -> Source:
    """A policy that lies below `policies/act`."""
    azure.blobs.put(box, {f"policies/act/{name}": content for name, content in POLICY.items()})
    return source(azure, box)


def source(azure, box: str, prefix: str = "policies/act") -> Source:
    return Source(role="policy", kind="blob_url", uri=azure.url(box, prefix))


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refused(asked: Source, place: Place) -> str:
    """Why it was not fetched: one sentence, and nothing is left that could be taken for it."""
    with pytest.raises(OSError) as raised:
        container.fetch(asked, place)
    assert not list(place.cache.rglob("fetched.json"))
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_a_folder_comes_whole_and_says_so(azure, policy, place):
    assert content(container.fetch(policy, place)) == POLICY
    assert f"fetched {policy.uri}: 40.0 MB in" in "\n".join(place.say.__self__)


def test_a_second_run_lists_and_downloads_nothing(azure, policy, place):
    first = container.fetch(policy, place)
    azure.front.requests.clear()
    assert container.fetch(policy, place) == first
    (listed,) = azure.front.requests
    assert "comp=list" in listed


def test_what_was_written_again_is_fetched_again(azure, policy, place, box):
    first = container.fetch(policy, place)
    azure.blobs.put_one(box, "policies/act/config.json", b"{}")
    second = container.fetch(policy, place)
    assert content(second) == {**POLICY, "config.json": b"{}"}
    assert content(first) == POLICY


def test_a_prefix_is_a_folder_and_not_the_beginning_of_a_name(azure, policy, place, box):
    azure.blobs.put(box, {"policies/act2/config.json": b"another", "policies/act.txt": b"another"})
    assert content(container.fetch(policy, place)) == POLICY


def test_h1_15_an_empty_prefix_is_an_error_that_names_near_ones(azure, policy, place, box):
    azure.blobs.put(box, {"other/x": b"x"})
    told = refused(source(azure, box, "policies/atc"), place)
    assert told == f"no blobs lie below {azure.url(box, 'policies/atc')}; in {box} there is: policies/act"
    assert "there is: policies" in refused(source(azure, box, "polices"), place)
    assert "there is: other, policies" in refused(source(azure, box, "zzz/zzz/zzz"), place)


def test_h1_15_the_beginning_of_a_name_finds_nothing(azure, policy, place, box):
    assert "there is: policies/act" in refused(source(azure, box, "policies/ac"), place)


def test_h1_15_a_folder_of_nothing_but_markers_is_empty(azure, policy, place, box):
    azure.blobs.put_one(box, "policies/empty", b"", {"hdi_isfolder": "true"})
    azure.blobs.put_one(box, "policies/empty/sub", b"", {"hdi_isfolder": "true"})
    assert "no blobs lie below" in refused(source(azure, box, "policies/empty"), place)


def test_a_single_blob_is_no_folder(azure, policy, place, box):
    told = refused(source(azure, box, "policies/act/config.json"), place)
    assert told.endswith(f"name the folder above it, {azure.url(box, 'policies/act')}")


def test_h1_16_markers_of_folders_are_skipped(azure, policy, place, box):
    azure.blobs.put_one(box, "policies/act", b"", {"hdi_isfolder": "true"})
    azure.blobs.put_one(box, "policies/act/sub", b"", {"hdi_isfolder": "true"})
    azure.blobs.put_one(box, "policies/act/sub/", b"")
    azure.blobs.put_one(box, "policies/act/none", b"", {"hdi_isfolder": "true"})
    assert content(container.fetch(policy, place)) == POLICY


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("../../evil", "leads out of the folder"),
        ("/evil", "leads out of the folder"),
        ("a/../../evil", "leads out of the folder"),
        ("config.json/evil", "'config.json' is a file and, with 'config.json/evil', a folder too"),
    ],
)
def test_names_that_cannot_be_written_safely_are_refused_before_anything_is_fetched(
    azure, policy, place, box, name, why
):
    azure.blobs.put(box, {f"policies/act/{name}": b"evil"})
    assert why in refused(policy, place)
    assert not [asked for asked in azure.front.requests if "comp=list" not in asked]


def test_an_identity_without_the_role_is_told_which_it_is_and_which_role(azure, policy, place, box):
    azure.front.faults.append(Fault("comp=list", status=403, code="AuthorizationPermissionMismatch"))
    told = refused(policy, place)
    for part in (azure.account, box, CLIENT, "Storage Blob Data Reader", "AuthorizationPermissionMismatch"):
        assert part in told


def test_one_blob_that_may_not_be_read_is_the_same_refusal(azure, policy, place):
    azure.front.faults.append(Fault("GET .*model.safetensors", status=403, code="AuthorizationFailure"))
    told = refused(policy, place)
    assert "AuthorizationFailure" in told
    assert "network rules" in told


def test_a_sign_in_that_azure_does_not_accept(azure, policy, place):
    azure.front.faults.append(Fault("comp=list", status=401, code="InvalidAuthenticationInfo"))
    assert f"does not accept the sign-in of the identity with client id {CLIENT}" in refused(policy, place)


def test_a_wrong_secret_is_told_in_azures_own_words_and_not_repeated(azure, policy, place, monkeypatch):
    monkeypatch.setenv("AZURE_CLIENT_SECRET", "s3cret-but-wrong")
    told = refused(policy, place) + "".join(place.say.__self__)
    assert "there is no Azure identity" in told
    assert "AADSTS7000215: Invalid client secret provided" in told
    assert "s3cret" not in told


def test_no_identity_at_all_says_how_to_get_one(azure, policy, place, monkeypatch):
    for name in ("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    told = refused(policy, place)
    for part in ("az login", "AZURE_CLIENT_ID", "Storage Blob Data Reader", azure.account):
        assert part in told


def test_a_workload_identity_is_used(azure, policy, place, monkeypatch, tmp_path):
    monkeypatch.delenv("AZURE_CLIENT_SECRET")
    (tmp_path / "token").write_text("a federated token")
    monkeypatch.setenv("AZURE_FEDERATED_TOKEN_FILE", str(tmp_path / "token"))
    assert content(container.fetch(policy, place)) == POLICY


def test_a_container_that_is_not_there(azure, policy, place, box):
    told = refused(source(azure, "no-such-container"), place)
    assert told == f"the storage account {azure.account} has no container no-such-container"


def test_an_account_that_is_not_there(azure, policy, place, box):
    url = azure.url(box, "policies/act").replace(azure.account, "nosuchaccount")
    told = refused(Source(role="policy", kind="blob_url", uri=url), place)
    assert "the storage account nosuchaccount cannot be reached, or there is none of that name" in told


def test_a_wrong_byte_is_never_kept(azure, policy, place):
    azure.front.faults.append(Fault("GET .*config.json", flip=True))
    assert f"policies/act/config.json did not arrive as {azure.account} has it" in refused(policy, place)
    azure.front.faults.clear()
    assert content(container.fetch(policy, place)) == POLICY


def test_a_body_that_breaks_off_and_a_busy_service_are_asked_again(azure, policy, place):
    azure.front.faults.append(Fault("GET .*model.safetensors", cut=True, times=1))
    azure.front.faults.append(Fault("GET .*config.json", status=503, code="ServerBusy", times=2))
    assert content(container.fetch(policy, place)) == POLICY


def test_a_blob_that_is_written_while_it_is_fetched_is_noticed(azure, policy, place):
    azure.front.faults.append(Fault("GET .*model.safetensors", status=412, code="ConditionNotMet"))
    assert "was changed or deleted while it was fetched (412 ConditionNotMet)" in refused(policy, place)


def test_the_condition_is_really_sent(azure, policy, place, box, monkeypatch):
    """Between the listing and the first byte another one is written: the old one's tag is asked for, so none comes."""

    class Sneak(Fault):
        def takes(self, request: str) -> bool:
            if super().takes(request):
                azure.blobs.put_one(box, "policies/act/config.json", b"sneaked in")
            return False

    azure.front.faults.append(Sneak("GET .*config.json", times=1))
    assert "was changed or deleted while it was fetched (412 ConditionNotMet)" in refused(policy, place)
