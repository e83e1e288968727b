"""The stand-in of the resource manager and the workspace: whom it lets in, and what it holds."""

import http.client
import ssl
from urllib.parse import urlsplit

import pytest
from azure_stand_in import keys
from azure_stand_in.ml.azureml import AzureML

HOST = "westeurope.api.azureml.ms"
IMAGE = "pytorch/pytorch:2.11.0"


def fetch_blob(azureml: AzureML, url: str, headers: dict[str, str], method: str = "GET") -> tuple[int, str, bytes]:
    """Ask the blobs: the status, the service's own word, the content."""
    proxy, target = urlsplit(azureml.proxy.address), urlsplit(url)
    context = ssl.create_default_context(cafile=str(azureml.tenant.ca))
    line = http.client.HTTPSConnection(proxy.hostname, proxy.port, context=context, timeout=30)
    line.set_tunnel(target.hostname, 443)
    line.request(method, f"{target.path}?{target.query}", headers={"x-ms-version": keys.SERVICE, **headers})
    came = line.getresponse()
    content = came.read()
    line.close()
    return came.status, came.headers.get("x-ms-error-code", ""), content


@pytest.mark.parametrize(
    ("query", "audience", "status", "code"),
    [
        ("", "https://management.azure.com", 400, "InvalidResourceType"),
        ("api-version=2019-01-01", "https://management.azure.com", 400, "InvalidResourceType"),
        ("api-version=2024-04-01", "https://ml.azure.com", 401, "InvalidAuthenticationToken"),
    ],
)
def test_a_version_and_a_token_of_the_right_audience_are_asked_for(azureml, query, audience, status, code):
    got, answer = azureml.ask("GET", "/jobs", query=query, audience=audience)
    assert (got, answer["error"]["code"]) == (status, code)


def test_run_history_takes_a_token_for_the_workspaces_too(azureml):
    environment, compute = azureml.environment("lerobot", "1", IMAGE), azureml.kubernetes()
    body = {"jobType": "Command", "command": "x", "environmentId": environment, "computeId": compute}
    assert azureml.ask("PUT", "/jobs/j1", {"properties": body})[0] == 201
    for audience, status in (("https://ml.azure.com", 200), ("https://storage.azure.com", 401)):
        assert azureml.ask("GET", "/runs/j1/details", host=HOST, audience=audience)[0] == status


def test_names_are_found_in_any_case_and_no_other_host_is_reached(azureml):
    lower = azureml.at.replace("resourceGroups", "resourcegroups").replace("robots-ml", "ROBOTS-ML")
    assert azureml.ask("GET", lower)[0] == 200
    with pytest.raises(OSError, match="403"):
        azureml.ask("GET", "/jobs", host="graph.microsoft.com")
    assert azureml.proxy.refused[-1] == "graph.microsoft.com"


def test_an_environment_stays_what_it_is(azureml):
    at, body = "/environments/lerobot/versions/2.11", {"properties": {"image": IMAGE}}
    assert azureml.ask("GET", at)[0] == 404
    assert azureml.ask("PUT", at, body)[0] == 201
    assert azureml.ask("PUT", at, {"properties": {"image": IMAGE, "tags": {"a": "b"}}})[0] == 200
    status, answer = azureml.ask("PUT", at, {"properties": {"image": "another:1"}})
    assert (status, answer["error"]["code"]) == (400, "UserError")
    assert "version 2.11 is already registered and cannot be changed" in answer["error"]["message"]
    assert azureml.ask("GET", at)[1]["properties"]["image"] == IMAGE


def test_a_version_of_a_model_is_made_once_and_only_its_tags_change(azureml):
    body = {"properties": {"modelUri": azureml.address("m/1"), "modelType": "custom_model"}}
    status, answer = azureml.ask("PUT", "/models/pusher/versions/1", body)
    assert (status, answer["properties"]["flavors"]) == (201, {})
    tagged = {"properties": {**body["properties"], "tags": {"score": "0.85"}}}
    assert azureml.ask("PUT", "/models/pusher/versions/1", tagged)[0] == 200
    assert azureml.ask("GET", "/models/pusher/versions/1")[1]["properties"]["tags"] == {"score": "0.85"}
    other = {"properties": {**body["properties"], "modelUri": azureml.address("m/2")}}
    assert azureml.ask("PUT", "/models/pusher/versions/1", other)[0] == 409
    assert azureml.ask("PUT", "/models/pusher/versions/2", {"properties": {"modelUri": "/home/me"}})[0] == 400


def test_only_routes_that_are_there_are_taken(azureml):
    assert azureml.ask("DELETE", "/computes/x")[0] == 404
    assert azureml.ask("GET", "/nothing/at/all", host=HOST)[0] == 404


def test_code_is_registered_when_all_of_it_has_arrived(azureml):
    at = "/codes/c1/versions/1"
    status, answer = azureml.ask("POST", f"{at}/startPendingUpload", {"pendingUploadType": "TemporaryBlobReference"})
    url = answer["blobReferenceForConsumption"]["blobUri"]
    assert (status, answer["blobReferenceForConsumption"]["credential"]["sasUri"].startswith(f"{url}?")) == (200, True)
    values = {"properties": {"codeUri": f"{url}/code", "properties": {"hash_sha256": "abc"}}}
    assert azureml.ask("PUT", at, values)[1]["error"]["message"].endswith("is not complete.")
    container = url.rpartition("/")[2]
    azureml.store.put(container, {"code/start.py": b"x"})
    assert azureml.ask("PUT", at, values)[0] == 400
    azureml.store.containers[container]["code/start.py"].metadata["upload_status"] = "completed"
    assert azureml.ask("PUT", at, values)[0] == 201
    assert azureml.ask("PUT", at, {"properties": {"codeUri": f"{url}/other"}})[0] == 409
    (code,) = azureml.ask("GET", "/codes/other/versions", query="api-version=2023-04-01&hash=abc")[1]["value"]
    assert code["id"].endswith(at)
    assert azureml.ask("GET", "/codes/c1/versions", query="api-version=2023-04-01&hash=x")[1]["value"] == []


def test_code_from_elsewhere_is_refused(azureml):
    azureml.store.put("elsewhere", {"code/start.py": b"x"})
    values = {"properties": {"codeUri": f"https://{azureml.account}.blob.core.windows.net/elsewhere/code"}}
    assert azureml.ask("PUT", "/codes/c1/versions/1", values)[1]["error"]["message"].endswith(
        "is none that was let in."
    )


def test_blobs_are_opened_only_with_credentials(azureml):
    azureml.store.put("c", {"a": b"x"})
    url = f"https://{azureml.account}.blob.core.windows.net/c/a"
    assert fetch_blob(azureml, url, {})[:2] == (403, "InvalidAuthenticationInfo")
    good = keys.sas(azureml.account, "c", "r")
    assert fetch_blob(azureml, f"{url}?{good}", {}) == (200, "", b"x")
    assert fetch_blob(azureml, f"{url}?{good.replace('sp=r', 'sp=rw')}", {})[:2] == (403, "AuthenticationFailed")
    assert fetch_blob(azureml, f"{url}?{good}", {}, "DELETE")[:2] == (403, "AuthorizationPermissionMismatch")
