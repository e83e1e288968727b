"""One command signs in once for all that it asks, and never with a token that does not hold any more."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from azure_stand_in.manager import GROUP, SUBSCRIPTION
from azure_stand_in.tenant import Tenant
from robotrain_azure import credential, preflight_checks
from robotrain_azure.workspace import Workspace

STORAGE = "https://storage.azure.com/.default"


@pytest.fixture
def count_requests(tenant: Tenant):
    """How often a token was asked for."""
    return lambda: sum("/oauth2/v2.0/token" in request for request in map(str, tenant.sign_in.requests))


def test_token_is_shared(tenant, count_requests) -> None:
    tenant.manager.workspace("robots-ml")
    for _ in range(3):
        assert list(preflight_checks.check_workspace(Workspace(SUBSCRIPTION, GROUP, "robots-ml"))) == []
    assert count_requests() == 1
    assert (
        credential.get_shared_credential().get_token_info(STORAGE).token
        == credential.get_shared_credential().get_token_info(STORAGE).token
    )
    assert count_requests() == 2


def test_threads_that_ask_at_once_wait_for_the_one_that_asks(count_requests) -> None:
    with ThreadPoolExecutor(8) as pool:
        tokens = set(pool.map(lambda _: credential.get_shared_credential().get_token(STORAGE).token, range(8)))
    assert (len(tokens), count_requests()) == (1, 1)


def test_cleared_token_is_requested_again(count_requests) -> None:
    credential.get_shared_credential().get_token(STORAGE)
    credential.clear_shared_credential()
    credential.get_shared_credential().get_token(STORAGE)
    assert count_requests() == 2


class CountingSignIn:
    """A sign-in that gives a token of its own each time. lasts: seconds of each."""

    def __init__(self, lasts: float) -> None:
        self.lasts, self.given = lasts, 0

    def get_token(self, *scopes: str, **options: object) -> object:
        self.given += 1
        return type("Token", (), {"token": str(self.given), "expires_on": time.time() + self.lasts})


@pytest.mark.parametrize(("lasts", "token_number"), [(3600, 1), (299, 2)])
def test_token_that_is_about_to_expire_is_renewed(lasts: float, token_number: int) -> None:
    sign_in = CountingSignIn(lasts)
    cached = credential.CachedCredential(sign_in)
    cached.get_token(STORAGE)
    assert (cached.get_token(STORAGE).token, sign_in.given) == (str(token_number), token_number)


def test_changed_identity_is_used_soon(monkeypatch) -> None:
    sign_in = CountingSignIn(3600)
    cached = credential.CachedCredential(sign_in)
    monkeypatch.setattr(credential, "TOKEN_CACHE_SECONDS", -1.0)
    cached.get_token(STORAGE)
    assert cached.get_token(STORAGE).token == "2"


def test_rejected_token_is_not_reused() -> None:
    sign_in = CountingSignIn(3600)
    cached = credential.CachedCredential(sign_in)
    cached.get_token(STORAGE)
    assert cached.get_token(STORAGE, claims="{}").token == "2"
    assert cached.get_token(STORAGE, tenant_id="other").token == "3"


def test_a_process_has_one_credential_until_its_environment_names_another(monkeypatch) -> None:
    monkeypatch.setenv("AZURE_CLIENT_ID", "one")
    first = credential.get_shared_credential()
    assert credential.get_shared_credential() is first
    monkeypatch.setenv("AZURE_AUTHORITY_HOST", "https://login.microsoftonline.us")
    assert credential.get_shared_credential() is not first
