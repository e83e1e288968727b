"""Metrics that all workloads declare whose runs play episodes. Imports nothing heavy."""

from robotrain.model.workload_profile import Metric

SUCCESS_RATE = Metric(
    name="rollout/success_rate",
    kind="score",
    label="success",
    brief="success",
    better="higher",
    headline=True,
    share=True,
    low="rollout/success_rate_low",
    high="rollout/success_rate_high",
    count="rollout/episodes",
)
EPISODE_LENGTH = Metric(name="rollout/avg_length", kind="score", label="steps/episode")
TASK_SUCCESS_RATE = Metric(
    name=r"rollout/(?P<task>.+)/success_rate",
    pattern=True,
    kind="score",
    label=r"\g<task>",
    better="higher",
    share=True,
    low=r"rollout/\g<task>/success_rate_low",
    high=r"rollout/\g<task>/success_rate_high",
    count=r"rollout/\g<task>/episodes",
)
"""Of one task, where an environment has several."""
