"""Jobs and plans for Azure ML, made without a command line, and readers of their parts."""

import functools
import io
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from planned_jobs import ONE, PINNED, PLUGIN_MODULES, TWO, blobs, evaluation, job, source
from robotrain.errors import Problem, Rejected
from robotrain.model.job import Job
from robotrain.model.plan import Payload, Plan
from robotrain_azureml.platform import AZUREML
from robotrain_azureml.settings import AzureMLSettings
from robotrain_azureml.spec import submission_spec
from robotrain_azureml.spec.submission_spec import AzureMLSubmissionSpec
from robotrain_runtime.contract import document
from robotrain_runtime.contract.document import JobSource

__all__ = ["ONE", "PINNED", "PLUGIN_MODULES", "TWO", "blobs", "evaluation", "job", "source"]

WORKSPACE = {"subscription_id": "SUB-AZ", "resource_group": "rg-tf", "workspace_name": "ws-tf"}


@functools.cache
def payload() -> Payload:
    """A small one, of the right shape."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        packed.writestr(zipfile.ZipInfo("robotrain_runtime/__main__.py"), "print('here')")  # without a time
    return Payload(buffer.getvalue())


def assets(*uris: str) -> list[JobSource]:
    return [source("data_asset", uri) for uri in uris]


def model(uri: str, role: Any = "init_policy") -> JobSource:
    return source("model_asset", uri, role)


def settings(**overrides: Any) -> AzureMLSettings:
    return AzureMLSettings(**WORKSPACE | {"aks_cluster": "aks-robot-dev-001"} | overrides)


def render_plan(of: Job, attempt: int = 1, packed: Payload | None = None, **overrides: Any) -> Plan:
    return AZUREML.plans.render(of, settings(**overrides), of.run_name(attempt), packed or payload(), PLUGIN_MODULES)


def find_problems(of: Job, **overrides: Any) -> list[Problem]:
    return list(AZUREML.plans.check(of, settings(**overrides)))


def find_codes(of: Job, **overrides: Any) -> set[str]:
    """Of what is wrong; remarks do not count."""
    return {problem.code for problem in find_problems(of, **overrides) if problem.severity == "error"}


def find_rejection(act: Callable[[], object]) -> Problem:
    """The one problem that something is rejected for."""
    with pytest.raises(Rejected) as raised:
        act()
    (problem,) = raised.value.problems
    return problem


def read_yaml(text: str | bytes) -> Any:
    """YAML, by the quick reader where it is built."""
    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def read_spec(of: Plan) -> dict[str, Any]:
    return dict(read_yaml(of.files["job.yaml"]))


def read_document(of: Plan) -> document.JobDocument:
    return document.parse_document(of.files["code/job.json"].decode())


def read_placement(of: Plan) -> document.Placement:
    return read_document(of).placement


def read_submission_spec(of: Plan) -> AzureMLSubmissionSpec:
    return submission_spec.SUBMISSION.parse(of.files["azureml.json"])
