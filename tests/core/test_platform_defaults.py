"""What a platform gives parameters by itself: weaker than whatever anybody said, stronger than the declared default."""

import sys
from pathlib import Path

import pytest
from plugin_sources import make_workload
from robotrain.store import plans

ORIGIN = "platform cloud: no shared memory"


def value_and_origin(row):
    return row["value"], row["origin"]


def test_it_stands_in_for_the_default_and_says_why(explain_cloud):
    row = explain_cloud()["num_workers"]
    assert value_and_origin(row) == (0, ORIGIN)
    assert [loser["origin"] for loser in row["overrode"]] == ["default"]


def test_it_follows_the_settings_wherever_they_were_said(explain_cloud):
    assert explain_cloud("--shared-memory", "mount")["num_workers"]["origin"] == "default"
    Path("robotrain.toml").write_text('[platforms.cloud]\nshared_memory = "mount"\n')
    assert explain_cloud()["num_workers"]["origin"] == "default"


def test_whatever_is_said_wins(explain_cloud):
    row = explain_cloud("--num-workers", "3")["num_workers"]
    assert value_and_origin(row) == (3, "flag --num-workers")
    assert [loser["origin"] for loser in row["overrode"]] == [ORIGIN, "default"]
    Path("robotrain.toml").write_text("[parameters]\nnum_workers = 5\n")
    assert value_and_origin(explain_cloud()["num_workers"]) == (5, "robotrain.toml [parameters]")


def test_names_that_the_workload_does_not_have_do_not_count(explain_cloud):
    assert "rings_of_cloud" not in explain_cloud()


def test_another_platform_has_its_own_defaults(robotrain, cloud_platform):
    rows = robotrain("explain", "--platform", "fake", "--dataset-path", "x", "--json").json["values"]
    assert {row["name"]: row["origin"] for row in rows}["num_workers"] == "default"


def test_it_is_coerced_as_any_text_is(robotrain, cloud_platform):
    answer = robotrain("explain", "--platform", "cloud", "--dataset-path", "x", "--tier", "wrong")
    answer.check_problems(2, "value-invalid cloud: no shared memory many")


def test_a_wrong_setting_is_told_and_nothing_else(robotrain, cloud_platform):
    answer = robotrain("explain", "--platform", "cloud", "--dataset-path", "x", "--tier", "wrong", "--probes", "0")
    answer.check_problems(2, "value-invalid --probes 0")


def test_a_saved_job_goes_to_every_platform_and_keeps_none_of_them(robotrain, cloud_platform):
    assert robotrain("explain", "--platform", "cloud", "--dataset-path", "x", "--save-as", "job.yaml").exit_code == 0
    assert "num_workers" not in Path("job.yaml").read_text()


@pytest.fixture
def submit_twice(robotrain, cloud_platform):
    """The processes that load data in a run that is submitted, and once more in the same with `--set`."""

    def both(*words: str, then: str) -> tuple[object, object]:
        sent = robotrain("submit", "--platform", "cloud", "--dataset-path", "x", "--no-pin", *words)
        assert sent.exit_code == 0, sent.stderr
        again = robotrain("resubmit", sent.stdout.strip(), "--set", then)
        assert again.exit_code == 0, again.stderr
        runs = (sent.stdout.strip(), again.stdout.strip())
        return tuple(plans.read_stored_plan(run).plan.job["num_workers"] for run in runs)

    return both


@pytest.mark.parametrize(("mood", "other", "had", "has"), [("none", "mount", 0, None), ("mount", "none", None, 0)])
def test_a_run_once_more_with_other_settings_has_what_goes_with_them(submit_twice, mood, other, had, has):
    assert submit_twice("--shared-memory", mood, then=f"shared_memory={other}") == (had, has)


def test_a_run_once_more_keeps_what_somebody_said(submit_twice):
    assert submit_twice("--num-workers", "3", then="shared_memory=mount") == (3, 3)


def test_what_it_gives_by_now_counts_only_where_its_settings_are_changed(robotrain, cloud_platform, monkeypatch):
    sent = robotrain("submit", "--platform", "cloud", "--dataset-path", "x", "--no-pin")
    assert sent.exit_code == 0, sent.stderr
    monkeypatch.setenv("CLOUD_WORKERS", "2")
    monkeypatch.setenv("CLOUD_EXPERIMENT", "ada")
    run = sent.stdout.strip()
    assert "same plan as" in robotrain("resubmit", run, "--dry-run").stderr
    output = robotrain("resubmit", run, "--set", "batch_size=8", "--dry-run").stderr
    assert "batch_size: 32 → 8" in output
    assert "num_workers" not in output
    assert "experiment_name" not in output
    output = robotrain("resubmit", run, "--set", "slots=60", "--dry-run").stderr
    assert "num_workers: 0 → 2" in output
    assert "experiment_name: not set → ada" in output


def test_what_nobody_had_said_stays_as_it_was_whatever_the_default_is_now(robotrain, cloud_platform, install):
    dig = make_workload("dig", 'deep: Annotated[int, Param(help="metres")] = 1', container_plugin='"acme_dig"')
    site = install("acme-dig", {"workload.dig": "acme_dig"}, acme_dig=dig)
    run = robotrain("submit", "dig", "--platform", "cloud").stdout.strip()
    (site / "acme_dig.py").write_text(dig.replace("] = 1", "] = 2  # by now"))
    del sys.modules["acme_dig"]
    again = robotrain("resubmit", run, "--set", "slots=60")
    assert again.exit_code == 0, again.stderr
    assert plans.read_stored_plan(again.stdout.strip()).plan.job["deep"] == 1
