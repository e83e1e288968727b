"""The stand-in of the resource manager: as strict as the real one."""

import http.client
import json
import ssl
from urllib.parse import urlsplit

import pytest
from azure_stand_in.manager import GROUP, SUBSCRIPTION
from azure_stand_in.sign_in import token

MANAGER = "https://management.azure.com"
VERSION = "api-version=2024-04-01"


@pytest.fixture
def ask(tenant):
    """GET with a token for an audience: the status, and the service's own word."""
    at = tenant.manager.workspace("robots-ml")

    def ask(query: str = VERSION, audience: str = MANAGER, path: str = at, host: str = "management.azure.com"):
        proxy = urlsplit(tenant.proxy.address)
        context = ssl.create_default_context(cafile=str(tenant.ca))
        line = http.client.HTTPSConnection(proxy.hostname, proxy.port, context=context, timeout=30)
        line.set_tunnel(host, 443)
        line.request("GET", f"{path}?{query}", headers={"Authorization": f"Bearer {token(audience)}"})
        came = line.getresponse()
        said = json.loads(came.read())
        line.close()
        return came.status, said.get("error", {}).get("code", "")

    return ask


def test_names_are_found_in_any_case(ask):
    assert ask() == (200, "")
    lower = (
        f"/subscriptions/{SUBSCRIPTION}/resourcegroups/{GROUP}/providers/Microsoft.MachineLearningServices/workspaces"
    )
    assert ask(path=f"{lower}/ROBOTS-ML") == (200, "")


def test_a_token_for_something_else_is_refused(ask):
    assert ask(audience="https://storage.azure.com") == (401, "InvalidAuthenticationToken")


@pytest.mark.parametrize(
    ("query", "code"), [("", "MissingApiVersionParameter"), ("api-version=1", "InvalidResourceType")]
)
def test_a_version_of_the_api_is_asked_for(ask, query, code):
    assert ask(query) == (400, code)


def test_no_other_host_is_reached(ask, tenant):
    with pytest.raises(OSError, match="403"):
        ask(host="graph.microsoft.com")
    assert tenant.proxy.refused[-1] == "graph.microsoft.com"
