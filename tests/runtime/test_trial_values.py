"""The values of a trial, as arguments of the runtime: only declared parameters, each of them once, checked."""

import subprocess
import sys
from dataclasses import replace

import pytest
from robotrain_runtime.contract.document import SCHEMA, Dimension, JobDocument, Placement, parse_document
from robotrain_runtime.contract.trial_values import get_trial_values, set_trial_values

SPACE = {
    "rate": Dimension(low=1e-5, high=1e-2, log=True),
    "batch": Dimension(low=2, high=9, integer=True),
    "seed": Dimension(choices=(1, 2)),
    "flag": Dimension(choices=(True, False)),
    "name": Dimension(choices=("act", "act2")),
}
VALID = {"rate": "0.001", "batch": "4.0", "seed": "2", "flag": "true", "name": "act2"}


@pytest.fixture
def document(tmp_path) -> JobDocument:
    return JobDocument(
        schema=SCHEMA,
        run="sweep-1",
        job="j" * 64,
        workload="none",
        platform="azureml",
        container_plugins={},
        parameters={"rate": 1e-4, "batch": 8, "seed": 0, "flag": None, "name": "act", "other": 1},
        placement=Placement(work=str(tmp_path / "work"), cache=str(tmp_path / "cache")),
        space=SPACE,
    )


def apply_values(**changed: str | None) -> list[str]:
    return [f"{name}={value}" for name, value in {**VALID, **changed}.items() if value is not None]


def test_values_replace_parameters_with_their_types(document):
    trial = set_trial_values(document, apply_values())
    assert trial.parameters == {"rate": 1e-3, "batch": 4, "seed": 2, "flag": True, "name": "act2", "other": 1}
    assert [type(trial.parameters[name]) for name in ("batch", "flag")] == [int, bool]
    assert get_trial_values(trial) == {name: trial.parameters[name] for name in SPACE}


def test_a_value_that_rounding_moved_over_an_end_is_the_end(document):
    assert set_trial_values(document, apply_values(rate="9.999999999e-06")).parameters["rate"] == 1e-5
    assert set_trial_values(document, apply_values(rate="0.010000000001")).parameters["rate"] == 1e-2


def test_values_of_texts_are_texts_and_a_number_is_found_however_it_is_written(document):
    parameters = {"rate": "1", "batch": "2", "seed": "1e-4"}
    space = {**SPACE, "seed": Dimension(choices=("1e-4", "0.0010", "0.001"))}
    document = replace(document, parameters={**document.parameters, **parameters}, space=space)
    for text, expected in (("1e-4", "1e-4"), ("0.0001", "1e-4"), ("0.001", "0.001"), ("1e-3", "0.0010")):
        trial = set_trial_values(document, apply_values(seed=text))
        assert [trial.parameters[name] for name in parameters] == ["0.001", "4", expected]
    with pytest.raises(ValueError, match="is none of"):
        set_trial_values(document, apply_values(seed="0.002"))


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"rate": "0.1"}, "rate=0.1 is not between 1e-05 and 0.01"),
        ({"rate": "nan"}, "is not between"),
        ({"rate": "fast"}, "is not between"),
        ({"batch": "4.5"}, "batch=4.5 is not a whole number"),
        ({"batch": "10"}, "is not between 2 and 9"),
        ({"seed": "3"}, "seed=3 is none of 1, 2"),
        ({"flag": "maybe"}, "is none of"),
        ({"name": "act; id"}, "is none of"),
        ({"seed": None}, "seed needs one value, and has 0"),
        ({"other": "2"}, "other is no parameter that varies"),
    ],
)
def test_any_other_value_is_refused(document, changed, reason):
    with pytest.raises(ValueError, match=reason.replace("(", ".")):
        set_trial_values(document, apply_values(**changed))


def test_a_value_is_given_once(document):
    with pytest.raises(ValueError, match="seed needs one value, and has 2"):
        set_trial_values(document, [*apply_values(), "seed=1"])


def test_a_document_keeps_its_space(document):
    assert parse_document(document.to_json()) == document


def test_the_runtime_refuses_a_job_without_its_values(document, tmp_path):
    job = tmp_path / "job.json"
    job.write_text(document.to_json())
    command = [sys.executable, "-m", "robotrain_runtime", "run", str(job)]
    done = subprocess.run([*command, "--set", "seed=1"], capture_output=True, text=True)
    assert (done.returncode, "the values of the trial are invalid: batch needs one value" in done.stderr) == (2, True)
    assert not (tmp_path / "work").exists()


def test_single_choice_is_the_value_without_an_argument(document):
    """As in the document of a trial whose values were chosen before it was sent."""
    space = {**SPACE, "seed": Dimension(choices=(7,)), "flag": Dimension(choices=(False,))}
    trial = set_trial_values(replace(document, space=space), apply_values(seed=None, flag=None))
    assert (trial.parameters["seed"], trial.parameters["flag"], trial.parameters["name"]) == (7, False, "act2")
