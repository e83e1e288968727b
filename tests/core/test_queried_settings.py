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
def answer(queried_platform):
    """Let the platform answer with these settings from now on; it begins with the host `host-a`."""

    def write(**settings: str) -> None:
        (queried_platform / "tells").write_text(json.dumps(settings))

    write(host="host-a")
    return write


@pytest.fixture
def call(robotrain, answer, pusht):
    """`call("submit", …)` of one job on queried."""

    def call(command: str, *more: object):
        return robotrain(command, "--platform", "queried", "--dataset-path", pusht, "--base", "north", *more)

    return call


def count_queries(queried_platform: Path) -> int:
    return len((queried_platform / "asked").read_text().split()) if (queried_platform / "asked").exists() else 0


def submitted_run(answer) -> str:
    assert answer.exit_code == 0, answer.stderr
    return answer.stdout.strip()


def value_and_origin(run: str, name: str) -> tuple[object, str]:
    """A value of a kept plan, and where it came from."""
    [setting] = [setting for setting in plans.read_stored_plan(run).values if setting["name"] == name]
    return setting["value"], setting["origin"]


def test_submit_queries_once_and_keeps_the_origin(call, queried_platform):
    run = submitted_run(call("submit"))
    assert count_queries(queried_platform) == 1
    assert records.read_record(run).settings["host"] == "host-a"
    assert value_and_origin(run, "host") == ("host-a", ORIGIN)
    assert value_and_origin(run, "ground") == (None, "default")


def test_given_value_is_never_replaced_and_unknown_setting_is_ignored(call, answer):
    answer(host="host-a", tier="high", base="south", slots="1", rings="13")
    run = submitted_run(call("submit", "--host", "host-b"))
    assert value_and_origin(run, "host") == ("host-b", "flag --host")
    settings = records.read_record(run).settings
    assert (settings["tier"], settings["base"], settings["slots"]) == ("low", "north", 50)


ASKED = {
    "render": (("render",), None),
    "render --pin": (("render", "--pin"), "host-a"),
    "submit --dry-run": (("submit", "--dry-run"), "host-a"),
    "submit --no-pin": (("submit", "--dry-run", "--no-pin"), None),
}


@pytest.mark.parametrize(("words", "host"), ASKED.values(), ids=ASKED)
def test_settings_are_queried_where_the_job_is_pinned(call, queried_platform, words, host):
    document = json.loads(call(*words, "--json").json["files"]["job.json"]["text"])
    assert document["placement"]["work"] == f"/north/{host}/None"
    assert count_queries(queried_platform) == bool(host)


def test_python_render_queries_only_with_pin(answer, pusht):
    values = {"platform": "queried", "dataset_path": str(pusht), "base": "north"}
    assert b"host-a" not in api.render(**values).files["job.json"]
    assert b"host-a" in api.render(pin=True, **values).files["job.json"]


@pytest.mark.parametrize("mood", ["takes it and hangs up", "hangs up"])
def test_an_interrupted_submit_is_finished_with_its_stored_plan(call, queried_platform, answer, mood):
    with answer_submits(queried_platform, mood):
        assert call("submit").exit_code == 1
    answer(host="host-b")
    run = submitted_run(call("submit"))
    assert count_submissions(queried_platform) == {run: 1}
    assert value_and_origin(run, "host") == ("host-a", ORIGIN)
    assert count_queries(queried_platform) == 1


@pytest.mark.parametrize(
    ("before", "now", "attempt"),
    [((), ("--host", "host-a"), 1), ((), ("--host", "host-b"), 2), (("--host", "host-b"), (), 2)],
    ids=["the same host, given", "another host", "no host any more"],
)
def test_an_interrupted_submit_is_finished_by_one_with_its_settings_only(call, queried_platform, before, now, attempt):
    with answer_submits(queried_platform, "takes it and hangs up"):
        call("submit", *before)
    assert submitted_run(call("submit", *now)).endswith(f"-{attempt}")


def test_resubmit_keeps_the_queried_value(call, robotrain, answer):
    run = submitted_run(call("submit"))
    answer(host="host-b")
    for words in ([], ["--set", "batch_size=8"]):
        again = submitted_run(robotrain("resubmit", run, *words))
        assert value_and_origin(again, "host") == ("host-a", ORIGIN)


def test_resubmit_with_other_settings_queries_again(call, robotrain, answer):
    run, explicit = submitted_run(call("submit")), submitted_run(call("submit", "--host", "host-c"))
    answer(host="host-b")
    for repeated, expected in ((run, ("host-b", ORIGIN)), (explicit, ("host-c", "flag --host"))):
        again = submitted_run(robotrain("resubmit", repeated, "--set", "base=south"))
        assert value_and_origin(again, "host") == expected


def test_queried_values_are_no_difference_of_a_resubmit(call, robotrain):
    run = submitted_run(call("submit"))
    for words, changed in ((["base=south"], ["base"]), (["host=host-c"], ["host"]), (["tier=low"], [])):
        shown = robotrain("resubmit", run, "--dry-run", "--set", *words).stderr
        assert [line.split(":")[0].strip() for line in shown.splitlines() if " → " in line] == changed, shown


@pytest.mark.parametrize(("silent", "code"), [("queried sleeps", "asleep"), ("breaks", "platform-away")])
def test_failed_query_is_a_warning(call, queried_platform, silent, code):
    (queried_platform / "silent").write_text(silent)
    for words in (("submit",), ("render", "--pin", "--json")):
        done = call(*words)
        done.check_problems(0, code)
        assert SECRET not in done.stderr
    (run,) = records.list_runs()
    assert value_and_origin(run, "host") == (None, "default")


def test_problem_of_query_and_preflight_is_reported_once(call, queried_platform):
    (queried_platform / "silent").write_text("it sleeps")
    (queried_platform / "weather").write_text("storm")
    answer = call("submit")
    answer.check_problems(4, "asleep")
    assert answer.stderr.count("[asleep]") == 1


def test_invalid_queried_value_is_reported_with_its_origin(call, answer):
    answer(ground="lava")
    call("submit").check_problems(2, "value-invalid queried: seen from here lava")
    assert records.list_runs() == []


def test_check_applies_to_queried_values_and_is_reported_once(call, answer):
    answer(ground="gas")
    assert call("submit", "--slots", "20").exit_code == 0
    for command in (("submit",), ("render", "--pin")):
        refused = call(*command, "--slots", "5")
        refused.check_problems(3, "sinks")
        assert refused.stderr.count("[sinks]") == 1
    assert call("submit", "--slots", "11").stderr.count("[odd]") == 1


def test_ctrl_c_during_the_query_leaves_nothing(call, monkeypatch):
    def interrupted(future: DeadlineFuture[object], seconds: float | None = None) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(DeadlineFuture, "result", interrupted)
    assert call("submit").exit_code == 130
    assert records.list_runs() == []
    with pytest.raises(Rejected):
        name_index.find_run("last")
