"""What a blob URL means when a job is sent: the digest that the transfer knows the same data by."""

import time
from pathlib import Path

import pytest
from azure_stand_in import Fault
from origin_files import read_origin
from robotrain.model.source import SourceError, SourceNotFound
from robotrain.submission import pin as core_pin
from robotrain_runtime.contract.document import JobSource
from robotrain_sources.blob_url import fetch, pin
from robotrain_sources.blob_url.kind import KIND

pytestmark = pytest.mark.slow

FILES = {"config.json": b"{}", "model.safetensors": b"weights" * 1000, "sub/a b é.txt": b"a note"}


@pytest.fixture
def container(container, azure, azure_identity) -> str:
    """A container of this test's own, with files below `p`, and a sign-in to read it with."""
    azure.blobs.put(container, {f"p/{name}": content for name, content in FILES.items()})
    return container


def resolve_pin(uri: str) -> str:
    return KIND.pinning.resolve(KIND.parse(uri, Path("/")), "dataset")


def explain_lost_pin(uri: str, pin: str) -> str:
    return KIND.pinning.explain_lost_pin(KIND.parse(uri, Path("/")), "dataset", pin)


def test_the_pin_is_the_digest_that_the_job_itself_finds(azure, container, data_python):
    origin = read_origin(data_python, "robotrain_sources.blob_url.fetch", azure.url(container, "p"))
    assert resolve_pin(azure.url(container, "p")) == origin["digest"]


def test_another_content_is_another_pin_and_the_same_bytes_written_again_are_not(azure, container):
    url = azure.url(container, "p")
    before = resolve_pin(url)
    azure.blobs.put_one(container, "p/config.json", FILES["config.json"])
    assert (resolve_pin(url), explain_lost_pin(url, before)) == (before, "")
    azure.blobs.put_one(container, "p/config.json", b"[]")
    assert resolve_pin(url) != before
    changed = f"The blobs below {url} are not those that were pinned"
    assert explain_lost_pin(url, before).startswith(changed)
    azure.blobs.put_one(container, "p/config.json", FILES["config.json"])
    azure.blobs.put_one(container, "p/one-more", b"x")
    assert explain_lost_pin(url, before).startswith(changed)


def test_a_file_that_does_not_lie_below_the_prefix_is_told(azure, container):
    azure.blobs.put_one(container, "p/meta/info.json.old", b"{}")
    source = KIND.parse(azure.url(container, "p"), Path("/"))
    assert KIND.pinning.find_missing(source, "dataset", ("config.json", "meta/info.json")) == ["meta/info.json"]


def test_the_files_that_describe_data_are_read(azure, container):
    source = KIND.parse(azure.url(container, "p"), Path("/"))
    read, pin = KIND.pinning.read_files, resolve_pin(str(source))
    assert read(source, "dataset", pin, ("config.json", "meta/info.json")) == {"config.json": FILES["config.json"]}
    azure.front.faults.append(Fault("config.json", status=403, code="AuthorizationPermissionMismatch"))
    with pytest.raises(SourceError, match="Storage Blob Data Reader"):
        read(source, "dataset", pin, ("config.json",))


def test_a_job_whose_data_changed_since_says_so(azure, container):
    url = azure.url(container, "p")
    before = resolve_pin(url)
    azure.blobs.delete(container, "p/config.json")
    assert fetch.open(url, before, "dataset", "").find_pin_mismatch(before) is None
    changed = fetch.open(url, before, "dataset", "").find_pin_mismatch(resolve_pin(url))
    assert "are not those that were pinned" in changed.sentence
    assert fetch.open(url, "", "dataset", "").find_pin_mismatch(resolve_pin(url)) is None


def test_what_is_not_there_cannot_be_pinned(azure, container):
    with pytest.raises(SourceNotFound, match=r"^There are no blobs below \S+/pp: "):
        resolve_pin(azure.url(container, "pp"))
    with pytest.raises(SourceNotFound, match=r"has no container no-such-container\.$"):
        resolve_pin(azure.url("no-such-container", "p"))
    assert (
        explain_lost_pin(azure.url(container, "pp"), "0" * 32)
        == f"There are no blobs below {azure.url(container, 'pp')} any more."
    )


def test_without_a_sign_in_or_the_role_the_reason_is_told(azure, container, monkeypatch):
    azure.front.faults.append(Fault("comp=list", status=403, code="AuthorizationPermissionMismatch"))
    with pytest.raises(SourceError, match="needs the role Storage Blob Data Reader there"):
        resolve_pin(azure.url(container, "p"))
    monkeypatch.setenv("AZURE_CLIENT_SECRET", "s3cret-but-wrong")
    with pytest.raises(SourceError, match=r"AADSTS7000215.* AZURE_CLIENT_SECRET") as raised:
        resolve_pin(azure.url(container, "p"))
    assert "s3cret" not in str(raised.value)


def test_one_sign_in_that_failed_stands_for_every_source(azure, container, monkeypatch):
    monkeypatch.setenv("AZURE_CLIENT_SECRET", "s3cret-but-wrong")
    uris = (azure.url(f"{container}-{number}", "p") for number in range(64))
    sources = tuple(JobSource(role="dataset", kind="blob_url", uri=uri) for uri in uris)
    begun = time.monotonic()
    answers = [core_pin.pin_source(source, {"blob_url": KIND}, (), lambda source: "") for source in sources]
    problems = core_pin.deduplicate_problems(problem for _, problem in answers if problem)
    assert time.monotonic() - begun < 10
    (problem,) = problems
    assert (problem.code, problem.severity) == ("not-pinned", "warning")
    assert problem.given.endswith(" and 61 more")
    assert "set a valid AZURE_CLIENT_SECRET" in problem.why


def test_a_setting_that_the_library_refuses_is_no_missing_sign_in(container, azure, monkeypatch):
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "bogus")
    with pytest.raises(ValueError, match="AZURE_TOKEN_CREDENTIALS"):
        resolve_pin(azure.url(container, "p"))


def test_a_service_that_takes_too_long_is_not_waited_for(azure, container, monkeypatch):
    monkeypatch.setattr(pin, "DEADLINE_SECONDS", 0.5)
    azure.front.faults.append(Fault("comp=list", latency=5))
    with pytest.raises(SourceError, match=r"^The storage account \w+ did not answer within 0\.5 seconds\.$"):
        resolve_pin(azure.url(container, "p"))


def test_blobs_are_downloaded_where_a_job_is_sent_from(azure, container, tmp_path):
    source = KIND.parse(azure.url(container, "p"), Path("/"))
    pin = resolve_pin(azure.url(container, "p"))
    sizes = KIND.pinning.list_files(source, "dataset", pin)
    assert sizes == {name: len(text) for name, text in FILES.items()}
    KIND.pinning.download(source, "dataset", pin, [*sizes], tmp_path, 20.0)
    assert {name: (tmp_path / name).read_bytes() for name in FILES} == FILES
    with pytest.raises(SourceError, match="deleted"):
        KIND.pinning.download(source, "dataset", pin, ["nothing"], tmp_path, 20.0)
