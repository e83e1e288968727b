"""What would stop a run on this machine is told before it is submitted, in the runtime's own words."""

from dataclasses import replace
from pathlib import Path

from local_runs import Runs
from problem_assertions import check_problems
from robotrain.errors import Stage
from robotrain_local.settings import LocalSettings
from robotrain_runtime.contract.problem import Suggestion, make_data_problem


def test_a_job_that_can_run_has_nothing_wrong(runs: Runs, tmp_path: Path) -> None:
    assert list(runs.local.preflight(runs.plan("pass"))) == []
    assert {path.name for path in runs.folder.glob("*/*")} <= {"computed"}  # a payload that it packed is kept


def test_the_same_words_are_told_before_the_run_and_in_it(runs: Runs) -> None:
    plan = runs.plan("pass", unusable="there is no action column")
    (problem,) = runs.local.preflight(plan)
    assert problem.stage is Stage.PREFLIGHT
    assert problem.title in runs.wait_for_end(runs.local.submit(plan)).reason


def test_an_environment_that_is_not_there_is_told(runs: Runs, tmp_path: Path) -> None:
    runs.settings = LocalSettings(environment=str(tmp_path / "nowhere"))
    problems = [*runs.local.preflight(runs.plan("pass"))]
    check_problems(problems, f"{problems[0].code} --environment {tmp_path / 'nowhere'}")


def test_a_run_that_was_submitted_before_is_told(runs: Runs) -> None:
    runs.submit("pass")
    check_problems(runs.local.preflight(runs.plan("pass")), "run-folder-taken")


def test_a_file_in_the_place_of_the_runs_folder_is_told(runs: Runs, tmp_path: Path) -> None:
    runs.folder.mkdir()
    (runs.folder / "runs").write_text("")
    check_problems(runs.local.preflight(runs.plan("pass")), "run-folder-refused")


def test_the_ways_out_of_a_finding_keep_their_remarks() -> None:
    finding = make_data_problem("it does not fit", Suggestion("do this", "on a larger disk"), "or nothing")
    assert [(way.text, way.remark) for way in finding.suggestions] == [
        ("do this", "on a larger disk"),
        ("or nothing", ""),
    ]


def test_a_plan_that_was_cut_short_is_told(runs: Runs) -> None:
    plan = runs.plan("pass")
    for file in ("process.json", "job.json"):
        check_problems(runs.local.preflight(replace(plan, files={**plan.files, file: b"{"})), "plan-unreadable")
