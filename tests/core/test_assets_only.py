"""`submit --assets-only` uploads the inputs of a run and submits nothing."""

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


@pytest.mark.parametrize("other", ["--wait", "--stream", "--dry-run"])
def test_options_for_a_run_are_refused_with_assets_only(submit, other):
    submit("--assets-only", other).check_problems(2, "options-conflict")
