"""Parameters of `lerobot-eval`, and LeRobot options that robotrain sets itself. Names: contract, A.8, A.9."""

from __future__ import annotations  # evaluated for the jobs of this workload alone

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from robotrain_runtime.comparison.rates import MOST_MARGIN
from robotrain_runtime.contract.parameter import Param

from robotrain_workloads.lerobot import parameters as shared
from robotrain_workloads.lerobot import version_parameters, versions
from robotrain_workloads.packages import AllowBuilds, Packages
from robotrain_workloads.parameters import NAME_PATTERN, ResultsUrl, SystemMetrics, make_model_param

Simulation = Literal["pusht", "aloha", "metaworld", "libero"]
MIN_CONFIRMING = 10
"""Fewer episodes confirm nothing: 4 of 4 fit a policy that fails half of the time."""
OPTION_PATTERN = r"(?s)--(env|policy)\.[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*=.*"
EPISODES_FLAG, BATCH_FLAG, POLICY_HINT = (
    "--eval-episodes",
    "--eval-batch-size",
    "--policy-repo-id OWNER/NAME, or --policy-path FOLDER",
)
OBSERVATION_HINT = "remove it: the environment shows what the policy reads; -- --env.obs_type=NAME overrides it"
PUBLISHING_HINT = "remove it: nothing is pushed; --register-model NAME registers the policy"
OWNED_OPTIONS: Mapping[str, str] = {
    "--env.type": "--env",
    "--env.task_ids": "--env-tasks SUITE/NUMBER",
    "--env.episode_length": "--env-steps",
    "--env.render_mode": "--record-video",
    "--env.features": OBSERVATION_HINT,
    "--env.features_map": OBSERVATION_HINT,
    "--env.max_parallel_tasks": "--env-workers",
    "--eval.n_episodes": EPISODES_FLAG,
    "--eval.batch_size": BATCH_FLAG,
    "--eval.use_async_envs": "--env-workers",
    "--policy.path": POLICY_HINT,
    "--policy.pretrained_path": POLICY_HINT,
    "--policy.pretrained_revision": "--policy-repo-id OWNER/NAME@REVISION",
    "--policy.type": "--policy-type",
    "--policy.device": "--device",
    "--policy.push_to_hub": PUBLISHING_HINT,
    "--policy.repo_id": PUBLISHING_HINT,
    "--rename_map": "--rename KEY=KEY",
    "--dataset.repo_id": "--dataset-repo-id",
    "--dataset.root": "--dataset-path",
    "--output_dir": "--output-dir",
    "--job_name": "--job-name",
    "--seed": "--seed",
    "--start_seed": "--seed",
}


@dataclass(frozen=True, kw_only=True)
class EvalParameters:
    """The parameters of `lerobot-eval`."""

    policy_type: Annotated[
        str | None,
        Param(
            help="the policy type that you expect; another one is rejected",
            aliases=("--policy",),
            short="-p",
            env=("POLICY_TYPE",),
            pattern=NAME_PATTERN,
            pattern_help="a type of LeRobot, such as act or diffusion",
            metavar="TYPE",
        ),
    ] = None
    builtin_policy: Annotated[
        bool,
        Param(
            help="evaluate an untrained policy (act, or --policy-type) made for the dataset, as a baseline",
            env=("BUILTIN_POLICY",),
        ),
    ] = False
    packages: Packages = None
    allow_builds: AllowBuilds = False
    checkpoints: Annotated[
        str | None,
        Param(
            help="score several checkpoints of the policy in turn: all, or those whose step is a multiple of a number;"
            " the last always",
            common=True,
            metavar="all|EVERY",
            bare_value="all",
            pattern=shared.CHECKPOINTS_PATTERN,
            pattern_help=shared.CHECKPOINTS_HELP,
        ),
    ] = None
    confirm: Annotated[
        int | None,
        Param(
            help="roll the best of --checkpoints out in so many more episodes, from starts that did not choose it: its"
            " scores are those",
            metavar="EPISODES",
            ge=MIN_CONFIRMING,
        ),
    ] = None
    at_most: Annotated[
        int | None,
        Param(
            help="of a comparison with --reference-…: the most episodes of each policy (default: what --detect needs)",
            metavar="EPISODES",
            gt=0,
        ),
    ] = None
    confidence: Annotated[
        float | None,
        Param(help="how sure a comparison is of all that it says together (default: 0.95)", ge=0.5, lt=1),
    ] = None
    detect: Annotated[
        float | None,
        Param(help="the difference of success rates that a comparison is planned to find (default: 0.2)", gt=0, le=1),
    ] = None
    equal_within: Annotated[
        float | None,
        Param(
            help="end a comparison once the success rates are surely this close", metavar="RATE", gt=0, le=MOST_MARGIN
        ),
    ] = None
    margin: Annotated[
        float | None,
        Param(
            help="the run fails unless the policy is surely not worse than each reference by this success rate",
            metavar="RATE",
            gt=0,
            le=MOST_MARGIN,
        ),
    ] = None
    allow_floor: Annotated[
        bool, Param(help="let policies be not worse, or equal, where one never succeeds or both always do")
    ] = False
    earlier_comparisons: Annotated[
        str | None,
        Param(
            help="what earlier comparisons found, which a comparison of the same policies goes on from with new starts"
            " (default: those that this machine knows; none: begin anew)",
            metavar="JSON",
            form="json",
        ),
    ] = None
    job_name: shared.JobName = "lerobot-eval"
    output_dir: Annotated[
        str | None, shared.make_output_param("a folder for results, from the run's own (default: outputs)")
    ] = None
    dataset_id: Annotated[str, shared.make_dataset_param("the name of the dataset in the results")] = (
        shared.DEFAULT_DATASET_NAME
    )
    convert_v21: shared.ConvertV21 = False
    eval_episodes: Annotated[
        int,
        Param(
            help="episodes to roll out, and the most to replay; of a comparison, its first pairs",
            common=True,
            aliases=("--episodes",),
            env=("EVAL_EPISODES",),
            gt=0,
            trainer_default="LeRobot's is 50",
        ),
    ] = 10
    eval_batch_size: Annotated[
        int,
        Param(
            help="episodes that the policy acts in at the same time",
            aliases=("--batch-size",),
            env=("EVAL_BATCH_SIZE",),
            gt=0,
        ),
    ] = 10
    replay_episodes: Annotated[
        str | None,
        Param(
            help="recorded episodes to replay: held-out, all, or numbers such as 0,3,5-9 (default: those that the"
            " policy's training held out if known, else all)",
            metavar="WHICH",
            form="list",
        ),
    ] = None
    exclude_episodes: Annotated[
        str | None,
        shared.make_excluded_param(
            "recorded episodes to leave out of a replay (default, with --policy-run: as that run did on the same data)"
        ),
    ] = None
    env: Annotated[Simulation | None, Param(help="the simulated environment that the policy acts in", common=True)] = (
        None
    )
    env_tasks: Annotated[
        str | None,
        Param(
            help="the tasks of the environment, by name or group, such as push-v3,easy (metaworld) or libero_spatial",
            common=True,
            metavar="TASK,…",
        ),
    ] = None
    task_description: Annotated[
        str | None,
        Param(
            help="what a policy that reads words is told to do (default: the environment's own description, else the"
            " text that it was trained with)",
            metavar="TEXT",
        ),
    ] = None
    rename: Annotated[
        str | None,
        Param(
            help="observations of the environment or dataset, each with its name in the policy, such as"
            " observation.image=observation.images.camera1",
            metavar="KEY=KEY,…",
            form="table",
        ),
    ] = None
    env_steps: Annotated[
        int | None, Param(help="the most steps of an episode (default: the environment's own)", gt=0)
    ] = None
    starts: Annotated[
        str | None,
        Param(
            help="where episodes start: easy (pusht), a JSON list of states, used in turn, or a JSON object of ranges"
            " (default: the environment's own)",
            metavar="easy|JSON",
            form="json",
        ),
    ] = None
    success_reward: Annotated[
        float | None,
        Param(help="an episode succeeds when its greatest reward reaches this (default: the environment's own rule)"),
    ] = None
    success_threshold: Annotated[
        float | None, Param(help="the run fails if the success rate is below this", ge=0, le=1)
    ] = None
    record_video: Annotated[
        bool, Param(help="record videos of the first 50 episodes", common=True, env=("RECORD_VIDEO",))
    ] = False
    env_workers: Annotated[
        int | None,
        Param(
            help="processes that step environments (default: one a core; 0: only the policy's own)",
            aliases=("--num-workers",),
            ge=0,
        ),
    ] = None
    seed: Annotated[
        int, Param(help="the seed of the first episode; each next episode has the next seed", ge=0, le=2**31 - 1)
    ] = 1000
    device: Annotated[
        shared.Device,
        Param(help="where the policy computes; auto uses a GPU if there is one"),
    ] = "auto"
    system_metrics: SystemMetrics = True
    experiment_name: Annotated[
        str | None,
        Param(
            help="the tracking experiment (default: lerobot-TYPE-inference; lerobot-policy-inference for a policy that"
            " is not downloaded yet, unless --policy-type is set)",
            env=("EXPERIMENT_NAME",),
        ),
    ] = None
    register_model: Annotated[
        str | None,
        make_model_param("register the evaluated policy, with its scores, as a model of this name", "REGISTER_MODEL"),
    ] = None
    keep_policy: Annotated[bool, Param(help="keep the policy among the run's artifacts, to register it later")] = True
    publish_url: ResultsUrl = None
    lerobot_version: version_parameters.LeRobotVersion = version_parameters.DEFAULT_LEROBOT_VERSION
    trust_remote_code: shared.TrustRemoteCode = None


def choose_lock(parameters: Mapping[str, object]) -> str:
    """Return the lock of a LeRobot version that a job needs: that of its simulated environment, if there is one."""
    env = str(parameters["env"])
    return env if versions.get_version(parameters["lerobot_version"]).get_lock(env).is_file() else "eval"
