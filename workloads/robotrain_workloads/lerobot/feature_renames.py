"""Renames of a dataset's features to those of a policy: reading them, what is wrong with them, and the likely ones."""

import dataclasses
import difflib
import json
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from robotrain_runtime.contract.document import Scalar
from robotrain_runtime.contract.problem import Problem, make_data_problem, suggest_leaving_out

from robotrain_workloads.lerobot.trained_model import TrainedModel
from robotrain_workloads.option_kinds import find_near_option

if TYPE_CHECKING:
    from robotrain_runtime.contract.event import Note

RENAME_FLAG = "--rename"
RENAME_OPTION = "--rename_map"
RENAME_STEP = "rename_observations_processor"
"""What LeRobot calls the step of a saved processor that renames features."""
OBSERVATION = "observation"
"""What names of features that can be renamed begin with."""
IDENTITY = "IDENTITY"
"""How LeRobot normalizes what stays as it is."""
LEAST_LIKENESS = 0.6
"""Of two names, from 0 to 1, to be one camera."""


def parse_renames(parameters: Mapping[str, Scalar]) -> dict[str, str]:
    """Return the new name of each renamed feature of the dataset."""
    pairs = (pair.partition("=") for pair in str(parameters.get("rename") or "").split(",") if pair)
    return {name.strip(): renamed.strip() for name, _, renamed in pairs}


def format_option(renames: Mapping[str, str]) -> str:
    """Return LeRobot's option."""
    return f"{RENAME_OPTION}={json.dumps(renames)}"


def format_flag(renames: Mapping[str, str]) -> str:
    """Return robotrain's option, as a user types it."""
    return f"{RENAME_FLAG} {shlex.quote(','.join(f'{name}={renamed}' for name, renamed in renames.items()))}"


def list_notes(renames: Mapping[str, str], settings: Mapping[str, Any], model: TrainedModel) -> "Iterator[Note]":
    """Yield a note if renamed features are normalized, which LeRobot by itself does not do.

    :param settings: the configuration of the policy that a training starts from.
    :param model: its type.
    """
    from robotrain_runtime.contract.event import Note  # costs start-up

    inputs = settings.get("input_features") or {}
    modes = settings.get("normalization_mapping") or model.facts.normalization
    kinds = {name: str((inputs.get(name) or {}).get("type")) for name in renames.values()}
    if normalized_names := ", ".join(name for name, kind in kinds.items() if modes.get(kind, IDENTITY) != IDENTITY):
        explanation = (
            "normalized with the statistics of the features that are renamed; LeRobot alone would not normalize them"
        )
        yield Note(level="info", text=f"{normalized_names}: {explanation}")


def find_rename_problems(
    renames: Mapping[str, str], recorded_features: Sequence[str], policy_inputs: Sequence[str] | None
) -> Iterator[Problem | str]:
    """Yield one sentence for each rename that LeRobot would ignore, or that hides another feature.

    :param recorded_features: the features of the dataset.
    :param policy_inputs: those that the policy reads; None if that is unknown.
    """
    counts = Counter(renames.get(name, name) for name in recorded_features)
    for name, renamed in renames.items():
        rename_option = f"{RENAME_FLAG} {name}={renamed}"
        observations = [feature for feature in recorded_features if feature.startswith(OBSERVATION)]
        if name in (policy_inputs or ()) and renamed in recorded_features and name not in recorded_features:
            yield make_data_problem(f"{rename_option}: the dataset's name comes first", format_flag({renamed: name}))
        elif name not in observations:
            finding = make_data_problem(_explain_unknown(name, renamed, observations, policy_inputs or ()))
            yield dataclasses.replace(finding, title=f"{rename_option}: {finding.title}")
        elif not renamed.startswith(OBSERVATION):
            yield f"{rename_option}: only observations are renamed, to other observations"
        elif policy_inputs is not None and renamed not in policy_inputs:
            nearest_name = find_near_option(renamed, policy_inputs)
            way = format_flag({name: nearest_name}) if nearest_name and nearest_name != name else ""
            yield make_data_problem(
                f"{rename_option}: the policy does not read {renamed}, only {', '.join(policy_inputs)}", way
            )
    for renamed in dict.fromkeys(renames.values()):
        if counts[renamed] > 1:
            clashing_names = [name for name in recorded_features if renames.get(name, name) == renamed]
            yield f"{RENAME_FLAG} makes one feature of several: {' and '.join(clashing_names)} would both be {renamed}"


def _explain_unknown(name: str, renamed: str, observations: Sequence[str], read: Sequence[str]) -> Problem | str:
    """Return why a name is none of the dataset's observations."""
    if not observations:
        return f"the dataset records no observation, and so no {name}"
    lack_text = f"the dataset has no {name}, only {', '.join(observations)}"
    if renamed in observations:
        return make_data_problem(f"{lack_text}; {renamed} has that name already", suggest_leaving_out(RENAME_FLAG))
    unused_features = [
        feature for feature in observations if feature not in read
    ]  # what the policy reads keeps its name
    same_ending = [feature for feature in unused_features if feature.rpartition(".")[2] == name.rpartition(".")[2]]
    likely_name = same_ending[0] if len(same_ending) == 1 else find_near_option(name, unused_features)
    return make_data_problem(lack_text, format_flag({likely_name: renamed}) if likely_name else "")


def find_likely_renames(
    missing_cameras: Sequence[str], unused_cameras: Sequence[str], *, may_be_absent: bool = False
) -> dict[str, str]:
    """Return which camera of the dataset is probably which camera of the policy; empty if nothing is likely.

    Cameras with similar names belong together; if there are as many of both, the others do by their order.

    :param missing_cameras: the cameras that the policy reads and the dataset lacks.
    :param unused_cameras: those that the dataset has and the policy does not read.
    :param may_be_absent: whether the policy trains without some of its cameras.
    """
    if not missing_cameras or not unused_cameras:
        return {}
    likely_renames: dict[str, str] = {}
    scored_pairs = [
        (_compare_names(name, renamed), name, renamed) for name in unused_cameras for renamed in missing_cameras
    ]
    for likeness, name, renamed in sorted(scored_pairs, key=lambda pair: -pair[0]):
        if likeness >= LEAST_LIKENESS and name not in likely_renames and renamed not in likely_renames.values():
            likely_renames[name] = renamed
    unmatched_cameras = [name for name in unused_cameras if name not in likely_renames]
    unmatched_names = [name for name in missing_cameras if name not in likely_renames.values()]
    if len(unmatched_cameras) == len(unmatched_names) or (
        may_be_absent and len(unmatched_cameras) < len(unmatched_names)
    ):
        likely_renames |= zip(unmatched_cameras, unmatched_names, strict=False)
    is_enough = len(likely_renames) == len(missing_cameras) or (
        may_be_absent and len(likely_renames) == len(unused_cameras)
    )
    return {name: likely_renames[name] for name in unused_cameras if name in likely_renames} if is_enough else {}


def _compare_names(name: str, other_name: str) -> float:
    """Return how much the last parts of two names are alike: 0 to 1."""
    first, second = (text.removeprefix("observation.").removeprefix("images.").lower() for text in (name, other_name))
    return difflib.SequenceMatcher(a=first, b=second).ratio()
