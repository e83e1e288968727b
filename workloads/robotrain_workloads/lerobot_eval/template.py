"""What `robotrain init` writes for `lerobot-eval`."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from robotrain.model.workload import FoundInput

from robotrain_workloads.lerobot import policy_features
from robotrain_workloads.lerobot.local_datasets import find_copies as find_copies
from robotrain_workloads.lerobot.local_datasets import find_dataset_inputs
from robotrain_workloads.lerobot_eval.inputs import simulation

PARAMETERS = dict.fromkeys(("env", "eval_episodes", "starts", "success_threshold", "record_video", "replay_episodes"))
THRESHOLD = 0.7


def find_inputs(folder: Path) -> Iterator[FoundInput]:
    """Yield the datasets that a policy could be evaluated on, each with the environment that it suits."""
    for found, info in find_dataset_inputs(folder):
        env = _find_environment(info)
        suited: dict[str, Any] = {"env": env, "success_threshold": THRESHOLD} if env else {}
        yield found._replace(parameters={**found.parameters, **suited})


def _find_environment(info: Mapping[str, Any]) -> str:
    """Return the environment in which a policy for the dataset can act; empty if there is none."""
    settings = policy_features.make_new_settings(info)
    environments = simulation.SIMULATED_ENVIRONMENTS
    return next((env for env in environments if not any(simulation.find_environment_problems(settings, env, ()))), "")
