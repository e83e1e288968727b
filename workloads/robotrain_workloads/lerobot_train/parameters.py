"""What can be said about a LeRobot training. The environment names are those of the contract, section A.1."""

from dataclasses import dataclass
from typing import Annotated, Literal

from robotrain_runtime.parameter import Param

Policy = Literal["act", "diffusion"]
Precision = Literal["no", "fp16", "bf16"]
Device = Literal["auto", "cpu", "cuda", "mps"]
Statistics = Literal["imagenet", "dataset"]

NAME = r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,254}$"
LOGICAL_NAME = r"^[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*$"


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """The parameters of `lerobot-train`."""

    policy_type: Annotated[
        Policy, Param(help="the policy to train", aliases=("--policy",), short="-p", env=("POLICY_TYPE",))
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
            help="what the trainer calls the dataset",
            pattern=LOGICAL_NAME,
            form="names of letters, digits, `_`, `.` and `-`, with `/` between them",
            metavar="NAME",
        ),
    ] = "dataset"
    convert_v21: Annotated[bool, Param(help="convert datasets of LeRobot v2.1 for this run")] = False
    image_normalization: Annotated[
        Statistics, Param(help="whose mean and deviation camera images are normalised with")
    ] = "imagenet"
    training_steps: Annotated[
        int, Param(help="how many steps to train", aliases=("--steps",), env=("TRAINING_STEPS",), gt=0)
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
        Param(help="steps between held-out losses (default: as save-freq; 0: none)", env=("EVAL_FREQ",), ge=0),
    ] = None
    save_freq: Annotated[int, Param(help="steps between checkpoints", env=("SAVE_FREQ",), gt=0)] = 5000
    log_freq: Annotated[int, Param(help="steps between metrics", env=("LOG_FREQ",), gt=0)] = 200
    val_split: Annotated[
        float,
        Param(
            help="the part of each task's episodes that is held out",
            off="--no-val-split",
            off_value="0",
            env=("VAL_SPLIT",),
            ge=0,
            lt=1,
        ),
    ] = 0.1
    system_metrics: Annotated[bool, Param(help="record values of the machine", env=("SYSTEM_METRICS",))] = True
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
            pattern=NAME,
            form="a name of letters, digits, `_`, `.` and `-`, at most 255, a letter, a digit or `_` first",
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
            help="how many of its copies at --publish-url a run keeps (default: all)",
            metavar="N",
            gt=0,
        ),
    ] = None
    lerobot_version: Annotated[
        str | None, Param(help="the LeRobot version you count on; refused if it is another", env=("LEROBOT_VERSION",))
    ] = None
    seed: Annotated[int, Param(help="the seed of initialisation and data order", ge=0, le=2**32 - 1)] = 1000
    num_workers: Annotated[int, Param(help="processes that load data, for each GPU", ge=0)] = 4
    device: Annotated[Device, Param(help="where to train; auto takes a GPU when there is one")] = "auto"
