"""Metadata of an evaluation's tracking run and registered model. Names: contract, D.5.

The launcher adds what only it knows: policy type, device, frame rate.
"""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from robotrain_runtime.checkpoints import model_lineage
from robotrain_runtime.contract.container_plugin import TrackingSpec
from robotrain_runtime.contract.document import JobDocument, JobSource

from robotrain_workloads.lerobot import lineage, policy
from robotrain_workloads.lerobot.options import format_options
from robotrain_workloads.lerobot_eval.inputs import selection, simulation

COPIED_PARAMETERS = (
    *("job_name", "eval_episodes", "eval_batch_size", "replay_episodes", "env", "env_steps", "starts"),
    *("success_reward", "success_threshold", "record_video", "seed", "system_metrics"),
)


def describe_tracking_run(document: JobDocument) -> TrackingSpec:
    """Return the experiment, the run's name, parameters and tags."""
    values, has_dataset = document.parameters, bool(lineage.list_dataset_sources(document))
    policy_source, dataset_name = selection.get_policy_origin(document), lineage.get_dataset_name(document)
    params = {
        "policy_repo_id": selection.get_policy_name(document),
        "policy_source": policy_source,
        **({"dataset_repo_id": dataset_name} if has_dataset else {}),
        **{name: values[name] for name in COPIED_PARAMETERS if values[name] is not None},
        **({"starts": simulation.summarize_starts(str(values["starts"]))} if values["starts"] else {}),
        **({"options": format_options(document.trainer_args)} if document.trainer_args else {}),
    }
    tags = {
        "lerobot.framework": "lerobot",
        "lerobot.job_name": str(values["job_name"]),
        "policy.source": policy_source,
        "policy.pin": selection.get_policy_pin(document),
        "dataset.repo_id": dataset_name if has_dataset else "",
        "dataset.source": lineage.describe_dataset_kind(document.sources) if has_dataset else "",
        "model.register_name": str(values["register_model"] or ""),
    }
    source = selection.find_policy_source(document.sources)
    local = Path(source.uri) if source and source.kind == "local_path" else None
    policy_type = _get_policy_type(document, local) or "policy"
    return TrackingSpec(
        experiment=str(values["experiment_name"] or f"lerobot-{policy_type}-inference"),
        run_name=str(values["job_name"]),
        params=params,
        tags={name: value for name, value in tags.items() if value},
        machine=bool(values["system_metrics"]),
    )


def describe_model(document: JobDocument, data: Mapping[JobSource, Path]) -> str:
    """Return a description for people, which stays valid after other evaluations of the model."""
    revision = lineage.describe_pin(selection.get_policy_pin(document))
    policy_type = _get_policy_type(document, selection.find_policy_folder(data))
    lines = [
        f"LeRobot {policy_type} policy: {selection.get_policy_name(document)}{revision}",
        f"Registered by: {document.parameters['job_name']} (run {document.run}), which evaluated it",
        *(f"Azure ML job: {name}" for name in lineage.make_azureml_tags(document).values()),
    ]
    return "\n".join(lines)


def make_model_tags(document: JobDocument, data: Mapping[JobSource, Path]) -> dict[str, str]:
    """Return the searchable tags; the runtime adds run and scores."""
    values = document.parameters
    tags = {
        "framework": "lerobot",
        "policy_type": _get_policy_type(document, selection.find_policy_folder(data)),
        "job_name": str(values["job_name"]),
        "source": f"{document.platform}-lerobot-inference",
        "policy_uri": selection.get_policy_name(document),
        "policy_source": selection.get_policy_origin(document),
        "policy_pin": selection.get_policy_pin(document),
        **make_training_tags(document, data),
        **lineage.make_azureml_tags(document),
    }
    return {name: value for name, value in tags.items() if value}


def make_evaluation_tags(document: JobDocument) -> dict[str, str]:
    """Return what the scores depend on, as tags."""
    env, has_dataset = str(document.parameters["env"] or ""), bool(lineage.list_dataset_sources(document))
    return (lineage.make_dataset_tags(document) if has_dataset else {}) | ({"env": env} if env else {})


def make_lineage(document: JobDocument, data: Mapping[JobSource, Path]) -> dict[str, object]:
    """Return in full what the tags shorten; None for unknown values. The runtime adds the tracking run."""
    return {
        "policy_uri": selection.get_policy_name(document),
        "policy_source": selection.get_policy_origin(document),
        "policy_pin": selection.get_policy_pin(document) or None,
        **{name: make_training_tags(document, data).get(name) for name in ("policy_run", "policy_step")},
        "evaluated_on": [[part.kind, part.uri, part.pin] for part in lineage.list_dataset_sources(document)],
        "azureml_run_id": lineage.make_azureml_tags(document).get("azureml_run_id"),
    }


def make_training_tags(document: JobDocument, data: Mapping[JobSource, Path]) -> dict[str, str]:
    """Return the run that trained the policy, from its checkpoint or the cache."""
    if tags := {name.replace("parent", "policy", 1): value for name, value in lineage.make_parent_tags(data).items()}:
        return tags
    source = selection.find_policy_source(data)
    return model_lineage.read_policy_lineage(Path(document.placement.cache), data[source]) if source else {}


def _get_policy_type(document: JobDocument, folder: Path | None) -> str:
    """Return the type from the policy's files, else as the user expects it."""
    values = document.parameters
    if values["builtin_policy"]:
        return selection.get_builtin_type(values)
    with suppress(OSError, ValueError):
        if folder:
            return str(policy.load_policy_settings(policy.find_model_folder(folder)).get("type") or "")
    return str(values["policy_type"] or "")
