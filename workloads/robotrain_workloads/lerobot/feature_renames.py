"""Renames of a dataset's features to those of a policy: reading them, and what is wrong with them."""

import json
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from robotrain_runtime.contract.document import Scalar
from robotrain_runtime.contract.problem import Problem, make_data_problem

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
    observations = [name for name in recorded_features if name.startswith(OBSERVATION)]
    for name, renamed in renames.items():
        option = f"{RENAME_FLAG} {name}={renamed}"
        if name not in observations:
            text = f"{option}: the dataset has no {name}, only {', '.join(observations) or 'no observation'}"
            nearest_name = find_near_option(name, observations)
            yield make_data_problem(text, format_flag({nearest_name: renamed}) if nearest_name else "")
        elif not renamed.startswith(OBSERVATION):
            yield f"{option}: only observations are renamed, to other observations"
        elif policy_inputs is not None and renamed not in policy_inputs:
            text = f"{option}: the policy does not read {renamed}, only {', '.join(policy_inputs)}"
            nearest_name = find_near_option(renamed, policy_inputs)
            yield make_data_problem(text, format_flag({name: nearest_name}) if nearest_name else "")
    counts = Counter(renames.get(name, name) for name in recorded_features)
    for renamed in dict.fromkeys(renames.values()):
        if counts[renamed] > 1:
            clashing_names = [name for name in recorded_features if renames.get(name, name) == renamed]
            yield f"{RENAME_FLAG} makes one feature of several: {' and '.join(clashing_names)} would both be {renamed}"
