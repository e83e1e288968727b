"""The jobs of a pipeline's steps, which Azure ML names: a step is found by its tag, below the pipeline job."""

from collections.abc import Mapping
from typing import Any

from robotrain.cluster.answers import as_mapping
from robotrain.model.reference import STEP_KEY, Reference
from robotrain.model.run import RunGone

from robotrain_azureml import errors
from robotrain_azureml.service import jobs
from robotrain_azureml.spec.pipeline_spec import STEP_TAG, STEPS_KEY, make_step_folder, parse_steps


def fetch_step_runs(reference: Reference) -> dict[str, dict[str, Any]]:
    """Return the region's details of the steps that could begin, by name; the last attempt of each. Raises Rejected.

    Without tags, as for a step of a copied job, the name that Azure ML shows tells which step it is.
    """
    workspace, name = jobs.get_run_workspace(reference), reference["job"]
    with errors.reject_errors(workspace, f"ask the workspace's region for the steps of {name}"):
        children = jobs.fetch_children(workspace, name)
    facts_of = parse_steps(reference)
    by_run = {facts.run: step for step, facts in facts_of.items()}
    runs_by_step: dict[str, dict[str, Any]] = {}
    for child in sorted(children, key=lambda child: str(child.get("createdUtc") or "")):
        tags = as_mapping(child.get("tags"))
        if step := tags.get(STEP_TAG) or by_run.get(str(child.get("displayName"))):
            runs_by_step[step] = child
    return runs_by_step


def select_step(reference: Reference, child: Mapping[str, Any] | None = None) -> Reference:
    """Return the reference of the job of a step, and that of any other run as it is. Raises RunGone, Rejected.

    `child`: what the region knows of it, if that was asked already.
    """
    if (step := reference.get(STEP_KEY, "")) and reference.get(STEPS_KEY):
        child = child or fetch_step_runs(reference).get(step)
        if child is None:
            raise RunGone(f"the step {step} of {reference['job']} has not begun")
        facts, parent = parse_steps(reference)[step], reference["job"]
        fields = {name: reference_value for name, reference_value in reference.items() if name != STEPS_KEY}
        return {
            **fields,
            "job": str(child.get("runId")),
            PARENT_KEY: parent,
            "key": facts.key,
            "run": facts.run,
            "plan": reference["run"],
            "datastore": facts.datastore,
            "output": f"azureml/{parent}-{step}/{facts.output}",
            "files": f"{make_step_folder(step)}/",
            "results": "yes" if facts.results else "",
            "publishes": facts.publishes,
        }
    return reference


PARENT_KEY = "parent"
"""The key of the reference of a step's job with the name of its pipeline job."""


def fetch_step_job(reference: Reference) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Return the job of a step as a command job, and its details. Raises RunGone, Rejected.

    Its state comes from the region, its settings from the job of the pipeline.
    """
    workspace, name = jobs.get_run_workspace(reference), reference["job"]
    parent = jobs.get_job({**reference, "job": reference[PARENT_KEY]})
    with errors.reject_errors(workspace, f"ask the workspace's region for the job {name}"):
        details = jobs.fetch_run_details(workspace, name, parent)
    if not details:
        raise jobs.make_run_gone(workspace, name)
    node = as_mapping(as_mapping(as_mapping(parent.get("properties")).get("jobs")).get(reference["key"]))
    properties = {
        **{key: node.get(key) for key in ("computeId", "limits", "outputs")},
        "resources": {"instanceType": as_mapping(node.get("resources")).get("instance_type")},
        "environmentVariables": node.get("environment_variables"),
    }
    return {"name": name, "properties": properties}, details
