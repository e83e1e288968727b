"""The workload `lerobot-eval`: its declaration and metrics. Imports nothing heavy."""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robotrain.model.preview import WorkPreview
from robotrain.model.workload import FoundInput, JobTemplate, ListAnswers, Role, Workload
from robotrain.model.workload_profile import Container, Metric, OutputProfile, Resources, WorkloadProfile
from robotrain.plugins.hookspecs import hook

from robotrain_workloads import lerobot_declarations, packages
from robotrain_workloads.evaluation.profile import EPISODE_LENGTH, SUCCESS_RATE, TASK_SUCCESS_RATE
from robotrain_workloads.lerobot import version_parameters
from robotrain_workloads.lerobot.episode_numbers import EXCLUDED
from robotrain_workloads.lerobot_eval.parameters import OWNED_OPTIONS, EvalParameters, choose_lock
from robotrain_workloads.package_lock import lazy_locker

if TYPE_CHECKING:
    from robotrain.errors import Problem
    from robotrain.model.job import Job
    from robotrain.report.evaluation import EvaluationResults

WEIGHTS = r"\.(?:pth|pt|safetensors)$|^\w+_Weights\.\w+$"
"""Of the cameras' network, from which a training starts: a trained policy has its own."""
EPISODE_PREFIX = "(?:rollout_)?ep[0-9]+_"
"""Prefix of one episode's metrics: of a rollout by its index, of a replay by its number in the dataset."""
UNITS_NOTE = "Errors (mse, mae) are in the dataset's own units."

METRICS = (
    SUCCESS_RATE,
    Metric(
        name="rollout/avg_max_reward",
        kind="score",
        label="mean greatest reward",
        brief="mean greatest reward",
        better="higher",
    ),
    Metric(name="rollout/avg_sum_reward", kind="score", label="mean sum of rewards", better="higher"),
    EPISODE_LENGTH,
    TASK_SUCCESS_RATE,
    Metric(name=r"rollout/.+/\w+", pattern=True, kind="copy"),
    Metric(name="replay/episodes", kind="score", label="recorded episodes"),
    Metric(
        name="replay/mse",
        kind="score",
        label="mean squared error",
        brief="mse",
        better="lower",
        headline=True,
        note=UNITS_NOTE,
    ),
    Metric(name="replay/mae", kind="score", label="mean absolute error", brief="mae", better="lower", note=UNITS_NOTE),
    Metric(name="replay/latency_mean_ms", kind="score", label="mean latency", unit="ms", better="lower"),
    Metric(name="replay/latency_p50_ms", kind="score", label="p50 latency", unit="ms", better="lower"),
    Metric(name="replay/latency_p95_ms", kind="score", label="p95 latency", brief="p95", unit="ms", better="lower"),
    Metric(name="replay/latency_p99_ms", kind="score", label="p99 latency", unit="ms", better="lower"),
    Metric(name="replay/throughput_hz", kind="score", label="actions/s", better="higher"),
    Metric(name=f"{EPISODE_PREFIX}success", pattern=True, kind="episode", brief="success", share=True),
    Metric(name=f"{EPISODE_PREFIX}mse", pattern=True, kind="episode", brief="mse"),
    Metric(name=rf"{EPISODE_PREFIX}\w+", pattern=True, kind="episode"),
    Metric(name="aggregate_.*", pattern=True, kind="copy"),
)


def check_job(job: "Job") -> "Iterator[Problem]":
    """Check what does not depend on the platform."""
    from robotrain_workloads import rules as shared_rules
    from robotrain_workloads.lerobot import rules as shared_lerobot_rules
    from robotrain_workloads.lerobot_eval import rules, simulation_rules

    yield from rules.check_policy(job)
    yield from shared_lerobot_rules.check_system(job)
    yield from shared_lerobot_rules.check_backbones(job)
    yield from shared_lerobot_rules.check_remote_code(job)
    yield from rules.check_scored_checkpoints(job)
    yield from rules.check_comparison(job)
    yield from rules.check_evaluation_target(job)
    yield from simulation_rules.check_rollout(job)
    yield from simulation_rules.check_task_description(job)
    yield from rules.check_replay_episodes(job)
    yield from shared_lerobot_rules.check_excluded_episodes(job)
    yield from rules.check_lerobot_options(job)
    yield from rules.check_registration(job)
    yield from shared_rules.check_publish_url(job, "results")
    yield from shared_rules.check_builds(job)


def follow_run(job: "Job", earlier: "Job") -> dict[str, tuple[Any, str]]:
    """Return the packages of the run whose policy a job takes, and the episodes that it left out of the same data."""
    parameters = packages.follow_run(job, earlier)
    excluded = dict(earlier.parameters).get(EXCLUDED)
    dataset_uris, earlier_uris = (
        [source.uri for source in given_job.sources if source.role == "dataset"] for given_job in (job, earlier)
    )
    return (
        {**parameters, EXCLUDED: (excluded, packages.OWNER)}
        if excluded and dataset_uris == earlier_uris
        else parameters
    )


def continue_runs(job: "Job", list_answers: ListAnswers) -> dict[str, tuple[Any, str]]:
    """Return the comparisons under equal conditions; the job goes on from those of the same policies."""
    from robotrain_runtime.comparison import continuation

    from robotrain_workloads.lerobot_eval import references

    if job["env"] is None or not references.list_references(job.sources):
        return {}
    conditions = references.digest_conditions(dict(job.parameters), job.trainer_args)
    comparisons = continuation.load_continuations(list_answers(), conditions)
    if not comparisons:
        return {}
    runs_text = " and ".join(comparison.run for comparison in comparisons)
    return {references.EARLIER: (continuation.dump_comparisons(comparisons), f"of {runs_text}")}


def implies_sources(job: "Job") -> bool:
    """Return whether the policy may read repositories that nobody gave."""
    from robotrain_workloads.lerobot.trained_model import choose_model

    return not job["builtin_policy"] or bool(choose_model(dict(job.parameters), {}).facts.repositories)


def logs_metric(job: "Job", metric: str) -> bool:
    """Return whether an evaluation reports a metric: of rollouts with an environment, of a replay with a dataset."""
    if metric.startswith("rollout/"):
        return bool(job["env"])
    return not metric.startswith("replay/") or any(source.role == "dataset" for source in job.sources)


def read_results(content: bytes) -> "EvaluationResults":
    """Read the results file for reports."""
    from robotrain_workloads.evaluation import results_reader

    return results_reader.read_results(content)


def choose_scenes(parameters: Mapping[str, Any]) -> str:
    """Return the repository with the scenes of the simulated environment; empty for none."""
    if parameters["env"] is None:
        return ""
    from robotrain_workloads.lerobot_eval.inputs import simulation

    return simulation.SIMULATED_ENVIRONMENTS[str(parameters["env"])].scenes


def find_inputs(folder: Path) -> "Iterator[FoundInput]":
    """Yield the datasets that a policy could be evaluated on, each with the environment that it suits."""
    from robotrain_workloads.lerobot import policy_features
    from robotrain_workloads.lerobot.local_datasets import find_dataset_inputs
    from robotrain_workloads.lerobot_eval.inputs import simulation

    for dataset_input, info in find_dataset_inputs(folder):
        settings = policy_features.make_new_settings(info)
        environments = [  # an environment of many tasks: which of them fits, the user knows
            env for env, environment in simulation.SIMULATED_ENVIRONMENTS.items() if not environment.needs_tasks
        ]
        suited_environments = (
            env for env in environments if not any(simulation.find_environment_problems(settings, env, ()))
        )
        if env := next(suited_environments, ""):
            dataset_input = dataset_input._replace(
                parameters={**dataset_input.parameters, "env": env, "success_threshold": THRESHOLD}
            )
        yield dataset_input


PARAMETERS = dict.fromkeys(("env", "eval_episodes", "starts", "success_threshold", "record_video", "replay_episodes"))
"""What `robotrain init` shows of the parameters."""
THRESHOLD = 0.7

LEROBOT_EVAL = Workload(
    name="lerobot-eval",
    summary="evaluate a LeRobot policy on recorded episodes and in a simulated environment",
    example_lines=(
        "lerobot-eval --policy-run RUN --env pusht --platform PLATFORM",
        "lerobot-eval --policy-run RUN --dataset-path ./my-dataset --platform PLATFORM",
    ),
    parameters=EvalParameters,
    roles={
        "policy": Role(typical=True, takes="checkpoints", takes_all="checkpoints"),
        "reference": Role(many=True, takes="checkpoints"),
        "dataset": Role(many=True, typical=True, described_by=("dataset_id", "convert_v21", EXCLUDED)),
        "backbone": Role(many=True, reads=lambda text: not re.search(WEIGHTS, text)),
        "scenes": Role(default=choose_scenes),
    },
    container_plugin="robotrain_workloads.lerobot_eval.container",
    data_packages=lambda job: version_parameters.list_data_packages(job, choose_lock(dict(job.parameters))),
    implies_sources=implies_sources,
    targets=("publish_url",),
    program="LeRobot",
    produces="results",
    profile=WorkloadProfile(
        resources=Resources(cpu=4, memory="32Gi", storage="40Gi", time_limit="2h"),
        container=Container(
            image=(
                "pytorch/pytorch:2.4.1-cuda12.4-cudnn9-runtime"
                "@sha256:0a3b9fedefe1f61ac4d5a9de9015c0863db27ca0fde2d4e37e6268147980b726"
            ),
            environment="lerobot-inference-env",
        ),
        outputs=OutputProfile(
            folder="eval_results",
            noun="evaluation",
            complete_file="eval_results.json",
            register_parameter="register_model",
            resumable=False,
        ),
        metrics=METRICS,
        experiment="lerobot-evaluation",
    ),
    evaluates=("lerobot-train", "rosbag-act-train"),
    inherits=(
        "dataset_id",
        "publish_url",
        "convert_v21",
        EXCLUDED,
        "device",
        "system_metrics",
        "lerobot_version",
        "trust_remote_code",
        *packages.PARAMETERS,
    ),
    load_locker=lazy_locker.load_locker,
    needs_lock=packages.needs_lock,
    follow_run=follow_run,
    continue_runs=continue_runs,
    preview=WorkPreview(
        {"environment": "env", "episodes": "eval_episodes", "batch": "eval_batch_size", "checkpoints": "checkpoints"}
        | {"left out": EXCLUDED},
        lerobot_declarations.find_facts,
    ),
    template=JobTemplate(parameters=PARAMETERS, find_inputs=find_inputs),
    read_results=read_results,
    managed_options=OWNED_OPTIONS,
    program_options=lerobot_declarations.LEROBOT_OPTIONS,
    named_by=("env",),
    check=check_job,
    logs_metric=logs_metric,
)


@hook
def robotrain_workloads() -> Iterable[Workload]:
    """Return the workload of this module."""
    return (LEROBOT_EVAL,)
