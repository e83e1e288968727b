"""`isaac-validate` in the container: the checkpoint, problems with inputs, the command, and where it publishes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from robotrain_runtime.contract.container_plugin import TrackingSpec, WorkCommand
from robotrain_runtime.contract.document import JobDocument, JobSource
from robotrain_runtime.contract.problem import Problem, make_data_problem

from robotrain_workloads import publish_url
from robotrain_workloads.isaac import (
    assets,
    checkpoint_content,
    checkpoint_file,
    installation,
    job_command,
    policy_container,
)
from robotrain_workloads.isaac.versions import lab_3_0
from robotrain_workloads.isaac_validate import parameters
from robotrain_workloads.supervision.environment import ENVIRONMENT as ENVIRONMENT  # part of the plugin

SUPERVISOR = "robotrain_workloads.isaac_validate.supervisor"
RESULTS_FOLDER = "eval_results"
COPIED_PARAMETERS = (
    *("task", "backend", "eval_episodes", "num_envs", "success_threshold", "reward_threshold", "seed", "record_video"),
)
FORWARDED_PARAMETERS = (
    *("task", "backend", "sha256", "eval_episodes", "num_envs", "success_threshold", "reward_threshold", "seed"),
    *("isaaclab_path", "isaac_version"),
)
"""Parameters that become options of the supervisor if set."""
PPO_WAY = "robotrain submit isaac-train --backend skrl --task TASK"
PARAMS_WAY = "--checkpoint-uri FOLDER, which has both"
MODEL_TAGS = {"checkpoint": checkpoint_file.MODEL_TAGS}
RUNS_PROGRAM = True
PROGRAM_ENVIRONMENT = lab_3_0.ENVIRONMENT
targets = publish_url.list_targets
program_environment = installation.program_environment
prepare = assets.prepare
gpus = installation.find_gpu_requirement


def inspect(document: JobDocument, data: Mapping[JobSource, Path]) -> Iterator[Problem | str]:
    """Yield why the policy cannot be validated, as far as versions and the checkpoint tell without the simulator."""
    expected_values = {name: str(document.parameters[name] or "") for name in ("task", "backend", "sha256")}

    def examine(lab: installation.IsaacLab | None, source: JobSource) -> policy_container.Examination:
        loaded_checkpoint = load_checkpoint(data[source], Path(document.placement.cache))
        series = installation.choose_series(lab)
        return list(
            find_checkpoint_problems(loaded_checkpoint, series=series, **expected_values)
        ), loaded_checkpoint.backend

    owned_options = parameters.OWNED_OPTIONS
    return policy_container.inspect_policy(document, data, examine, results=RESULTS_FOLDER, owned_options=owned_options)


def work(document: JobDocument, data: Mapping[JobSource, Path], work: Path) -> WorkCommand:
    """Return the supervisor's command; it finds Isaac Lab and the checkpoint's file where it runs."""
    job_parameters = document.parameters
    source = checkpoint_file.find_checkpoint_source(data)
    assert source is not None  # the role is required
    program_options = policy_container.make_program_options(document, data, work, RESULTS_FOLDER, FORWARDED_PARAMETERS)
    program_options += [f"--source-kind={source.kind}", f"--job-name={parameters.make_job_name(job_parameters)}"]
    program_options += [f"--pin={source.pin}"] if source.pin else []
    program_options += [f"--video-length={job_parameters['video_length']}"] if job_parameters["record_video"] else []
    return job_command.make_command(document, data, SUPERVISOR, [*program_options, "--"])


def check_command(document: JobDocument, described: Mapping[JobSource, Path], work: Path) -> WorkCommand | None:
    """Return the command that asks Isaac Lab about the options of the play script."""
    return policy_container.check_options(document)


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


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidatedCheckpoint:
    """A checkpoint to validate, and the facts about it."""

    file: Path
    facts: checkpoint_file.CheckpointFacts
    content: checkpoint_content.CheckpointContent

    @property
    def backend(self) -> str:
        """The library that wrote the checkpoint; empty if it is unknown."""
        return self.content.backend

    @property
    def step(self) -> int:
        """The number in its name; 0 if it has none."""
        return checkpoint_file.parse_number(self.file) or 0

    def choose_task(self, task: str | None) -> str:
        """Return the task; empty if it is unknown."""
        return task or self.facts.task

    def choose_threshold(self, threshold: float | None) -> float:
        """Return the success rate that it must reach: the flag's, else the model's, else 0.7."""
        return next(
            candidate
            for candidate in (threshold, self.facts.success_threshold, parameters.DEFAULT_THRESHOLD)
            if candidate is not None
        )


def load_checkpoint(source: Path, cache: Path) -> ValidatedCheckpoint:
    """Return the checkpoint of a source. Raise OSError with a sentence."""
    file = checkpoint_file.find_checkpoint_file(source)
    facts = checkpoint_file.read_facts(file, source, cache)
    return ValidatedCheckpoint(file=file, facts=facts, content=checkpoint_content.read_content(file))


def find_checkpoint_problems(
    loaded_checkpoint: ValidatedCheckpoint, *, task: str, backend: str, sha256: str, series: str
) -> Iterator[Problem | str]:
    """Yield each mismatch with the expected values (empty: any value), and with an Isaac Lab of a series."""
    if digest_problem := checkpoint_file.find_digest_problem(loaded_checkpoint.file, sha256):
        yield digest_problem
        return
    if problem := loaded_checkpoint.content.problem:
        yield f"{loaded_checkpoint.file} cannot be used: {problem}"
        return
    if loaded_checkpoint.content.series not in ("", series):
        yield checkpoint_content.make_series_finding(loaded_checkpoint.file, loaded_checkpoint.content, series)
        return
    if algorithm := checkpoint_file.find_several_agents(loaded_checkpoint.file):
        yield make_data_problem(
            f"{loaded_checkpoint.file} has policies of several agents ({algorithm}), which are not played yet", PPO_WAY
        )
        return
    if loaded_checkpoint.backend == "sb3" and checkpoint_file.find_params(loaded_checkpoint.file) is None:
        yield make_data_problem(
            f"{loaded_checkpoint.file} has no params/agent.yaml beside it, which says what its network is", PARAMS_WAY
        )
        return
    if backend not in ("", loaded_checkpoint.backend):
        yield make_data_problem(
            f"{loaded_checkpoint.file} is a checkpoint of {loaded_checkpoint.backend}, not of {backend}",
            f"--backend {loaded_checkpoint.backend}",
        )
    elif loaded_checkpoint.facts.framework not in ("", loaded_checkpoint.backend):
        yield (
            f"{loaded_checkpoint.file} is a checkpoint of {loaded_checkpoint.backend}, but its model is tagged "
            f"{loaded_checkpoint.facts.framework}"
        )
    trained_task = loaded_checkpoint.facts.task
    if not task and not trained_task:
        yield make_data_problem(f"the checkpoint {loaded_checkpoint.file} does not tell its task", "--task TASK")
    elif task and trained_task and _strip_variant(task) != _strip_variant(trained_task):
        yield make_data_problem(f"the policy was trained for {trained_task}, not for {task}", f"--task {trained_task}")


def _strip_variant(task: str) -> str:
    """Return a task without its namespace and `-Play`, which do not change the observations of a policy."""
    return task.rpartition(":")[2].replace("-Play-", "-")
