"""The metrics of the workload `lerobot-eval`: how success, rewards, errors and speed are called and shown."""

from robotrain.workload import Metric

_OF_EPISODE = "(?:rollout_)?ep[0-9]+_"
"""How metrics of one episode begin: of a rollout by its place, of a replay by its number in the dataset."""
_UNITS = "Errors (mse, mae) are in the dataset's own units."

METRICS = (
    Metric(
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
    ),
    Metric(
        name="rollout/avg_max_reward",
        kind="score",
        label="greatest reward, mean",
        brief="greatest reward, mean",
        better="higher",
    ),
    Metric(name="rollout/avg_sum_reward", kind="score", label="sum of rewards, mean", better="higher"),
    Metric(name="rollout/avg_length", kind="score", label="steps an episode"),
    Metric(name="replay/episodes", kind="score", label="recorded episodes"),
    Metric(name="replay/mse", kind="score", label="mse", brief="mse", better="lower", headline=True, note=_UNITS),
    Metric(name="replay/mae", kind="score", label="mae", brief="mae", better="lower", note=_UNITS),
    Metric(name="replay/latency_mean_ms", kind="score", label="mean latency", unit="ms", better="lower"),
    Metric(name="replay/latency_p50_ms", kind="score", label="p50 latency", unit="ms", better="lower"),
    Metric(name="replay/latency_p95_ms", kind="score", label="p95 latency", brief="p95", unit="ms", better="lower"),
    Metric(name="replay/latency_p99_ms", kind="score", label="p99 latency", unit="ms", better="lower"),
    Metric(name="replay/throughput_hz", kind="score", label="actions a second", better="higher"),
    Metric(name=f"{_OF_EPISODE}success", pattern=True, kind="episode", brief="success", share=True),
    Metric(name=f"{_OF_EPISODE}mse", pattern=True, kind="episode", brief="mse"),
    Metric(name=rf"{_OF_EPISODE}\w+", pattern=True, kind="episode"),
    Metric(name="aggregate_.*", pattern=True, kind="copy"),
)
