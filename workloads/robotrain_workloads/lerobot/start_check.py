"""What a job starts from, compared with its options and its dataset."""

import json
import shlex
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from robotrain_runtime.contract.problem import Problems, make_data_problem

from robotrain_workloads.lerobot import policy, policy_features, versions
from robotrain_workloads.lerobot.dataset import get_features
from robotrain_workloads.lerobot.job import LerobotJob

INPUTS_OPTION = "--policy.input_features"
FEATURE_OPTIONS = (INPUTS_OPTION, "--policy.output_features", "--policy.empty_cameras")
"""Options that change what a new policy reads or returns."""


def find_problems(job: LerobotJob, root: Path | None) -> Problems:
    """Yield one sentence for each reason why a training cannot start from there, if it can be read.

    :param root: the dataset, or its description, if it is valid.
    """
    start, model = job.start, job.model
    if start.mode == "scratch":
        return
    source, expected_type = job.start_source, get_expected_type(job)
    # What is only described has no folder yet
    is_named = not job.is_complete and source is not None and not Path(source.uri).is_absolute()
    name = source.uri if is_named and source else start.model_folder
    yield from policy.find_start_type_problems(
        name, start.settings, model, expected_type, has_packages=job.has_packages
    )
    if job.is_complete:
        reads_processors = start.mode != "weights" and model.section == versions.POLICIES
        yield from policy.find_torn_files(start.model_folder, with_processors=reads_processors)
    elif start.settings.get("type") not in model.lerobot.types and not job.has_packages:
        return
    yield from find_option_mismatches(job)
    if root is not None:
        yield from _compare_features(job)


def get_expected_type(job: LerobotJob) -> object:
    """Return the type that the job asks for; None if it takes that of its start."""
    return job.parameters.get("reward_model") or job.parameters["policy_type"]


def _compare_features(job: LerobotJob) -> Problems:
    settings, is_policy = job.start.settings, job.model.section == versions.POLICIES
    policy_inputs = list(policy_features.get_policy_inputs(settings)) or None
    problems = list(policy_features.find_rename_problems(job.renames, list(get_features(job.info)), policy_inputs))
    yield from problems
    if not problems:
        kind = job.model.lerobot.policies.get(str(settings.get("type")), policy_features.UNKNOWN_TYPE)
        if INPUTS_OPTION in job.options:  # what the user adds or changes is LeRobot's to compare
            settings = {**settings, policy.FEATURE_KEYS[0]: {}}
        settings = settings if is_policy else _drop_shapes(settings)
        yield from policy_features.find_feature_mismatches(settings, job.info, job.renames, kind)


def _drop_shapes(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a reward model without shapes of inputs: LeRobot does not take them from the data."""
    inputs = settings.get("input_features") or {}
    return {**settings, "input_features": {name: {**feature, "shape": []} for name, feature in inputs.items()}}


def find_option_mismatches(job: LerobotJob) -> Problems:
    """Yield one sentence for each option of the user with which the weights of a trained policy do not fit.

    The state of an optimizer that resumes fits no other part of a network.
    """
    network_options = job.model.lerobot.get_network_options(job.model.kind)
    option_names = [*network_options.shapes, *(network_options.parts if job.start.mode == "checkpoint" else ())]
    for option, typed_text, saved_text in _list_changed(job, option_names):
        way = shlex.quote(f"{option}={saved_text}")
        yield make_data_problem(
            f"{option}={typed_text} does not fit the {job.model.noun}, whose weights need {saved_text}", f"-- {way}"
        )


def _list_changed(job: LerobotJob, option_names: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    """Yield each of these options that the user gives another value than the configuration has: it, both values."""
    settings = job.start.settings
    for name in option_names:
        option = job.model.format_flag(name)
        typed_text = job.options.get(option)
        if typed_text is not None and name in settings and job.option_values[option] != settings[name]:
            yield option, typed_text, settings[name] if isinstance(settings[name], str) else json.dumps(settings[name])


def list_warnings(job: LerobotJob) -> Iterator[str]:
    """Yield a sentence for each option with which a fine-tune leaves weights out or has new ones."""
    model, start = job.model, job.start
    network_parts = model.lerobot.get_network_options(model.kind).parts if start.mode in ("policy", "weights") else ()
    for option, typed_text, saved_text in _list_changed(job, network_parts):
        option_change = (
            f"{option}={typed_text} is another network than that of the {model.noun}, which has {saved_text}"
        )
        yield f"{option_change}: weights that do not fit are left out, and new parts start with random ones"
