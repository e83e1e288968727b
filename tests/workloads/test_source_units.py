"""Datasets of one training whose numbers are in other units: a warning before the job is sent."""

import json

import numpy as np
import pytest
from job_documents import folders
from robotrain_workloads.data_command.check_report import CheckedDataset, list_common_warnings
from robotrain_workloads.lerobot_train import container

ACTION, STATE = "action", "observation.state"
MEANS = np.array([0.4, -0.8, 0.1, 1.2])
DEVIATIONS = np.array([0.5, 0.3, 0.7, 0.2])
SOME_COURSE = np.array([0.7, 1.3, 1.0, 0.8])
"""Another task moves each joint a little less or more."""


@pytest.fixture
def make_recording(dataset):
    """Make a dataset whose state and action have these factors to radians."""

    def make(name, state, action):
        folder = dataset(folder=name)
        statistics = {
            feature: {"mean": (MEANS * factor).tolist(), "std": (DEVIATIONS * factor).tolist()}
            for feature, factor in ((STATE, np.asarray(state)), (ACTION, np.asarray(action)))
        }
        (folder / "meta/stats.json").write_text(json.dumps(statistics))
        return folder

    return make


def list_unit_warnings(training, recordings, **parameters):
    document = training(recordings, **parameters)
    warnings = container.list_warnings(document, folders(document))
    return [text for text in warnings if text.startswith("the numbers of")]


@pytest.mark.parametrize("parameters", [{}, {"mixture": "3,1"}])
@pytest.mark.parametrize(
    ("factor", "unit"),
    [(57.3, "degrees among radians"), (10, "another scale"), (1000, "millimeters among meters")],
)
def test_datasets_in_other_units_are_named_with_the_factor(training, make_recording, parameters, factor, unit):
    first = make_recording("first", np.ones(4), np.ones(4))
    second = make_recording("second", factor * SOME_COURSE, factor * SOME_COURSE)
    (warning,) = list_unit_warnings(training, [first, second], **parameters)
    expected = f"{STATE} and {ACTION} in {second} are about {factor:.3g} times those in {first}: {unit}"
    assert expected in warning


def test_the_larger_group_of_several_datasets_is_found(training, make_recording):
    radians = [make_recording(name, SOME_COURSE, SOME_COURSE) for name in ("first", "second")]
    degrees = make_recording("third", 57.3 / SOME_COURSE, np.ones(4))
    (warning,) = list_unit_warnings(training, [radians[0], degrees, radians[1]])
    assert f"{STATE} in {degrees} are about 57.3 times those in {radians[0]} and {radians[1]}" in warning
    assert ACTION not in warning


@pytest.mark.parametrize("factors", [np.ones(4), SOME_COURSE, 3 * SOME_COURSE, 57.3 ** np.array([0, 1, 0.1, 0.9])])
def test_other_tasks_of_one_unit_are_no_finding(training, make_recording, factors):
    recordings = [make_recording("first", np.ones(4), np.ones(4)), make_recording("second", factors, factors)]
    assert list_unit_warnings(training, recordings) == []


@pytest.mark.parametrize("content", ["", "[]", '{"action": 1}', '{"action": {"mean": [1, "a"], "std": [1, 2]}}'])
def test_statistics_that_cannot_be_read_are_no_finding(training, make_recording, content):
    recordings = [make_recording("first", np.ones(4), np.ones(4)), make_recording("second", np.ones(4), np.ones(4))]
    (recordings[1] / "meta/stats.json").write_text(content)
    assert list_unit_warnings(training, recordings) == []


def make_checked(name, factor):
    statistics = {STATE: {"mean": (MEANS * factor).tolist(), "std": (DEVIATIONS * factor).tolist()}}
    return CheckedDataset(name, (), {"quality": {"statistics": statistics}})


def test_data_check_compares_the_datasets_that_it_is_given():
    radians, degrees = make_checked("a/b", 1), make_checked("deg", 57.3)
    (warning,) = list_common_warnings([radians, degrees, CheckedDataset("unreadable", (), {}, "it does not exist")])
    assert f"{STATE} in deg are about 57.3 times those in a/b: degrees among radians" in warning
    assert list_common_warnings([radians, radians._replace(text="c/d")]) == []
