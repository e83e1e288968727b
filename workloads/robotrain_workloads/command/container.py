"""`command` in the container: the values of placeholders, the supervisor's command, and what is published."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

from robotrain_runtime.contract import added_packages, job_node
from robotrain_runtime.contract.container_plugin import (
    GpuRequirement,
    PublishingSpec,
    PythonEnvironment,
    TrackingSpec,
    WorkCommand,
)
from robotrain_runtime.contract.document import Folders, JobDocument, Scalar
from robotrain_runtime.contract.event import Note
from robotrain_runtime.contract.parameter import load_pairs
from robotrain_runtime.contract.problem import Problems, Suggestion, make_data_problem

from robotrain_workloads import publish_url
from robotrain_workloads.command import (
    attempts,
    launcher,
    parameters,
    placeholders,
    program_checkpoint,
    program_packages,
    program_spec,
    program_start,
)
from robotrain_workloads.command.checkpoint_pattern import describe_paths
from robotrain_workloads.command.program_spec import ProgramSpec
from robotrain_workloads.nodes import node_group, node_launch
from robotrain_workloads.supervision.environment import ENVIRONMENT as ENVIRONMENT  # part of the plugin

RUNS_PROGRAM = True
TAKES_ANY_POLICY = True
SUPERVISOR = "robotrain_workloads.command.supervisor"
JOB_PREFIX = "job."
"""Before the names of the job's parameters, where the program may log parameters of the same name to MLflow."""
LONGEST_COMMAND = 500
"""Characters of a command that tracking shows."""
targets = publish_url.list_targets
LOCK_NAME = "program.txt"
PLATFORM = "Linux-x86_64"
LEAST_GIB = 0.5
TORCH_GIB = 9.0
"""The disk space of an environment whose size is not known: it may have PyTorch and CUDA."""


def list_values(
    document: JobDocument, data: Folders, outputs: Path, resume: Path | None
) -> dict[str, placeholders.Value]:
    """Return the values of the placeholders that the job has, by name."""
    parameter_values = document.parameters
    folders = [str(folder) for source, folder in data.items() if source.role == "dataset"]
    policy = next((str(folder) for source, folder in data.items() if source.role == "policy"), "")
    placeholder_values: dict[str, placeholders.Value | None] = {
        **{name: parameters.format_value(parameter_values[name]) for name in parameters.list_own(parameter_values)},
        placeholders.DATASET: folders[0] if len(folders) == 1 else None,
        placeholders.DATASETS: folders or None,
        placeholders.POLICY: policy or None,
        placeholders.RESUME: str(resume) if resume else None,
        placeholders.OUTPUTS: str(outputs),
        placeholders.RUN: document.run,
        placeholders.NUM_GPUS: str(parameter_values["num_gpus"]),
        placeholders.SEED: None if parameter_values["seed"] is None else str(parameter_values["seed"]),
    }
    return {name: value for name, value in placeholder_values.items() if value is not None}


def inspect(document: JobDocument, data: Folders) -> Problems:
    """Yield why the program cannot continue from the checkpoint that was given."""
    pattern = str(document.parameters["checkpoints"] or "")
    resume_folders = [folder for source, folder in data.items() if source.role == "resume"]
    for folder in resume_folders if document.parameters["resume_in_place"] else ():
        if program_checkpoint.find_place(folder, pattern) is None:
            title = f"{folder} does not say where the checkpoint belongs below {{outputs}}"
            ways = () if pattern else ("--checkpoints PATTERN",)
            yield make_data_problem(f"{title}, as {pattern}" if pattern else title, *ways, parameters.RESUME_LINE)
    words = parameters.parse_resume_args(document.parameters["resume_args"])
    for folder in resume_folders:
        if files := program_checkpoint.find_unclear_files(folder, pattern, words):
            title = f"{folder} is no checkpoint that the program saved, but all that it wrote"
            yield make_data_problem(f"{title}: {describe_paths(files)}", "--checkpoints PATTERN")


def work(document: JobDocument, data: Folders, work: Path) -> WorkCommand:
    """Return the supervisor's command; what it starts is in its environment."""
    checkpoint_folder = checkpoints(document, work)
    outputs = work / "outputs" / program_spec.OUTPUTS_FOLDER
    resume = attempts.find_resume_point(document, data, checkpoint_folder, outputs)
    placeholder_values = list_values(document, data, outputs, resume.path)
    code = next((folder for source, folder in data.items() if source.role == "code"), None)
    variables = load_pairs(str(document.parameters["environ"] or ""))
    secrets = document.placement.secrets
    warning_text = "--set-env {0} has no effect: --secret {0} gives the program its value"
    hidden_notes = tuple(Note(level="warning", text=warning_text.format(name)) for name in variables if name in secrets)
    nodes = job_node.count_nodes(document)
    launched = document.placement.node_launcher
    lone_node_values = program_start.list_node_values(node_group.make_alone()) if nodes == 1 else {}
    placeholder_values = {**placeholder_values, **lone_node_values}
    spec = ProgramSpec(
        arguments=make_arguments(document, placeholder_values),
        folder=str(work / program_spec.PROGRAM_FOLDER),
        code=str(code or ""),
        work=str(work),
        outputs=str(outputs),
        checkpoints=str(checkpoint_folder),
        environ={
            **{name: value for name, value in variables.items() if name not in secrets},
            **placeholders.make_variables(placeholder_values, parameters.list_own(document.parameters)),
        },
        values=dict(document.parameters),
        resume=str(resume.folder or ""),
        nodes=nodes,
        node_launcher=launched if nodes > 1 else (),
        fields=placeholder_values if nodes > 1 else {},
    )
    return WorkCommand(
        arguments=("-m", SUPERVISOR),
        environ={program_spec.SPEC_VARIABLE: str(spec.save()), **node_launch.make_environ(document)},
        notes=(*resume.notes, *hidden_notes),
        joins_tracking=program_packages.has_mlflow(document),
    )


def make_arguments(document: JobDocument, values: Mapping[str, placeholders.Value]) -> tuple[str, ...]:
    """Return the command with the values of its placeholders; after an interruption, with `resume_args`.

    A node of several fills its command itself.
    """
    parameter_values, arguments = document.parameters, document.trainer_args
    if parameter_values["shell"]:
        return ("bash", "-c", *arguments)
    if placeholders.RESUME in values:
        arguments = parameters.continue_command(arguments, parameter_values)
    if job_node.count_nodes(document) > 1:
        return tuple(arguments)
    arguments = tuple(placeholders.fill_arguments(arguments, values))
    return (
        launcher.make_command(arguments, launcher.count_processes(parameter_values))
        if parameter_values["launcher"]
        else arguments
    )


def checkpoints(document: JobDocument, work: Path) -> Path:
    """Return the folder of checkpoints."""
    return work / "outputs" / "checkpoints"


def gpus(document: JobDocument) -> GpuRequirement | None:
    """Return the GPUs that the job needs; None if the program decides whether it needs one."""
    count = document.parameters["num_gpus"]
    if not isinstance(count, int) or count <= 1:
        return None
    return GpuRequirement(count=count, without=Suggestion("--num-gpus 1", "the program takes it if there is one"))


def tracked(document: JobDocument) -> TrackingSpec:
    """Return the metadata of the tracking run: the command, and the job's own parameters."""
    parameter_values = document.parameters
    command = shlex.join(document.trainer_args)
    if len(command) > LONGEST_COMMAND:
        command = f"{command[: LONGEST_COMMAND - 1]}…"
    params: dict[str, Scalar] = {
        "command": command,
        **{name: parameter_values[name] for name in ("num_gpus", "seed") if parameter_values[name] is not None},
        **({job_node.NODES_PARAMETER: nodes} if (nodes := job_node.count_nodes(document)) > 1 else {}),
        **{name: parameter_values[name] for name in parameters.list_own(parameter_values)},
    }
    if program_packages.has_mlflow(document):  # MLflow refuses a second value, which would end the program: lr=0.0001
        params = {f"{JOB_PREFIX}{name}": value for name, value in params.items()}
    tags = {
        "entrypoint": document.trainer_args[0][:LONGEST_COMMAND],
        "model.register_name": str(parameter_values["register_checkpoint"] or ""),
    }
    return TrackingSpec(
        experiment=str(parameter_values["experiment_name"] or "command"),
        run_name=str(parameter_values["job_name"] or document.run),
        params=params,
        tags={name: value for name, value in tags.items() if value},
        machine=bool(parameter_values["system_metrics"]),
    )


def publishing(document: JobDocument, data: Folders) -> PublishingSpec:
    """Return the metadata of the registered checkpoint."""
    name = str(document.parameters["register_checkpoint"] or "")
    return PublishingSpec(
        register=name,
        description=f"trained by a program of its own (run {document.run})",
        tags={"framework": "command"},
    )


def program_environment(document: JobDocument, work: Path) -> PythonEnvironment | None:
    """Return the environment that the document's lock describes; None if it has none."""
    if not document.program_lock:
        return None
    lock = work / LOCK_NAME
    lock.write_text(document.program_lock, encoding="utf-8")
    gib = round(LEAST_GIB + (added_packages.estimate_gib(document.program_lock) or TORCH_GIB), 1)
    return PythonEnvironment(lock=lock, python=document.program_python, gib=gib, platform=PLATFORM)
