"""Azure's resource manager, asked by several threads, and over several pages."""

import contextlib
import json

import pytest
from azure_stand_in.http_server import Fault
from azure_stand_in.manager import SUBSCRIPTION
from robotrain_azure import credential
from robotrain_azure.arm import ArmClient, ArmError, parse_answer


@pytest.fixture
def arm(tenant) -> ArmClient:
    tenant.manager.workspace("robots-ml")
    return ArmClient()


def list_resources(arm: ArmClient, following: str, monkeypatch) -> list[str]:
    """A list whose second page lies at that address."""
    pages = [{"value": [{"name": "one"}], "nextLink": following}, {"value": [{"name": "two"}]}]
    monkeypatch.setattr(
        ArmClient, "_send_request", lambda self, method, url, query, body: parse_answer(json.dumps(pages.pop(0)))
    )
    return [resource["name"] for resource in arm.list_all("/list", "1")]


@pytest.mark.parametrize("host", ["management.azure.com", "management.azure.com:443", "Management.Azure.com"])
def test_a_list_continues_at_the_same_host_with_or_without_its_port(host, monkeypatch):
    assert list_resources(ArmClient(), f"https://{host}/list?page=2", monkeypatch) == ["one", "two"]


@pytest.mark.parametrize(
    "following",
    [
        "https://evil.example/list",
        "http://management.azure.com/list",
        "http://management.azure.com:443/list",
        "https://management.azure.com:8443/list",
        "https://management.azure.com@evil.example/list",
        "https://evil.example\\@management.azure.com/list",
        "https://management.azure.com.evil.example/list",
        "/list?page=2",
    ],
)
def test_a_token_goes_to_no_other_host(following, monkeypatch):
    with pytest.raises(ArmError, match="on another host"):
        list_resources(ArmClient(), following, monkeypatch)


def test_one_thread_s_new_sign_in_takes_nothing_from_another_s_request(arm):
    class Shared(ArmClient):
        """One whose other thread has a stale token at the worst moment, each time."""

        _pipeline = property(lambda self: None, lambda self, made: None)

    assert (
        list(
            Shared().list_all(
                f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Storage/storageAccounts", "2023-05-01"
            )
        )
        == []
    )


@pytest.mark.parametrize(("retry_after", "pauses"), [(7, [7.0]), (None, [1.0]), (60, [])])
def test_a_retry_waits_as_long_as_azure_asks_for_or_is_not_made(tenant, monkeypatch, retry_after, pauses):
    slept = []
    monkeypatch.setattr("robotrain_azure.arm.time.sleep", slept.append)
    tenant.manager.workspace("robots-ml")
    tenant.manager.faults.append(
        Fault("storageAccounts", status=429, code="TooManyRequests", retry_after=retry_after, times=1)
    )
    path = f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Storage/storageAccounts"
    with contextlib.nullcontext() if pauses else pytest.raises(ArmError, match="429"):
        assert list(ArmClient(20).list_all(path, "2023-05-01")) == []
    assert [pause for pause in slept if pause >= 1] == pauses


def test_a_certificate_that_is_not_trusted_is_no_missing_sign_in(arm, monkeypatch):
    for name in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.delenv(name)
    credential.clear_shared_credential()
    with pytest.raises(ArmError) as raised:
        arm.get("/subscriptions")
    assert raised.value.code == "unreachable"
    assert "certificate verify failed" in str(raised.value)
