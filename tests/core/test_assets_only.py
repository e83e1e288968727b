"""`submit --assets-only` uploads the inputs of a run and submits nothing; `--save-spec` writes the submitted spec."""

import os
from pathlib import Path

import pytest
from robotrain.store import records

SECRET = "c2VjcmV0"


@pytest.fixture
def submit(robotrain, queried_platform, pusht):
    def submit(*more: object, platform: str = "queried"):
        own = ["--base", "north"] * (platform == "queried")
        return robotrain("submit", "--platform", platform, "--dataset-path", pusht, "--no-pin", *own, *more)

    return submit


@pytest.fixture
def plan(robotrain, queried_platform, pusht) -> Path:
    words = ("--platform", "queried", "--dataset-path", pusht, "--base", "north", "--to", "plan")
    assert robotrain("render", *words).exit_code == 0
    return Path("plan")


def test_the_assets_of_a_job_or_plan_are_uploaded_and_nothing_is_submitted(robotrain, submit, queried_platform, plan):
    (queried_platform / "brings").write_text("image base\nfuel\n")
    for answer in (submit("--assets-only"), robotrain("submit", "--plan", plan, "--assets-only")):
        assert (answer.exit_code, answer.stdout.splitlines()) == (0, ["image base", "fuel"])
        assert "was not submitted" in answer.stderr
    assert submit("--assets-only", "--json").json == {"platform": "queried", "assets": ["image base", "fuel"]}
    assert not (queried_platform / "jobs").exists()
    assert records.list_runs() == []


def test_nothing_is_uploaded_if_preflight_fails(submit, queried_platform):
    (queried_platform / "brings").write_text("image base\n")
    (queried_platform / "weather").write_text("storm")
    answer = submit("--assets-only")
    assert (answer.exit_code, answer.stdout) == (4, "")


def test_an_upload_that_fails_is_reported_without_secrets(submit, queried_platform):
    (queried_platform / "brings").write_text("image base\nbreaks\n")
    answer = submit("--assets-only")
    answer.check_problems(1, "io-failed")
    assert answer.stdout.strip() == "image base"
    assert SECRET not in answer.stderr


def test_a_platform_without_uploads_refuses_before_preflight(submit, queried_platform):
    (queried_platform / "weather").write_text("storm")
    submit("--assets-only", platform="fake").check_problems(3, "feature-not-there")


@pytest.mark.parametrize("other", ["--wait", "--stream", "--dry-run", "--save-spec=x.yaml"])
def test_options_for_a_run_are_refused_with_assets_only(submit, other):
    submit("--assets-only", other).check_problems(2, "options-conflict")


@pytest.mark.parametrize("flag", ["--save-spec", "-a"])
def test_the_submitted_spec_is_saved_as_the_engine_has_it(submit, flag):
    answer = submit(flag, "deep/made.yaml")
    run = answer.stdout.strip()
    assert answer.exit_code == 0
    assert Path("deep/made.yaml").read_text() == f"made by queried {run}\n"


def test_save_as_mentions_save_spec_unless_it_is_given(submit):
    hint = "--save-spec FILE"
    assert hint in submit("--save-as", "job.yaml", "--dry-run").stderr
    assert hint not in submit("--save-as", "both.yaml", "--save-spec", "made.yaml").stderr


def test_the_spec_is_that_of_the_plan_unless_the_platform_has_another(robotrain, submit, plan):
    assert robotrain("submit", "--plan", plan, "--save-spec", "made.yaml").exit_code == 0
    assert Path("made.yaml").read_text().startswith("made by queried")
    run = submit("--save-spec", "job.json", platform="fake").stdout.strip()
    assert f'"run": "{run}"' in Path("job.json").read_text()


def test_a_spec_that_cannot_be_written_after_the_submit_leaves_the_run(submit, queried_platform):
    (queried_platform / "made").write_text("breaks")
    answer = submit("--save-spec", "made.yaml", "--json")
    answer.check_problems(1, "not-saved --save-spec")
    assert answer.json["run"] == records.list_runs()[0]
    assert SECRET not in answer.stderr
    assert records.read_record(records.list_runs()[0]).phase == "sent"


@pytest.mark.parametrize(
    ("to", "code"),
    [
        (".", "file-unsuitable"),
        ("taken", "file-unsuitable"),
        ("taken/made.yaml", "file-unsuitable"),
        ("/proc/self/made.yaml", "file-unsuitable"),
    ],
)
def test_a_path_that_cannot_be_written_is_refused_before_the_submit(submit, queried_platform, monkeypatch, to, code):
    may = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: not str(path).startswith("/proc") and may(path, mode))
    Path("taken").write_text("mine")
    submit("--save-spec", to).check_problems(2, f"{code} --save-spec")
    assert not (queried_platform / "jobs").exists()
    assert Path("taken").read_text() == "mine"


def test_a_file_that_appeared_meanwhile_is_not_overwritten(submit, monkeypatch):
    come = "robotrain.cli.commands.submit.check_asset_options"
    monkeypatch.setattr(come, lambda platform, settings: Path("late.yaml").write_text("mine"))
    answer = submit("--save-spec", "late.yaml")
    assert (answer.exit_code, answer.stdout.strip()) == (1, records.list_runs()[0])
    assert Path("late.yaml").read_text() == "mine"
