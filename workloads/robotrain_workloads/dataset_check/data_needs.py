"""What a policy or reward model needs of the dataset, by its type and options: compared with the dataset's description.

What each type needs is data of the LeRobot version (`versions.ModelType`, `options.json`).
"""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from robotrain_runtime.contract.problem import Problems, make_data_problem

from robotrain_workloads.lerobot.dataset import get_features, list_cameras
from robotrain_workloads.lerobot.job import LerobotJob
from robotrain_workloads.lerobot.policy_features import (
    ACTION,
    STATE,
    WORLD,
    get_image_shape,
)
from robotrain_workloads.lerobot.trained_model import TrainedModel

REWARD = "next.reward"
FEATURES_OPTION = "input_features"
"""With it, the user says what a new policy reads of the dataset."""
SPACE_OPTION = "action_mode"
"""The option with what the numbers of an action mean."""


def find_needs(job: LerobotJob) -> "DataNeeds | None":
    """Return the needs of what a job trains; None if its type cannot be read from here, or is not trained at all."""
    is_known = job.start.settings or job.start_source is None
    if not is_known or job.model.facts.refused or not job.info:  # another message says so
        return None
    return DataNeeds(job, job.model, job.values)


def find_unmet_needs(needs: "DataNeeds") -> Problems:
    """Yield one sentence for each reason why what a job trains cannot learn from its dataset."""
    yield from needs.find_reward_problems()
    if needs.is_new:
        yield from needs.find_missing_inputs()
        yield from needs.find_camera_name_problems()
    if needs.is_new or needs.is_crop_given:
        yield from needs.find_crop_problems()
    yield from needs.find_size_problems()


class DataNeeds:
    """What a policy or reward model needs of the dataset of a job.

    :param model: its type.
    :param values: those of its options (`LerobotJob.values`).
    :param info: the description of a dataset that is still to be made; None for that of the job.
    """

    def __init__(
        self, job: LerobotJob, model: TrainedModel, values: Mapping[str, Any], info: Mapping[str, Any] | None = None
    ) -> None:
        self.job, self.model, self.values = job, model, values
        self.info = job.info if info is None else info
        self.is_new, self.resumes = job.start_source is None, job.start.mode == "checkpoint"
        self._facts, self._features, self._cameras = model.facts, get_features(self.info), list_cameras(self.info)
        chosen = self.values.get(FEATURES_OPTION) or {}
        self.are_inputs_chosen = bool(chosen)
        """Whether a new policy reads what the user says: then LeRobot says what does not fit."""
        read_cameras = [name for name in self._cameras if name in chosen] if isinstance(chosen, dict) else []
        self._pictures = {name: get_image_shape(self._features[name]) for name in read_cameras or self._cameras}

    @property
    def is_crop_given(self) -> bool:
        """Whether the user says what part of the pictures is cropped."""
        name = self._facts.crop_option
        return bool(name) and self.job.options.get(self.model.format_flag(name)) is not None

    def find_missing_inputs(self) -> Iterator[str]:
        """Yield what a new policy reads that the dataset lacks or has otherwise, by the names of its features."""
        if not self.are_inputs_chosen:
            yield from self._find_state_problems()
            yield from self._find_camera_problems()
            yield from self._find_picture_problems()

    def find_reward_problems(self) -> Iterator[str]:
        """Yield a sentence if the reward is missing."""
        if self._facts.reads_reward and REWARD not in self._features:
            yield f"{self.model.kind} learns from {REWARD}, which the dataset does not record"

    def _find_state_problems(self) -> Iterator[str]:
        needs_state = self._facts.needs_state
        if isinstance(needs_state, str):  # an option
            needs_state = self.values.get(needs_state) not in (None, False)
        if needs_state and STATE not in self._features:
            yield f"{self.model.kind} reads {STATE}, which the dataset does not record"

    def _find_camera_problems(self) -> Iterator[str]:
        fewest_cameras, most_cameras = self._facts.cameras or (0, None)
        takes_world = self._facts.environment_state
        count = len(self._pictures)
        if count < (fewest_cameras or 0) and not (takes_world and WORLD in self._features):
            needed_cameras = "a camera" if fewest_cameras == 1 else f"{fewest_cameras} cameras"
            needed_cameras += f" or {WORLD}" if takes_world else ""
            yield f"{self.model.kind} needs {needed_cameras}, and the dataset has {', '.join(self._pictures) or 'none'}"
        elif most_cameras is not None and count > most_cameras:
            taken_cameras = "one camera" if most_cameras == 1 else f"{most_cameras} cameras"
            yield f"{self.model.kind} takes {taken_cameras}, and the dataset has {count}: {', '.join(self._pictures)}"

    def find_camera_name_problems(self) -> Iterator[str]:
        """Yield a sentence if an option names cameras that the dataset lacks, or none has a name that fits."""
        cameras = ", ".join(self._cameras) or "no camera"
        for option, usual_cameras in self._facts.camera_options.items():
            setting = self.values.get(option)
            named = setting if isinstance(setting, str | list) else usual_cameras
            missing = [
                str(name) for name in ([named] if isinstance(named, str) else named) if name not in self._cameras
            ]
            if missing:
                flag = self.model.format_flag(option)
                yield f"{self.model.kind} reads {' and '.join(missing)} ({flag}), and the dataset has {cameras}"
        prefix = self._facts.camera_prefix
        if self._cameras and not any(name.startswith(prefix) for name in self._cameras):
            yield f"{self.model.kind} reads cameras whose names begin with {prefix}, and the dataset has {cameras}"

    def _find_picture_problems(self) -> Iterator[str]:
        """Yield a sentence if pictures have sizes that the type does not take."""
        sizes = self._list_picture_sizes()
        if self._facts.same_pictures and len({tuple(size) for size in sizes.values()}) > 1:
            sizes_text = ", ".join(f"{name} {_format_size(size)}" for name, size in sizes.items())
            yield f"{self.model.kind} takes pictures of one size, and the dataset has {sizes_text}"
        for name, size in sizes.items():
            if self._facts.square_pictures and len(set(size)) > 1:
                yield f"{self.model.kind} takes square pictures, and {name} is {_format_size(size)}"

    def find_crop_problems(self) -> Problems:
        """Yield a sentence if the part that is cropped is larger than the pictures."""
        name = self._facts.crop_option
        crop = self.values.get(name) if name else None
        is_resized = any("resize" in name and value for name, value in self.values.items())
        if (
            is_resized
            or not isinstance(crop, list)
            or len(crop) != 2
            or not all(isinstance(part, int) for part in crop)
        ):
            return
        for camera, size in self._list_picture_sizes().items():
            if any(part > length for part, length in zip(crop, size, strict=True)):
                height, width = (length * 7 // 8 for length in size)
                crops = f"{self.model.kind} crops pictures to {_format_size(crop)}"
                yield make_data_problem(
                    f"{crops}, and {camera} is {_format_size(size)}", self.format_way(name, f"[{height},{width}]")
                )
                return

    def find_size_problems(self) -> Problems:
        """Yield one sentence for each feature with more values than the type takes, or another number than it needs.

        Options change the sizes of a new policy; a trained one has them in its weights.
        """
        space = self.values.get(SPACE_OPTION)
        for feature in (STATE, ACTION):
            count = sum(self._features.get(feature, {}).get("shape") or ())
            text = f"{feature} has {count} value{'s' * (count != 1)} in the dataset, and {self.model.kind} takes"
            largest, exact = self._facts.largest_sizes.get(feature, ""), self._facts.exact_sizes.get(feature, "")
            most, needed = self._get_size(largest), self._get_size(exact)
            space_size = self._facts.action_sizes.get(str(space)) if feature == ACTION else None
            if space_size is not None:  # LeRobot cuts off what is more
                if count > space_size:
                    yield f"{text} {space_size} with {self.model.format_flag(SPACE_OPTION)} {space}"
            elif most is not None and count > most:
                can_grow = self.is_new and largest.startswith("max_")  # others are checked by LeRobot's code
                yield make_data_problem(f"{text} at most {most}", self.format_way(largest, count) if can_grow else "")
            if needed is not None and count not in (0, needed):
                yield make_data_problem(f"{text} {needed}", self.format_way(exact, count) if self.is_new else "")

    def _get_size(self, name: str) -> int | None:
        """Return the whole number of an option; None if it is something else."""
        option_value = self.values.get(name) if name else None
        return option_value if type(option_value) is int else None

    def _list_picture_sizes(self) -> dict[str, list[int]]:
        """Return height and width of each camera's pictures, as far as they are known."""
        return {name: shape[1:] for name, shape in self._pictures.items() if len(shape) == 3}

    def format_way(self, option: str, option_value: object) -> str:
        """Return an option of the type as a remedy."""
        return f"-- {shlex.quote(self.model.format_option(option, option_value))}"


def _format_size(size: Sequence[int]) -> str:
    """Return the size of a picture, given as height and width."""
    height, width = size
    return f"{width} wide and {height} high"
