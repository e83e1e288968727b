"""The options that LeRobot's trainer gets from robotrain, the number of data-loading processes among them.

They hand batches over in shared memory, of which a container may have little: where it
runs out, they die of a bus error. Standard library only.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robotrain_runtime.contract.document import JobDocument
from robotrain_runtime.contract.event import Note

from robotrain_workloads.lerobot import dataset
from robotrain_workloads.lerobot.options import get_option_value, list_option_names
from robotrain_workloads.lerobot_train.start import Start

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
    """Every option that is robotrain's, but for the device, which only the machine of the run can tell."""
    steps, split, every = _plan_evaluation(parameters, start.step)
    yield from _make_start_options(parameters, start)
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
    yield f"--log_freq={_limit_interval(_require_int(parameters['log_freq']), start.step, steps)}"
    yield f"--seed={parameters['seed']}"
    yield f"--num_workers={parameters['num_workers']}"
    yield "--policy.push_to_hub=false"
    yield "--save_checkpoint_to_hub=false"


def make_default_options(
    parameters: Mapping[str, Scalar], options: Sequence[str], start: Start, tolerance: float | None = None
) -> Iterator[str]:
    """Options that the person may set after `--`, and robotrain sets when they did not. tolerance: as in `timing`."""
    names = list_option_names(options)
    if DECODER not in names:
        yield f"{DECODER}=pyav"
    if tolerance is not None and TOLERANCE not in names:
        yield f"{TOLERANCE}={tolerance:g}"
    if BACKBONE not in names:  # else weights are downloaded, also those that a policy's own take the place of
        yield f"{BACKBONE}=null"
    if start.mode == "checkpoint":  # the optimizer and its schedule go on as they were saved
        return
    if parameters["policy_type"] == "act" and BACKBONE_RATE not in names:
        yield f"{BACKBONE_RATE}={parameters['learning_rate']}"
    if uses_random_backbone(options, start) and parameters["policy_type"] == "diffusion" and GROUP_NORM not in names:
        yield f"{GROUP_NORM}=true"
    if parameters["lr_warmup_steps"] is not None:
        yield from _make_warmup_options(parameters, options, start)


def _make_start_options(parameters: Mapping[str, Scalar], start: Start) -> Iterator[str]:
    """What LeRobot begins with. `--policy.path` and `--policy.type` exclude each other."""
    if start.mode == "checkpoint":
        yield f"--config_path={start.folder / TRAIN_CONFIG}"
        yield "--resume=true"
        return
    yield f"--policy.type={parameters['policy_type']}" if start.mode == "scratch" else f"--policy.path={start.folder}"
    yield f"--policy.optimizer_lr={parameters['learning_rate']}"


def _make_warmup_options(parameters: Mapping[str, Scalar], options: Sequence[str], start: Start) -> Iterator[str]:
    """A policy whose preset has no schedule gets one beside its preset's own optimizer (LeRobot 0.6: ACTConfig)."""
    steps = parameters["lr_warmup_steps"]
    if parameters["policy_type"] != "act":
        yield f"--policy.scheduler_warmup_steps={steps}"
        return
    yield "--use_policy_training_preset=false"
    yield "--optimizer.type=adamw"
    yield f"--optimizer.lr={parameters['learning_rate']}"
    yield f"--optimizer.weight_decay={get_option_value(options, DECAY) or start.settings.get('optimizer_weight_decay', 1e-4)}"
    yield "--optimizer.grad_clip_norm=10"
    yield "--scheduler.type=constant_with_warmup"
    yield f"--scheduler.num_warmup_steps={steps}"


def uses_random_backbone(options: Sequence[str], start: Start) -> bool:
    """Whether robotrain, not the person, decides that image backbones start from random weights."""
    return start.mode == "scratch" and BACKBONE not in list_option_names(options)


def _plan_evaluation(parameters: Mapping[str, Scalar], first: int) -> tuple[int, Scalar, int]:
    """Steps, the part held out, and the steps between held-out losses; the last two are 0 together."""
    steps, asked = _require_int(parameters["training_steps"]), parameters["eval_freq"]
    every = _limit_interval(_require_int(parameters["save_freq"] if asked is None else asked), first, steps)
    split = parameters["val_split"] or 0
    return (steps, split, every) if split and every else (steps, 0, 0)


def _limit_interval(interval: int, first: int, steps: int) -> int:
    """Steps between two of something, so that it comes once at least between the first step and the last; 0: never."""
    every = min(interval, steps)
    return every if every == 0 or steps // every * every > first else steps - first


def _require_int(value: Scalar) -> int:
    assert isinstance(value, int)
    return value


SHARED_MEMORY = Path("/dev/shm")
MIB = 1 << 20
SPARE_BYTES = 32 * MIB
"""For everything but batches, in each process that trains."""
PREFETCH_OPTION = "--prefetch_factor"
DEFAULT_PREFETCH = 4
"""LeRobot's own: the batches that each process has ready."""
BATCHES_IN_USE = 2
"""Batches that are out of the hands of who loaded them: PyTorch's and Accelerate's own."""
FRAMES_PER_SAMPLE = {"act": 1, "diffusion": 2}
"""Images of each camera that a sample has, where nobody says `--policy.n_obs_steps`."""
LONGEST_SEQUENCE = 100
"""Of other values a sample may have so many: the chunk of actions of ACT."""


def get_free_shared_memory(place: Path = SHARED_MEMORY) -> int | None:
    """Bytes of shared memory that are free; None where the machine has no such place."""
    with suppress(OSError):
        found = os.statvfs(place)
        return found.f_bavail * found.f_frsize
    return None


def choose_worker_count(document: JobDocument, begin: Start, root: Path) -> tuple[int, tuple[Note, ...]]:
    """So many as were asked for, or as there is shared memory for; then it is said."""
    asked, there = _expect_int(document.parameters["num_workers"]), get_free_shared_memory(SHARED_MEMORY)
    if not asked or there is None:
        return asked, ()
    batch = (
        _count_loaders(document)
        * _estimate_sample_bytes(document, begin, root)
        * _expect_int(document.parameters["batch_size"])
    )
    ahead = _get_number_option(document, PREFETCH_OPTION, DEFAULT_PREFETCH)
    ranks = _expect_int(document.parameters["num_gpus"])

    def need(count: int) -> int:
        """Of all that train."""
        return ranks * (SPARE_BYTES + (count * ahead + BATCHES_IN_USE) * batch)

    fitting = next((count for count in range(asked, 0, -1) if need(count) <= there), 0)
    return fitting, () if fitting == asked else (_note_fewer_workers(fitting, asked, there, need(asked)),)


def _note_fewer_workers(count: int, requested: int, available: int, needed: int) -> Note:
    how = f"with {count} of {requested} processes" if count else "in the training process itself"
    text = (
        f"data is loaded {how}: {SHARED_MEMORY} has {available / MIB:.0f} MiB free, and --num-workers {requested} may take"
        f" {math.ceil(needed / MIB)} MiB (give the container more shared memory, or ask for --num-workers {count})"
    )
    return Note(level="warning", text=text)


def _count_loaders(document: JobDocument) -> int:
    """The held-out episodes have processes of their own, which stay."""
    return 2 if document.parameters["val_split"] and document.parameters["eval_freq"] != 0 else 1


def _estimate_sample_bytes(document: JobDocument, begin: Start, root: Path) -> int:
    """The bytes of one, at most; 0 when the dataset does not say."""
    policy = str(document.parameters["policy_type"])
    usual = begin.settings.get("n_obs_steps")
    frames = _get_number_option(
        document, "--policy.n_obs_steps", usual if isinstance(usual, int) else FRAMES_PER_SAMPLE.get(policy, 1)
    )
    try:
        features = dataset.load_dataset_info(root)["features"]
    except (OSError, ValueError):
        return 0
    return (
        sum(_estimate_feature_bytes(found, frames) for found in features.values()) if isinstance(features, dict) else 0
    )


def _estimate_feature_bytes(feature: Mapping[str, Any], frames: int) -> int:
    """Bytes of a feature in a sample: frames of a video stay as they are, everything else becomes 32 bits wide."""
    with suppress(ValueError, KeyError, TypeError):
        width, times = {"video": (1, frames), "image": (4, frames)}.get(feature["dtype"], (4, LONGEST_SEQUENCE))
        return width * times * math.prod(int(length) for length in feature["shape"])
    return 0


def _get_number_option(document: JobDocument, name: str, default: int) -> int:
    """What the person said after `--`."""
    said = get_option_value(document.trainer_args, name) or ""
    return int(said) if said.isdecimal() else default


def _expect_int(value: Any) -> int:
    assert isinstance(value, int)
    return value
