"""Who reads blobs: each identity that a job can have, by the real clients, and what is said when it is not let in."""

import re
from typing import Any

import pytest
from azure_stand_in import CLIENT
from azure_stand_in.sign_in import token
from origin_files import compute_digests, read_origin

pytestmark = pytest.mark.slow

FILES = {"config.json": b"{}", "a note.txt": b"a note"}
BOX = "identities"


@pytest.fixture
def job(azure, data_python, monkeypatch, tmp_path):
    """Read the folder as a job with this environment would, and with this content in the credential file."""
    azure.blobs.put(BOX, {f"p/{name}": content for name, content in FILES.items()})

    def job(environ: dict[str, str], secret: str | None = None) -> Any:
        for name in ("AZURE_CLIENT_SECRET", "AZURE_CLIENT_ID", "AZURE_TENANT_ID"):
            monkeypatch.delenv(name, raising=False)
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        if secret is not None:
            (tmp_path / "secret").write_text(f"{secret}\n")
        origin = read_origin(
            data_python,
            "robotrain_sources.blob_url.fetch",
            azure.url(BOX, "p"),
            "",
            "dataset",
            str(tmp_path / "secret") if secret is not None else "",
        )
        assert secret is None or secret not in str(origin)
        return origin

    return job


@pytest.fixture
def no_programs(monkeypatch, tmp_path):
    """No program of a developer's sign-in is installed."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    return tmp_path / "bin"


def test_a_secret_in_the_environment(azure, job):
    assert job(azure.environ)["files"] == compute_digests(FILES)


def test_a_workload_identity(azure, job):
    assert job(azure.workload_identity)["files"] == compute_digests(FILES)


def test_a_managed_identity_by_its_client_id(azure, job):
    assert job(azure.managed_identity)["files"] == compute_digests(FILES)
    assert f"client_id={CLIENT}" in "".join(azure.managed.requests)


def test_the_sign_in_of_a_developer(azure, job, no_programs):
    text = f'{{"accessToken": "{token()}", "expiresOn": "2999-01-01 00:00:00.000000", "expires_on": 32472144000}}'
    (no_programs / "az").write_text(f"#!/bin/sh\necho '{text}'\n")
    (no_programs / "az").chmod(0o755)
    assert job(azure.way)["files"] == compute_digests(FILES)


def test_an_account_key_in_a_file(azure, job):
    assert job(azure.way, azure.key)["files"] == compute_digests(FILES)


def test_a_sas_in_a_file(azure, job):
    assert job(azure.way, f"?{azure.sas(BOX)}")["files"] == compute_digests(FILES)


def test_a_token_in_a_file(azure, job):
    assert job(azure.way, token())["files"] == compute_digests(FILES)


def test_a_credential_file_comes_before_what_the_machine_has(azure, job):
    given_job = job(azure.environ, azure.sas(BOX, "r"))
    assert re.search(r"the SAS in \S+/secret .*container identities", given_job["refused"])
    assert "Storage Blob Data Reader" in given_job["refused"]
    assert given_job["fault"] == "configuration"


def test_a_key_of_another_account_is_told_by_its_file(azure, job):
    given_job = job(azure.way, f"{'A' * 86}==")
    assert re.search(r"the account key in \S+/secret", given_job["refused"])
    assert given_job["fault"] == "configuration"


def test_a_token_that_is_not_for_storage(azure, job):
    given_job = job(azure.way, token("https://elsewhere"))
    assert "the identity with client id tests" in given_job["refused"]


def test_no_identity_at_all_says_how_to_get_one(azure, job, no_programs):
    given_job = job(azure.way)
    for part in ("there is no Azure identity", "az login", "AZURE_CLIENT_ID", "Storage Blob Data Reader"):
        assert part in given_job["refused"]
    assert given_job["fault"] == "configuration"


def test_a_wrong_secret_is_told_in_azures_own_words_and_not_repeated(azure, job):
    given_job = job({**azure.environ, "AZURE_CLIENT_SECRET": "s3cret-but-wrong"})
    assert "set a valid AZURE_CLIENT_SECRET" in given_job["refused"]
    assert "az login" not in given_job["refused"]
    assert "AADSTS7000215: Invalid client secret provided" in given_job["refused"]
    assert "s3cret" not in str(given_job)


def test_a_token_file_that_is_not_there_is_named(azure, job):
    given_job = job({**azure.workload_identity, "AZURE_FEDERATED_TOKEN_FILE": "/nowhere/token"})
    assert "(No such file or directory: '/nowhere/token')" in given_job["refused"]


def test_a_managed_identity_that_the_machine_was_not_given(azure, job):
    given_job = job({**azure.managed_identity, "AZURE_CLIENT_ID": "c2000000-0000-0000-0000-000000000002"})
    assert "No User Assigned or Delegated Managed Identity found" in given_job["refused"]
    assert given_job["fault"] == "configuration"


def test_a_sign_in_that_cannot_be_reached_is_the_networks_fault(azure, job):
    given_job = job({**azure.environ, "HTTPS_PROXY": "http://127.0.0.1:9"})
    assert given_job["refused"].startswith("cannot reach Azure's sign-in to read container identities")
    assert given_job["fault"] == "network"


def test_many_sources_sign_in_once(azure, azure_identity, monkeypatch):
    from robotrain_sources.blob_url import fetch

    azure.blobs.put(BOX, {f"p/{name}": content for name, content in FILES.items()})
    monkeypatch.setenv("ANOTHER", "environment")  # so that no earlier test has signed in
    azure.sign_in.requests.clear()
    for _ in range(5):
        assert len(list(fetch.open(azure.url(BOX, "p"), "", "dataset", "").list_files())) == 2
    assert len([request for request in azure.sign_in.requests if "/token" in request]) == 1
