"""`--policy-run`: the name of a run stands for what it left, and the answer is a source of the kind that reads that."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from problem_assertions import check_refusals
from robotrain.model.run import RunRecord
from robotrain.model.source import Source, SourceError
from robotrain.model.workload_profile import OutputProfile
from robotrain.store import records
from robotrain_sources.run.kind import KIND

RUN = "lerobot-train-1a2b3c4d-1"
HERE = Path("/work")

SCRIPTED_PLATFORM = """
import dataclasses, json, pathlib
from robotrain.plugin import Capabilities, Output, Platform, PlatformEngine, PlatformPlans, RunGone, Status, hook

@dataclasses.dataclass(frozen=True)
class Settings:
    pass

class ScriptedEngine(PlatformPlans, PlatformEngine):

    def _told(self, reference):
        try:
            return json.loads(pathlib.Path(reference["file"]).read_text())
        except FileNotFoundError:
            raise RunGone("the run's folder is gone, and everything that was known of the run with it")

    def outputs(self, reference):
        return [Output(**output) for output in self._told(reference)["outputs"]]

    def status(self, reference):
        return Status(**self._told(reference)["status"])


SCRIPTED = Platform(
    name="scripted",
    summary="far away",
    engine_class=ScriptedEngine,
    settings=Settings,
    capabilities=Capabilities(),
)

@hook
def robotrain_platforms():
    return [SCRIPTED]
"""

Left = Callable[..., None]


@pytest.fixture
def record_run(install: Any, tmp_path: Path) -> Left:
    """Record a run that left these outputs: `record_run(checkpoint(400), state="succeeded")`."""
    install("robotrain-scripted", {"platform.scripted": "scripted_plugin"}, scripted_plugin=SCRIPTED_PLATFORM)

    def left(*outputs: dict[str, Any], run: str = RUN, state: str = "succeeded", reason: str = "", **also: Any) -> None:
        file = tmp_path / f"{run}.json"
        file.write_text(json.dumps({"outputs": outputs, "status": {"state": state, "reason": reason}}))
        of_run = {"run": run, "platform": "scripted", "phase": "sent", "reference": {"file": str(file)}} | also
        fields = {
            "job": "1" * 64,
            "plan": "2" * 64,
            "created": time.time(),
            "workload": "lerobot-train",
            "settings": {},
        }
        records.write_record(RunRecord(**of_run, **fields))

    return left


def checkpoint(step: int, **also: Any) -> dict[str, Any]:
    output = {"name": f"checkpoints/{step:06d}", "kind": "checkpoint", "step": step, "model": "pretrained_model"}
    return output | {"source": "local_path", "uri": f"/runs/checkpoints/{step:06d}"} | also


def parse_run(text: str) -> Source:
    return KIND.parse(text, HERE)


def parse_refused(text: str) -> SourceError:
    with pytest.raises(SourceError) as raised:
        parse_run(text)
    check_refusals(raised.value, "source-error")
    assert raised.value.why.endswith(".")
    return raised.value


@pytest.mark.parametrize("text", [RUN, "lerobot-train-1a", "last", f"{RUN}@400", f"{RUN}@000400", "last@400"])
def test_a_run_stands_for_the_model_in_its_last_checkpoint(record_run, text):
    log = {"name": "log", "kind": "file", "source": "local_path", "uri": "/runs/log"}
    record_run(checkpoint(400), checkpoint(200), log)
    source = parse_run(text)
    assert (source.kind, str(source)) == ("local_path", "/runs/checkpoints/000400/pretrained_model")
    assert str(parse_run(f"{RUN}@200")) == "/runs/checkpoints/000200/pretrained_model"


@pytest.mark.parametrize(
    ("also", "named"),
    [
        ({"model": ""}, ("local_path", "/runs/checkpoints/000400")),
        (
            {"source": "blob_url", "uri": "https://acc.blob.core.windows.net/runs/000400"},
            ("blob_url", "https://acc.blob.core.windows.net/runs/000400/pretrained_model"),
        ),
        ({"source": "registered_model", "uri": "models:/act/3"}, ("registered_model", "models:/act/3")),
    ],
)
def test_a_checkpoint_is_a_source_of_the_kind_that_reads_it(record_run, also, named):
    record_run(checkpoint(400, **also))
    source = parse_run(RUN)
    assert (source.kind, str(source)) == named


def test_a_running_run_gives_what_it_has_so_far(record_run):
    record_run(checkpoint(200), state="running")
    assert str(parse_run(RUN)).endswith("/000200/pretrained_model")


@pytest.mark.parametrize(
    "text",
    [
        *("", " "),  # an environment variable that is empty picks no policy
        *(f"{RUN}@", f"{RUN}@1.5", f"{RUN}@１", f"{RUN}@350", "lerobot-train-1a2b3d4d-1"),
        "lerobot-train-1a2b",  # two runs begin so
        *("/runs/checkpoints/000400", "./x", "https://user:S3CRET@host/x", "a b"),
    ],
)
def test_a_text_that_names_no_checkpoint_is_refused(record_run, text):
    record_run(checkpoint(200), checkpoint(400))
    if text == "lerobot-train-1a2b":
        record_run(checkpoint(200), run="lerobot-train-1a2b3c4d-2")
    assert "S3CRET" not in parse_refused(text).why


@pytest.mark.parametrize("state", ["pending", "running"])
def test_a_run_that_has_no_checkpoint_yet_is_worth_waiting_for(record_run, state):
    record_run(state=state)
    parse_refused(RUN)


def test_a_run_that_left_none_says_how_it_ended(record_run):
    record_run(state="failed", reason="the disk is full")
    parse_refused(RUN)


def test_a_run_that_leaves_no_checkpoint_says_so(record_run):
    record_run(makes="results")
    assert "writes no checkpoints" in parse_refused(RUN).why


def test_a_run_whose_platform_lost_it_says_so(record_run, tmp_path):
    record_run(checkpoint(200))
    (tmp_path / f"{RUN}.json").unlink()
    parse_refused(RUN)


@pytest.mark.parametrize(
    "also", [{"phase": "sending", "reference": {}}, {"platform": "other"}], ids=["never sent", "no platform"]
)
def test_a_run_that_was_never_sent_or_whose_platform_is_not_installed_says_so(record_run, also):
    record_run(checkpoint(200), **also)
    parse_refused(RUN)


def test_a_checkpoint_that_no_plugin_reads_says_so(record_run):
    record_run(checkpoint(200, source="moon_rock"))
    parse_refused(RUN)


def test_latest_is_the_newest_run_that_left_a_checkpoint(record_run, tmp_path):
    """Evaluations, trainings that left none, and what was never sent are passed over."""
    record_run(checkpoint(200), run="lerobot-train-00000000-1")
    record_run(checkpoint(400), checkpoint(600), run="lerobot-train-00000000-2")
    record_run({"name": "policy", "kind": "file", "source": "local_path", "uri": "/e"}, run="lerobot-eval-00000000-1")
    record_run(run="lerobot-train-00000000-3", state="failed")
    record_run(run="lerobot-train-00000000-4", phase="sending", reference={})
    record_run(checkpoint(800), run="lerobot-train-00000000-5")
    (tmp_path / "lerobot-train-00000000-5.json").unlink()
    assert str(parse_run("latest")) == "/runs/checkpoints/000600/pretrained_model"
    assert str(parse_run("latest@400")) == "/runs/checkpoints/000400/pretrained_model"
    assert parse_refused("latest@401").suggestion == "lerobot-train-00000000-2@400"


def test_an_older_checkpoint_is_not_taken_for_the_latest_when_nobody_can_tell(record_run):
    record_run(checkpoint(200), run="lerobot-train-00000000-1")
    record_run(checkpoint(400), run="lerobot-train-00000000-2", platform="other")
    assert "lerobot-train-00000000-2" in parse_refused("latest").why


def test_there_is_no_latest_where_no_run_left_a_checkpoint(record_run):
    parse_refused("latest")
    record_run(state="failed")
    parse_refused("latest")


def test_what_latest_stood_for_is_told_and_its_names_are_offered(record_run):
    record_run(checkpoint(200), checkpoint(400))
    assert KIND.describe_meaning("latest", parse_run("latest")) == f"{RUN}, step 400"
    assert KIND.describe_meaning("latest@200", parse_run("latest@200")) == f"{RUN}, step 200"
    offered = KIND.roles["policy"].complete
    assert offered is not None
    assert offered("l") == ["latest", RUN]


def explain_checkpoint(robotrain: Any, text: str) -> str:
    answer = robotrain("explain", "isaac-validate", "--platform", "local", "--checkpoint-uri", text, "--json")
    assert answer.exit_code == 0, answer.stderr
    return next(row["value"] for row in answer.json["values"] if row["name"] == "checkpoint")


@pytest.mark.parametrize("text", ["cart-v1", "cart-v1@400", "last", "isaac-train-1a2b3c4d-1"])
def test_a_flag_that_takes_many_kinds_takes_the_name_of_a_run(robotrain, record_run, text):
    record_run(checkpoint(400), run="isaac-train-1a2b3c4d-1", name="cart-v1")
    assert explain_checkpoint(robotrain, text).startswith("local_path /runs/checkpoints/000400")
    Path(text.partition("@")[0]).mkdir()
    assert explain_checkpoint(robotrain, text).startswith("local_path /runs/checkpoints/000400")
    Path(text).mkdir(exist_ok=True)
    assert explain_checkpoint(robotrain, f"./{text}") == f"local_path {Path(text).absolute()}"


@pytest.mark.parametrize("text", ["cart", "1a2b3c4d-1"])
def test_the_beginning_or_end_of_a_run_means_a_folder_if_there_is_one(robotrain, record_run, text):
    record_run(checkpoint(400), run="isaac-train-1a2b3c4d-1", name="cart-v1")
    assert explain_checkpoint(robotrain, text).startswith("local_path /runs/checkpoints/000400")
    Path(text).mkdir()
    assert explain_checkpoint(robotrain, text) == f"local_path {Path(text).absolute()}"


@pytest.mark.parametrize("text", ["pick-v3", "pick", "1a2b3c4d-1", RUN])
def test_all_checkpoints_of_a_run_are_meant_by_any_text_that_means_it(robotrain, record_run, text):
    record_run(checkpoint(200), checkpoint(400), name="pick-v3")
    Path(text).mkdir()
    typed = ("--policy-run", text, "--checkpoints", "all", "--env", "pusht")
    answer = robotrain("explain", "lerobot-eval", *typed, "--platform", "local", "--json")
    assert answer.exit_code == 0, answer.stderr
    assert [row["value"] for row in answer.json["values"] if row["name"] == "policy"] == [
        "local_path /runs/checkpoints"
    ]


def test_latest_is_the_newest_run_that_has_what_the_role_takes(record_run: Left) -> None:
    evaluations = {
        RUN: "lerobot-eval --policy-run {run} {backbone?}",
        "isaac-train-1a2b3c4d-1": "isaac-validate --checkpoint-uri {run}",
        "command-1a2b3c4d-1": "",
    }
    for number, (run, evaluation) in enumerate(evaluations.items(), 1):
        record_run(checkpoint(number, uri=f"/{run}"), run=run, outputs=OutputProfile(evaluation=evaluation))
        os.utime(records.get_runs_folder() / run, (number, number))
    assert str(KIND.parse_as("policy", "latest", HERE)) == f"/{RUN}/pretrained_model"
    assert str(KIND.parse_as("reference", "latest", HERE)) == f"/{RUN}/pretrained_model"
    assert str(KIND.parse_as("checkpoint", "latest", HERE)) == "/isaac-train-1a2b3c4d-1/pretrained_model"


def test_latest_is_the_newest_run_with_a_checkpoint_where_no_workload_says_what_evaluates_it(record_run: Left) -> None:
    record_run(checkpoint(1, uri="/mine"), run="command-1a2b3c4d-1")
    assert str(KIND.parse_as("policy", "latest", HERE)) == "/mine/pretrained_model"


def test_a_policy_is_not_compared_with_itself(robotrain, record_run):
    record_run(checkpoint(400), name="pick-v3")
    typed = ("--policy-run", "pick-v3", "--reference-run", "pick-v3", "--env", "pusht")
    answer = robotrain("submit", "lerobot-eval", *typed, "--platform", "local", "--json")
    assert "sources-conflict" in {problem["code"] for problem in answer.json["problems"]}


def test_a_run_is_the_first_answer_where_a_policy_is_missing(robotrain):
    for workload, way in (
        ("lerobot-merge", "--policy-run RUN[@STEP]"),
        ("isaac-validate", "--checkpoint-uri RUN[@STEP]"),
    ):
        answer = robotrain("submit", workload, "--platform", "local", "--json")
        assert answer.json["problems"][-1]["instead"][0]["text"] == way
