"""`isaac-export` in the container: environment, problems with inputs, the command, and where it publishes."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from robotrain_runtime.contract.container_plugin import (
    PublishingSpec,
    PythonEnvironment,
    TrackingSpec,
    WorkCommand,
)
from robotrain_runtime.contract.document import JobDocument, JobSource, Scalar

from robotrain_workloads import publish_url
from robotrain_workloads.isaac import checkpoint_file, installation, script_options
from robotrain_workloads.isaac_export import exported_checkpoint, parameters

EXPORTER = "robotrain_workloads.isaac_export.exporter"
RESULTS_FOLDER = "export_results"
POLICY_FOLDER = "policy"
ENVIRONMENT = PythonEnvironment(
    lock=Path(__file__).parent / "locks" / "export.txt",
    python="3.10-3.12",
    gib=1.0,
    platform="Linux-x86_64",
    required_packages={"onnxruntime": "1", "mlflow-skinny": "3"},
)
FORWARDED_PARAMETERS = (
    *("job_name", "task", "backend", "num_envs", "video_length", "seed", "isaaclab_path", "isaac_version"),
    "agent_config",
)
"""Parameters that become options of the exporter if set."""
COPIED_PARAMETERS = ("task", "num_envs", "max_steps", "video_length", "seed")
MODEL_TAGS = {"checkpoint": checkpoint_file.MODEL_TAGS}
targets = publish_url.list_targets


def inspect(document: JobDocument, data: Mapping[JobSource, Path]) -> Iterator[str]:
    """Yield why the policy cannot be exported, as far as versions and the checkpoint tell without the simulator."""
    values = document.parameters
    output = _get_results_folder(Path(document.placement.work))
    yield from publish_url.find_write_problems(str(values["publish_url"] or ""), output, "results")
    source = checkpoint_file.find_checkpoint_source(data)
    try:
        folder = installation.find_installation(values["isaaclab_path"])
        if source is None:
            return
        with tempfile.TemporaryDirectory() as scratch:
            address, config = checkpoint_file.get_address(source), str(values["agent_config"] or "")
            files = exported_checkpoint.fetch_files(data[source], address, config, Path(scratch))
            problems = list(exported_checkpoint.find_file_problems(files, str(values["sha256"] or "")))
            yield from problems
            if problems:
                return
            answer = exported_checkpoint.ask_isaac_lab(folder, files)
    except OSError as error:
        yield str(error)
        return
    expected_backend = None if values["backend"] is None else str(values["backend"])
    problems = list(exported_checkpoint.find_content_problems(files, answer.checkpoint, expected_backend))
    yield from problems
    if problems:
        return
    backend = str(answer.checkpoint["backend"])
    if values["max_steps"] or values["video_length"]:
        yield from installation.find_version_problems(folder, backend, answer)
    script = script_options.Script(script_options.PLAY_OPTIONS, parameters.OWNED_OPTIONS, backend)
    yield from installation.find_script_problems(document, folder, script)


def work(document: JobDocument, data: Mapping[JobSource, Path], work: Path) -> WorkCommand:
    """Return the exporter's command; it finds Isaac Lab and the checkpoint's files where it runs."""
    values, source = document.parameters, checkpoint_file.find_checkpoint_source(data)
    assert source is not None  # the role is required
    step = _find_step(data[source])
    own = [f"--work={work}", f"--cache={document.placement.cache}", f"--results={_get_results_folder(work)}"]
    own += [f"--keep-policy={work / 'outputs' / POLICY_FOLDER / f'{step:06}'}"]
    own += [f"--checkpoint={data[source]}", f"--source={checkpoint_file.get_address(source)}"]
    own += [f"--formats={','.join(parameters.list_formats(values))}"]
    own += [f"--{name.replace('_', '-')}={values[name]}" for name in FORWARDED_PARAMETERS if values[name] is not None]
    own += [f"--max-steps={values['max_steps'] or values['video_length']}"]
    own += ["--headless"] if values["headless"] else []
    return WorkCommand(arguments=("-m", EXPORTER, *own, "--", *document.trainer_args), environ=installation.TERMS)


def tracked(document: JobDocument) -> TrackingSpec:
    """Return the metadata of the tracking run. Names: contract, F.4."""
    values = document.parameters
    params: dict[str, Scalar] = {name: values[name] for name in COPIED_PARAMETERS if values[name] is not None}
    params["inference_format"] = values["format"]
    if document.trainer_args:
        params["options"] = " ".join(document.trainer_args)
    source = checkpoint_file.find_checkpoint_source(document.sources)
    tags = {
        "inference_type": "policy_evaluation",
        **({"checkpoint_uri": checkpoint_file.get_address(source)} if source else {}),
        **({"checkpoint_source_sha256": str(values["sha256"]).lower()} if values["sha256"] else {}),
        **({"framework": str(values["backend"])} if values["backend"] else {}),
        **({"task": str(values["task"])} if values["task"] else {}),
        **({"model.register_name": str(values["register_model"])} if values["register_model"] else {}),
    }
    return TrackingSpec(
        experiment=str(values["experiment_name"] or f"inference-{values['task'] or 'policy'}"),
        run_name=str(values["job_name"]),
        params=params,
        tags=tags,
        machine=bool(values["system_metrics"]),
    )


def publishing(document: JobDocument, data: Mapping[JobSource, Path]) -> PublishingSpec:
    """Return the metadata of the registered policy."""
    values, source = document.parameters, checkpoint_file.find_checkpoint_source(data)
    address = checkpoint_file.get_address(source) if source else ""
    known = {"checkpoint_uri": address, "task": str(values["task"] or "")}
    tags = {name: value for name, value in known.items() if value}
    return PublishingSpec(
        register=str(values["register_model"] or ""),
        description=f"Isaac Lab policy, exported as {', '.join(parameters.list_formats(values))} (run {document.run})",
        tags={**tags, "formats": ",".join(parameters.list_formats(values))},
        lineage=tags,
    )


def _get_results_folder(work: Path) -> Path:
    return work / "outputs" / RESULTS_FOLDER


def _find_step(path: Path) -> int:
    """Return the number in the name of the checkpoint's file; 0 if there is none."""
    try:
        return exported_checkpoint.find_files(path).step
    except OSError:  # `inspect` reported it
        return 0
