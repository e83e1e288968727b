"""What a job finds in its environment, and how long it may run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from azure_stand_in.ml.azureml import AzureML
    from azure_stand_in.ml.job import Job
    from azure_stand_in.ml.running_room import Laid

HOST = "westeurope.api.azureml.ms"
DURATION = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:([\d.]+)S)?)?")
SECONDS = (86400, 3600, 60, 1)


def of(
    azureml: AzureML, job: Job, laid: Laid, identity: Mapping[str, str], spelled: str, experiment: str
) -> dict[str, str]:
    """The job's own names, and over them the platform's. identity: those of it. experiment: the id of the job's."""
    return {**azureml.way, **job.environ, **_of_run(azureml, job, experiment), **identity, **laid.names(spelled)}


def timeout(job: Job) -> float:
    """The seconds that the job may run."""
    said = (job.body.get("limits") or {}).get("timeout")
    if not said:
        return float("inf")
    found = DURATION.fullmatch(said)
    assert found, f"{said} is no duration"
    return sum(float(one or 0) * seconds for one, seconds in zip(found.groups(), SECONDS, strict=True))


def _of_run(azureml: AzureML, job: Job, experiment: str) -> dict[str, str]:
    subscription, group, workspace = azureml.names
    return {
        "AZUREML_RUN_ID": job.name,
        "AZUREML_ROOT_RUN_ID": (job.parent or job).name,
        "AZUREML_ARM_SUBSCRIPTION": subscription,
        "AZUREML_ARM_RESOURCEGROUP": group,
        "AZUREML_ARM_WORKSPACE_NAME": workspace,
        "MLFLOW_RUN_ID": job.name,
        "MLFLOW_EXPERIMENT_NAME": job.experiment,
        "MLFLOW_EXPERIMENT_ID": experiment,
        "MLFLOW_TRACKING_URI": f"azureml://{HOST}/mlflow/v1.0{azureml.at}",
    }
