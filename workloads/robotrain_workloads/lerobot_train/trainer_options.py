"""Options that robotrain gives LeRobot's trainer. Standard library only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robotrain_workloads.lerobot.options import get_option_value, list_option_names
from robotrain_workloads.lerobot.start import Start

if TYPE_CHECKING:
    from robotrain_runtime.contract.document import Scalar

BACKBONE = "--policy.pretrained_backbone_weights"
BACKBONE_RATE = "--policy.optimizer_lr_backbone"
GROUP_NORM = "--policy.use_group_norm"
DECODER = "--dataset.video_backend"
TOLERANCE = "--tolerance_s"
TRAIN_CONFIG = "pretrained_model/train_config.json"
DECAY = "--policy.optimizer_weight_decay"


def make_owned_options(parameters: Mapping[str, Scalar], root: Path, output: Path, start: Start) -> Iterator[str]:
    """Yield the options that robotrain owns, except for the device, which only the run's machine knows."""
    steps, eval_freq = _expect_int(parameters["training_steps"]), parameters["eval_freq"]
    every = _expect_int(parameters["save_freq"] if eval_freq is None else eval_freq)
    split, interval = parameters["val_split"] or 0, _limit_interval(every, start.step, steps)
    if not split or not interval:  # one is of no use without the other
        split, interval = 0, 0
    if start.mode == "checkpoint":
        yield f"--config_path={start.folder / TRAIN_CONFIG}"
        yield "--resume=true"
    else:  # --policy.path and --policy.type exclude each other
        is_new = start.mode == "scratch"
        yield f"--policy.type={parameters['policy_type']}" if is_new else f"--policy.path={start.folder}"
        yield f"--policy.optimizer_lr={parameters['learning_rate']}"
    yield f"--dataset.repo_id={parameters['dataset_id']}"
    yield f"--dataset.root={root}"
    yield f"--dataset.use_imagenet_stats={str(parameters['image_normalization'] == 'imagenet').lower()}"
    yield f"--dataset.eval_split={split}"
    yield f"--eval_steps={interval}"
    yield "--env_eval_freq=0"
    yield f"--output_dir={output}"
    yield f"--job_name={parameters['job_name']}"
    yield f"--steps={steps}"
    yield f"--batch_size={parameters['batch_size']}"
    yield f"--save_freq={parameters['save_freq']}"
    yield f"--log_freq={_limit_interval(_expect_int(parameters['log_freq']), start.step, steps)}"
    yield f"--seed={parameters['seed']}"
    yield f"--num_workers={parameters['num_workers']}"
    yield "--policy.push_to_hub=false"
    yield "--save_checkpoint_to_hub=false"


def make_default_options(
    parameters: Mapping[str, Scalar], options: Sequence[str], start: Start, tolerance: float | None = None
) -> Iterator[str]:
    """Yield defaults for options that the user may set after `--`. `tolerance`: seconds that a frame may be off."""
    names = list_option_names(options)
    if DECODER not in names:
        yield f"{DECODER}=pyav"
    if tolerance is not None and TOLERANCE not in names:
        yield f"{TOLERANCE}={tolerance:g}"
    if BACKBONE not in names:  # else LeRobot downloads weights, even if the policy's own replace them
        yield f"{BACKBONE}=null"
    if start.mode == "checkpoint":  # optimizer and schedule resume as saved
        return
    if parameters["policy_type"] == "act" and BACKBONE_RATE not in names:
        yield f"{BACKBONE_RATE}={parameters['learning_rate']}"
    if uses_random_backbone(options, start) and parameters["policy_type"] == "diffusion" and GROUP_NORM not in names:
        yield f"{GROUP_NORM}=true"
    if parameters["lr_warmup_steps"] is not None:
        # Add a schedule beside the policy's own optimizer if its preset has none (LeRobot 0.6: ACTConfig)
        steps = parameters["lr_warmup_steps"]
        if parameters["policy_type"] != "act":
            yield f"--policy.scheduler_warmup_steps={steps}"
            return
        yield "--use_policy_training_preset=false"
        yield "--optimizer.type=adamw"
        yield f"--optimizer.lr={parameters['learning_rate']}"
        decay = get_option_value(options, DECAY) or start.settings.get("optimizer_weight_decay", 1e-4)
        yield f"--optimizer.weight_decay={decay}"
        yield "--optimizer.grad_clip_norm=10"
        yield "--scheduler.type=constant_with_warmup"
        yield f"--scheduler.num_warmup_steps={steps}"


def uses_random_backbone(options: Sequence[str], start: Start) -> bool:
    """Return whether robotrain, not the user, decides that image backbones start from random weights."""
    return start.mode == "scratch" and BACKBONE not in list_option_names(options)


def _limit_interval(interval: int, first: int, steps: int) -> int:
    """Return an interval that is met at least once between the first step and the last; 0: never."""
    limited = min(interval, steps)
    return limited if limited == 0 or steps // limited * limited > first else steps - first


def _expect_int(value: Any) -> int:
    assert isinstance(value, int)
    return value
