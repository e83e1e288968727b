"""The key vault that stands in for Azure's, asked by Azure's own identities as any program would."""

import json
import ssl
import urllib.error
import urllib.request

import pytest
from azure_stand_in.fixtures import tenant_session
from azure_stand_in.sign_in import token
from azure_stand_in.vault import AUDIENCE, Vault

__all__ = ["tenant_session"]


@pytest.fixture
def vault(tenant_session):
    """One whose address is led to by nothing: it is asked where it listens."""
    with Vault(tenant_session.certificates) as answers:
        yield answers


def asked(vault, name, audience=AUDIENCE, client="job", version="7.4"):
    """The status, and what it says."""
    address = f"https://127.0.0.1:{vault.port}/secrets/{name}?api-version={version}"
    headers = {"Authorization": f"Bearer {token(audience, client)}"} if audience else {}
    around = urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=ssl._create_unverified_context())
    try:
        with urllib.request.build_opener(*around).open(urllib.request.Request(address, headers=headers)) as came:
            return came.status, json.load(came)
    except urllib.error.HTTPError as refused:
        with refused:
            said = json.load(refused)["error"]
            return refused.code, said.get("innererror", said)["code"], refused.headers.get("WWW-Authenticate", "")


def test_a_secret_is_told_to_who_may_read_it(vault):
    at = vault.put("hub-token", "hf_secret")
    status, said = asked(vault, "hub-token")
    assert (status, said["value"]) == (200, "hf_secret")
    assert said["id"].startswith(f"{at}/")
    assert asked(vault, said["id"].partition("/secrets/")[2])[1] == said


@pytest.mark.parametrize(
    ("how", "refused"),
    [
        ({"audience": ""}, (401, "Unauthorized")),
        ({"audience": "https://storage.azure.com"}, (401, "Unauthorized")),
        ({"client": "other"}, (403, "ForbiddenByRbac")),
        ({"name": "old"}, (403, "SecretDisabled")),
        ({"name": "none"}, (404, "SecretNotFound")),
        ({"name": f"hub-token/{'0' * 32}"}, (404, "SecretNotFound")),
        ({"version": ""}, (400, "BadParameter")),
    ],
)
def test_what_a_vault_refuses(vault, how, refused):
    vault.put("hub-token", "hf_secret")
    vault.put("old", "hf_secret", enabled=False)
    vault.readers = {"job"}
    status, code, challenge = asked(vault, **{"name": "hub-token", **how})
    assert (status, code) == refused
    assert ("https://vault.azure.net" in challenge) == (status == 401)
