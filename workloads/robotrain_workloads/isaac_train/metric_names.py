"""Names of metrics in tracking, from the tags of TensorBoard: rsl_rl 3 and 5, skrl 1 and 2. Contract, section F.3."""

import re
from collections.abc import Mapping

REWARD = "mean_reward"
EPISODE_LENGTH = "mean_episode_length"
RSL_RL_NAMES = {
    "Train/mean_reward": REWARD,
    "Train/mean_episode_length": EPISODE_LENGTH,
    "Rnd/mean_extrinsic_reward": "mean_extrinsic_reward",
    "Rnd/mean_intrinsic_reward": "mean_intrinsic_reward",
    "Loss/learning_rate": "learning_rate",
    "Loss/value": "loss_value_function",
    "Policy/mean_noise_std": "mean_noise_std",
    "Policy/mean_std": "mean_noise_std",
    "Perf/collection time": "Perf/collection_time",
}
RSL_RL_PREFIXES = {
    "Loss/": "loss_",
    "Episode_Reward/": "reward_terms/",
    "Curriculum/": "curriculum/",
    "Episode/": "episode_",
}
SKRL_STANDARD_NAMES = {
    "Reward / Total reward (mean)": REWARD,
    "Episode / Total timesteps (mean)": EPISODE_LENGTH,
}
"""Sent under both names."""
NOT_ALLOWED = re.compile(r"[^\w\-. :/]", re.ASCII)
"""What MLflow does not allow in the name of a metric."""


def translate_metrics(backend: str, values: Mapping[str, float]) -> dict[str, float]:
    """Return the values by their tracking names. Tags that are not known stay as they are."""
    found: dict[str, float] = {}
    for tag, value in values.items():
        if backend == "rsl_rl":
            if re.fullmatch(r"Train/\w+/time", tag):  # its step is seconds
                continue
            found[_translate_rsl_rl_tag(tag)] = value
        else:
            found[_translate_skrl_tag(tag)] = value
            if tag in SKRL_STANDARD_NAMES:
                found[SKRL_STANDARD_NAMES[tag]] = value
    return found


def _translate_rsl_rl_tag(tag: str) -> str:
    if tag in RSL_RL_NAMES:
        return RSL_RL_NAMES[tag]
    prefix = next((prefix for prefix in RSL_RL_PREFIXES if tag.startswith(prefix)), "")
    return NOT_ALLOWED.sub("_", RSL_RL_PREFIXES.get(prefix, "") + tag.removeprefix(prefix))


def _translate_skrl_tag(tag: str) -> str:
    """Both generations' environment terms lose skrl's own `Info / `; `X (max)` becomes `X/max`."""
    tag = re.sub(r" \((max|min|mean|std)\)$", r"/\1", tag)
    if tag.startswith("Info / ") and "/" in tag.removeprefix("Info / "):
        tag = tag.removeprefix("Info / ")
    return NOT_ALLOWED.sub("", tag).strip()
