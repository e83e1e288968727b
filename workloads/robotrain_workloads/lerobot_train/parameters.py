"""Parameters of `lerobot-train`, and LeRobot options that robotrain sets itself. Names: contract, A.1."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from robotrain_runtime.contract.parameter import Param

from robotrain_workloads import bag_parameters
from robotrain_workloads.bag_parameters import Clock, ClockJump, Sync
from robotrain_workloads.lerobot import parameters as shared
from robotrain_workloads.lerobot import version_parameters
from robotrain_workloads.packages import AllowBuilds, Packages
from robotrain_workloads.parameters import CheckpointsUrl, NumNodes, SystemMetrics, make_model_param

Precision = Literal["no", "fp16", "bf16"]
FrameCacheMode = Literal["off", "on", "auto"]
ImageStatistics = Literal["imagenet", "dataset"]
Statistics = Literal["stored", "computed"]
PUBLISHING_HINT = "remove it: checkpoints stay in the run's folder; --publish-url hf://OWNER/NAME publishes them"
POLICY_HINT = "--policy-repo-id OWNER/NAME, or --policy-path FOLDER"
RESUME_HINT = "robotrain resume RUN"
OWNED_OPTIONS: Mapping[str, str] = {
    "--dataset.repo_id": "--dataset-repo-id",
    "--dataset.root": "--dataset-path",
    "--dataset.revision": "--dataset-repo-id OWNER/NAME@REVISION",
    "--dataset.eval_split": "--val-split",
    "--dataset.use_imagenet_stats": "--image-normalization imagenet, or --image-normalization dataset",
    "--eval_steps": "--eval-freq",
    "--env_eval_freq": "remove it: training runs no simulator; --eval-freq is for the validation loss",
    "--policy.type": "--policy-type",
    "--reward_model.type": "--reward-model",
    "--reward_model.device": "--device",
    "--reward_model.learning_rate": "--learning-rate",
    "--reward_model.path": POLICY_HINT,
    "--reward_model.pretrained_path": POLICY_HINT,
    "--reward_model.push_to_hub": PUBLISHING_HINT,
    "--reward_model.repo_id": PUBLISHING_HINT,
    "--policy.device": "--device",
    "--policy.optimizer_lr": "--learning-rate",
    "--optimizer.lr": "--learning-rate",
    "--scheduler.num_warmup_steps": "--lr-warmup-steps",
    "--policy.scheduler_warmup_steps": "--lr-warmup-steps",
    "--policy.use_amp": "--mixed-precision bf16, or --mixed-precision no",
    "--policy.path": POLICY_HINT,
    "--policy.pretrained_path": POLICY_HINT,
    "--policy.pretrained_revision": "--policy-repo-id OWNER/NAME@REVISION",
    "--policy.repo_id": PUBLISHING_HINT,
    "--policy.use_peft": "--lora-rank RANK",
    "--rename_map": "--rename KEY=KEY",
    "--resume": RESUME_HINT,
    "--config_path": RESUME_HINT,
    "--output_dir": "--output-dir",
    "--job_name": "--job-name",
    "--steps": "--training-steps",
    "--batch_size": "--batch-size",
    "--save_freq": "--save-freq",
    "--log_freq": "--log-freq",
    "--seed": "--seed",
    "--num_workers": "--num-workers",
    "--policy.push_to_hub": PUBLISHING_HINT,
    "--save_checkpoint": "--save-freq STEPS",
    "--save_checkpoint_to_hub": PUBLISHING_HINT,
    "--wandb.enable": "--wandb, or --no-wandb",
    "--wandb.project": "--experiment-name",
    "--wandb.mode": "WANDB_MODE=offline   in the environment of the run",
    "--wandb.run_id": "remove it: each run has its own id, also after a restart; robotrain resume makes a new run",
    "--job.target": "remove it: --platform names where the job runs",
}


OF_BAGS = "with --bags: "


def _of_bags(param: Param, default: str = "") -> Param:
    """Return a parameter of bags, which has an effect with --bags only. `default`: what counts without it."""
    note = f" (default: {default})" if default else ""
    return param._replace(common=False, help=f"{OF_BAGS}{param.help}{note}")


def _guessed(param: Param) -> Param:
    """Return a parameter that names topics, which are guessed without it; `none` stands for no topic."""
    return _of_bags(param, "as `robotrain bags inspect` guesses")._replace(takes_none=True)


TrainedPolicyType = Annotated[
    version_parameters.PolicyType | None,
    Param(
        help="the type of policy to train, as `robotrain policies` lists them (default: act, or the type of the"
        " policy to start from)",
        common=True,
        aliases=("--policy",),
        short="-p",
        env=("POLICY_TYPE",),
        metavar="TYPE",
        open_with="packages",
    ),
]
Bags = Annotated[bool, Param(help="the datasets are ROS 2 bags, which the run converts first")]


@dataclass(frozen=True, kw_only=True)
class TrainParameters:
    """The parameters of `lerobot-train`."""

    policy_type: TrainedPolicyType = None
    reward_model: Annotated[
        version_parameters.RewardModelType | None,
        Param(
            help="the reward model to train, instead of a policy; `robotrain policies` lists them",
            metavar="TYPE",
        ),
    ] = None
    packages: Packages = None
    allow_builds: AllowBuilds = False
    job_name: shared.JobName = "lerobot-act-training"
    output_dir: Annotated[
        str | None, shared.make_output_param("a new folder for checkpoints, from the run's own (default: outputs)")
    ] = None
    dataset_id: Annotated[str, shared.make_dataset_param("the name of the dataset for the trainer")] = (
        shared.DEFAULT_DATASET_NAME
    )
    convert_v21: shared.ConvertV21 = False
    bags: Bags = False
    image_topics: Annotated[str | None, _guessed(bag_parameters.IMAGE_TOPICS)] = None
    state_topic: Annotated[str | None, _guessed(bag_parameters.STATE_TOPIC)] = None
    environment_state_topic: Annotated[str | None, _guessed(bag_parameters.ENVIRONMENT_STATE_TOPIC)] = None
    action_topic: Annotated[str | None, _guessed(bag_parameters.ACTION_TOPIC)] = None
    joint_names: Annotated[str | None, _of_bags(bag_parameters.JOINT_NAMES)] = None
    action_joint_names: Annotated[str | None, _of_bags(bag_parameters.ACTION_JOINT_NAMES)] = None
    units: Annotated[str | None, _of_bags(bag_parameters.UNITS)] = None
    fps: Annotated[float | None, _of_bags(bag_parameters.FPS, "the rate of the slowest topic")] = None
    sync: Annotated[Sync | None, _of_bags(bag_parameters.SYNC, "nearest")] = None
    tolerance_s: Annotated[float | None, _of_bags(bag_parameters.TOLERANCE_S)._replace(flag="--bag-tolerance-s")] = None
    timestamp: Annotated[Clock | None, _of_bags(bag_parameters.TIMESTAMP, "header")] = None
    max_gap_s: Annotated[float | None, _of_bags(bag_parameters.MAX_GAP_S, "0.5")] = None
    on_clock_jump: Annotated[ClockJump | None, _of_bags(bag_parameters.ON_CLOCK_JUMP, "refuse")] = None
    exclude_bags: Annotated[str | None, _of_bags(bag_parameters.EXCLUDE_BAGS)] = None
    image_size: Annotated[str | None, _of_bags(bag_parameters.IMAGE_SIZE)] = None
    task: Annotated[
        str | None,
        _of_bags(Param(help="the task that every episode shows", metavar="TEXT"), repr(bag_parameters.DEFAULT_TASK)),
    ] = None
    exclude_episodes: Annotated[
        str | None,
        shared.make_excluded_param("episodes to neither train on nor hold out"),
    ] = None
    mixture: Annotated[
        str | None,
        Param(
            help="with several datasets: the weight of each in the samples, in their order, such as 0.7,0.3; or after"
            " its name: --dataset-repo-id a/b=0.7 (default: each frame alike)",
            metavar="WEIGHTS",
            form="list",
        ),
    ] = None
    rename: Annotated[
        str | None,
        Param(
            help="with a policy to start from: features of the dataset, each with its name in the policy, such as"
            " observation.image=observation.images.camera1",
            metavar="KEY=KEY,…",
            form="table",
        ),
    ] = None
    image_normalization: Annotated[
        ImageStatistics, Param(help="the statistics that camera images are normalized with")
    ] = "imagenet"
    statistics: Annotated[
        Statistics | None,
        Param(
            help="the statistics that numbers are normalized with: those in meta/stats.json, or of all frames read"
            " (default: computed for several datasets or with --exclude-episodes, else stored)"
        ),
    ] = None
    training_steps: shared.TrainingSteps = 100_000
    batch_size: Annotated[int, shared.BATCH_SIZE_PARAM._replace(trainer_default="LeRobot's is 8")] = 32
    learning_rate: Annotated[
        float | None,
        Param(
            help="the optimizer's learning rate (default: 1e-4 for a new act, else LeRobot's for the type)",
            common=True,
            trainer_default="LeRobot's is 1e-05",
            aliases=("--lr",),
            env=("LEARNING_RATE",),
            gt=0,
        ),
    ] = None
    lora_rank: Annotated[
        int | None,
        Param(
            help="with a policy to start from: train a LoRA adapter of this rank on it, instead of all its weights",
            metavar="RANK",
            gt=0,
        ),
    ] = None
    lr_warmup_steps: Annotated[
        int | None,
        Param(
            help="steps to the full learning rate (default: the policy's own schedule)", env=("LR_WARMUP_STEPS",), ge=0
        ),
    ] = None
    eval_freq: Annotated[
        int | None,
        Param(help="steps between validation losses (default: as --save-freq; 0: none)", env=("EVAL_FREQ",), ge=0),
    ] = None
    save_freq: Annotated[int, shared.SAVE_FREQ_PARAM._replace(common=True, trainer_default="LeRobot's is 20000")] = 5000
    evaluate_checkpoints: Annotated[
        str | None,
        Param(
            help="score the checkpoints as well: all, or those whose step is a multiple of a number, and the last;"
            " with the options of lerobot-eval, such as --env",
            metavar="all|EVERY",
            bare_value="all",
            pattern=shared.CHECKPOINTS_PATTERN,
            pattern_help=shared.CHECKPOINTS_HELP,
        ),
    ] = None
    stop_after_no_improvement: Annotated[
        int | None,
        Param(
            help="end the training after N validations without a lower loss, and save a checkpoint at each one that has"
            " it; needs --val-split",
            metavar="N",
            gt=0,
        ),
    ] = None
    log_freq: shared.LogFreq = 200
    val_split: Annotated[
        float,
        Param(
            help="the share of each task's episodes that is held out",
            off="--no-val-split",
            off_value="0",
            env=("VAL_SPLIT",),
            ge=0,
            lt=1,
            trainer_default="LeRobot's is 0",
        ),
    ] = shared.DEFAULT_VAL_SPLIT
    system_metrics: SystemMetrics = True
    num_gpus: shared.NodeGpus = 1
    num_nodes: NumNodes = 1
    mixed_precision: Annotated[
        Precision | None,
        Param(
            help="the number format of training (default: no, or what LeRobot has for the type)",
            env=("MIXED_PRECISION",),
            requires="mixed_precision",
            takes_none=True,
        ),
    ] = None
    experiment_name: Annotated[
        str | None, Param(help="the tracking experiment (default: lerobot-POLICY-JOB)", env=("EXPERIMENT_NAME",))
    ] = None
    wandb: Annotated[
        bool,
        Param(
            help="log to Weights & Biases as well", aliases=("--wandb-enable",), env=("WANDB_ENABLE",), requires="wandb"
        ),
    ] = False
    register_checkpoint: Annotated[
        str | None, make_model_param("register checkpoints as a model of this name", "REGISTER_CHECKPOINT")
    ] = None
    publish_url: CheckpointsUrl = None
    keep: Annotated[
        int | None, Param(help="how many checkpoints to keep at --publish-url (default: all)", metavar="N", gt=0)
    ] = None
    lerobot_version: version_parameters.LeRobotVersion = version_parameters.DEFAULT_LEROBOT_VERSION
    trust_remote_code: shared.TrustRemoteCode = None
    seed: shared.Seed = 1000
    num_workers: Annotated[
        int | None,
        Param(
            help="processes that load data, for each GPU (default: chosen for the machine, at most 4)",
            metavar="N",
            ge=0,
        ),
    ] = None
    frame_cache: Annotated[
        FrameCacheMode,
        Param(
            help="keep decoded frames of videos in the cache, and read them from there in later epochs and runs;"
            " auto: if all fit in a third of the free disk, or in --frame-cache-size",
        ),
    ] = "off"
    frame_cache_size: Annotated[
        float | None,
        Param(help="the most that the decoded frames may take (default: what the disk has)", metavar="GB", gt=0),
    ] = None
    device: shared.TrainingDevice = "auto"
    allow_non_finite: Annotated[bool, Param(help="keep a policy whose loss or weights are NaN or infinite")] = False
