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


def test_a_submit_asks_once_and_keeps_where_the_value_came_from(call, queried_platform):
    run = submitted_run(call("submit"))
    assert count_queries(queried_platform) == 1
    assert records.read_record(run).settings["host"] == "host-a"
    assert value_and_origin(run, "host") == ("host-a", ORIGIN)
    assert value_and_origin(run, "ground") == (None, "default")


def test_what_somebody_said_is_never_replaced(call, queried_platform):
    (queried_platform / "tells").write_text(
        json.dumps({"host": "host-a", "tier": "high", "base": "south", "slots": "1"})
    )
    run = submitted_run(call("submit", "--host", "host-b"))
    assert value_and_origin(run, "host") == ("host-b", "flag --host")
    assert (
        records.read_record(run).settings | {"tier": "low", "base": "north", "slots": 50}
        == records.read_record(run).settings
    )


def test_a_name_that_it_does_not_have_does_not_count(call, queried_platform):
    (queried_platform / "tells").write_text(json.dumps({"rings": "13", "host": "host-c"}))
    assert value_and_origin(submitted_run(call("submit")), "host") == ("host-c", ORIGIN)


def test_rendering_asks_only_where_it_pins(call, queried_platform):
    assert work_folder(call("render", "--json")) == "/north/None/None"
    assert count_queries(queried_platform) == 0
    assert work_folder(call("render", "--pin", "--json")) == "/north/host-a/None"
    assert count_queries(queried_platform) == 1


def test_the_library_asks_where_it_pins(queried_platform, pusht):
    values = {"platform": "queried", "dataset_path": str(pusht), "base": "north"}
    assert b"host-a" not in api.render(**values).files["job.json"]
    assert b"host-a" in api.render(pin=True, **values).files["job.json"]


def test_no_pin_asks_nothing(call, queried_platform):
    assert value_and_origin(submitted_run(call("submit", "--no-pin")), "host") == (None, "default")
    assert count_queries(queried_platform) == 0


def test_a_dry_run_shows_what_would_be_sent(call, queried_platform):
    assert work_folder(call("submit", "--dry-run", "--json")) == "/north/host-a/None"


@pytest.mark.parametrize("mood", ["takes it and hangs up", "hangs up"])
def test_a_submit_that_was_cut_off_is_found_by_the_same_command(call, queried_platform, mood):
    with answer_submits(queried_platform, mood):
        assert call("submit").exit_code == 1
    (queried_platform / "tells").write_text(
        json.dumps({"host": "host-b"})
    )  # it changed meanwhile: the kept plan counts
    assert count_submissions(queried_platform) | {submitted_run(call("submit")): 1} == count_submissions(
        queried_platform
    )
    assert count_queries(queried_platform) == 1


def test_a_submit_that_was_cut_off_is_not_that_of_another_setting(call, queried_platform):
    interrupt_submit(call, queried_platform)
    assert submitted_run(call("submit", "--host", "host-b")).endswith("-2")
    assert submitted_run(call("submit", "--host", "host-a")).endswith("-1")  # the very same, said


def test_a_setting_that_was_said_then_and_is_not_said_now_makes_another_submit(call, queried_platform):
    interrupt_submit(call, queried_platform, "--host", "host-b")
    assert submitted_run(call("submit")).endswith("-2")


def test_a_submit_that_was_cut_off_and_whose_plan_is_damaged_is_not_sent_a_second_time(call, queried_platform):
    interrupt_submit(call, queried_platform)
    (left,) = records.list_runs()
    (plans.get_plan_folder(left) / "robotrain-plan.json").write_text("{")
    answer = call("submit")
    assert answer.exit_code == 1
    assert "its stored plan is damaged" in answer.stderr
    assert count_submissions(queried_platform) == {left: 1}


def test_a_run_once_more_has_what_was_told_then(call, robotrain, queried_platform):
    run = submitted_run(call("submit"))
    (queried_platform / "tells").write_text(json.dumps({"host": "host-b"}))
    for words in ([], ["--set", "batch_size=8"]):
        again = submitted_run(robotrain("resubmit", run, *words))
        assert value_and_origin(again, "host") == ("host-a", ORIGIN)


def test_a_run_once_more_on_other_settings_is_told_anew(call, robotrain, queried_platform):
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


def test_what_is_told_anew_is_no_difference(call, robotrain):
    run = submitted_run(call("submit"))
    for words, changed in ((["base=south"], ["base"]), (["host=host-c"], ["host"]), (["tier=low"], [])):
        told = robotrain("resubmit", run, "--dry-run", "--set", *words).stderr
        assert [line.split(":")[0].strip() for line in told.splitlines() if " → " in line] == changed, told


def test_why_it_was_not_told_is_a_warning_and_the_job_goes_on(call, queried_platform):
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


def test_what_stops_the_submit_a_moment_later_is_told_once(call, queried_platform):
    (queried_platform / "silent").write_text("it sleeps")
    (queried_platform / "weather").write_text("storm")
    answer = call("submit")
    assert answer.exit_code == 4
    assert answer.stderr.count("it sleeps") == 1
    assert "error: it sleeps" in answer.stderr


def test_a_value_that_does_not_fit_is_told_with_who_told_it(call, queried_platform):
    (queried_platform / "tells").write_text(json.dumps({"ground": "lava"}))
    answer = call("submit")
    assert answer.exit_code == 2
    assert "--ground takes one of gas, ice" in answer.stderr
    assert "queried: seen from here" in answer.stderr
    assert records.list_runs() == []


def test_the_platform_s_own_rules_hold_for_what_it_told(call, queried_platform):
    (queried_platform / "tells").write_text(json.dumps({"ground": "gas"}))
    assert call("submit", "--slots", "20").exit_code == 0
    answer = call("submit", "--slots", "5")
    assert answer.exit_code == 3
    assert answer.stderr.count("it would sink") == 1
    assert call("render", "--slots", "5", "--pin").exit_code == 3


def test_what_its_rules_say_anyway_is_told_once(call):
    assert call("submit", "--slots", "11").stderr.count("an odd slots") == 1


def test_ctrl_c_while_it_is_asked_leaves_nothing(call, queried_platform, monkeypatch):
    def interrupted(future: DeadlineFuture[object], seconds: float | None = None) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(DeadlineFuture, "result", interrupted)
    assert call("submit").exit_code == 130
    assert records.list_runs() == []
    with pytest.raises(Rejected):
        name_index.find_run("last")
