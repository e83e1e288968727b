"""Many runs on OSMO: one request lists them, whatever they do."""

import dataclasses
import time
from collections import Counter

import pytest
from osmo_observed_run import EVENTS, Observed
from robotrain.model.run import RunRecord
from robotrain.store import records
from robotrain_osmo.platform import OSMO
from robotrain_runtime.contract.event import Outcome
from robotrain_workloads.lerobot_train.workload import LEROBOT_TRAIN


@pytest.fixture
def workflows(osmo):
    """Makes workflows whose runs are recorded; the newest is the last."""

    def make(*statuses: str) -> list[Observed]:
        codes = {"COMPLETED": {"exit_code": 0}, "FAILED": {"exit_code": 1}}
        made = [Observed(osmo).set_status(status, **codes.get(status, {})) for status in statuses]
        for number, run in enumerate(made):
            run.reference |= {"run": f"act-{number}-1"}
            records.write_record(
                RunRecord(
                    run=run.reference["run"],
                    platform="osmo",
                    phase="sent",
                    job="0" * 64,
                    plan="0" * 64,
                    created=time.time() + number,
                    workload="lerobot-train",
                    settings={},
                    reference=run.reference,
                    metrics=LEROBOT_TRAIN.profile.metrics,
                )
            )
        return made

    return make


def requests(osmo) -> dict[str, int]:
    """How many lists, statuses and logs the command was called for since the last time."""
    counts = Counter(call[1] for call in osmo.calls if call[0] == "workflow")
    osmo.forget()
    return {
        "list": counts["list"],
        "status": counts["query"] - counts["logs"],
        "logs": counts["logs"],
    }  # a log needs both


@pytest.mark.slow
def test_one_request_lists_all_live_runs(robotrain, osmo, workflows):
    workflows(*["RUNNING"] * 13, *["SCHEDULING"] * 13)
    requests(osmo)
    answer = robotrain("runs", "--json")
    listed = {run["run"]: run for run in answer.json["runs"]}
    assert {run["state"] for run in listed.values()} == {"running", "pending"}
    assert len(listed) == 26
    assert requests(osmo) == {"list": 1, "status": 0, "logs": 8}


@pytest.mark.parametrize("status", ["SCHEDULING", "INITIALIZING", "RUNNING", "COMPLETED", "FAILED", "FAILED_CANCELED"])
def test_a_list_and_a_query_agree(status, osmo, workflows):
    first, second = workflows(status, "RUNNING")
    listed, other = OSMO.engine.list_statuses([first.reference, second.reference])
    single = first.status()
    assert (listed.finished, other.state) == (single.finished, "running")
    if not single.finished or single.state == "succeeded":
        assert (listed.state, listed.exit_code) == (single.state, single.exit_code)
        assert (listed.started, listed.ended) == (single.started, single.ended)


@pytest.mark.slow
def test_reason_of_a_failure_is_queried_once(robotrain, osmo, workflows):
    failed, _ = workflows("FAILED", "RUNNING")
    failed.set_status("FAILED", exit_code=137)
    failed.tell(*EVENTS[:-1], Outcome(state="failed", exit_code=137, reason="killed"))
    requests(osmo)
    first = robotrain("runs", "--json").json["runs"]
    assert requests(osmo) == {"list": 1, "status": 0, "logs": 3}  # its log tells why
    again = robotrain("runs", "--json").json["runs"]
    assert requests(osmo) == {"list": 1, "status": 0, "logs": 1}  # of the one that runs
    for listed in (first, again):
        (run,) = [run for run in listed if run["run"] == "act-0-1"]
        assert (run["state"], run["exit_code"], run["step"], run["loss"]) == ("failed", 137, 20, 0.25)
        assert "137" in run["reason"]


def test_unlisted_workflow_is_queried_alone(robotrain, osmo, workflows):
    workflows("RUNNING", "RUNNING", "COMPLETED")
    record = records.read_record("act-0-1")
    gone = {**record.reference, "workflow": "never-was-1"}
    records.write_record(dataclasses.replace(record, reference=gone))
    requests(osmo)
    states = {run["run"]: run["state"] for run in robotrain("runs", "--json").json["runs"]}
    assert states == {"act-0-1": "gone", "act-1-1": "running", "act-2-1": "succeeded"}
    assert requests(osmo) == {"list": 1, "status": 1, "logs": 2}


def test_silent_service_is_one_warning(robotrain, osmo, workflows):
    workflows("RUNNING", "RUNNING", "RUNNING")
    osmo.fail("workflow", "refused", times=None)
    answer = robotrain("runs")
    assert answer.stderr.count("platform-away") == 1
    assert "3 runs" in answer.stderr
