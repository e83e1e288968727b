"""`robotrain runs --everywhere`: what platforms list, whichever machine submitted it."""

import json
import shlex
import time
from pathlib import Path

import pytest
from robotrain.model.run import Status
from robotrain.store import records
from scripted_runs import record

PLUGIN = """
import json, pathlib, time
from robotrain.model.submitted_run import ListedSubmission
from robotrain.plugin import ANY, YES, Capabilities, Platform, PlatformEngine, PlatformPlans, SharedRuns
from robotrain.plugin import Problem, Rejected, Stage, hook

HERE = pathlib.Path("FOLDER")


class ListingEngine(PlatformPlans, PlatformEngine, SharedRuns):

    def list_submitted(self, settings, everyone):
        content = json.loads((HERE / "NAME.json").read_text())
        return None if content is None else self.list_rows(content, everyone)

    def list_rows(self, content, everyone):
        for row in content:
            if row == "hangs":
                time.sleep(30)
            if row == "refuses":
                why = "Nobody signed in."
                raise Rejected([Problem(code="signed-out", stage=Stage.SUBMIT, title="not told", why=why)])
            with (HERE / "asked").open("a") as file:
                file.write(".")
            if everyone or row["user"] == "me":
                yield ListedSubmission(**row)


LISTING = Platform(
    name="NAME",
    summary="lists what it has",
    engine_class=ListingEngine,
    capabilities=Capabilities(sources={}, workloads={ANY: YES}, features={}),
)


@hook
def robotrain_platforms():
    return [LISTING]
"""
NOW = time.time()


def make_row(number: int, state: str = "running", age: float = 60.0, user: str = "me", run: str = "", **more) -> dict:
    run = run or f"lerobot-train-{number:08x}-1"
    row = {"text": f"job-{number}", "run": run, "state": state, "keys": {"job": f"job-{number}"}}
    return {**row, "created": NOW - age - number, "user": user, **more}


@pytest.fixture
def listing(install, tmp_path, monkeypatch):
    """Install platforms by name, with the rows that each lists."""
    monkeypatch.setenv("ROBOTRAIN_NETWORK_SECONDS", "60")

    def make(**platforms) -> Path:
        for name, rows in platforms.items():
            (tmp_path / f"{name}.json").write_text(json.dumps(rows))
            module = PLUGIN.replace("NAME", name).replace("FOLDER", str(tmp_path))
            install(f"robotrain-{name}", {f"platform.{name}": f"{name}_plugin"}, **{f"{name}_plugin": module})
        return tmp_path

    return make


@pytest.fixture
def everywhere(robotrain):
    """What `runs --everywhere --json` prints."""

    def ask(*words: str, exit_code: int = 0) -> dict:
        answer = robotrain("runs", "--everywhere", "--json", *words)
        assert answer.exit_code == exit_code, answer.stderr
        return answer.json

    return ask


def list_refs(document: dict) -> list[str]:
    return [run["ref"] for run in document["runs"]]


def test_runs_of_all_platforms_come_newest_first(listing, everywhere):
    listing(near=[make_row(1), make_row(4, "failed")], far=[make_row(2), make_row(3, user="other")])
    document = everywhere()
    assert list_refs(document) == ["job-1", "job-2", "job-4"]
    assert list_refs(everywhere("--user", "all")) == ["job-1", "job-2", "job-3", "job-4"]
    assert list_refs(everywhere("--platform", "far")) == ["job-2"]
    assert (
        document["runs"][2].items()
        >= {
            "run": "lerobot-train-00000004-1",
            "platform": "near",
            "workload": "lerobot-train",
            "state": "failed",
            "created": NOW - 64,
            "user": "me",
            "name": "",
            "recorded": False,
            "ref": "job-4",
            "can_be_adopted": True,
        }.items()
    )


@pytest.mark.parametrize("trouble", ["hangs", "refuses"])
def test_a_platform_that_does_not_answer_is_named_and_the_others_are_listed(listing, robotrain, trouble, monkeypatch):
    listing(near=[make_row(1)], far=[make_row(2), trouble, make_row(3)])
    monkeypatch.setenv("ROBOTRAIN_NETWORK_SECONDS", "5")
    begin = time.monotonic()
    answer = robotrain("runs", "--everywhere")
    assert time.monotonic() - begin < 25
    assert answer.exit_code == 0
    assert "far does not list its runs" in answer.stderr
    assert {"hangs": "no answer in 5 s", "refuses": "Nobody signed in"}[trouble] in answer.stderr
    shown = [word for word in answer.stdout.split() if word.startswith("job-")]
    assert shown == ["job-1", "job-2"], "what it listed before stays"


def test_it_is_an_error_if_no_platform_answers(listing, robotrain):
    listing(far=["refuses"])
    answer = robotrain("runs", "--everywhere", "--platform", "far", "--json")
    assert answer.exit_code != 0
    assert [problem["severity"] for problem in answer.json["problems"]] == ["error"]


def test_a_platform_that_is_not_set_up_or_cannot_list_is_named(listing, robotrain, everywhere, scripted):
    scripted.platform("scripted")
    listing(near=[make_row(1)], far=None)
    answer = robotrain("runs", "--everywhere")
    assert "not set up here: " in answer.stderr
    assert "cannot list: scripted" in answer.stderr
    outcomes = {platform["platform"]: platform["outcome"] for platform in everywhere()["platforms"]}
    assert (outcomes["near"], outcomes["far"], outcomes["scripted"]) == ("listed", "not-set-up", "cannot-list")
    for name, title in {"far": "far is not set up on this machine", "scripted": "scripted cannot list runs"}.items():
        problems = everywhere("--platform", name, exit_code=1)["problems"]
        assert problems[0]["title"].startswith(title)


def test_filters(listing, everywhere):
    evaluation = make_row(2, run="lerobot-eval-00000002-1")
    listing(near=[make_row(1), evaluation, make_row(3, "failed", age=3 * 3600)])
    for words, numbers in (
        ([], [1, 2, 3]),
        (["--state", "failed"], [3]),
        (["--since", "2h"], [1, 2]),
        (["--until", "2h"], [3]),
        (["--workload", "lerobot-eval"], [2]),
        (["eval"], [2]),
        (["-n", "1"], [1]),
        (["-n", "2", "--state", "running"], [1, 2]),
    ):
        document = everywhere(*words, "--platform", "near")
        assert list_refs(document) == [f"job-{number}" for number in numbers], words
        assert document["more"] == (words == ["-n", "1"]), words


def test_an_engine_is_asked_for_no_more_than_is_shown(listing, everywhere):
    folder = listing(near=[make_row(number) for number in range(100)])
    everywhere("--platform", "near", "-n", "5")
    assert len((folder / "asked").read_text()) == 6, "one more tells whether there are others"


def test_an_engine_is_asked_for_nothing_older_than_since(listing, everywhere):
    folder = listing(near=[make_row(number, age=number * 3600) for number in range(100)])
    document = everywhere("--platform", "near", "--since", "90min", "--all")
    assert (list_refs(document), document["more"]) == (["job-0", "job-1"], False)
    assert len((folder / "asked").read_text()) == 3, "the first that is older ends the list"


def test_options_that_do_not_go_together_are_refused(robotrain):
    for words, title in (
        (["--user", "all"], "--user has no effect without --everywhere"),
        (["--everywhere", "--set", "lr=1"], "--set cannot be used with --everywhere"),
        (["--everywhere", "--name", "pick"], "--name cannot be used with --everywhere"),
        (["--everywhere", "--steps"], "--steps cannot be used with --everywhere"),
    ):
        answer = robotrain("runs", *words, "--json")
        assert (answer.exit_code, answer.json["problems"][0]["title"]) == (2, title)
    robotrain("runs", "--everywhere", "--user", "ann").check_problems(2, "usage --user")


def test_a_recorded_run_shows_its_name_and_its_end(listing, robotrain, everywhere, tmp_path):
    run = "lerobot-train-00000001-1"
    listing(near=[make_row(1, "running")], far=[make_row(1, "running", text="job-other", keys={"job": "job-other"})])
    record(run, "near", tmp_path, NOW - 61, name="pick", reference={"job": "job-1", "cli": "x"})
    by_ref = {row["ref"]: row for row in everywhere()["runs"]}
    assert (by_ref["job-1"]["name"], by_ref["job-1"]["recorded"]) == ("pick", True)
    assert not by_ref["job-other"]["recorded"], "that of another platform is another run"
    records.save_final_status(run, Status(state="failed", reason="out of paint"))
    assert {row["ref"]: row["state"] for row in everywhere()["runs"]} == {"job-1": "failed", "job-other": "running"}
    assert "robotrain adopt job-1" not in robotrain("runs", "--everywhere").stdout


def test_a_step_of_a_pipeline_of_this_machine_is_recorded(listing, everywhere, tmp_path):
    run = "lerobot-train-00000001-1"
    listing(near=[make_row(1)])
    record(run, "near", tmp_path, NOW - 61, pipeline="pick-00000001-1", step="train", reference={"job": "job-1"})
    Path(records.get_run_folder(run), records.STEP_FILE).touch()
    assert [row["recorded"] for row in everywhere()["runs"]] == [True]


def test_no_command_adopts_what_cannot_be_adopted(listing, robotrain, everywhere):
    listing(near=[make_row(1, can_be_adopted=False)])
    assert "job-1" not in robotrain("runs", "--everywhere").stdout
    assert [(run["ref"], run["can_be_adopted"]) for run in everywhere()["runs"]] == [("job-1", False)]


def test_a_run_that_was_adopted_under_another_name_is_recognised(listing, everywhere, tmp_path):
    listing(near=[make_row(1)])
    record("lerobot-train-00000001-1", "near", tmp_path, NOW, reference={"job": "job-7"})
    record("lerobot-train-00000001-2", "near", tmp_path, NOW, reference={"job": "job-1"})
    assert [(run["run"], run["recorded"]) for run in everywhere()["runs"]] == [("lerobot-train-00000001-2", True)]


def test_the_command_that_adopts_is_safe_to_paste(listing, robotrain, monkeypatch):
    text = "ann@login:/runs/a b; touch $HOME"
    listing(near=[{**make_row(1), "text": text, "user": "a\x1b[31mnn"}])
    monkeypatch.setenv("COLUMNS", "40")
    shown = robotrain("runs", "--everywhere", "--user", "all").stdout.splitlines()[1]
    words = shlex.split(shown[shown.index("robotrain adopt") :])
    assert words == ["robotrain", "adopt", "--platform", "near", text]
    assert "\x1b" not in shown


def test_nothing_found_says_what_was_asked(listing, robotrain):
    listing(near=[])
    answer = robotrain("runs", "--everywhere", "--platform", "near", "--state", "failed")
    assert answer.stdout == ""
    assert "near lists no run of yours that fits --state failed --platform near" in answer.stderr
