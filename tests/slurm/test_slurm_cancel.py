"""A run is cancelled in every state: a waiting job at once, a running one after it has saved a checkpoint."""

import pytest
from problem_assertions import check_problems
from recorded_slurm import RecordedSlurm
from robotrain.errors import Rejected
from robotrain.run_folder.run_folders import RunFolders
from slurm_pipelines import ENGINE

SOFT, HARD, QUEUED = "scancel --batch --signal=INT 12", "scancel 12", "scancel --state=PENDING 12"
CANCEL = """\
test -e ../count-1/cancelled || echo "a job that begins now must see the mark" >>calls
case "$*" in
    --state*) sed -i 's/|PENDING|/|CANCELLED|/' squeue ;;
    --batch*) sed -i 's/|RUNNING|/|FAILED|/' squeue ;;
    *) sed -i -E 's/^(12\\|)[A-Z_]+/\\1CANCELLED/' squeue ;;
esac
"""


@pytest.fixture
def recorded(recorded, monkeypatch) -> RecordedSlurm:
    recorded.answer("scancel", act=CANCEL)
    monkeypatch.setattr("robotrain.run_folder.cancel.FIRST_PAUSE", 0.0)
    return recorded


def list_acts(recorded) -> list[str]:
    return [call for call in recorded.read_calls() if not call.startswith(("squeue", "sacct"))]


@pytest.mark.parametrize(
    ("state", "acts"),
    [
        ("PENDING", [QUEUED]),
        ("RUNNING", [SOFT]),
        ("CONFIGURING", [HARD]),
        ("SUSPENDED", [HARD]),
        ("REQUEUE_HOLD", [HARD]),
        ("COMPLETED", []),
    ],
)
def test_run_is_cancelled_in_every_state(recorded, run, state, acts):
    recorded.set_job(state)
    ENGINE.cancel(run.reference)
    assert list_acts(recorded) == acts


def test_job_that_completes_may_be_requeued(recorded, run):
    """As one that was told to stop before its time limit, just before it is cancelled."""
    recorded.set_job("COMPLETING")
    line, seen = (recorded.folder / "squeue").read_text(), "echo >>seen; [ $(wc -l <seen) -lt 3 ]"
    recorded.answer("squeue", line, act=f"{seen} || sed -i 's/|COMPLETING|/|PENDING|/' squeue")
    ENGINE.cancel(run.reference)
    assert list_acts(recorded) == [QUEUED]


def test_job_that_begins_meanwhile_saves_a_checkpoint(recorded, run):
    """It is not ended by the request for a waiting job."""
    recorded.set_job("PENDING")
    line, seen = (recorded.folder / "squeue").read_text(), "echo >>seen; [ $(wc -l <seen) -lt 2 ]"
    recorded.answer("squeue", line, act=f"{seen} || sed -i 's/|PENDING|/|RUNNING|/' squeue")
    ENGINE.cancel(run.reference)
    assert list_acts(recorded) == [QUEUED, SOFT]


def test_run_that_waits_to_start_again_leaves_the_queue(recorded, run):
    """It has the outcome of its earlier start, which would do for a run that ends."""
    run.begin()
    run.end("cancelled", "requeue", "its time was up")
    recorded.set_job("PENDING", "BeginTime")
    ENGINE.cancel(run.reference)
    assert list_acts(recorded) == [QUEUED]


def test_job_that_does_not_end_in_time_is_ended_for_good(recorded, run, monkeypatch):
    monkeypatch.setattr("robotrain.run_folder.cancel.SAVE_SECONDS", 0.05)
    recorded.answer("scancel", act=CANCEL.replace("--batch*) sed", "--batch*) echo"))
    recorded.set_job("RUNNING")
    ENGINE.cancel(run.reference)
    assert list_acts(recorded) == [SOFT, HARD], "a second signal would stop the saving"


def test_job_that_has_just_ended_is_no_refusal(recorded, run):
    ended = "scancel: error: Kill job error on job id 12: Invalid job id specified"
    recorded.answer("scancel", error=ended, code=1, act="sed -i 's/|RUNNING|/|COMPLETED|/' squeue")
    recorded.set_job("RUNNING")
    ENGINE.cancel(run.reference)


def test_refusal_of_slurm_or_of_the_folder_is_reported(recorded, run, monkeypatch):
    recorded.answer("scancel", error="Access/permission denied", code=1)
    recorded.set_job("RUNNING")
    with pytest.raises(Rejected) as refused:
        ENGINE.cancel(run.reference)
    check_problems(refused.value.problems, "cancel-refused")
    assert list_acts(recorded) == [SOFT]

    def refuse(*words):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(RunFolders, "write_file", refuse)
    with pytest.raises(Rejected) as refused:
        ENGINE.cancel(run.reference)
    check_problems(refused.value.problems, f"cancel-refused {run.path}")
    assert list_acts(recorded) == [SOFT]
