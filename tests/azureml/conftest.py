"""An Azure ML workspace on this machine: in a moment, and with Azurite and MLflow for what is slow."""

import functools
import importlib
import types
from collections.abc import Iterator
from typing import Any

import pytest
from azure_stand_in.fixtures import azure, azure_session, outputs, tenant_session, workspace_session
from azure_stand_in.manager import CONTRIBUTOR
from azure_stand_in.ml.azureml import AzureML
from azure_stand_in.ml.fixtures import azureml, azureml_session, azureml_stored, enclosed, machine, nobody
from azureml_observed_run import observing, run
from robotrain_azure import lookup
from robotrain_azureml.submit import sdk

__all__ = [
    "azure",
    "azure_session",
    "azureml",
    "azureml_session",
    "azureml_stored",
    "enclosed",
    "machine",
    "nobody",
    "observing",
    "outputs",
    "run",
    "tenant_session",
    "workspace_session",
]


@pytest.fixture(autouse=True, scope="session")
def quick_sdk() -> Iterator[None]:
    """A third of a submit: the SDK makes the schema of a job twice, and looks for whom it warns in all frames."""
    import_sdk = sdk._import_sdk

    @functools.cache
    def import_quick_sdk() -> Any:
        ml = import_sdk()
        experimental: Any = importlib.import_module("azure.ai.ml._utils._experimental")
        experimental._should_skip_warning = lambda: True  # robotrain hides all warnings
        command: Any = importlib.import_module("azure.ai.ml.entities").Command
        make_schema, latest = command._create_schema_for_validation.__func__, dict[str, Any]()

        def make_schema_once(cls: type, context: Any) -> Any:
            key = f"{cls} {context}"
            if key not in latest:
                latest.clear()
                latest[key] = make_schema(cls, context)
            return latest[key]

        command._create_schema_for_validation = classmethod(make_schema_once)
        return ml

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sdk, "_import_sdk", import_quick_sdk)
        yield


@pytest.fixture(autouse=True)
def pauses(monkeypatch) -> list[float]:
    """The seconds that look-ups waited for a busy Azure, by a clock that only waiting moves."""
    slept: list[float] = []
    clock = types.SimpleNamespace(monotonic=lambda: sum(slept), sleep=slept.append)
    monkeypatch.setattr(lookup, "time", clock)
    monkeypatch.setattr(lookup, "_WAITS", lookup._SharedWaits())
    return slept


@pytest.fixture
def name_workspace(monkeypatch):
    """Name a workspace, and a compute, in the environment: `name_workspace(observing, "k8s-robots")`."""

    def name(workspace: AzureML, compute: str = "") -> None:
        names = ("AZURE_SUBSCRIPTION_ID", "AZURE_RESOURCE_GROUP", "AZUREML_WORKSPACE_NAME")
        variables = dict(zip(names, workspace.names, strict=True))
        for variable, value in (variables | ({"AZUREML_COMPUTE": compute} if compute else {})).items():
            monkeypatch.setenv(variable, value)

    return name


TRAINS, OTHER = "c2000000-0000-0000-0000-000000000002", "c3000000-0000-0000-0000-000000000003"
"""The identities of the compute: the jobs', and one without a role. Who submits has a third one."""


@pytest.fixture
def cluster(azureml_stored, machine, name_workspace, data_python, tmp_path, monkeypatch) -> AzureML:
    """The workspace, named in the environment, with a compute that executes jobs; the data environment is baked."""
    identities = (("id-train", TRAINS, "principal"), ("id-other", OTHER, "nobody"))
    azureml_stored.kubernetes("k8s-robots", identities=identities)
    azureml_stored.manager.assign("principal", CONTRIBUTOR, azureml_stored.manager.account(azureml_stored.account))
    monkeypatch.setenv("ROBOTRAIN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("ROBOTRAIN_BAKED", str(data_python.parents[3]))
    name_workspace(azureml_stored, "k8s-robots")
    return azureml_stored
