"""What the tracking run of an evaluation starts with: names of the contract, section D.5.

The launcher adds what only it knows: the policy's type, the device, the frame rate.
"""

import shlex
from contextlib import suppress
from pathlib import Path

from robotrain_runtime.document import JobDocument, Scalar
from robotrain_runtime.half import Tracked

from robotrain_workloads.lerobot_eval import evaluated, starts_said
from robotrain_workloads.lerobot_train import policy
from robotrain_workloads.lerobot_train.lineage import repository
from robotrain_workloads.lerobot_train.tracked import source_of

SAME = (
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


LONGEST = 500
"""Characters that Azure ML keeps of a parameter."""


def tracked(document: JobDocument) -> Tracked:
    """The experiment, the run's name, its parameters and its tags."""
    given = document.parameters
    return Tracked(
        experiment=str(given["experiment_name"] or f"lerobot-{_type(document)}-inference"),
        run_name=str(given["job_name"]),
        params=_params(document),
        tags=_tags(document),
        machine=bool(given["system_metrics"]),
    )


def _type(document: JobDocument) -> str:
    """The policy's, as its folder says; of one that is still to be fetched as the person says, else the word itself."""
    given, found = document.parameters, evaluated.source(document.sources)
    if given["builtin_policy"] or found is None:
        return evaluated.made(given)
    with suppress(OSError, ValueError):
        if found.kind == "local_path":
            return str(policy.settings(policy.model(Path(found.uri))).get("type") or "policy")
    return str(given["policy_type"] or "policy")


def _params(document: JobDocument) -> dict[str, Scalar]:
    given = document.parameters
    return {
        "policy_repo_id": evaluated.name(document),
        "policy_source": evaluated.origin(document),
        **({"dataset_repo_id": repository(document)} if _replays(document) else {}),
        **{name: given[name] for name in SAME if given[name] is not None},
        **({"starts": starts_said.shortly(str(given["starts"]))} if given["starts"] else {}),
        **({"options": shlex.join(document.trainer_args)[:LONGEST]} if document.trainer_args else {}),
    }


def _tags(document: JobDocument) -> dict[str, str]:
    given = document.parameters
    found = {
        "lerobot.framework": "lerobot",
        "lerobot.job_name": str(given["job_name"]),
        "policy.source": evaluated.origin(document),
        "policy.pin": evaluated.pin(document),
        "dataset.repo_id": repository(document) if _replays(document) else "",
        "dataset.source": source_of(document.sources) if _replays(document) else "",
        "model.register_name": str(given["register_model"] or ""),
    }
    return {name: value for name, value in found.items() if value}


def _replays(document: JobDocument) -> bool:
    return any(source.role == "dataset" for source in document.sources)
