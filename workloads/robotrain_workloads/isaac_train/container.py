"""`isaac-train` in the container: environment, problems with inputs, the command, and where it publishes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from robotrain_runtime.contract import checkpoint, job_node
from robotrain_runtime.contract.container_plugin import PublishingSpec, TrackingSpec, WorkCommand
from robotrain_runtime.contract.document import Folders, JobDocument, Scalar
from robotrain_runtime.contract.problem import Problems, get_problem

from robotrain_workloads import packages, publish_url
from robotrain_workloads.isaac import assets, checkpoint_file, installation, job_command, user_code
from robotrain_workloads.isaac.versions import lab_3_0
from robotrain_workloads.isaac_train import parameters, start, training_folder
from robotrain_workloads.nodes import node_launch
from robotrain_workloads.supervision.environment import ENVIRONMENT as ENVIRONMENT  # part of the plugin

SUPERVISOR = "robotrain_workloads.isaac_train.supervisor"
SUCCESS_THRESHOLD = "0.7"
ARTIFACT_FOLDERS: Mapping[str, Mapping[str, str]] = {
    "rsl_rl": {"model_*.pt": "checkpoints", "params/*.yaml": "config"},
    "skrl": {"agent_*.pt": "skrl-run/checkpoints", "params/*.yaml": "skrl-run"},
    "sb3": {"model_*": "checkpoints", "params/*.yaml": "config"},
}
"""Where files of checkpoints are among the artifacts of the tracking run. Names: contract, F.3."""
RUNS_PROGRAM = True
PROGRAM_ENVIRONMENT = lab_3_0.ENVIRONMENT
targets = publish_url.list_targets
program_environment = installation.program_environment
prepare = assets.prepare
gpus = installation.find_gpu_requirement


def inspect(document: JobDocument, data: Folders) -> Problems:
    """Yield why Isaac Lab would not train, as far as its versions and the checkpoint tell without the simulator."""
    yield from assets.find_problems(document, data)
    yield from user_code.find_problems(document, data)
    job_parameters = document.parameters
    backend = str(document.parameters["backend"])
    code = training_folder.find_source(document)
    program = data.get(code) if code else None
    try:
        if program:
            user_code.find_folder(program, str(job_parameters["entry"]))
        lab = None if program else installation.find_present(document)
        loaded_start = start.load_start(document, data)
        if loaded_start.file and (
            digest_problem := checkpoint_file.find_digest_problem(loaded_start.file, job_parameters["sha256"])
        ):
            yield digest_problem
            return
        if program:
            return
        series = installation.choose_series(lab)
        yield from installation.find_script_problems(document, series, parameters.make_script(backend))
        if loaded_start.file is not None:
            content = checkpoint_file.read_content(loaded_start.file)
            problems = list(start.find_start_problems(loaded_start, content, backend, series))
            yield from problems
            if not problems and (iteration_problem := start.find_iteration_problem(document, loaded_start, content)):
                yield iteration_problem
    except OSError as error:
        yield get_problem(error)
        return
    output = checkpoints(document, Path(document.placement.work))
    yield from publish_url.find_write_problems(str(job_parameters["publish_url"] or ""), output, "checkpoints")


def work(document: JobDocument, data: Folders, work: Path) -> WorkCommand:
    """Return the supervisor's command; it finds Isaac Lab and the checkpoint's file where it runs."""
    if training_folder.find_source(document):
        return training_folder.make_command(document, data, work)
    job_parameters = document.parameters
    checkpoints_folder = checkpoints(document, work)
    point, notes = checkpoint.find_resume_point(checkpoints_folder, run=document.run, job=document.job)
    recovered_folder = point and point[1]
    start_path = recovered_folder or start.find_start_path(document, data)
    mode = start.find_start_mode(document, recovered_folder)
    program_options = [
        "--backend",
        str(job_parameters["backend"]),
        "--task",
        str(job_parameters["task"]),
        "--work",
        str(work),
    ]
    program_options += ["--checkpoints", str(checkpoints_folder), f"--num-gpus={job_parameters['num_gpus']}"]
    program_options += ["--headless"] if job_parameters["headless"] else []
    nodes = job_node.count_nodes(document)
    launched = document.placement.node_launcher
    program_options += [f"--num-nodes={nodes}", f"--node-launcher={json.dumps(launched)}"] if nodes > 1 else []
    for name in ("isaaclab_path", "isaac_version"):
        if job_parameters[name] is not None:
            program_options.append(f"--{name.replace('_', '-')}={job_parameters[name]}")
    if start_path is not None:
        program_options += ["--start", str(start_path), "--mode", mode, *(["--repeated"] if recovered_folder else [])]
    program_options += ["--", *list_script_options(document)]
    return job_command.make_command(
        document, data, SUPERVISOR, program_options, node_launch.make_environ(document), notes
    )


def list_script_options(document: JobDocument) -> list[str]:
    """Return the options of Isaac Lab's script that follow from the job."""
    job_parameters = document.parameters
    options = ["--task", str(job_parameters["task"]), "--num_envs", str(job_parameters["num_envs"])]
    options += [
        f"--{name}={job_parameters[name]}" for name in ("max_iterations", "seed") if job_parameters[name] is not None
    ]
    return [*options, *(["--distributed"] if is_distributed(document) else [])]


def check_command(document: JobDocument, described: Folders, work: Path) -> WorkCommand | None:
    """Return the command that asks Isaac Lab about the options; None if it cannot be asked."""
    if not installation.can_be_asked(document):
        return None
    script_arguments = (str(document.parameters["backend"]), *list_script_options(document))
    return WorkCommand(
        arguments=("-m", installation.OPTION_CHECK, "train", *script_arguments, "--", *document.trainer_args),
        environ={},
    )


def is_distributed(document: JobDocument) -> bool:
    """Return whether several processes train together."""
    return document.parameters["num_gpus"] != 1 or job_node.count_nodes(document) > 1


def checkpoints(document: JobDocument, work: Path) -> Path:
    """Return the folder of checkpoints."""
    return work / "outputs" / "checkpoints"


def tracked(document: JobDocument) -> TrackingSpec:
    """Return the metadata of the tracking run. Names: contract, section F.3."""
    job_parameters = document.parameters
    mode = parameters.choose_mode(job_parameters, {source.role for source in document.sources})
    source = next((source for source in document.sources if source.role in ("checkpoint", "resume")), None)
    has_own_program = training_folder.find_source(document) is not None
    params: dict[str, Scalar] = {
        "task": job_parameters["task"],
        "num_envs": job_parameters["num_envs"],
        "distributed": is_distributed(document),
        **({job_node.NODES_PARAMETER: nodes} if (nodes := job_node.count_nodes(document)) > 1 else {}),
        "algorithm": parameters.find_algorithm(document.trainer_args),
        **{name: job_parameters[name] for name in ("max_iterations", "seed") if job_parameters[name] is not None},
        **packages.describe(document),
        **({"options": " ".join(document.trainer_args)} if document.trainer_args else {}),
    }
    tags = {
        "task": str(job_parameters["task"]),
        "framework": str(job_parameters["backend"]),
        "entrypoint": str(job_parameters["entry"]) if has_own_program else "isaaclab.sh",
        "checkpoint_mode": mode,
        "checkpoint_source_uri": checkpoint_file.get_address(source) if source else "",
        "checkpoint_source_sha256": str(job_parameters["sha256"] or "").lower(),
        "model.register_name": "" if has_own_program else parameters.make_model_name(job_parameters),
        "correlation_id": str(job_parameters["correlation_id"] or ""),
    }
    return TrackingSpec(
        experiment=parameters.get_experiment_name(job_parameters),
        run_name=str(job_parameters["job_name"] or document.run),
        params=params,
        tags={name: value for name, value in tags.items() if value},
        machine=bool(job_parameters["system_metrics"]),
    )


def publishing(document: JobDocument, data: Folders) -> PublishingSpec:
    """Return the metadata of the registered checkpoint."""
    job_parameters = document.parameters
    tags = {
        "framework": str(job_parameters["backend"]),
        "task": str(job_parameters["task"]),
        "algorithm": parameters.find_algorithm(document.trainer_args),
        "evaluated": "false",
        "checkpoint_mode": parameters.choose_mode(job_parameters, {source.role for source in data}),
        "success_threshold": SUCCESS_THRESHOLD,
    }
    has_own_program = training_folder.find_source(document) is not None  # it registers its model itself
    is_registered = not has_own_program and bool(
        job_parameters["register_checkpoint"] or document.placement.tracking_uri
    )
    return PublishingSpec(
        register=parameters.make_model_name(job_parameters) if is_registered else "",
        description=f"Isaac Lab policy for {job_parameters['task']}, trained with {job_parameters['backend']} (run "
        f"{document.run})",
        tags=tags,
        lineage={"task": job_parameters["task"], "framework": job_parameters["backend"]},
        artifact_folders=ARTIFACT_FOLDERS[str(job_parameters["backend"])],
        last_artifact_folders={"model_*.pt": "checkpoints/final"} if job_parameters["backend"] == "rsl_rl" else {},
    )
