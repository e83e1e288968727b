"""The table of trials: it fits the shipped versions of LeRobot, and what it needs can be made."""

from pathlib import Path
from typing import get_args

import pytest
import tiny_backbones
import tiny_large_backbones  # noqa: F401 adds its repositories
from policy_datasets import SHAPES, describe_features
from policy_trials import TRIALS, PolicyTrial, Stage
from robotrain_workloads.dataset_check import comparison
from robotrain_workloads.lerobot import versions
from robotrain_workloads.lerobot.job import LerobotJob
from robotrain_workloads.lerobot_options.option_names import check_names

REPOSITORY = Path(__file__).parents[2]
EXAMPLES = {"pusht-camera", "pusht-mini"}
BY_TYPE = pytest.mark.parametrize("trial", TRIALS, ids=lambda trial: trial.type)


def get_types(trial: PolicyTrial, version: versions.LeRobotVersion):
    return version.reward_models if trial.reward_model else version.policies


@BY_TYPE
def test_options_of_a_trial_are_those_of_its_type_in_every_version(trial):
    prefix = "reward_model" if trial.reward_model else "policy"
    for version in versions.list_versions():
        assert trial.type in get_types(trial, version)
        options = [option for option in trial.options if option.startswith(f"--{prefix}.")]
        assert not list(check_names(options, {prefix: trial.type}, {}, version.name))


@pytest.mark.parametrize("trial", [trial for trial in TRIALS if trial.stages], ids=lambda trial: trial.type)
@pytest.mark.parametrize("version", versions.list_versions(), ids=lambda version: version.name)
def test_what_trained_is_not_refused_for_its_data(training, dataset, trial, version):
    """The checks before submission know no more than LeRobot."""
    folder = REPOSITORY / f"examples/{trial.dataset}/dataset"
    if trial.dataset not in EXAMPLES:
        folder = dataset(features=describe_features(SHAPES[trial.dataset]))
    kind = {"policy_type": None, "reward_model": trial.type} if trial.reward_model else {"policy_type": trial.type}
    document = training(folder, (*trial.options, *trial.every_time), lerobot_version=version.name, **kind)
    (source,) = document.sources
    assert list(comparison.find_policy_problems(LerobotJob(document, {source: folder}))) == []


@BY_TYPE
def test_what_a_trial_reads_can_be_made(trial):
    assert trial.dataset in EXAMPLES | SHAPES.keys()
    assert set(trial.backbones) <= tiny_backbones.MAKERS.keys()
    assert set(trial.trusted) <= set(trial.backbones)


@BY_TYPE
def test_a_trial_that_is_no_plain_training_says_why(trial):
    is_plain = trial.result == "trains" and set(trial.stages) >= set(get_args(Stage)) - {"adapter", "evaluate"}
    assert bool(trial.reason) != is_plain
