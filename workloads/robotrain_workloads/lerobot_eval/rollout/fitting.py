"""Whether a policy and an environment fit: what one reads and the other shows, by names and shapes."""

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

from robotrain_workloads.lerobot_eval.loaded import Loaded

KEY_POINTS = "observation.environment_state"
ACTION = "action"
Shapes = Mapping[str, tuple[int, ...]]


def shapes(features: Any) -> Shapes:
    """Of LeRobot's features, by their names."""
    return {name: tuple(feature.shape) for name, feature in (features or {}).items()}


def is_picture(name: str) -> bool:
    """Whether an observation of this name is one."""
    return name.startswith("observation.image")


def given(config: Any) -> Shapes:
    """What an environment shows and takes, by the names that policies have for it."""
    return shapes(importlib.import_module("lerobot.envs.utils").env_to_policy_features(config))


def renamed(read: Sequence[str], shown: Sequence[str]) -> dict[str, str]:
    """One picture for one picture is no question of names: the policy's, by the environment's."""
    return {shown[0]: read[0]} if len(read) == len(shown) == 1 and read != shown else {}


def check(env: str, loaded: Loaded, there: Shapes) -> None:
    """Raises SystemExit with a sentence that names all that does not fit."""
    config = loaded.policy.config
    read, acts = shapes(config.input_features), shapes(config.output_features)
    wrong = [f"it reads {name}, which {env} does not show" for name in read if name not in there]
    sized = {name: shape for name, shape in {**read, **acts}.items() if name in there and not is_picture(name)}
    wrong += [
        f"its {name} has the shape {list(shape)}, that of {env} is {list(there[name])}"
        for name, shape in sized.items()
        if shape != there[name]
    ]
    if wrong:
        shown = ", ".join(sorted(set(there) - {ACTION}))
        raise SystemExit(f"error: the policy does not fit --env {env}: {'; '.join(wrong)} (it shows {shown})")


def scaled(loaded: Loaded) -> bool:
    """Whether the policy was trained on key points from -1 to 1; gym-pusht gives them from 0 to 512."""
    known = [stats[KEY_POINTS] for step in loaded.before.steps if KEY_POINTS in (stats := _statistics(step))]
    if not known or "min" not in known[0] or "max" not in known[0]:
        return False
    return bool((abs(known[0]["min"]) <= 1).all() and (abs(known[0]["max"]) <= 1).all())


def _statistics(step: Any) -> Mapping[str, Any]:
    return getattr(step, "stats", None) or {}
