"""`submit --assets-only` uploads the inputs of a run and submits nothing; `--save-spec` writes the submitted spec."""

import os
from pathlib import Path

import pytest
from robotrain.store import records

SECRET = "c2VjcmV0"


@pytest.fixture
def queried_platform(fake_platform, install) -> Path:
    """The platform of queried_platform.py, installed; the folder that is its engine."""
    source = (Path(__file__).parent / "queried_platform.py").read_text()
    install("robotrain-queried", {"platform.queried": "queried_plugin"}, queried_plugin=source)
    (fake_platform / "made").write_text("made by queried")
    return fake_platform


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


def test_what_is_there_is_told_and_nothing_is_sent(submit, queried_platform):
    (queried_platform / "brings").write_text("image base\nfuel\n")
    answer = submit("--assets-only")
    assert (answer.exit_code, answer.stdout.splitlines()) == (0, ["image base", "fuel"])
    assert "was not submitted" in answer.stderr
    assert not (queried_platform / "jobs").exists()
    assert records.list_runs() == []


def test_it_is_told_as_data_too(submit, queried_platform):
    (queried_platform / "brings").write_text("image base\n")
    assert submit("--assets-only", "--json").json == {"platform": "queried", "assets": ["image base"]}


def test_a_plan_brings_what_it_needs_as_well(robotrain, queried_platform, plan):
    (queried_platform / "brings").write_text("image base\n")
    answer = robotrain("submit", "--plan", plan, "--assets-only")
    assert (answer.exit_code, answer.stdout.strip()) == (0, "image base")
    assert not (queried_platform / "jobs").exists()


def test_nothing_is_brought_where_preflight_says_no(submit, queried_platform):
    (queried_platform / "brings").write_text("image base\n")
    (queried_platform / "weather").write_text("storm")
    answer = submit("--assets-only")
    assert (answer.exit_code, answer.stdout) == (4, "")


def test_what_breaks_on_the_way_is_told_without_its_secrets(submit, queried_platform):
    (queried_platform / "brings").write_text("image base\nbreaks\n")
    answer = submit("--assets-only")
    assert (answer.exit_code, answer.stdout.strip()) == (1, "image base")
    assert "assets-not-brought" in answer.stderr
    assert SECRET not in answer.stderr


def test_a_platform_without_the_step_says_so_before_it_looks(submit, queried_platform):
    (queried_platform / "weather").write_text("storm")
    answer = submit("--assets-only", platform="fake")
    assert answer.exit_code == 3
    assert "fake uploads nothing before a run" in answer.stderr
    assert "storm" not in answer.stderr


@pytest.mark.parametrize("other", ["--wait", "--stream", "--dry-run", "--save-spec=x.yaml"])
def test_what_is_not_sent_cannot_be_followed_or_kept(submit, other):
    answer = submit("--assets-only", other)
    assert answer.exit_code == 2
    assert other.partition("=")[0] in answer.stderr


@pytest.mark.parametrize("flag", ["--save-spec", "-a"])
def test_the_spec_is_kept_as_the_engine_holds_it(submit, flag):
    answer = submit(flag, "deep/made.yaml")
    run = answer.stdout.strip()
    assert answer.exit_code == 0
    assert Path("deep/made.yaml").read_text() == f"made by queried {run}\n"


def test_who_keeps_the_job_as_a_file_hears_where_the_engines_own_is(submit):
    told = "for the spec that queried holds, use --save-spec FILE"
    assert told in submit("--save-as", "job.yaml", "--dry-run").stderr
    assert told not in submit("--save-as", "both.yaml", "--save-spec", "made.yaml").stderr


def test_a_platform_that_tells_no_other_gives_the_spec_of_the_plan(submit):
    run = submit("--save-spec", "job.json", platform="fake").stdout.strip()
    assert f'"run": "{run}"' in Path("job.json").read_text()


def test_the_spec_of_a_plan_that_is_sent_is_kept(robotrain, plan):
    assert robotrain("submit", "--plan", plan, "--save-spec", "made.yaml").exit_code == 0
    assert Path("made.yaml").exists()


def test_what_keeps_the_spec_from_being_written_does_not_unsend_the_run(submit, queried_platform):
    (queried_platform / "made").write_text("breaks")
    answer = submit("--save-spec", "made.yaml", "--json")
    assert answer.exit_code == 1
    assert answer.json["run"] == records.list_runs()[0]
    assert "was submitted, but made.yaml could not be written" in answer.stderr
    assert SECRET not in answer.stderr
    assert records.read_record(records.list_runs()[0]).phase == "sent"


@pytest.mark.parametrize(
    ("to", "said"),
    [
        (".", "a folder"),
        ("taken", "exists and is not overwritten"),
        ("taken/made.yaml", "taken is not a folder"),
        ("/proc/self/made.yaml", "no write access"),
    ],
)
def test_a_spec_that_could_not_be_written_is_told_before_anything_is_sent(
    submit, queried_platform, monkeypatch, to, said
):
    may = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: not str(path).startswith("/proc") and may(path, mode))
    Path("taken").write_text("mine")
    answer = submit("--save-spec", to)
    assert (answer.exit_code, said in answer.stderr) == (2, True)
    assert not (queried_platform / "jobs").exists()
    assert Path("taken").read_text() == "mine"


def test_what_came_to_lie_there_meanwhile_is_not_written_over(submit, monkeypatch):
    come = "robotrain.cli.commands.submit.check_asset_options"
    monkeypatch.setattr(come, lambda platform, given: Path("late.yaml").write_text("mine"))
    answer = submit("--save-spec", "late.yaml")
    assert (answer.exit_code, answer.stdout.strip()) == (1, records.list_runs()[0])
    assert Path("late.yaml").read_text() == "mine"
