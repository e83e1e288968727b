"""Parameters of `lerobot-train`, and LeRobot options that robotrain sets itself. Names: contract, A.1."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from robotrain_runtime.contract.parameter import Param

from robotrain_workloads.lerobot.parameters import (
    DEFAULT_DATASET_NAME,
    DEFAULT_VAL_SPLIT,
    LOGICAL_NAME_PATTERN,
    NAME_PATTERN,
    Device,
    PolicyType,
)

Precision = Literal["no", "fp16", "bf16"]
ImageStatistics = Literal["imagenet", "dataset"]
PUBLISHING_HINT = "remove it: checkpoints stay in the run's folder; --publish-url FOLDER copies them"
POLICY_HINT = "--policy-path FOLDER"
RESUME_HINT = "robotrain resume RUN"
OWNED_OPTIONS: Mapping[str, str] = {
    "--dataset.repo_id": "--dataset-id",
    "--dataset.root": "--dataset-path",
    "--dataset.eval_split": "--val-split",
    "--dataset.use_imagenet_stats": "--image-normalization",
    "--eval_steps": "--eval-freq",
    "--env_eval_freq": "remove it: training runs no simulator; --eval-freq is for the validation loss",
    "--policy.type": "--policy-type",
    "--policy.device": "--device",
    "--policy.optimizer_lr": "--learning-rate",
    "--optimizer.lr": "--learning-rate",
    "--scheduler.num_warmup_steps": "--lr-warmup-steps",
    "--policy.scheduler_warmup_steps": "--lr-warmup-steps",
    "--policy.use_amp": "--mixed-precision",
    "--policy.path": POLICY_HINT,
    "--policy.pretrained_path": POLICY_HINT,
    "--policy.pretrained_revision": "--policy-repo-id OWNER/NAME@REVISION",
    "--policy.repo_id": PUBLISHING_HINT,
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
    "--save_checkpoint": "--save-freq",
    "--save_checkpoint_to_hub": PUBLISHING_HINT,
    "--wandb.enable": "--wandb",
    "--wandb.project": "--experiment-name",
    "--wandb.mode": "WANDB_MODE=offline   in the environment of the run",
    "--wandb.run_id": "remove it: each run has its own id, and keeps it when it resumes",
    "--job.target": "--platform",
}


@dataclass(frozen=True, kw_only=True)
class TrainParameters:
    """The parameters of `lerobot-train`."""

    policy_type: Annotated[
        PolicyType, Param(help="the policy to train", aliases=("--policy",), short="-p", env=("POLICY_TYPE",))
    ] = "act"
    job_name: Annotated[str, Param(help="the name of the tracking run", short="-j", env=("JOB_NAME",))] = (
        "lerobot-act-training"
    )
    output_dir: Annotated[
        str | None,
        Param(
            help="a new folder for checkpoints, from the run's own (default: outputs)",
            short="-o",
            env=("OUTPUT_DIR",),
            metavar="FOLDER",
        ),
    ] = None
    dataset_id: Annotated[
        str,
        Param(
            help="the name of the dataset for the trainer",
            pattern=LOGICAL_NAME_PATTERN,
            pattern_help="names of letters, digits, `_`, `.` and `-`, with `/` between them",
            metavar="NAME",
        ),
    ] = DEFAULT_DATASET_NAME
    convert_v21: Annotated[bool, Param(help="convert datasets of LeRobot v2.1 for this run")] = False
    image_normalization: Annotated[
        ImageStatistics, Param(help="the statistics that camera images are normalized with")
    ] = "imagenet"
    training_steps: Annotated[
        int, Param(help="the number of training steps", aliases=("--steps",), env=("TRAINING_STEPS",), gt=0)
    ] = 100_000
    batch_size: Annotated[int, Param(help="samples a step, on each GPU", env=("BATCH_SIZE",), gt=0)] = 32
    learning_rate: Annotated[float, Param(help="the optimizer's learning rate", env=("LEARNING_RATE",), gt=0)] = 1e-4
    lr_warmup_steps: Annotated[
        int | None,
        Param(
            help="steps to the full learning rate (default: the policy's own schedule)",
            env=("LR_WARMUP_STEPS",),
            gt=0,
        ),
    ] = None
    eval_freq: Annotated[
        int | None,
        Param(help="steps between validation losses (default: as --save-freq; 0: none)", env=("EVAL_FREQ",), ge=0),
    ] = None
    save_freq: Annotated[int, Param(help="steps between checkpoints", env=("SAVE_FREQ",), gt=0)] = 5000
    log_freq: Annotated[int, Param(help="steps between metrics", env=("LOG_FREQ",), gt=0)] = 200
    val_split: Annotated[
        float,
        Param(
            help="the share of each task's episodes that is held out",
            off="--no-val-split",
            off_value="0",
            env=("VAL_SPLIT",),
            ge=0,
            lt=1,
        ),
    ] = DEFAULT_VAL_SPLIT
    system_metrics: Annotated[bool, Param(help="record metrics of the machine", env=("SYSTEM_METRICS",))] = True
    num_gpus: Annotated[
        int, Param(help="GPUs of one machine to train on", env=("OSMO_NUM_GPUS",), gt=0, requires="multi_gpu")
    ] = 1
    mixed_precision: Annotated[
        Precision, Param(help="the number format of training", env=("MIXED_PRECISION",), requires="mixed_precision")
    ] = "no"
    experiment_name: Annotated[
        str | None, Param(help="the tracking experiment (default: lerobot-POLICY-JOB)", env=("EXPERIMENT_NAME",))
    ] = None
    wandb: Annotated[
        bool,
        Param(
            help="log to Weights & Biases as well",
            aliases=("--wandb-enable",),
            env=("WANDB_ENABLE",),
            requires="wandb",
        ),
    ] = False
    register_checkpoint: Annotated[
        str | None,
        Param(
            help="register checkpoints as a model of this name",
            short="-r",
            env=("REGISTER_CHECKPOINT",),
            pattern=NAME_PATTERN,
            pattern_help="a name of letters, digits, `_`, `.` and `-`, at most 255, a letter, a digit or `_` first",
            metavar="NAME",
            requires="register_model",
        ),
    ] = None
    publish_url: Annotated[
        str | None,
        Param(
            help="where complete checkpoints are copied to: a folder, or a blob URL",
            metavar="FOLDER|URL",
            requires="publish_folder",
        ),
    ] = None
    keep: Annotated[
        int | None,
        Param(
            help="how many checkpoints to keep at --publish-url (default: all)",
            metavar="N",
            gt=0,
        ),
    ] = None
    lerobot_version: Annotated[
        str | None,
        Param(
            help="the LeRobot version that you expect; another one is rejected",
            env=("LEROBOT_VERSION",),
        ),
    ] = None
    seed: Annotated[int, Param(help="the seed of initialization and data order", ge=0, le=2**32 - 1)] = 1000
    num_workers: Annotated[int, Param(help="processes that load data, for each GPU", ge=0)] = 4
    device: Annotated[Device, Param(help="where to train; auto uses a GPU if there is one")] = "auto"
