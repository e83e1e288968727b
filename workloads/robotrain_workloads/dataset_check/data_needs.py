"""What a policy or reward model needs of the dataset, by its type and options: compared with the dataset's description.

What each type needs is data of the LeRobot version (`versions.ModelType`, `options.json`).
"""

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from robotrain_runtime.contract.problem import Problem, make_data_problem

from robotrain_workloads.lerobot import versions
from robotrain_workloads.lerobot.dataset import get_features, list_cameras
from robotrain_workloads.lerobot.feature_renames import find_likely_renames
from robotrain_workloads.lerobot.job import LerobotJob
from robotrain_workloads.lerobot.policy_features import (
    ACTION,
    STATE,
    WORLD,
    find_feature_mismatches,
    get_image_shape,
    make_new_settings,
)
from robotrain_workloads.lerobot.trained_model import TrainedModel, make_model
from robotrain_workloads.option_kinds import find_near_option

REWARD = "next.reward"
FEATURES_OPTION = "input_features"
"""With it, the user says what a new policy reads of the dataset."""
KINDS = ("STATE", "VISUAL", "ENV", "ACTION", "REWARD", "LANGUAGE")
"""The types of features that LeRobot knows."""
CAMERA_KIND = "VISUAL"
SPACE_OPTION, OWN_SPACE = "action_mode", "auto"
"""The option with what the numbers of an action mean, and its value for any robot."""


def find_needs(job: LerobotJob) -> "DataNeeds | None":
    """Return the needs of what a job trains; None if its type cannot be read from here, or is not trained at all."""
    is_known = job.start.settings or job.start_source is None
    if not is_known or job.model.facts.refused or not job.info:  # another message says so
        return None
    return DataNeeds(job, job.model, job.values)


def find_unmet_needs(needs: "DataNeeds") -> Iterator[Problem | str]:
    """Yield one sentence for each reason why what a job trains cannot learn from its dataset."""
    if needs.is_new:
        problems = list(map(make_data_problem, needs.find_type_problems()))
        fitting_type = _find_fitting_type(needs) if problems and needs.model.section == versions.POLICIES else ""
        for finding in problems:
            if fitting_type and not finding.suggestions:
                way = f"--policy-type {fitting_type}"
                yield make_data_problem(f"{finding.title}; {fitting_type} learns from it as it is", way)
            else:
                yield finding
        yield from needs.find_feature_problems()
        yield from needs.find_camera_name_problems()
        yield from needs.find_crop_problems()
    else:
        yield from needs.find_reward_problems()
        if needs.is_crop_given:
            yield from needs.find_crop_problems()
    yield from needs.find_size_problems()


def _find_fitting_type(needs: "DataNeeds") -> str:
    """Return the first policy type that needs no repository and learns from the dataset as it is; empty for none."""
    lerobot = needs.model.lerobot
    for kind, facts in lerobot.policies.items():
        model = make_model(lerobot, versions.POLICIES, kind)
        other_needs = DataNeeds(needs.job, model, model.defaults)
        if not (facts.refused or facts.repositories or any(other_needs.find_type_problems())):
            return kind
    return ""


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
        self._inputs = self._read_inputs()
        self._pictures = self._list_pictures()

    def _read_inputs(self) -> dict[str, dict[str, Any]] | None:
        """Return the features that the policy reads, by the user's option or its own; empty for those of the dataset.

        None if only LeRobot can read the option.
        """
        option = self.values.get(FEATURES_OPTION)
        if isinstance(option, dict):  # LeRobot adds them to those of the policy that it starts from
            option = {**(self.job.start.settings.get(FEATURES_OPTION) or {}), **option}
        if not isinstance(option, dict | None):
            return None
        features = option or {}
        are_read = all(
            isinstance(feature, dict) and isinstance(feature.get("shape"), list) for feature in features.values()
        )
        return (
            features
            if are_read and all(isinstance(feature.get("type"), str) for feature in features.values())
            else None
        )

    @property
    def is_crop_given(self) -> bool:
        """Whether the user says what part of the pictures is cropped."""
        name = self._facts.crop_option
        return bool(name) and self.job.options.get(self.model.format_flag(name)) is not None

    def _list_pictures(self) -> dict[str, list[int]]:
        """Return the cameras that a policy reads, each with channels, height and width as far as they are known."""
        if self._inputs:
            return {name: feature["shape"] for name, feature in self._inputs.items() if feature["type"] == CAMERA_KIND}
        return {name: get_image_shape(self._features[name]) for name in self._cameras}

    def find_type_problems(self) -> Iterator[Problem | str]:
        """Yield what a new policy of the type needs, whatever its sizes."""
        yield from self.find_reward_problems()
        yield from self.find_missing_inputs()
        if self._inputs is not None:
            yield from self._find_picture_problems()

    def find_missing_inputs(self) -> Iterator[Problem | str]:
        """Yield what a new policy reads that the dataset lacks, by the names of its features."""
        if self._inputs is not None:
            yield from self._find_state_problems()
            yield from self._find_camera_problems()

    def find_reward_problems(self) -> Iterator[str]:
        """Yield a sentence if the reward is missing."""
        if self._facts.reads_reward and REWARD not in self._features:
            yield f"{self.model.kind} learns from {REWARD}, which the dataset does not record"

    def _find_state_problems(self) -> Iterator[Problem | str]:
        needs_state, way = self._facts.needs_state, ""
        if isinstance(needs_state, str):  # an option
            setting = self.values.get(needs_state)
            way = self.format_way(needs_state, "false" if setting is True else "null")
            needs_state = setting not in (None, False)
        if needs_state and STATE not in self._features:
            yield make_data_problem(f"{self.model.kind} reads {STATE}, which the dataset does not record", way)

    def _find_camera_problems(self) -> Iterator[str]:
        fewest_cameras, most_cameras = self._facts.cameras or (0, None)
        takes_world = self._facts.environment_state
        count = len(self._pictures)
        has_world = WORLD in (self._inputs or self._features)
        subject = f"{self.model.format_flag(FEATURES_OPTION)} names" if self._inputs else "the dataset has"
        if count < (fewest_cameras or 0) and not (takes_world and has_world):
            needed_cameras = "a camera" if fewest_cameras == 1 else f"{fewest_cameras} cameras"
            needed_cameras += f" or {WORLD}" if takes_world else ""
            yield f"{self.model.kind} needs {needed_cameras}, and {subject} {', '.join(self._pictures) or 'none'}"
        elif most_cameras is not None and count > most_cameras:
            taken_cameras = "one camera" if most_cameras == 1 else f"{most_cameras} cameras"
            yield f"{self.model.kind} takes {taken_cameras}, and {subject} {count}: {', '.join(self._pictures)}"

    def find_feature_problems(self) -> Iterator[Problem | str]:
        """Yield a sentence for each feature that a new policy shall read and that is not as the dataset records it."""
        if form_problem := self._find_form_problem():
            yield form_problem
        if form_problem or not self._inputs:
            return
        problems = []
        for name in self._pictures:
            if name in self._features and name not in self._cameras:
                problems.append(f"{name} is no camera of the dataset, which has {', '.join(self._cameras) or 'none'}")
        sizes = (*self._facts.largest_sizes.values(), self._facts.crop_option)
        settings = {name: self.values.get(name) for name in sizes if name}
        settings[FEATURES_OPTION] = {name: self._describe_input(name) for name in self._inputs if name not in problems}
        mismatches = () if problems else find_feature_mismatches(settings, self.info, {}, self._facts)
        problems += (make_data_problem(mismatch).title for mismatch in mismatches)  # a new policy has no renames
        way = self._correct_inputs() if problems else ""
        flag = self.model.format_flag(FEATURES_OPTION)
        yield from (make_data_problem(f"{flag}: {problem}", way) for problem in problems)

    def _find_form_problem(self) -> Problem | str:
        """Return why LeRobot cannot read the features that the user gives; empty if it can, or if only it knows."""
        features = self.values.get(FEATURES_OPTION)
        flag = self.model.format_flag(FEATURES_OPTION)
        if features is None or (isinstance(features, str) and features.startswith("{")):  # YAML that is not JSON
            return ""
        if not isinstance(features, dict) or not all(isinstance(feature, dict) for feature in features.values()):
            return f'{flag} takes features as JSON, such as {{"{STATE}": {{"type": "STATE", "shape": [2]}}}}'
        for name, feature in features.items():
            if missing_keys := [key for key in ("type", "shape") if key not in feature]:
                return f"{flag} does not say the {' and the '.join(missing_keys)} of {name}"
            if feature["type"] not in KINDS:
                kind = find_near_option(str(feature["type"]).upper(), KINDS)
                corrected_json = json.dumps({**features, name: {**feature, "type": kind}})
                problem_text = f"{flag}: LeRobot has no type {feature['type']} of {name}, only {', '.join(KINDS)}"
                return make_data_problem(problem_text, self.format_way(FEATURES_OPTION, corrected_json) if kind else "")
        return ""

    def _describe_input(self, name: str) -> dict[str, Any]:
        """Return a feature as far as it must be as the dataset has it: types that resize take any size."""
        assert self._inputs is not None
        is_sized = self._facts.picture_sized if name in self._pictures else not self._facts.resizes
        return self._inputs[name] if is_sized else {**self._inputs[name], "shape": []}

    def _correct_inputs(self) -> str:
        """Return the remedy: the same features by the names and sizes of the dataset; empty if one has none."""
        assert self._inputs is not None
        unknown_cameras = [name for name in self._pictures if name not in self._cameras]
        unused_cameras = [name for name in self._cameras if name not in self._pictures]
        recorded_names = {
            renamed: name for name, renamed in find_likely_renames(unknown_cameras, unused_cameras).items()
        }
        recorded_features = make_new_settings(self.info)[FEATURES_OPTION]
        kinds = {STATE: "STATE", WORLD: "ENV"}
        corrected_inputs = {}
        for name, feature in self._inputs.items():
            own_name = recorded_names.get(name, name)
            if own_name not in recorded_features and (own_name in (STATE, WORLD) or feature["type"] == CAMERA_KIND):
                return ""
            corrected_inputs[own_name] = {
                "type": kinds.get(own_name, feature["type"]),
                "shape": recorded_features.get(own_name, feature)["shape"],
            }
        return self.format_way(FEATURES_OPTION, json.dumps(corrected_inputs))

    def find_camera_name_problems(self) -> Iterator[Problem | str]:
        """Yield a sentence if an option names cameras that the dataset lacks, or none has a name that fits."""
        cameras = self._cameras
        for option, usual_cameras in self._facts.camera_options.items():
            setting = self.values.get(option)
            named_cameras = setting if isinstance(setting, str | list) else usual_cameras
            missing_cameras = [
                str(name)
                for name in ([named_cameras] if isinstance(named_cameras, str) else named_cameras)
                if name not in cameras
            ]
            if missing_cameras:
                fitting_cameras = (
                    cameras[0] if isinstance(named_cameras, str) else json.dumps(cameras[: len(named_cameras)])
                )
                reads = f"{self.model.kind} reads {' and '.join(missing_cameras)} ({option})"
                dataset_text = f"and the dataset has {', '.join(cameras) or 'no camera'}"
                yield make_data_problem(
                    f"{reads}, {dataset_text}", self.format_way(option, fitting_cameras) if cameras else ""
                )
        prefix = self._facts.camera_prefix
        if cameras and not any(name.startswith(prefix) for name in cameras):
            reads_text = f"{self.model.kind} reads cameras whose names begin with {prefix}"
            yield f"{reads_text}, and the dataset has {', '.join(cameras)}"

    def list_view_warnings(self) -> Iterator[str]:
        """Yield a sentence if a new policy does not use all cameras."""
        most_cameras = self._get_size(self._facts.views_option)
        if self.is_new and most_cameras is not None and (ignored_cameras := self._cameras[most_cameras:]):
            way = self.model.format_option(self._facts.views_option, len(self._cameras))
            yield (
                f"{self.model.kind} uses {most_cameras} cameras, and ignores {' and '.join(ignored_cameras)} (-- "
                f"{way} uses all)"
            )

    def _find_picture_problems(self) -> Iterator[str]:
        sizes = self._list_picture_sizes()
        if self._facts.same_pictures and len({tuple(size) for size in sizes.values()}) > 1:
            sizes_text = ", ".join(f"{name} {_format_size(size)}" for name, size in sizes.items())
            yield f"{self.model.kind} takes pictures of one size, and the dataset has {sizes_text}"
        for name, size in sizes.items():
            if self._facts.square_pictures and len(set(size)) > 1:
                yield f"{self.model.kind} takes square pictures, and {name} is {_format_size(size)}"

    def find_crop_problems(self) -> Iterator[Problem | str]:
        """Yield a sentence if the part that is cropped is larger than the pictures."""
        name = self._facts.crop_option
        crop = self.values.get(name) if name and not self._is_resized() else None
        if not isinstance(crop, list) or len(crop) != 2 or not all(isinstance(part, int) for part in crop):
            return
        for camera, size in self._list_picture_sizes().items():
            if any(part > length for part, length in zip(crop, size, strict=True)):
                height, width = (length * 7 // 8 for length in size)
                crops = f"{self.model.kind} crops pictures to {_format_size(crop)}"
                way = self.format_way(name, f"[{height},{width}]")
                yield make_data_problem(f"{crops}, and {camera} is {_format_size(size)}", way)
                return

    def find_size_problems(self) -> Iterator[Problem | str]:
        """Yield one sentence for each feature with more values than the type takes, or another number than it needs.

        Options change the sizes of a new policy; a trained one has them in its weights.
        """
        for feature in (STATE, ACTION):
            count = self._count_values(feature)
            has_space = feature == ACTION and self._get_space_size() is not None
            count_text = f"{feature} has {_format_count(count)} in the dataset, and {self.model.kind} takes"
            option = self._facts.largest_sizes.get(feature, "")
            largest_size = self._get_size(option)
            if largest_size is not None and count > largest_size and not has_space:
                can_grow = self.is_new and option.startswith("max_")  # others are checked by LeRobot's code
                yield make_data_problem(
                    f"{count_text} at most {largest_size}", self.format_way(option, count) if can_grow else ""
                )
            option = self._facts.exact_sizes.get(feature, "")
            exact_size = self._get_size(option)
            if exact_size is not None and count not in (0, exact_size):
                yield make_data_problem(
                    f"{count_text} {exact_size}", self.format_way(option, count) if self.is_new else ""
                )
        yield from self._find_space_problems()

    def _find_space_problems(self) -> Iterator[Problem | str]:
        """Yield a sentence if an action has more values than its kind of action has: LeRobot would cut them off."""
        count = self._count_values(ACTION)
        size = self._get_space_size()
        if size is not None and count > size:
            option = self._facts.largest_sizes.get(ACTION, "")
            way = self.format_way(SPACE_OPTION, OWN_SPACE)
            if count > (self._get_size(option) or count):
                way += f" {self.model.format_option(option, count)}"
            yield make_data_problem(f"{self._describe_space(count)} takes {size}", way)

    def list_space_warnings(self) -> Iterator[str]:
        """Yield a sentence if an action has fewer values than its kind of action has."""
        count = self._count_values(ACTION)
        size = self._get_space_size()
        if size is not None and 0 < count < size:
            way = self.model.format_option(SPACE_OPTION, OWN_SPACE)
            zeros = f"the others are trained as zeros (-- {way} takes the actions of any robot)"
            yield f"{self._describe_space(count)} has {size}: {zeros}"

    def _describe_space(self, count: int) -> str:
        action_space = self.values.get(SPACE_OPTION)
        return (
            f"{ACTION} has {_format_count(count)} in the dataset, and {SPACE_OPTION} {action_space} of "
            f"{self.model.kind}"
        )

    def _get_size(self, name: str) -> int | None:
        """Return the whole number of an option; None if it is something else."""
        option_value = self.values.get(name) if name else None
        return option_value if isinstance(option_value, int) and not isinstance(option_value, bool) else None

    def _get_space_size(self) -> int | None:
        """Return how many values an action has by the option that says what they mean; None if any number."""
        return self._facts.action_sizes.get(str(self.values.get(SPACE_OPTION))) if self._facts.action_sizes else None

    def _is_resized(self) -> bool:
        """Return whether an option brings pictures to another size."""
        return any("resize" in name and value for name, value in self.values.items())

    def _count_values(self, feature: str) -> int:
        """Return the values of a feature; 0 if the dataset does not record it."""
        return sum(self._features.get(feature, {}).get("shape") or ())

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


def _format_count(number: int) -> str:
    return f"{number} value{'s' * (number != 1)}"
