"""What the tracking run and the registered model of an evaluation are described with. Names: contract, D.5.

The launcher adds what only it knows: the policy's type, the device, the frame rate.
"""

import shlex
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from robotrain_runtime.checkpoints import model_lineage
from robotrain_runtime.contract.container_plugin import TrackingSpec
from robotrain_runtime.contract.document import JobDocument, JobSource, Scalar

from robotrain_workloads.lerobot import lineage, policy
from robotrain_workloads.lerobot.lineage import describe_dataset_kind, get_dataset_name
from robotrain_workloads.lerobot_eval.inputs import selection, simulation

COPIED_PARAMETERS = (
    "job_name",
    "eval_episodes",
    "eval_batch_size",
    "replay_episodes",
    "env",
    "env_steps",
    "starts",
    "success_reward",
    "success_threshold",
    "record_video",
    "seed",
    "system_metrics",
)


LONGEST_PARAMETER = 500
"""Characters that Azure ML keeps of a parameter."""


def describe_tracking_run(document: JobDocument) -> TrackingSpec:
    """The experiment, the run's name, its parameters and its tags."""
    given = document.parameters
    return TrackingSpec(
        experiment=str(given["experiment_name"] or f"lerobot-{_get_tracked_type(document)}-inference"),
        run_name=str(given["job_name"]),
        params=_make_params(document),
        tags=_make_run_tags(document),
        machine=bool(given["system_metrics"]),
    )


def _get_tracked_type(document: JobDocument) -> str:
    """The policy's, as its folder says; of one that is still to be fetched as the person says, else the word itself."""
    given, found = document.parameters, selection.find_policy_source(document.sources)
    if given["builtin_policy"] or found is None:
        return selection.get_builtin_type(given)
    with suppress(OSError, ValueError):
        if found.kind == "local_path":
            return str(policy.load_policy_settings(policy.find_model_folder(Path(found.uri))).get("type") or "policy")
    return str(given["policy_type"] or "policy")


def _make_params(document: JobDocument) -> dict[str, Scalar]:
    given = document.parameters
    return {
        "policy_repo_id": selection.get_policy_name(document),
        "policy_source": selection.get_policy_origin(document),
        **({"dataset_repo_id": get_dataset_name(document)} if _has_dataset(document) else {}),
        **{name: given[name] for name in COPIED_PARAMETERS if given[name] is not None},
        **({"starts": simulation.summarize_starts(str(given["starts"]))} if given["starts"] else {}),
        **({"options": shlex.join(document.trainer_args)[:LONGEST_PARAMETER]} if document.trainer_args else {}),
    }


def _make_run_tags(document: JobDocument) -> dict[str, str]:
    given = document.parameters
    found = {
        "lerobot.framework": "lerobot",
        "lerobot.job_name": str(given["job_name"]),
        "policy.source": selection.get_policy_origin(document),
        "policy.pin": selection.get_policy_pin(document),
        "dataset.repo_id": get_dataset_name(document) if _has_dataset(document) else "",
        "dataset.source": describe_dataset_kind(document.sources) if _has_dataset(document) else "",
        "model.register_name": str(given["register_model"] or ""),
    }
    return {name: value for name, value in found.items() if value}


def _has_dataset(document: JobDocument) -> bool:
    return any(source.role == "dataset" for source in document.sources)


def describe_model(document: JobDocument, data: Mapping[JobSource, Path]) -> str:
    """Some lines for people, who read them also when another evaluation has scored the model: nothing of this one."""
    means = selection.get_policy_pin(document)
    at = f" at {means}" if 0 < len(means) <= lineage.LONGEST_PIN else ""
    lines = [
        f"LeRobot {_get_policy_type(document, data)} policy: {selection.get_policy_name(document)}{at}",
        f"Registered by: {document.parameters['job_name']} (run {document.run}), which evaluated it",
        *(f"Azure ML job: {name}" for name in lineage.make_azureml_tags(document).values()),
    ]
    return "\n".join(lines)


def make_model_tags(document: JobDocument, data: Mapping[JobSource, Path]) -> dict[str, str]:
    """What can be searched for; the runtime adds the run, and the scores."""
    given = document.parameters
    found = {
        "framework": "lerobot",
        "policy_type": _get_policy_type(document, data),
        "job_name": str(given["job_name"]),
        "source": f"{document.platform}-lerobot-inference",
        "policy_uri": selection.get_policy_name(document),
        "policy_source": selection.get_policy_origin(document),
        "policy_pin": selection.get_policy_pin(document),
        **make_training_tags(document, data),
        **lineage.make_azureml_tags(document),
    }
    return {name: value for name, value in found.items() if value}


def make_evaluation_tags(document: JobDocument) -> dict[str, str]:
    """What its scores depend on, as tags beside them."""
    recorded = any(source.role == "dataset" for source in document.sources)
    world = {"env": str(document.parameters["env"] or "")}
    return {
        **(lineage.make_dataset_tags(document) if recorded else {}),
        **{name: one for name, one in world.items() if one},
    }


def make_lineage(document: JobDocument, data: Mapping[JobSource, Path]) -> dict[str, object]:
    """What the tags shorten, in full; None for what is not known. The runtime adds which tracking run it is."""
    return {
        "policy_uri": selection.get_policy_name(document),
        "policy_source": selection.get_policy_origin(document),
        "policy_pin": selection.get_policy_pin(document) or None,
        **{name: make_training_tags(document, data).get(name) for name in ("policy_run", "policy_step")},
        "evaluated_on": [[one.kind, one.uri, one.pin] for one in document.sources if one.role == "dataset"],
        "azureml_run_id": lineage.make_azureml_tags(document).get("azureml_run_id"),
    }


def make_training_tags(document: JobDocument, data: Mapping[JobSource, Path]) -> dict[str, str]:
    """The run that trained the policy, where its checkpoint says which one that was, or whoever kept it knows."""
    if told := {name.replace("parent", "policy", 1): value for name, value in lineage.make_parent_tags(data).items()}:
        return told
    found = selection.find_policy_source(data)
    return model_lineage.read_policy_lineage(Path(document.placement.cache), data[found]) if found else {}


def _get_policy_type(document: JobDocument, data: Mapping[JobSource, Path]) -> str:
    """As the policy's files say, where they are here; else as the person expects."""
    with suppress(OSError, ValueError):
        if model := selection.find_policy_folder(data):
            return str(policy.load_policy_settings(model).get("type") or "")
    given = document.parameters
    return selection.get_builtin_type(given) if given["builtin_policy"] else str(given["policy_type"] or "")
