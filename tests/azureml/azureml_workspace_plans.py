"""A workspace that has everything a job needs, plans for it, and the problems of preflight and submit."""

from typing import Any

from azure_stand_in.manager import CONTRIBUTOR
from azure_stand_in.ml.azureml import PRINCIPAL, AzureML
from azure_stand_in.tenant import CLIENT
from azureml_plans import find_rejection, job, read_submission_spec, render_plan, source
from robotrain.errors import Problem
from robotrain.model.plan import Plan
from robotrain_azureml import platform
from robotrain_azureml.platform import AZUREML
from robotrain_azureml.spec.submission_spec import AzureMLSubmissionSpec
from robotrain_runtime.contract.document import JobSource
from robotrain_workloads.lerobot_train.workload import LEROBOT_TRAIN

COMPUTE = "k8s-robot-dev-00"
HUB = source("huggingface", "lerobot/pusht", pin="a" * 40)


def prepare_workspace(azureml: AzureML) -> AzureML:
    """Let it have the compute, the environment and the roles of a job."""
    azureml.kubernetes(COMPUTE)
    wanted = read_submission_spec(make_plan(azureml)).environment
    azureml.environment(wanted.name, wanted.version, wanted.image)
    account = azureml.manager.account(azureml.account)
    azureml.manager.assign(PRINCIPAL, CONTRIBUTOR, account)
    return azureml


def add_dataset(azureml: AzureML, folder: str = "pusht") -> str:
    """Let storage hold the file that a dataset is told by: the folder."""
    azureml.store.put(azureml.container, {f"{folder}/meta/info.json": b"{}"})
    return folder


def make_plan(azureml: AzureML, *sources: object, parameters: Any = None, **settings: object) -> Plan:
    """A plan for the workspace: of a dataset of the Hub, unless other sources are given."""
    overrides = {"workload_identity": CLIENT, "compute_kind": "kubernetes", **azureml.settings, **settings}
    return render_plan(job(*(sources or (HUB,)), **(parameters or {})), **overrides)  # type: ignore[arg-type]


def make_submission_spec(azureml: AzureML, *sources: object, **overrides: Any) -> AzureMLSubmissionSpec:
    return read_submission_spec(make_plan(azureml, *sources, **overrides))


def run_preflight(wanted: Plan) -> list[Problem]:
    return list(platform.AZUREML.engine.preflight(wanted))


def list_codes(problems: list[Problem]) -> list[tuple[str, str]]:
    return [(problem.code, problem.severity) for problem in problems]


IMAGE = LEROBOT_TRAIN.profile.container.image

ENVIRONMENT = "lerobot-training-env"
VERSION = "2.11.0-cuda12.8-cudnn9-runtime-sha256-eee11b3b3872a8c838e35ef48f08b2d5def2080902c7f666831310ca1a0ef2be"
AT = f"/environments/{ENVIRONMENT}/versions/{VERSION}"


def make_submittable_plan(there: AzureML, *sources: JobSource, **settings: Any) -> Plan:
    """A plan for a workspace that has all it needs but its environment."""
    if not there.ml.computes:
        there.kubernetes()
    return render_plan(job(*sources), **there.settings | settings)


def list_requests(there: AzureML, what: str = "") -> list[str]:
    """The calls so far, each as its method and its path below the workspace, or its whole address."""
    requests = [line.partition("?")[0].replace(f"https://management.azure.com{there.at}", "") for line in there.calls]
    return [line for line in requests if what in line]


def submit_rejected(wanted: Plan) -> Problem:
    return find_rejection(lambda: AZUREML.engine.submit(wanted))
