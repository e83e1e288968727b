"""A secret of a key vault, as the programs of the data environment read it: the sign-in is real, the vault is not."""

import dataclasses
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from azure_stand_in.fixtures import tenant_session
from azure_stand_in.http_server import Fault
from azure_stand_in.tenant import CLIENT
from azure_stand_in.vault import VERSION, Vault
from hub_stand_in import Repository
from origin_files import compute_digests, read_origin
from problem_assertions import check_refusals
from robotrain_runtime.contract import document
from robotrain_runtime.contract.document import JobDocument, JobSource, Placement
from robotrain_sources.blob_url import identity
from robotrain_sources.fetching import errors, named_secret
from robotrain_sources.fetching.errors import FetchError
from robotrain_sources.huggingface import fetch
from robotrain_workloads.lerobot_train.parameters import TrainParameters

__all__ = ["tenant_session"]

TOKEN = "hf_of_the_tests_and_of_nobody"
FORM = "a token of the Hub (hf_…), and nothing else"


@pytest.fixture(scope="module")
def robots_session(tenant_session) -> Iterator[Vault]:
    with Vault(tenant_session.certificates) as answers:
        tenant_session.proxy.hosts[answers.host] = answers.port
        yield answers


@pytest.fixture
def robots(tenant_session, robots_session, monkeypatch) -> Vault:
    """The vault `robots`; this process is signed in as a job is, and nobody has asked yet."""
    robots_session.empty()
    for name in list(os.environ):
        if name.startswith(("AZURE_", "MSI_", "IDENTITY_")):
            monkeypatch.delenv(name)
    for name, value in tenant_session.workload_identity.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(named_secret, "_secrets", {})
    monkeypatch.setattr(errors, "RETRY_PAUSE_SECONDS", 0.0)
    return robots_session


def describe_refusal(named: str) -> tuple[str, str, str]:
    """The sentence, what to type, whose fault it is."""
    with pytest.raises(FetchError) as result:
        named_secret.read_secret(named, FORM)
    return result.value.sentence, result.value.way, result.value.fault


def test_a_secret_is_read_as_the_identity_of_the_job_and_asked_for_once(robots):
    address = robots.put("hf-token", f" {TOKEN}\n")
    tokens = [fetch.load_hub_token(address) for _ in range(64)]
    assert {token.text for token in tokens} == {TOKEN}
    assert tokens[0].description == "the token in the secret hf-token of the key vault robots"
    assert robots.requests == ["GET /secrets/hf-token?api-version=7.4"]
    assert TOKEN not in repr((tokens, named_secret._secrets))


def test_a_version_of_a_secret_is_asked_for_as_that(robots):
    address = robots.put("hf-token", TOKEN)
    assert named_secret.read_secret(f"{address}/{VERSION}", FORM) == TOKEN
    assert robots.requests == [f"GET /secrets/hf-token/{VERSION}?api-version=7.4"]


def test_blobs_are_read_with_a_secret_of_a_vault_too(robots):
    who = identity.load_identity(robots.put("sas", "?sv=2023-11-03&sr=c&sp=rl&se=2999-01-01&sig=s3cret"))
    assert who.get_obstore_credential()["sas_token"].endswith("sig=s3cret")
    assert who.describe() == "the SAS in the secret sas of the key vault robots"


@pytest.mark.parametrize(
    ("readers", "enabled", "facts"),
    [
        (None, None, ("HTTP 404 SecretNotFound: A secret with (name/id) hf-token was not found in this key vault",)),
        (set(), True, ("HTTP 403 ForbiddenByRbac: Caller is not", CLIENT, "needs the role Key Vault Secrets User")),
        (None, False, ("HTTP 403 SecretDisabled: Operation get is not allowed on a disabled secret",)),
    ],
    ids=["missing", "role", "disabled"],
)
def test_what_the_vault_answers_is_quoted(robots, readers, enabled, facts):
    address = "https://robots.vault.azure.net/secrets/hf-token"
    if enabled is not None:
        address = robots.put("hf-token", TOKEN, enabled=enabled)
    robots.readers = readers
    sentence, _, fault = describe_refusal(address)
    assert sentence.startswith("the secret hf-token of the key vault robots answered ")
    assert [fact for fact in facts if fact not in sentence] == []
    assert fault == "configuration"


def test_a_busy_vault_is_asked_once_more_and_then_it_is_a_network_fault(robots):
    address = robots.put("hf-token", TOKEN)
    robots.faults.append(Fault("GET", status=503, code="ServiceUnavailable", times=1))
    assert named_secret.read_secret(address, FORM) == TOKEN
    named_secret._secrets.clear()
    robots.faults.append(Fault("GET", status=429, code="Throttled"))
    robots.requests.clear()
    assert describe_refusal(address)[2] == "network"
    assert describe_refusal(address)[0].endswith("too many requests: wait a few minutes")
    assert len(robots.requests) == 2, "who asks right after is told the same, and nobody is asked again"


def test_a_vault_that_cannot_be_reached_is_told_at_once(robots):
    sentence, _, fault = describe_refusal("https://nobodys-vault.vault.azure.net/secrets/hf-token")
    assert "key vault nobodys-vault cannot be reached" in sentence
    assert fault == "network"


def test_a_vault_of_another_tenant_is_told_apart_from_a_missing_role(robots):
    robots.faults.append(Fault("GET", status=401, code="Unauthorized"))
    sentence, _, fault = describe_refusal(robots.put("hf-token", TOKEN))
    assert "HTTP 401 Unauthorized" in sentence
    assert f"the identity with client id {CLIENT} must belong to the vault's tenant" in sentence
    assert fault == "configuration"


def test_a_job_without_an_identity_is_told_so(robots, tmp_path, monkeypatch):
    (tmp_path / "token").write_text("of another cluster")
    monkeypatch.setenv("AZURE_FEDERATED_TOKEN_FILE", str(tmp_path / "token"))
    sentence, _, _ = describe_refusal(robots.put("hf-token", TOKEN))
    assert sentence.startswith("there is no Azure identity to read the secret hf-token of the key vault robots (AAD")
    assert "AZURE_CLIENT_ID" in sentence


@pytest.mark.parametrize("held", [" ", "s3cret and more", "s3cret\nhf_x"])
def test_what_is_no_token_is_refused_by_the_name_of_the_secret_and_never_repeated(robots, held):
    with pytest.raises(FetchError) as result:
        fetch.load_hub_token(robots.put("hf-token", held))
    check_refusals(result.value, "fetch-error configuration")
    assert "s3cret" not in str(result.value)


@pytest.mark.parametrize(
    "text",
    [
        "https://robots.vault.azure.net/keys/hf-token",
        "https://robots.vault.azure.net/secrets/hf-token?s3cret",
        "https://robots.vault.azure.net.s3cret.example/secrets/hf-token",
        "http://robots.vault.azure.net/secrets/s3cret",
        "https://s3cret@robots.vault.azure.net/secrets/hf-token",
    ],
)
def test_an_address_that_is_no_secrets_is_asked_of_nobody_and_not_repeated(robots, text):
    sentence, _, fault = describe_refusal(text)
    assert sentence.endswith(" https://VAULT.vault.azure.net/secrets/NAME")
    assert "s3cret" not in sentence
    assert (fault, robots.requests) == ("configuration", [])


def test_every_cloud_has_vaults_of_its_own():
    vault_address = named_secret.parse_vault_address("https://Robots.Vault.USGovCloudAPI.net/secrets/Token/")
    assert (vault_address.host, vault_address.name) == ("robots.vault.usgovcloudapi.net", "Token")
    assert vault_address.scope == "https://vault.usgovcloudapi.net/.default"
    vault_address = named_secret.parse_vault_address("https://robots.vault.azure.cn/secrets/t")
    assert vault_address.scope == "https://vault.azure.cn/.default"


@pytest.mark.slow
def test_a_private_repository_is_read_with_the_token_of_a_vault(robots, hub, data_python):
    hub.repositories["datasets/u/d"] = shut = Repository(shut="private")
    shut.commit({"meta/info.json": b"{}"})
    address = robots.put("hf-token", hub.token)
    origin = read_origin(data_python, "robotrain_sources.huggingface.fetch", "u/d", "", "dataset", address)
    assert origin["files"] == compute_digests({"meta/info.json": b"{}"})


@pytest.mark.slow
def test_a_run_whose_secret_is_not_there_ends_within_seconds(robots, hub, data_python, training_environment, tmp_path):
    address = f"https://{robots.host}/secrets/hf-token"
    made = JobDocument(
        schema=document.SCHEMA,
        run="lerobot-train-00000000-1",
        job="0" * 64,
        workload="lerobot-train",
        platform="azureml",
        container_plugins={
            "workload.lerobot-train": "robotrain_workloads.lerobot_train.container",
            "source.huggingface": "robotrain_sources.huggingface.fetch",
        },
        parameters=dataclasses.asdict(TrainParameters()),
        placement=Placement(
            work=str(tmp_path / "work"),
            cache=str(data_python.parents[3]),
            environment=training_environment,
            credentials={"huggingface": address},
        ),
        sources=tuple(JobSource(role="dataset", kind="huggingface", uri=f"u/d{number}") for number in range(3)),
    )
    (tmp_path / "job.json").write_text(document.format_document(made))
    began = time.monotonic()
    command = [sys.executable, "-m", "robotrain_runtime", "run", str(tmp_path / "job.json")]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PATH": "/usr/bin:/bin"})
    assert done.returncode == 4, done.stdout
    outcome = json.loads((tmp_path / "work/outcome.json").read_text())
    text = "the secret hf-token of the key vault robots answered HTTP 404 SecretNotFound"
    assert (outcome["reason"].count(text), outcome["fault"]) == (3, "configuration")
    assert len(robots.requests) == 1
    assert time.monotonic() - began < 30


def test_a_secret_of_a_program_is_read_as_a_store_does(robots):
    address = robots.put("api", f"{TOKEN}\n")
    assert [named_secret.accepts(url) for url in (address, "https://robots.example/secrets/api")] == [True, False]
    assert named_secret.read(address) == TOKEN
    robots.readers = set()
    named_secret._secrets.clear()
    with pytest.raises(OSError) as refused:
        named_secret.read(address)
    check_refusals(refused.value, "os-error")
