"""The trainer's command line: which of its options are robotrain's, and the values they get."""

from __future__ import annotations  # the declaration imports this for `OWNED`: help should not load what it names

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from robotrain_runtime.document import Scalar

    from robotrain_workloads.lerobot_train.start import Start

PUBLISHING = "leave it out: checkpoints stay in the run's folder, and --publish-url FOLDER copies them"
POLICY = "--policy-path FOLDER"
RESUME = "robotrain resume RUN"

OWNED: Mapping[str, str] = {
    "--dataset.repo_id": "--dataset-id",
    "--dataset.root": "--dataset-path",
    "--dataset.eval_split": "--val-split",
    "--dataset.use_imagenet_stats": "--image-normalization",
    "--eval_steps": "--eval-freq",
    "--env_eval_freq": "leave it out: no simulator takes part; --eval-freq is for the held-out loss",
    "--policy.type": "--policy-type",
    "--policy.device": "--device",
    "--policy.optimizer_lr": "--learning-rate",
    "--optimizer.lr": "--learning-rate",
    "--scheduler.num_warmup_steps": "--lr-warmup-steps",
    "--policy.scheduler_warmup_steps": "--lr-warmup-steps",
    "--policy.use_amp": "--mixed-precision",
    "--policy.path": POLICY,
    "--policy.pretrained_path": POLICY,
    "--policy.pretrained_revision": "--policy-repo-id OWNER/NAME@REVISION",
    "--policy.repo_id": PUBLISHING,
    "--resume": RESUME,
    "--config_path": RESUME,
    "--output_dir": "--output-dir",
    "--job_name": "--job-name",
    "--steps": "--training-steps",
    "--batch_size": "--batch-size",
    "--save_freq": "--save-freq",
    "--log_freq": "--log-freq",
    "--seed": "--seed",
    "--num_workers": "--num-workers",
    "--policy.push_to_hub": PUBLISHING,
    "--save_checkpoint": "--save-freq",
    "--save_checkpoint_to_hub": PUBLISHING,
    "--wandb.enable": "--wandb",
    "--wandb.project": "--experiment-name",
    "--wandb.mode": "WANDB_MODE=offline   in the environment of the run",
    "--wandb.run_id": "leave it out: a run has its own, and goes on with it when it is started again",
    "--job.target": "--platform",
}
BACKBONE = "--policy.pretrained_backbone_weights"
BACKBONE_RATE = "--policy.optimizer_lr_backbone"
GROUP_NORM = "--policy.use_group_norm"
DECODER = "--dataset.video_backend"
TOLERANCE = "--tolerance_s"
TRAINED = "pretrained_model/train_config.json"
DECAY = "--policy.optimizer_weight_decay"


def owned(parameters: Mapping[str, Scalar], root: Path, output: Path, start: Start) -> Iterator[str]:
    """Every option that is robotrain's, but for the device, which only the machine of the run can tell."""
    steps, split, every = _evaluation(parameters, start.step)
    yield from _beginning(parameters, start)
    yield f"--dataset.repo_id={parameters['dataset_id']}"
    yield f"--dataset.root={root}"
    yield f"--dataset.use_imagenet_stats={str(parameters['image_normalization'] == 'imagenet').lower()}"
    yield f"--dataset.eval_split={split}"
    yield f"--eval_steps={every}"
    yield "--env_eval_freq=0"
    yield f"--output_dir={output}"
    yield f"--job_name={parameters['job_name']}"
    yield f"--steps={steps}"
    yield f"--batch_size={parameters['batch_size']}"
    yield f"--save_freq={parameters['save_freq']}"
    yield f"--log_freq={_often(_int(parameters['log_freq']), start.step, steps)}"
    yield f"--seed={parameters['seed']}"
    yield f"--num_workers={parameters['num_workers']}"
    yield "--policy.push_to_hub=false"
    yield "--save_checkpoint_to_hub=false"


def defaults(
    parameters: Mapping[str, Scalar], given: Sequence[str], start: Start, tolerance: float | None = None
) -> Iterator[str]:
    """Options that the person may set after `--`, and robotrain sets when they did not. tolerance: as in `timing`."""
    names = names_of(given)
    if DECODER not in names:
        yield f"{DECODER}=pyav"
    if tolerance is not None and TOLERANCE not in names:
        yield f"{TOLERANCE}={tolerance:g}"
    if BACKBONE not in names:  # else weights are downloaded, also those that a policy's own take the place of
        yield f"{BACKBONE}=null"
    if start.way == "checkpoint":  # the optimizer and its schedule go on as they were saved
        return
    if parameters["policy_type"] == "act" and BACKBONE_RATE not in names:
        yield f"{BACKBONE_RATE}={parameters['learning_rate']}"
    if chooses_backbone(given, start) and parameters["policy_type"] == "diffusion" and GROUP_NORM not in names:
        yield f"{GROUP_NORM}=true"
    if parameters["lr_warmup_steps"] is not None:
        yield from _warmup(parameters, given, start)


def _beginning(parameters: Mapping[str, Scalar], start: Start) -> Iterator[str]:
    """What LeRobot begins with. `--policy.path` and `--policy.type` exclude each other."""
    if start.way == "checkpoint":
        yield f"--config_path={start.folder / TRAINED}"
        yield "--resume=true"
        return
    yield f"--policy.type={parameters['policy_type']}" if start.way == "scratch" else f"--policy.path={start.folder}"
    yield f"--policy.optimizer_lr={parameters['learning_rate']}"


def _warmup(parameters: Mapping[str, Scalar], given: Sequence[str], start: Start) -> Iterator[str]:
    """A policy whose preset has no schedule gets one beside its preset's own optimizer (LeRobot 0.6: ACTConfig)."""
    steps = parameters["lr_warmup_steps"]
    if parameters["policy_type"] != "act":
        yield f"--policy.scheduler_warmup_steps={steps}"
        return
    yield "--use_policy_training_preset=false"
    yield "--optimizer.type=adamw"
    yield f"--optimizer.lr={parameters['learning_rate']}"
    yield f"--optimizer.weight_decay={value_of(given, DECAY) or start.settings.get('optimizer_weight_decay', 1e-4)}"
    yield "--optimizer.grad_clip_norm=10"
    yield "--scheduler.type=constant_with_warmup"
    yield f"--scheduler.num_warmup_steps={steps}"


def chooses_backbone(given: Sequence[str], start: Start) -> bool:
    """Whether robotrain, not the person, decides that image backbones start from random weights."""
    return start.way == "scratch" and BACKBONE not in names_of(given)


def names_of(arguments: Sequence[str]) -> set[str]:
    """The option names among `arguments`, written as `--name value` or `--name=value`."""
    return {argument.partition("=")[0] for argument in arguments if argument.startswith("--")}


def value_of(arguments: Sequence[str], name: str) -> str | None:
    """The last value given for an option, in either way of writing it."""
    found = None
    for at, argument in enumerate(arguments):
        if argument.startswith(f"{name}="):
            found = argument.partition("=")[2]
        elif argument == name and at + 1 < len(arguments):
            found = arguments[at + 1]
    return found


def _evaluation(parameters: Mapping[str, Scalar], first: int) -> tuple[int, Scalar, int]:
    """Steps, the part held out, and the steps between held-out losses; the last two are 0 together."""
    steps, asked = _int(parameters["training_steps"]), parameters["eval_freq"]
    every = _often(_int(parameters["save_freq"] if asked is None else asked), first, steps)
    split = parameters["val_split"] or 0
    return (steps, split, every) if split and every else (steps, 0, 0)


def _often(asked: int, first: int, steps: int) -> int:
    """Steps between two of something, so that it comes once at least between the first step and the last; 0: never."""
    every = min(asked, steps)
    return every if every == 0 or steps // every * every > first else steps - first


def _int(value: Scalar) -> int:
    assert isinstance(value, int)
    return value
