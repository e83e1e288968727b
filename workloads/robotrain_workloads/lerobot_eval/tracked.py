"""What the tracking run of an evaluation starts with: names of the contract, section D.5.

The launcher adds what only it knows: the policy's type, the device, the frame rate.
"""

from collections.abc import Mapping

from robotrain_runtime.document import JobDocument, Scalar
from robotrain_runtime.half import Tracked

from robotrain_workloads.lerobot_eval import evaluated, starts_said
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


def tracked(document: JobDocument) -> Tracked:
    """The experiment, the run's name, its parameters and its tags."""
    given = document.parameters
    return Tracked(
        experiment=experiment(given),
        run_name=str(given["job_name"]),
        params=_params(document),
        tags=_tags(document),
        machine=bool(given["system_metrics"]),
    )


def experiment(given: Mapping[str, Scalar]) -> str:
    """Its name, of the document's parameters."""
    kind = evaluated.made(given) if given["builtin_policy"] else given["policy_type"] or "policy"
    return str(given["experiment_name"] or f"lerobot-{kind}-inference")


def _params(document: JobDocument) -> dict[str, Scalar]:
    given = document.parameters
    return {
        "policy_repo_id": evaluated.name(document),
        "policy_source": evaluated.origin(document),
        **({"dataset_repo_id": repository(document)} if _replays(document) else {}),
        **{name: given[name] for name in SAME if given[name] is not None},
        **({"starts": starts_said.shortly(str(given["starts"]))} if given["starts"] else {}),
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
