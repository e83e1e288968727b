"""A run is cancelled in every state: a waiting job at once, a running one after it has saved a checkpoint."""

import pytest
from pretend_queue import JOB, PretendQueue, RunFolder
from robotrain.errors import Rejected
from robotrain_slurm.client.commands import SlurmRefused
from robotrain_slurm.observe import cancel, status

SOFT, HARD, QUEUED = ("--batch", "--signal=INT", JOB), (JOB,), ("--state=PENDING", JOB)


class PretendSlurm(PretendQueue):
    """A Slurm whose jobs change as they are cancelled."""

    def __init__(self) -> None:
        super().__init__()
        self.acts = []
        self.on_cancel = {QUEUED: "CANCELLED", SOFT: "FAILED", HARD: "CANCELLED"}
        """The state after each way to cancel; an exception is raised."""
        self.is_marked = lambda: False

    def run_slurm(self, command, *words):
        assert (command, self.is_marked()) == ("scancel", True), "a job that begins now must see the mark"
        self.acts.append(words)
        change = self.on_cancel[words]
        if isinstance(change, Exception):
            raise change
        if change and not (words == QUEUED and self.jobs[0].state != "PENDING"):
            self.set_job(change)
        return ""


@pytest.fixture
def engine(monkeypatch) -> PretendSlurm:
    engine = PretendSlurm()
    monkeypatch.setattr(status, "query_queue", engine.query_queue)
    monkeypatch.setattr(status, "query_accounting", engine.query_accounting)
    monkeypatch.setattr(cancel, "run_slurm", engine.run_slurm)
    monkeypatch.setattr(cancel, "FIRST_PAUSE", 0.0)
    return engine


@pytest.fixture
def run(tmp_path, engine) -> RunFolder:
    run = RunFolder(tmp_path / "count-1")
    engine.is_marked = (run.path / "cancelled").exists
    return run


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
def test_run_is_cancelled_in_every_state(engine, run, state, acts):
    engine.set_job(state)
    assert cancel.request_cancel(run.reference) == ""
    assert engine.acts == acts


def test_job_that_completes_may_be_requeued(engine, run, monkeypatch):
    """As one that was told to stop before its time limit, just before it is cancelled."""
    states = iter(["COMPLETING", "COMPLETING", "PENDING", "PENDING"])
    query = engine.query_queue

    def query_next(*words):
        if not engine.acts:
            engine.set_job(next(states))
        return query(*words)

    monkeypatch.setattr(status, "query_queue", query_next)
    assert cancel.request_cancel(run.reference) == ""
    assert engine.acts == [QUEUED]


def test_job_that_begins_meanwhile_saves_a_checkpoint(engine, run, monkeypatch):
    """It is not ended by the request for a waiting job."""
    engine.set_job("PENDING")
    query = engine.query_queue
    seen = []

    def begin_after_query(*words):
        found = query(*words)
        if not seen:
            seen.append(engine.set_job("RUNNING"))
        return found

    monkeypatch.setattr(status, "query_queue", begin_after_query)
    assert cancel.request_cancel(run.reference) == ""
    assert engine.acts == [QUEUED, SOFT]


def test_run_that_waits_to_start_again_leaves_the_queue(engine, run):
    """It has the outcome of its earlier start, which would do for a run that ends."""
    run.begin()
    run.end("cancelled", "requeue", "its time was up")
    engine.set_job("PENDING", "BeginTime")
    assert cancel.request_cancel(run.reference) == ""
    assert engine.acts == [QUEUED]


def test_job_that_does_not_end_in_time_is_ended_for_good(engine, run, monkeypatch):
    monkeypatch.setattr(cancel, "SAVE_SECONDS", 0.05)
    engine.on_cancel[SOFT] = ""
    engine.set_job("RUNNING")
    assert cancel.request_cancel(run.reference) == ""
    assert engine.acts == [SOFT, HARD], "a second signal would stop the saving"


def test_job_that_has_just_ended_is_no_refusal(engine, run, monkeypatch):
    engine.on_cancel[SOFT] = SlurmRefused("scancel: error: Kill job error on job id 12: Invalid job id specified", 1)
    engine.set_job("RUNNING")
    run_slurm = engine.run_slurm

    def end_and_refuse(*words):
        engine.set_job("COMPLETED")
        return run_slurm(*words)

    monkeypatch.setattr(cancel, "run_slurm", end_and_refuse)
    assert cancel.request_cancel(run.reference) == ""


def test_refusal_is_returned(engine, run):
    engine.on_cancel[SOFT] = SlurmRefused("Access/permission denied", 1)
    engine.set_job("RUNNING")
    assert cancel.request_cancel(run.reference) == "Access/permission denied"


def test_folder_of_another_user_is_left_alone(engine, run, monkeypatch):
    engine.set_job("RUNNING")

    def refuse(path, *more, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(cancel.Path, "touch", refuse)
    with pytest.raises(Rejected) as caught:
        cancel.request_cancel(run.reference)
    assert (caught.value.problems[0].code, engine.acts) == ("cancel-refused", [])
