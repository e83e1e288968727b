"""Start of a training: from scratch, a policy, a checkpoint, or what an earlier attempt of the run saved."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from robotrain_runtime.contract.document import JobSource, Scalar

from robotrain_workloads.lerobot import file_formats, policy
from robotrain_workloads.lerobot.lineage import START_MODES, StartMode

TRAIN_CONFIG_FILE = Path(policy.MODEL_FOLDER, "train_config.json")
SPLIT_KEY = "eval_split"


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Where a training starts."""

    mode: StartMode = "scratch"
    """`policy` uses the complete policy, `weights` only its network, `checkpoint` also the optimizer and the step."""
    folder: Path = Path()
    """The policy's or the checkpoint's."""
    step: int = 0
    """The checkpoint's."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """The policy's configuration."""

    @property
    def model_folder(self) -> Path:
        """The policy's folder, which a checkpoint has inside."""
        return self.folder / policy.MODEL_FOLDER if self.mode == "checkpoint" else self.folder


FROM_SCRATCH = Start()


def load_start(source: JobSource, folder: Path) -> Start:
    """Return the start from a source. Raise OSError or ValueError for damaged files."""
    if source.role == "resume":
        return load_checkpoint_start(folder)
    model = policy.find_model_folder(folder)
    return Start(mode=START_MODES[source.role], folder=model, settings=policy.load_policy_settings(model))


def load_checkpoint_start(folder: Path) -> Start:
    """Return the start from a checkpoint. Raise OSError or ValueError with a sentence."""
    if not (folder / policy.STEP_FILE).is_file():
        raise FileNotFoundError(f"{folder} is not a checkpoint to resume from: {policy.STEP_FILE} is missing")
    step = file_formats.read_json_object(folder / policy.STEP_FILE).get("step")
    if not isinstance(step, int):
        raise ValueError(f"{folder / policy.STEP_FILE} has no step")
    return Start(
        mode="checkpoint", folder=folder, step=step, settings=policy.load_policy_settings(folder / policy.MODEL_FOLDER)
    )


def get_dataset_settings(saved_config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a saved configuration of a training says of its dataset."""
    settings = saved_config.get("dataset")
    return settings if isinstance(settings, dict) else {}


def read_resumed_choices(folder: Path) -> dict[str, Scalar]:
    """Return parameters that LeRobot takes from a checkpoint as it resumes: what is learned from, in which order.

    Raise OSError or ValueError.
    """
    saved_config = file_formats.read_json_object(folder / TRAIN_CONFIG_FILE)
    split = get_dataset_settings(saved_config).get(SPLIT_KEY)
    choices = {"batch_size": saved_config.get("batch_size"), "seed": saved_config.get("seed"), "val_split": split}
    choices |= {"eval_freq": saved_config.get("eval_steps")} if split else {}
    return {name: value for name, value in choices.items() if isinstance(value, int | float)}


def read_saved_parameters(sources: Sequence[JobSource]) -> dict[str, Scalar]:
    """Return parameters that the checkpoint decides, as far as it is on this machine."""
    folder = next((Path(source.uri) for source in sources if source.role == "resume"), None)
    try:
        saved_config = file_formats.read_json_object(folder / TRAIN_CONFIG_FILE) if folder else {}
    except (OSError, ValueError):  # it is downloaded later, or `lerobot_train.resume` explains it
        return {}
    rate = (saved_config.get("optimizer") or {}).get("lr")
    return {"learning_rate": rate} if rate is not None else {}
