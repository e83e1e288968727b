"""A workspace in which everything is as a job wants it, and what the look before a submit says of it."""

from typing import Any

from azure_stand_in.manager import CONTRIBUTOR
from azure_stand_in.ml.azureml import PRINCIPAL, AzureML
from azure_stand_in.tenant import CLIENT
from azureml_planned import job, order_of, plan, source
from robotrain.errors import Problem
from robotrain.model.plan import Plan
from robotrain_azureml import platform
from robotrain_azureml.spec.submission_spec import AzureMLSubmissionSpec

COMPUTE = "k8s-robot-dev-00"
HUB = source("huggingface", "lerobot/pusht", pin="a" * 40)


def well(azureml: AzureML) -> AzureML:
    """Let it have the compute, the environment and the roles of a job."""
    azureml.kubernetes(COMPUTE)
    wanted = order_of(planned(azureml)).environment
    azureml.environment(wanted.name, wanted.version, wanted.image)
    account = azureml.manager.account(azureml.account)
    azureml.manager.assign(PRINCIPAL, CONTRIBUTOR, account)
    return azureml


def dataset(azureml: AzureML, folder: str = "pusht") -> str:
    """Let storage hold the file that a dataset is told by: the folder."""
    azureml.store.put(azureml.container, {f"{folder}/meta/info.json": b"{}"})
    return folder


def planned(azureml: AzureML, *sources: object, parameters: Any = None, **settings: object) -> Plan:
    """A plan for the workspace: of a dataset of the Hub, unless other sources are given."""
    said = {"workload_identity": CLIENT, "compute_kind": "kubernetes", **azureml.settings, **settings}
    return plan(job(*(sources or (HUB,)), **(parameters or {})), **said)  # type: ignore[arg-type]


def order(azureml: AzureML, *sources: object, **said: Any) -> AzureMLSubmissionSpec:
    return order_of(planned(azureml, *sources, **said))


def found(wanted: Plan) -> list[Problem]:
    return list(platform.AzureMLPlatform().preflight(wanted))


def codes(problems: list[Problem]) -> list[tuple[str, str]]:
    return [(problem.code, problem.severity) for problem in problems]
