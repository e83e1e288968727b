"""Trainings that made a policy: from its files, from those that it started from, and from the record beside it.

The record travels with the policy, so its trainings are known where the policies that it started from are gone.
Standard library only.
"""

import array
import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from robotrain_runtime.contract.files import write_atomically

from robotrain_workloads.lerobot import dataset, file_formats

TASKS_FILE = Path("meta/tasks.parquet")
TRAIN_CONFIG_FILE = "train_config.json"
RECORD_FILE = "robotrain_trainings.json"
"""The record, in the folder of the policy: a checkpoint's manifest seals it."""
MOST_TEXTS = 100
"""Texts of tasks that are recorded at most."""
COMPARED_FEATURES = ("action", "observation.state")
COMPARED_STATISTICS = ("count", "mean", "std", "min", "max")
NORMALIZER_STEPS = {
    "policy_preprocessor.json": "normalizer_processor",
    "policy_postprocessor.json": "unnormalizer_processor",
}
FORMAT_ERRORS = (AttributeError, KeyError, TypeError)
"""What reading files of an unknown format raises."""
Statistics = Mapping[str, tuple[float, ...]]
"""By `FEATURE.STATISTIC`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyTraining:
    """A training that made a policy."""

    model: Path
    """Folder of the policy that it made."""
    part: float
    """Share of each task's episodes that it held out."""
    episodes: list[int] | None
    """The episodes that it was given; None for all."""
    started_from: str
    """Folder of the policy that it started from; empty for none."""
    is_resumed: bool
    """Whether `started_from` is a checkpoint that it resumed."""
    statistics: Statistics
    """Those that its dataset stores; of a training without a record, those that its policy normalizes with."""


def read_trainings(model: Path) -> list[PolicyTraining]:
    """Return a policy's training and the recorded earlier ones; none if it is unknown.

    Raise OSError or ValueError with a sentence, or FORMAT_ERRORS.
    """
    training = _read_training(model)
    if training is None:
        return []
    recorded_trainings = _read_record(model)
    if not recorded_trainings or not _has_same_split(training, recorded_trainings[0]):
        return [training]
    start = recorded_trainings[0]
    training = dataclasses.replace(training, statistics=start.statistics or training.statistics)
    return [
        dataclasses.replace(training, started_from=start.started_from, is_resumed=start.is_resumed),
        *recorded_trainings[1:],
    ]


def read_dataset_statistics(root: Path) -> Statistics:
    """Return the statistics by which a dataset is recognized, in 32 bits, as policies keep them.

    Raise OSError or ValueError with a sentence, or FORMAT_ERRORS.
    """
    statistics = file_formats.read_json_object(root / dataset.STATISTICS_FILE)
    return {
        f"{feature}.{name}": tuple(array.array("f", values))
        for feature in COMPARED_FEATURES
        for name, values in (statistics.get(feature) or {}).items()
        if name in COMPARED_STATISTICS and isinstance(values, list)
    }


def load_trainings(model: Path) -> list[PolicyTraining]:
    """Return a policy's training and the earlier ones, as far as they are known."""
    trainings: list[PolicyTraining] = []
    folder: Path | None = model
    with suppress(OSError, ValueError, *FORMAT_ERRORS):
        while folder is not None and not is_known(folder, trainings):
            earlier_trainings = read_trainings(folder)
            trainings += earlier_trainings
            folder = find_start_folder(earlier_trainings[-1]) if earlier_trainings else None
    return trainings


def write_record(
    model: Path, earlier: Sequence[PolicyTraining], texts: Sequence[str] = (), root: Path | None = None
) -> None:
    """Record the training of a policy, and the `earlier` ones. A resumed training counts as one with its start.

    :param texts: those of its tasks, in words.
    :param root: its dataset, if the policy may normalize with other statistics than it stores.

    Raise OSError or ValueError, or FORMAT_ERRORS.
    """
    training = _read_training(model)
    if training is None:
        return
    if root:
        training = dataclasses.replace(training, statistics=read_dataset_statistics(root))
    if (
        training.is_resumed
        and earlier
        and _has_same_split(training, earlier[0])
        and training.statistics == earlier[0].statistics
    ):
        start, *earlier = earlier
        training = dataclasses.replace(training, started_from=start.started_from, is_resumed=start.is_resumed)
    body = [{**dataclasses.asdict(training), "model": str(training.model)} for training in (training, *earlier)]
    record = {"trainings": body, **({"tasks": list(texts[:MOST_TEXTS])} if texts else {})}
    write_atomically(model / RECORD_FILE, (json.dumps(record, sort_keys=True) + "\n").encode())


def read_task_texts(model: Path) -> list[str]:
    """Return the texts of the tasks that a policy was trained with last; none if they are unknown."""
    with suppress(OSError, ValueError, *FORMAT_ERRORS):
        return [*map(str, file_formats.read_json_object(model / RECORD_FILE)["tasks"])]
    return []


def is_known(model: Path, trainings: Sequence[PolicyTraining]) -> bool:
    """Return whether one of `trainings` made the policy in a folder."""
    return model.resolve() in [training.model.resolve() for training in trainings]


def find_start_folder(training: PolicyTraining) -> Path | None:
    """Return the folder that a training started from: the original one, or beside it in a downloaded run."""
    start_path = Path(training.started_from)
    sibling_folder = training.model.parent.parent / start_path.parent.name / start_path.name
    candidates = (
        start_path,
        *((sibling_folder,) if training.is_resumed and start_path.name == training.model.name else ()),
    )
    return next((folder for folder in candidates if folder.is_absolute() and folder.is_dir()), None)


def _read_training(model: Path) -> PolicyTraining | None:
    if not (model / TRAIN_CONFIG_FILE).is_file():
        return None
    config = file_formats.read_json_object(model / TRAIN_CONFIG_FILE)
    dataset_config = config.get("dataset")
    if not isinstance(dataset_config, dict):
        return None
    held_out_part = dataset_config.get("eval_split") or 0
    episodes = dataset_config.get("episodes") or []
    if type(held_out_part) not in (int, float) or not 0 <= held_out_part <= 1:
        raise ValueError(f"{model / TRAIN_CONFIG_FILE}: dataset.eval_split must be a number from 0 to 1")
    if not isinstance(episodes, list) or not all(isinstance(number, int) for number in episodes):
        raise ValueError(f"{model / TRAIN_CONFIG_FILE}: dataset.episodes must be a list of whole numbers, or null")
    policy = config.get("policy")
    started_from = policy.get("pretrained_path") if isinstance(policy, dict) else None
    return PolicyTraining(
        model=model,
        part=float(held_out_part),
        episodes=episodes or None,
        started_from=started_from if isinstance(started_from, str) else "",
        is_resumed=config.get("resume") is True,
        statistics=next(_read_normalizers(model), {}),
    )


def _read_normalizers(model: Path) -> Iterator[Statistics]:
    """Yield the statistics of each processor that has any."""
    compared_names = {f"{feature}.{name}" for feature in COMPARED_FEATURES for name in COMPARED_STATISTICS}
    for processor_file, step_name in NORMALIZER_STEPS.items():
        for step in file_formats.read_json_object(model / processor_file).get("steps") or ():
            if step.get("registry_name") == step_name and step.get("state_file"):
                tensors = file_formats.read_safetensors(model / step["state_file"])
                yield {name: values for name, values in tensors.items() if name in compared_names}


def _read_record(model: Path) -> list[PolicyTraining]:
    """Return the recorded trainings; none for a damaged record."""
    with suppress(OSError, ValueError, *FORMAT_ERRORS):
        return [
            PolicyTraining(
                **{
                    **entry,
                    "model": Path(entry["model"]),
                    "statistics": {name: tuple(map(float, values)) for name, values in entry["statistics"].items()},
                }
            )
            for entry in file_formats.read_json_object(model / RECORD_FILE)["trainings"]
        ]
    return []


def _has_same_split(training: PolicyTraining, other_training: PolicyTraining) -> bool:
    return (training.part, training.episodes) == (other_training.part, other_training.episodes)


def read_dataset_texts(root: Path) -> list[str]:
    """Return the texts of a dataset's tasks; none if they cannot be read."""
    with suppress(Exception):  # LeRobot reads the same file, and explains why it cannot
        import pandas

        return [str(task_text) for task_text in pandas.read_parquet(root / TASKS_FILE).index]
    return []
