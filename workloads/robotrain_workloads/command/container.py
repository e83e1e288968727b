"""`command` in the container: the values of placeholders, the supervisor's command, and what is published."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

from robotrain_runtime.contract import checkpoint
from robotrain_runtime.contract.container_plugin import GpuRequirement, PublishingSpec, TrackingSpec, WorkCommand
from robotrain_runtime.contract.document import JobDocument, JobSource, Scalar
from robotrain_runtime.contract.parameter import load_pairs

from robotrain_workloads import publish_url
from robotrain_workloads.command import parameters, placeholders, program_packages, program_spec
from robotrain_workloads.command.program_environment import (
    program_environment as program_environment,  # part of the plugin
)
from robotrain_workloads.command.program_spec import ProgramSpec
from robotrain_workloads.supervision.environment import ENVIRONMENT as ENVIRONMENT  # part of the plugin

RUNS_PROGRAM = True
SUPERVISOR = "robotrain_workloads.command.supervisor"
JOB_PREFIX = "job."
"""Before the names of the job's parameters, where the program may log parameters of the same name to MLflow."""
LONGEST_COMMAND = 500
"""Characters of a command that tracking shows."""
targets = publish_url.list_targets


def list_values(
    document: JobDocument, data: Mapping[JobSource, Path], outputs: Path, resume: Path | None
) -> dict[str, placeholders.Value]:
    """Return the values of the placeholders that the job has, by name."""
    given = document.parameters
    folders = [str(folder) for source, folder in data.items() if source.role == "dataset"]
    policy = next((str(folder) for source, folder in data.items() if source.role == "policy"), "")
    found: dict[str, placeholders.Value | None] = {
        **{name: parameters.format_value(given[name]) for name in parameters.list_own(given)},
        placeholders.DATASET: folders[0] if len(folders) == 1 else None,
        placeholders.DATASETS: folders or None,
        placeholders.POLICY: policy or None,
        placeholders.RESUME: str(resume) if resume else None,
        placeholders.OUTPUTS: str(outputs),
        placeholders.RUN: document.run,
        placeholders.NUM_GPUS: str(given["num_gpus"]),
        placeholders.SEED: None if given["seed"] is None else str(given["seed"]),
    }
    return {name: value for name, value in found.items() if value is not None}


def work(document: JobDocument, data: Mapping[JobSource, Path], work: Path) -> WorkCommand:
    """Return the supervisor's command; what it starts is in its environment."""
    own, outputs = checkpoints(document, work), work / "outputs" / program_spec.OUTPUTS_FOLDER
    point, notes = checkpoint.find_resume_point(own, run=document.run, job=document.job)
    given = next((folder for source, folder in data.items() if source.role == "resume"), None)
    resume = point[1] if point else given
    values = list_values(document, data, outputs, resume)
    arguments = document.trainer_args
    if document.parameters["shell"]:
        arguments = ("bash", "-c", *arguments)
    else:
        arguments = tuple(placeholders.fill_arguments(arguments, values))
    code = next((folder for source, folder in data.items() if source.role == "code"), None)
    spec = ProgramSpec(
        arguments=arguments,
        folder=str(work / program_spec.PROGRAM_FOLDER),
        code=str(code or ""),
        work=str(work),
        outputs=str(outputs),
        checkpoints=str(own),
        environ={
            **load_pairs(str(document.parameters["environ"] or "")),
            **placeholders.make_variables(values, parameters.list_own(document.parameters)),
        },
        values=dict(document.parameters),
        resume=str(point[1]) if point else "",
    )
    return WorkCommand(
        arguments=("-m", SUPERVISOR),
        environ={program_spec.SPEC_VARIABLE: spec.to_json()},
        notes=notes,
        joins_tracking=program_packages.has_mlflow(document),
    )


def checkpoints(document: JobDocument, work: Path) -> Path:
    """Return the folder of checkpoints."""
    return work / "outputs" / "checkpoints"


def gpus(document: JobDocument) -> GpuRequirement | None:
    """Return the GPUs that the job needs; None if the program decides whether it needs one."""
    count = document.parameters["num_gpus"]
    return GpuRequirement(count=count) if isinstance(count, int) and count > 1 else None


def tracked(document: JobDocument) -> TrackingSpec:
    """Return the metadata of the tracking run: the command, and the job's own parameters."""
    values = document.parameters
    command = shlex.join(document.trainer_args)
    if len(command) > LONGEST_COMMAND:
        command = f"{command[: LONGEST_COMMAND - 1]}…"
    params: dict[str, Scalar] = {
        "command": command,
        **{name: values[name] for name in ("num_gpus", "seed") if values[name] is not None},
        **{name: values[name] for name in parameters.list_own(values)},
    }
    if program_packages.has_mlflow(document):  # MLflow refuses a second value, which would end the program: lr=0.0001
        params = {f"{JOB_PREFIX}{name}": value for name, value in params.items()}
    tags = {
        "entrypoint": document.trainer_args[0][:LONGEST_COMMAND],
        "model.register_name": str(values["register_checkpoint"] or ""),
    }
    return TrackingSpec(
        experiment=str(values["experiment_name"] or "command"),
        run_name=str(values["job_name"] or document.run),
        params=params,
        tags={name: value for name, value in tags.items() if value},
        machine=bool(values["system_metrics"]),
    )


def publishing(document: JobDocument, data: Mapping[JobSource, Path]) -> PublishingSpec:
    """Return the metadata of the registered checkpoint."""
    name = str(document.parameters["register_checkpoint"] or "")
    return PublishingSpec(
        register=name,
        description=f"trained by a program of its own (run {document.run})",
        tags={"framework": "command"},
    )
