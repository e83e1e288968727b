"""Registering later: the run's own runtime is asked, that of an older run is not; what it says comes back."""

import dataclasses
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from local_runs import SAVES, Runs
from robotrain.errors import Rejected, format_problem
from robotrain.model.reference import Reference
from robotrain_runtime.contract import document
from robotrain_runtime.contract.event import Registered

pytestmark = pytest.mark.slow  # real runs, a second each

ANSWER = '{"name": "arm", "version": "3", "step": 400, "uri": "models:/arm/3"}'
ASKED = """
import json, os, sys
if sys.argv[1:] == ["register", "--help"]:
    sys.exit()
here = {name: os.environ.get(name) for name in ("MLFLOW_RUN_ID", "A_TOKEN")}
json.dump([sys.argv[1:], os.getcwd(), here], open("asked.json", "w"))
"""


@pytest.fixture
def fake_runtime(runs: Runs) -> Callable[[str], Reference]:
    """A run that ended, and whose own runtime is this program."""
    reference = runs.submit("pass")
    runs.wait_for_end(reference)

    def replaced(program: str) -> Reference:
        Path(reference["folder"], "payload/robotrain_runtime/__main__.py").write_text(program)
        return reference

    return replaced


def registration_refusal(runs: Runs, reference: Reference, step: int | None = None) -> str:
    with pytest.raises(Rejected) as caught:
        runs.local.register(reference, "arm", step)
    (problem,) = caught.value.problems
    assert (problem.code, caught.value.exit_code) == ("not-registered", 1)
    return format_problem(problem)


def test_the_runs_own_runtime_is_asked_and_what_it_answers_is_told(
    runs: Runs, fake_runtime: Callable[[str], Reference], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_RUN_ID", "of another project")
    monkeypatch.setenv("A_TOKEN", "t")
    reference = fake_runtime(ASKED + f"print('narrated', file=sys.stderr); print('{ANSWER}')")
    wanted = Registered(name="arm", version="3", step=400, uri="models:/arm/3")
    for step, options in ((None, []), (400, ["--step", "400"])):
        assert runs.local.register(reference, "arm", step) == wanted
        words, where, names = json.loads(Path(reference["folder"], "asked.json").read_text())
        assert words == ["register", "job.json", "arm", *options]
        assert where == os.path.realpath(reference["folder"])
        assert names == {"MLFLOW_RUN_ID": None, "A_TOKEN": "t"}


def test_why_it_was_not_registered_is_told_with_a_way_out(runs: Runs, fake_runtime: Callable[[str], Reference]) -> None:
    reference = fake_runtime(ASKED + "sys.exit('looking\\nerror: the run left no checkpoint of step 300')")
    report = registration_refusal(runs, reference, 300)
    assert "the checkpoint of step 300 could not be registered as arm" in report
    assert "the run left no checkpoint of step 300" in report.splitlines()[2]
    assert "looking" not in report
    assert "use   robotrain outputs tiny-1" in report


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        (
            "raise ValueError('the registry speaks another language')",
            "ValueError: the registry speaks another language",
        ),
        ("sys.exit(9)", "It ended with exit code 9."),
        ("print('version 3')", "did not report the version"),
        ("pass", "did not report the version"),
    ],
)
def test_one_that_breaks_is_a_sentence_too(
    runs: Runs, fake_runtime: Callable[[str], Reference], program: str, reason: str
) -> None:
    assert reason in registration_refusal(runs, fake_runtime(ASKED + program))


def test_a_secret_in_what_it_says_is_not_repeated(runs: Runs, fake_runtime: Callable[[str], Reference]) -> None:
    reference = fake_runtime(
        ASKED + "sys.exit('error: no answer from https://me:hunter2@tracking.example/x?token=abc')"
    )
    report = registration_refusal(runs, reference)
    assert "<redacted>@tracking.example/x" in report
    assert "hunter2" not in report
    assert "abc" not in report


def test_a_run_that_was_not_tracked_has_no_registry(runs: Runs) -> None:
    """The real runtime, in an environment without MLflow."""
    reference = runs.submit(SAVES)
    runs.wait_for_end(reference)
    assert "the run was not tracked" in registration_refusal(runs, reference)


@pytest.mark.slow
@pytest.mark.long
def test_a_checkpoint_becomes_a_version_once(runs: Runs, training_environment: str) -> None:
    """The real runtime, and MLflow in the environment of trainings."""
    runs.settings = type(runs.settings)(environment=training_environment, runs_dir=runs.settings.runs_dir)
    reference = runs.submit(SAVES)
    assert runs.wait_for_end(reference).state == "succeeded"
    runs.sealed(reference)
    first = runs.local.register(reference, "arm", None)
    assert (first.name, first.version, first.step) == ("arm", "1", 400)
    assert runs.local.register(reference, "arm", 400) == dataclasses.replace(first, new=False)
    assert runs.local.register(reference, "arm", 200).version == "2"
    placed = document.parse_document(Path(reference["folder"], "job.json").read_text()).placement
    assert Path(placed.tracking_uri.removeprefix("sqlite:///")).exists()
    assert "no checkpoint of step 300" in registration_refusal(runs, reference, 300)
