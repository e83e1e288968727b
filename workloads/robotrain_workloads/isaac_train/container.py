"""`isaac-train` in the container: environment, problems with inputs, the command, and where it publishes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from robotrain_runtime.contract import checkpoint, job_node
from robotrain_runtime.contract.container_plugin import PublishingSpec, TrackingSpec, WorkCommand
from robotrain_runtime.contract.document import JobDocument, JobSource, Scalar
from robotrain_runtime.contract.problem import Problem, get_problem

from robotrain_workloads import packages, publish_url
from robotrain_workloads.isaac import assets, checkpoint_content, checkpoint_file, installation, job_command, user_code
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


def inspect(document: JobDocument, data: Mapping[JobSource, Path]) -> Iterator[Problem | str]:
    """Yield why Isaac Lab would not train, as far as its versions and the checkpoint tell without the simulator."""
    yield from assets.find_problems(document, data)
    yield from user_code.find_problems(document, data)
    values = document.parameters
    backend = str(document.parameters["backend"])
    code = training_folder.find_source(document)
    program = data.get(code) if code else None
    try:
        if program:
            user_code.find_folder(program, str(values["entry"]))
        lab = None if program else installation.find_present(document)
        begin = start.load_start(document, data)
        if begin.file and (other := checkpoint_file.find_digest_problem(begin.file, values["sha256"])):
            yield other
            return
        if program:
            return
        series = installation.choose_series(lab)
        yield from installation.find_script_problems(document, series, parameters.make_script(backend))
        if begin.file is not None:
            content = checkpoint_content.read_content(begin.file)
            problems = list(start.find_start_problems(begin, content, backend, series))
            yield from problems
            if not problems and (left := start.find_iteration_problem(document, begin, content)):
                yield left
    except OSError as error:
        yield get_problem(error)
        return
    output = checkpoints(document, Path(document.placement.work))
    yield from publish_url.find_write_problems(str(values["publish_url"] or ""), output, "checkpoints")


def work(document: JobDocument, data: Mapping[JobSource, Path], work: Path) -> WorkCommand:
    """Return the supervisor's command; it finds Isaac Lab and the checkpoint's file where it runs."""
    if training_folder.find_source(document):
        return training_folder.make_command(document, data, work)
    values = document.parameters
    checkpoints_folder = checkpoints(document, work)
    point, notes = checkpoint.find_resume_point(checkpoints_folder, run=document.run, job=document.job)
    recovered = point and point[1]
    begin = recovered or start.find_start_path(document, data)
    mode = start.find_start_mode(document, recovered)
    program_options = ["--backend", str(values["backend"]), "--task", str(values["task"]), "--work", str(work)]
    program_options += ["--checkpoints", str(checkpoints_folder), f"--num-gpus={values['num_gpus']}"]
    program_options += ["--headless"] if values["headless"] else []
    nodes = job_node.count_nodes(document)
    launched = document.placement.node_launcher
    program_options += [f"--num-nodes={nodes}", f"--node-launcher={json.dumps(launched)}"] if nodes > 1 else []
    for name in ("isaaclab_path", "isaac_version"):
        if values[name] is not None:
            program_options.append(f"--{name.replace('_', '-')}={values[name]}")
    if begin is not None:
        program_options += ["--start", str(begin), "--mode", mode, *(["--repeated"] if recovered else [])]
    program_options += ["--", *list_script_options(document)]
    return job_command.make_command(
        document, data, SUPERVISOR, program_options, node_launch.make_environ(document), notes
    )


def list_script_options(document: JobDocument) -> list[str]:
    """Return the options of Isaac Lab's script that follow from the job."""
    values = document.parameters
    options = ["--task", str(values["task"]), "--num_envs", str(values["num_envs"])]
    options += [f"--{name}={values[name]}" for name in ("max_iterations", "seed") if values[name] is not None]
    return [*options, *(["--distributed"] if is_distributed(document) else [])]


def check_command(document: JobDocument, described: Mapping[JobSource, Path], work: Path) -> WorkCommand | None:
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
    values = document.parameters
    mode = parameters.choose_mode(values, {source.role for source in document.sources})
    source = next((source for source in document.sources if source.role in ("checkpoint", "resume")), None)
    has_own_program = training_folder.find_source(document) is not None
    params: dict[str, Scalar] = {
        "task": values["task"],
        "num_envs": values["num_envs"],
        "distributed": is_distributed(document),
        **({job_node.NODES_PARAMETER: nodes} if (nodes := job_node.count_nodes(document)) > 1 else {}),
        "algorithm": parameters.find_algorithm(document.trainer_args),
        **{name: values[name] for name in ("max_iterations", "seed") if values[name] is not None},
        **packages.describe(document),
        **({"options": " ".join(document.trainer_args)} if document.trainer_args else {}),
    }
    tags = {
        "task": str(values["task"]),
        "framework": str(values["backend"]),
        "entrypoint": str(values["entry"]) if has_own_program else "isaaclab.sh",
        "checkpoint_mode": mode,
        "checkpoint_source_uri": checkpoint_file.get_address(source) if source else "",
        "checkpoint_source_sha256": str(values["sha256"] or "").lower(),
        "model.register_name": "" if has_own_program else parameters.make_model_name(values),
        "correlation_id": str(values["correlation_id"] or ""),
    }
    return TrackingSpec(
        experiment=parameters.get_experiment_name(values),
        run_name=str(values["job_name"] or document.run),
        params=params,
        tags={name: value for name, value in tags.items() if value},
        machine=bool(values["system_metrics"]),
    )


def publishing(document: JobDocument, data: Mapping[JobSource, Path]) -> PublishingSpec:
    """Return the metadata of the registered checkpoint."""
    values = document.parameters
    tags = {
        "framework": str(values["backend"]),
        "task": str(values["task"]),
        "algorithm": parameters.find_algorithm(document.trainer_args),
        "evaluated": "false",
        "checkpoint_mode": parameters.choose_mode(values, {source.role for source in data}),
        "success_threshold": SUCCESS_THRESHOLD,
    }
    has_own_program = training_folder.find_source(document) is not None  # it registers its model itself
    is_registered = not has_own_program and bool(values["register_checkpoint"] or document.placement.tracking_uri)
    return PublishingSpec(
        register=parameters.make_model_name(values) if is_registered else "",
        description=f"Isaac Lab policy for {values['task']}, trained with {values['backend']} (run {document.run})",
        tags=tags,
        lineage={"task": values["task"], "framework": values["backend"]},
        artifact_folders=ARTIFACT_FOLDERS[str(values["backend"])],
        last_artifact_folders={"model_*.pt": "checkpoints/final"} if values["backend"] == "rsl_rl" else {},
    )
