"""Settings that a platform looks up: queried when a job is pinned, never in place of given values."""

import json
from pathlib import Path

import pytest
from fake_engine import answer_submits, count_submissions
from robotrain import api
from robotrain.errors import Rejected
from robotrain.store import name_index, plans, records
from robotrain_runtime.contract.deadline import DeadlineFuture

ORIGIN = "platform queried: seen from here"
SECRET = "c2VjcmV0"


@pytest.fixture
def queried_platform(fake_platform, install) -> Path:
    """The platform of queried_platform.py, installed; the folder that is its engine."""
    install("robotrain-queried", {"platform.queried": "queried_plugin"}, queried_plugin=QUERIED_PLATFORM)
    (fake_platform / "tells").write_text(json.dumps({"host": "host-a"}))
    return fake_platform


QUERIED_PLATFORM = (Path(__file__).parent / "queried_platform.py").read_text()


@pytest.fixture
def call(robotrain, queried_platform, pusht):
    """`call("submit", …)` of one job on queried."""

    def call(command: str, *more: object):
        return robotrain(command, "--platform", "queried", "--dataset-path", pusht, "--base", "north", *more)

    return call


def interrupt_submit(call, queried_platform: Path, *more: str) -> None:
    """Interrupt a submit that the engine has taken."""
    with answer_submits(queried_platform, "takes it and hangs up"):
        call("submit", *more)


def count_queries(queried_platform: Path) -> int:
    return len((queried_platform / "asked").read_text().split()) if (queried_platform / "asked").exists() else 0


def work_folder(answer) -> str:
    """Where the rendered run works: it holds what the settings are."""
    return json.loads(answer.json["files"]["job.json"]["text"])["placement"]["work"]


def submitted_run(answer) -> str:
    assert answer.exit_code == 0, answer.stderr
    return answer.stdout.strip()


def value_and_origin(run: str, name: str) -> tuple[object, str]:
    """A value of a kept plan, and where it came from."""
    [found] = [one for one in plans.read_stored_plan(run).values if one["name"] == name]
    return found["value"], found["origin"]


def test_submit_queries_once_and_keeps_the_origin(call, queried_platform):
    run = submitted_run(call("submit"))
    assert count_queries(queried_platform) == 1
    assert records.read_record(run).settings["host"] == "host-a"
    assert value_and_origin(run, "host") == ("host-a", ORIGIN)
    assert value_and_origin(run, "ground") == (None, "default")


def test_given_value_is_never_replaced(call, queried_platform):
    (queried_platform / "tells").write_text(
        json.dumps({"host": "host-a", "tier": "high", "base": "south", "slots": "1"})
    )
    run = submitted_run(call("submit", "--host", "host-b"))
    assert value_and_origin(run, "host") == ("host-b", "flag --host")
    assert (
        records.read_record(run).settings | {"tier": "low", "base": "north", "slots": 50}
        == records.read_record(run).settings
    )


def test_unknown_setting_is_ignored(call, queried_platform):
    (queried_platform / "tells").write_text(json.dumps({"rings": "13", "host": "host-c"}))
    assert value_and_origin(submitted_run(call("submit")), "host") == ("host-c", ORIGIN)


def test_render_queries_only_with_pin(call, queried_platform):
    assert work_folder(call("render", "--json")) == "/north/None/None"
    assert count_queries(queried_platform) == 0
    assert work_folder(call("render", "--pin", "--json")) == "/north/host-a/None"
    assert count_queries(queried_platform) == 1


def test_python_render_queries_only_with_pin(queried_platform, pusht):
    values = {"platform": "queried", "dataset_path": str(pusht), "base": "north"}
    assert b"host-a" not in api.render(**values).files["job.json"]
    assert b"host-a" in api.render(pin=True, **values).files["job.json"]


def test_no_pin_queries_nothing(call, queried_platform):
    assert value_and_origin(submitted_run(call("submit", "--no-pin")), "host") == (None, "default")
    assert count_queries(queried_platform) == 0


def test_a_dry_run_shows_what_would_be_sent(call, queried_platform):
    assert work_folder(call("submit", "--dry-run", "--json")) == "/north/host-a/None"


@pytest.mark.parametrize("mood", ["takes it and hangs up", "hangs up"])
def test_interrupted_submit_is_found_by_the_same_command(call, queried_platform, mood):
    with answer_submits(queried_platform, mood):
        assert call("submit").exit_code == 1
    (queried_platform / "tells").write_text(
        json.dumps({"host": "host-b"})
    )  # it changed meanwhile: the kept plan counts
    assert count_submissions(queried_platform) | {submitted_run(call("submit")): 1} == count_submissions(
        queried_platform
    )
    assert count_queries(queried_platform) == 1


def test_interrupted_submit_with_another_setting_is_another_run(call, queried_platform):
    interrupt_submit(call, queried_platform)
    assert submitted_run(call("submit", "--host", "host-b")).endswith("-2")
    assert submitted_run(call("submit", "--host", "host-a")).endswith("-1")  # the very same, said


def test_interrupted_submit_with_a_setting_that_is_left_out_now_is_another_run(call, queried_platform):
    interrupt_submit(call, queried_platform, "--host", "host-b")
    assert submitted_run(call("submit")).endswith("-2")


def test_interrupted_submit_with_a_damaged_plan_is_not_sent_again(call, queried_platform):
    interrupt_submit(call, queried_platform)
    (left,) = records.list_runs()
    (plans.get_plan_folder(left) / "robotrain-plan.json").write_text("{")
    answer = call("submit")
    assert answer.exit_code == 1
    assert "its stored plan is damaged" in answer.stderr
    assert count_submissions(queried_platform) == {left: 1}


def test_resubmit_keeps_the_queried_value(call, robotrain, queried_platform):
    run = submitted_run(call("submit"))
    (queried_platform / "tells").write_text(json.dumps({"host": "host-b"}))
    for words in ([], ["--set", "batch_size=8"]):
        again = submitted_run(robotrain("resubmit", run, *words))
        assert value_and_origin(again, "host") == ("host-a", ORIGIN)


def test_resubmit_with_other_settings_queries_again(call, robotrain, queried_platform):
    run = submitted_run(call("submit"))
    (queried_platform / "tells").write_text(json.dumps({"host": "host-b"}))
    assert value_and_origin(submitted_run(robotrain("resubmit", run, "--set", "base=south")), "host") == (
        "host-b",
        ORIGIN,
    )
    kept = submitted_run(
        robotrain("resubmit", submitted_run(call("submit", "--host", "host-c")), "--set", "base=south")
    )
    assert value_and_origin(kept, "host")[0] == "host-c"


def test_queried_values_are_no_difference_of_a_resubmit(call, robotrain):
    run = submitted_run(call("submit"))
    for words, changed in ((["base=south"], ["base"]), (["host=host-c"], ["host"]), (["tier=low"], [])):
        told = robotrain("resubmit", run, "--dry-run", "--set", *words).stderr
        assert [line.split(":")[0].strip() for line in told.splitlines() if " → " in line] == changed, told


def test_failed_query_is_a_warning(call, queried_platform):
    (queried_platform / "silent").write_text("queried sleeps")
    answer = call("submit")
    assert value_and_origin(submitted_run(answer), "host") == (None, "default")
    assert "warning: queried sleeps" in answer.stderr
    answer = call("render", "--pin", "--json")
    assert answer.exit_code == 0
    assert "warning: queried sleeps" in answer.stderr


def test_an_error_of_the_platform_is_a_warning_without_its_secrets(call, queried_platform):
    (queried_platform / "silent").write_text("breaks")
    answer = call("submit")
    assert answer.exit_code == 0
    assert "the settings of queried cannot be looked up" in answer.stderr
    assert "ConnectionError: no answer from https://queried/" in answer.stderr
    assert SECRET not in answer.stderr


def test_problem_of_query_and_preflight_is_reported_once(call, queried_platform):
    (queried_platform / "silent").write_text("it sleeps")
    (queried_platform / "weather").write_text("storm")
    answer = call("submit")
    assert answer.exit_code == 4
    assert answer.stderr.count("it sleeps") == 1
    assert "error: it sleeps" in answer.stderr


def test_invalid_queried_value_is_reported_with_its_origin(call, queried_platform):
    (queried_platform / "tells").write_text(json.dumps({"ground": "lava"}))
    answer = call("submit")
    assert answer.exit_code == 2
    assert "--ground takes one of gas, ice" in answer.stderr
    assert "queried: seen from here" in answer.stderr
    assert records.list_runs() == []


def test_check_applies_to_queried_values(call, queried_platform):
    (queried_platform / "tells").write_text(json.dumps({"ground": "gas"}))
    assert call("submit", "--slots", "20").exit_code == 0
    answer = call("submit", "--slots", "5")
    assert answer.exit_code == 3
    assert answer.stderr.count("it would sink") == 1
    assert call("render", "--slots", "5", "--pin").exit_code == 3


def test_problem_of_check_is_reported_once(call):
    assert call("submit", "--slots", "11").stderr.count("an odd slots") == 1


def test_ctrl_c_during_the_query_leaves_nothing(call, queried_platform, monkeypatch):
    def interrupted(future: DeadlineFuture[object], seconds: float | None = None) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(DeadlineFuture, "result", interrupted)
    assert call("submit").exit_code == 130
    assert records.list_runs() == []
    with pytest.raises(Rejected):
        name_index.find_run("last")
