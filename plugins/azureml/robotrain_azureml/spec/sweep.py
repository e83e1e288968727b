"""Rendering of a sweep to the plan of one sweep job, and back to the plan of its trial. Pure.

The plan has the files of the trial's job, whose job file is a part of the sweep job. The values that Azure ML chooses
are arguments in the trial's command, which the runtime checks.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from robotrain.cluster.spec import SubmissionSpecFile
from robotrain.errors import Rejected, Stage, suggest_leaving_out
from robotrain.messages import Messages
from robotrain.model.job import Job
from robotrain.model.pipeline import SweepSpec
from robotrain.model.plan import Plan
from robotrain_runtime.contract.document import Dimension

from robotrain_azureml.settings import AzureMLSettings
from robotrain_azureml.spec import command_job, render, submission_spec
from robotrain_azureml.spec import inputs as spec_inputs
from robotrain_azureml.spec.command_job import START_COMMAND, Expression
from robotrain_azureml.spec.pipeline import make_job_plan
from robotrain_azureml.spec.submission_spec import AzureMLSubmissionSpec

make_problem = Messages(__file__)

SWEEP_FILE = "sweep-job.yaml"
SWEEP_SCHEMA = "https://azuremlschemas.azureedge.net/latest/sweepJob.schema.json"
DEFAULT_DATASTORE = "workspaceblobstore"
"""Where Azure ML keeps outputs without a path of their own, such as those of trials: `azureml/TRIAL/OUTPUT`."""
GOALS: Mapping[str, str] = {"lower": "minimize", "higher": "maximize"}
_TRIAL_KEYS = ("code", "command", "environment", "environment_variables", "distribution")
_SHARED_KEYS = ("display_name", "experiment_name", "tags", "compute", "resources", "identity", "inputs")


@dataclass(frozen=True, kw_only=True)
class AzureMLSweepSpec:
    """How a sweep is submitted."""

    trials: tuple[str, ...]
    """Their names, in the order in which they begin."""
    results: bool = False
    """Whether the output of a trial is one result, not a folder of checkpoints."""
    resumable: bool = False
    trial: AzureMLSubmissionSpec
    schema: int = submission_spec.SUBMISSION_SCHEMA


SWEEP_SPEC = SubmissionSpecFile(
    AzureMLSweepSpec, "azureml-sweep.json", submission_spec.SUBMISSION_SCHEMA, "Azure ML", submission_spec.CODE_FILES
)


def is_sweep(plan: Plan) -> bool:
    """Return whether a plan is that of a sweep."""
    return plan.spec == SWEEP_FILE


def find_sweep_obstacle(sweep: SweepSpec) -> str:
    """Return why Azure ML cannot run a sweep, as the end of a sentence; empty if it can."""
    settings: AzureMLSettings = sweep.settings
    if settings.datastore != DEFAULT_DATASTORE:
        return f"what its trials leave goes to {DEFAULT_DATASTORE}, not to {settings.datastore}"
    if settings.spec_patch:
        return "a spec patch changes the spec of one job"
    if dict(sweep.jobs[0].parameters).get("publish_url"):
        return "its trials would publish to one place"
    bodies = [command_job.make_command_job(job, settings, "", ()) for job in sweep.jobs]
    changed_keys = [key for body in bodies for key in body if key != "tags" and body[key] != bodies[0].get(key)]
    return f"{changed_keys[0]} of the job changes with the values" if changed_keys else ""


def render_sweep(sweep: SweepSpec, job: Job, run: str) -> Plan:
    """Return the plan of one sweep job. Raise Rejected for a sweep that Azure ML cannot run."""
    if obstacle := find_sweep_obstacle(sweep):
        fix = suggest_leaving_out("--native-only")
        raise Rejected([make_problem("sweep-not-native", fix, obstacle=obstacle)])
    trial, settings = sweep.jobs[0], sweep.settings
    body, placement, submission = render.render_job(trial, settings, run)
    body["tags"] = {**body["tags"], command_job.DIGEST_TAG: job.digest}
    outputs = trial.profile.outputs
    spec = AzureMLSweepSpec(
        trials=sweep.trials, results=bool(outputs.complete_file), resumable=outputs.resumable, trial=submission
    )
    count = len(sweep.trials)
    limits = {"max_total_trials": count, "max_concurrent_trials": min(sweep.at_most or count, count)}
    search = {
        "sampling_algorithm": {"type": "random", "seed": sweep.sampler_seed} if sweep.sampler == "random" else "grid",
        "search_space": {name: _make_distribution(dimension) for name, dimension in sweep.space.items()},
        "objective": {"goal": GOALS[sweep.better], "primary_metric": sweep.metric},
        "limits": limits,
    }
    return Plan(
        platform="azureml",
        run=run,
        job=job,
        spec=SWEEP_FILE,
        files={
            SWEEP_FILE: command_job.dump_yaml(make_sweep(body, search)).encode(),
            SWEEP_SPEC.name: SWEEP_SPEC.dump(spec),
            **render.make_code(trial, run, sweep.payload, sweep.container_plugins, placement, space=sweep.space),
        },
        shown=(SWEEP_FILE, submission_spec.DOCUMENT_FILE),
    )


def _make_distribution(dimension: Dimension) -> dict[str, Any]:
    """Return what Azure ML draws from; of a logarithmic range it takes the logarithms of the ends."""
    if dimension.choices:
        choices = [str(choice).lower() if isinstance(choice, bool) else choice for choice in dimension.choices]
        return {"type": "choice", "values": choices}
    ends = [math.log(end) if dimension.log else end for end in (dimension.low, dimension.high)]
    kind = f"{'q' if dimension.integer else ''}{'log' if dimension.log else ''}uniform"
    step = {"q": 1} if dimension.integer else {}
    return {"type": kind, "min_value": float(ends[0]), "max_value": float(ends[1]), **step}


def make_sweep(body: Mapping[str, Any], search: Mapping[str, Any]) -> dict[str, Any]:
    """Return the command job of a trial as a sweep job, in which Azure ML chooses the path of each trial's output."""
    arguments = [f" --set {name}=${{{{search_space.{name}}}}}" for name in search["search_space"]]
    trial = {key: body[key] for key in _TRIAL_KEYS if key in body}
    limits = dict(search["limits"])
    if timeout := body.get("limits", {}).get("timeout"):
        limits["trial_timeout"] = timeout
    return {
        "$schema": SWEEP_SCHEMA,
        "type": "sweep",
        "name": body["name"],
        **{key: body[key] for key in _SHARED_KEYS if key in body},
        **{key: search[key] for key in ("sampling_algorithm", "search_space", "objective")},
        "limits": limits,
        "outputs": {
            name: {key: output_field for key, output_field in output.items() if key != "path"}
            for name, output in body["outputs"].items()
        },
        "trial": {**trial, "command": Expression(body["command"] + "".join(arguments))},
    }


def load_document(plan: Plan) -> dict[str, Any]:
    """Return the sweep job of a plan. Raise TypeError or ValueError if it is none."""
    document: dict[str, Any] = submission_spec.load_job_file(plan)
    if not isinstance(document.get("search_space"), dict) or not isinstance(document.get("trial"), dict):
        raise TypeError("it has no search space or no trial")
    return document


def split_sweep(plan: Plan, stage: Stage) -> tuple[Plan, AzureMLSubmissionSpec]:
    """Return the plan of the trial's job, and how it is submitted. Raise Rejected if the plan is damaged."""
    sweep_spec = SWEEP_SPEC.load(plan, stage)
    try:
        document = load_document(plan)
        spec, timeout = sweep_spec.trial, document["limits"].get("trial_timeout")
        uri = spec_inputs.make_output_uri(spec.datastore, spec_inputs.OWN_NAME, spec.output)
        body = {
            "type": "command",
            "name": document["name"],
            **{key: document[key] for key in _SHARED_KEYS if key in document},
            **{key: document["trial"][key] for key in _TRIAL_KEYS if key in document["trial"]},
            "command": START_COMMAND,
            **({"limits": {"timeout": timeout}} if timeout else {}),
            "outputs": {
                name: {**output, "path": uri} if name == spec.output else dict(output)
                for name, output in document["outputs"].items()
            },
        }
        if make_sweep(body, document)["trial"]["command"] != document["trial"]["command"]:
            raise ValueError
        code = submission_spec.read_code(plan.files)
        return make_job_plan(plan, spec, body, code, sweep_spec.resumable), spec
    except (KeyError, TypeError, ValueError, AttributeError):
        reason = f"{SWEEP_FILE} is not a sweep job with the trial of this plan."
        raise Rejected([SWEEP_SPEC.make_damaged_plan_problem(stage, reason)]) from None
