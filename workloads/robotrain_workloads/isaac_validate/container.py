"""`isaac-validate` in the container: the checkpoint, problems with inputs, the command, and where it publishes."""

from __future__ import annotations

from pathlib import Path

from robotrain_runtime.contract.container_plugin import TrackingSpec, WorkCommand
from robotrain_runtime.contract.document import Folders, JobDocument, JobSource
from robotrain_runtime.contract.problem import Problems, make_data_problem

from robotrain_workloads import publish_url
from robotrain_workloads.isaac import (
    assets,
    checkpoint_file,
    installation,
    job_command,
    played_checkpoint,
    policy_container,
)
from robotrain_workloads.isaac.played_checkpoint import PlayedCheckpoint, load_checkpoint
from robotrain_workloads.isaac.versions import lab_3_0
from robotrain_workloads.isaac_validate import parameters
from robotrain_workloads.supervision.environment import ENVIRONMENT as ENVIRONMENT  # part of the plugin

SUPERVISOR = "robotrain_workloads.isaac_validate.supervisor"
RESULTS_FOLDER = "eval_results"
COPIED_PARAMETERS = (
    *("task", "backend", "eval_episodes", "num_envs", "success_threshold", "reward_threshold", "seed", "record_video"),
)
FORWARDED_PARAMETERS = ("sha256", "eval_episodes", "success_threshold", "reward_threshold")
"""Parameters that become options of the supervisor if set, beside those of all that play a policy."""
PARAMS_WAY = "--checkpoint-uri FOLDER, which has both"
MODEL_TAGS = {"checkpoint": checkpoint_file.MODEL_TAGS}
RUNS_PROGRAM = True
PROGRAM_ENVIRONMENT = lab_3_0.ENVIRONMENT
targets = publish_url.list_targets
check_command = policy_container.check_command
program_environment = installation.program_environment
prepare = assets.prepare
gpus = installation.find_gpu_requirement


def inspect(document: JobDocument, data: Folders) -> Problems:
    """Yield why the policy cannot be validated, as far as versions and the checkpoint tell without the simulator."""
    expected_values = {name: str(document.parameters[name] or "") for name in ("task", "backend", "sha256")}

    def examine(series: str, source: JobSource) -> policy_container.Examination:
        checkpoint = load_checkpoint(data[source], Path(document.placement.cache))
        return list(find_checkpoint_problems(checkpoint, series=series, **expected_values)), checkpoint.backend

    owned_options = parameters.OWNED_OPTIONS
    return policy_container.inspect_policy(document, data, examine, results=RESULTS_FOLDER, owned_options=owned_options)


def work(document: JobDocument, data: Folders, work: Path) -> WorkCommand:
    """Return the supervisor's command; it finds Isaac Lab and the checkpoint's file where it runs."""
    job_parameters = document.parameters
    source = checkpoint_file.find_checkpoint_source(data)
    assert source is not None  # the role is required
    program_options = policy_container.make_program_options(document, data, work, RESULTS_FOLDER, FORWARDED_PARAMETERS)
    program_options += [f"--source-kind={source.kind}", f"--job-name={parameters.make_job_name(job_parameters)}"]
    program_options += [f"--pin={source.pin}"] if source.pin else []
    program_options += [f"--video-length={job_parameters['video_length']}"] if job_parameters["record_video"] else []
    return job_command.make_command(document, data, SUPERVISOR, [*program_options, "--"])


def tracked(document: JobDocument) -> TrackingSpec:
    """Return the metadata of the tracking run."""
    source = checkpoint_file.find_checkpoint_source(document.sources)
    address = checkpoint_file.get_address(source) if source else ""
    return policy_container.describe_tracking_run(
        document,
        experiment=str(document.parameters["experiment_name"] or "isaaclab-evaluation"),
        run_name=parameters.make_job_name(document.parameters),
        copied=COPIED_PARAMETERS,
        params={},
        tags={"entrypoint": "isaaclab.sh", "checkpoint_source_uri": address},
    )


def find_checkpoint_problems(
    checkpoint: PlayedCheckpoint, *, task: str, backend: str, sha256: str, series: str
) -> Problems:
    """Yield each mismatch with the expected values (empty: any value), and with an Isaac Lab of a series."""
    file, facts = checkpoint.file, checkpoint.facts
    if digest_problem := checkpoint_file.find_digest_problem(file, sha256):
        yield digest_problem
        return
    problems = list(played_checkpoint.find_problems(checkpoint, backend, series))
    yield from problems
    if checkpoint.content.problem:
        return
    if checkpoint.backend == "sb3" and checkpoint.params is None:
        title = f"{file} has no params/agent.yaml beside it, which says what its network is"
        yield make_data_problem(title, PARAMS_WAY)
    if not problems and facts.framework not in ("", checkpoint.backend):
        yield f"{file} is a checkpoint of {checkpoint.backend}, but its model is tagged {facts.framework}"
    if not task and not facts.task:
        yield make_data_problem(f"the checkpoint {file} does not tell its task", "--task TASK")
    elif task and facts.task and _strip_variant(task) != _strip_variant(facts.task):
        yield make_data_problem(f"the policy was trained for {facts.task}, not for {task}", f"--task {facts.task}")


def _strip_variant(task: str) -> str:
    """Return a task without its namespace and `-Play`, which do not change the observations of a policy."""
    return task.rpartition(":")[2].replace("-Play-", "-")
