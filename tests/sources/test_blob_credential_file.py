"""A file that blobs are read with where there is no sign-in: what it may hold, and what is said of others."""

import base64
import json
import time
from pathlib import Path

import pytest
from problem_assertions import check_refusals
from robotrain_sources.blob_url import identity
from robotrain_sources.fetching.errors import FetchError

KEY = base64.b64encode(b"k" * 64).decode()
SAS = "sv=2023-11-03&sr=c&sp=rl&se=2999-01-01T00%3A00%3A00Z&sig=s3cret%2Bs3cret%3D"


def token(**claims: object) -> str:
    parts = [{"alg": "RS256"}, {"exp": time.time() + 3600, **claims}]
    return ".".join(
        [*(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts), "x"]
    )


@pytest.fixture
def file(tmp_path):
    def write(content: str | bytes) -> str:
        path = tmp_path / "credential"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return write


@pytest.mark.parametrize(
    ("content", "form"),
    [(KEY, "key"), (f"{KEY}\n", "key"), (SAS, "sas"), (f"?{SAS}\r\n", "sas"), (token(), "token")],
    ids=["key", "key with its line's end", "SAS", "SAS with a question mark", "token"],
)
def test_the_form_of_a_secret_is_known_by_its_shape(file, content, form):
    assert identity.read_storage_secret(file(content)).form == form


@pytest.mark.parametrize(
    "content",
    [
        "hunter2-s3cret",
        f"https://account.blob.core.windows.net/box?{SAS}",
        f"DefaultEndpointsProtocol=https;AccountName=a;AccountKey={KEY};EndpointSuffix=core.windows.net",
        f"{KEY}\n{KEY}",
        b"\xff\xfes3cret",
        "sv=2023-11-03&sp=rl",
        "x" * 100_000,
    ],
    ids=["word", "address", "connection string", "two lines", "no text", "no signature", "too long"],
)
def test_anything_else_is_refused_by_the_name_of_the_file_and_never_repeated(file, content):
    with pytest.raises(FetchError) as refused:
        identity.read_storage_secret(file(content))
    check_refusals(refused.value, "fetch-error configuration")
    assert "s3cret" not in str(refused.value)
    assert KEY not in str(refused.value)


def test_a_credential_file_that_is_empty_or_unreadable_is_reported(file, tmp_path):
    with pytest.raises(FetchError) as refused:
        identity.read_storage_secret(file(" \n"))
    check_refusals(refused.value, "fetch-error configuration")
    with pytest.raises(FetchError) as refused:
        identity.read_storage_secret(str(tmp_path))
    check_refusals(refused.value, "fetch-error configuration")
    with pytest.raises(FetchError) as refused:
        identity.read_storage_secret("/nowhere/key")
    check_refusals(refused.value, "fetch-error configuration")


@pytest.mark.parametrize(
    "content",
    [SAS.replace("2999-01-01T00%3A00%3A00Z", "2020-01-01"), token(exp=1577836800)],
    ids=["SAS", "token"],
)
def test_an_expired_credential_is_reported_with_its_expiry(file, content):
    with pytest.raises(FetchError) as refused:
        identity.read_storage_secret(file(content))
    check_refusals(refused.value, "fetch-error configuration")
    assert "2020-01-01 00:00 UTC" in str(refused.value)


def test_a_newer_secret_in_the_file_is_used_from_then_on(file):
    who = identity.FileIdentity(file(SAS))
    first = who.get_obstore_credential()
    newer = SAS.replace("s3cret", "newer")
    file(newer)
    assert (first["sas_token"], who.get_obstore_credential()["sas_token"]) == (SAS, newer)


def test_who_asked_is_told_by_the_file_and_the_tokens_holder(file):
    path = file(token(appid="c1", oid="o1"))
    assert (
        identity.FileIdentity(path).describe() == f"the token in {path} (the identity with client id c1, object id o1)"
    )
    assert identity.FileIdentity(file(KEY)).describe() == f"the account key in {path}"


def test_no_printed_form_holds_the_secret(file):
    assert KEY not in repr(identity.read_storage_secret(file(KEY))) + repr(identity.FileIdentity(str(Path(file(KEY)))))
