"""`isaac-validate` in the container: environment, problems with inputs, the command, and where it publishes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from robotrain_runtime.contract.container_plugin import TrackingSpec, WorkCommand
from robotrain_runtime.contract.document import JobDocument, JobSource, Scalar

from robotrain_workloads import publish_url
from robotrain_workloads.isaac import checkpoint_file, installation, script_options
from robotrain_workloads.isaac.installation import ENVIRONMENT as ENVIRONMENT  # part of the plugin
from robotrain_workloads.isaac_validate import parameters, validated_checkpoint

SUPERVISOR = "robotrain_workloads.isaac_validate.supervisor"
RESULTS_FOLDER = "eval_results"
COPIED_PARAMETERS = (
    *("task", "backend", "eval_episodes", "num_envs", "success_threshold", "reward_threshold", "seed", "record_video"),
)
FORWARDED_PARAMETERS = {
    "task": "task",
    "backend": "backend",
    "sha256": "sha256",
    "eval_episodes": "episodes",
    "num_envs": "num-envs",
    "success_threshold": "success-threshold",
    "reward_threshold": "reward-threshold",
    "seed": "seed",
    "isaaclab_path": "isaaclab-path",
    "isaac_version": "isaac-version",
}
"""Parameters that are forwarded unchanged if set, and their options."""
MODEL_TAGS = {"checkpoint": checkpoint_file.MODEL_TAGS}
targets = publish_url.list_targets


def inspect(document: JobDocument, data: Mapping[JobSource, Path]) -> Iterator[str]:
    """Yield why the policy cannot be validated, as far as versions and the checkpoint tell without the simulator."""
    values = document.parameters
    output = _get_results_folder(Path(document.placement.work))
    yield from publish_url.find_write_problems(str(values["publish_url"] or ""), output, "results")
    source = checkpoint_file.find_checkpoint_source(data)
    try:
        folder = installation.find_installation(values["isaaclab_path"])
        if source is None:
            return
        found, probe = validated_checkpoint.load_checkpoint(folder, data[source], Path(document.placement.cache))
    except OSError as error:
        yield str(error)
        return
    expected = {name: str(values[name] or "") for name in ("task", "backend", "sha256")}
    problems = list(validated_checkpoint.find_checkpoint_problems(found, **expected))
    yield from problems
    if problems:
        return
    yield from installation.find_version_problems(folder, found.backend, probe)
    script = script_options.Script(script_options.PLAY_OPTIONS, parameters.OWNED_OPTIONS, found.backend)
    yield from installation.find_script_problems(document, folder, script)


def work(document: JobDocument, data: Mapping[JobSource, Path], work: Path) -> WorkCommand:
    """Return the supervisor's command; it finds Isaac Lab and the checkpoint's file where it runs."""
    values, source = document.parameters, checkpoint_file.find_checkpoint_source(data)
    assert source is not None  # the role is required
    own = [f"--work={work}", f"--results={_get_results_folder(work)}", f"--cache={document.placement.cache}"]
    own += [f"--checkpoint={data[source]}", f"--source={checkpoint_file.get_address(source)}"]
    own += [f"--source-kind={source.kind}"]
    own += [f"--job-name={parameters.make_job_name(values)}"]
    own += [*([f"--pin={source.pin}"] if source.pin else []), *(["--headless"] if values["headless"] else [])]
    own += [f"--{option}={values[name]}" for name, option in FORWARDED_PARAMETERS.items() if values[name] is not None]
    if values["record_video"]:
        own.append(f"--video-length={values['video_length']}")
    return WorkCommand(arguments=("-m", SUPERVISOR, *own, "--", *document.trainer_args), environ=installation.TERMS)


def tracked(document: JobDocument) -> TrackingSpec:
    """Return the metadata of the tracking run."""
    values = document.parameters
    source = checkpoint_file.find_checkpoint_source(document.sources)
    params: dict[str, Scalar] = {name: values[name] for name in COPIED_PARAMETERS if values[name] is not None}
    if document.trainer_args:
        params["options"] = " ".join(document.trainer_args)
    tags = {
        "entrypoint": "isaaclab.sh",
        **({"checkpoint_source_uri": checkpoint_file.get_address(source)} if source else {}),
        **{name: str(values[name]) for name in ("task",) if values[name]},
        **({"framework": str(values["backend"])} if values["backend"] else {}),
        **({"checkpoint_source_sha256": str(values["sha256"]).lower()} if values["sha256"] else {}),
    }
    return TrackingSpec(
        experiment=str(values["experiment_name"] or "isaaclab-evaluation"),
        run_name=parameters.make_job_name(values),
        params=params,
        tags=tags,
        machine=bool(values["system_metrics"]),
    )


def _get_results_folder(work: Path) -> Path:
    return work / "outputs" / RESULTS_FOLDER
