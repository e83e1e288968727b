"""Which old runs may go: decided from what is known of them, by rules that a person can check."""

import json

import pytest
from robotrain.errors import Rejected
from robotrain.model.run import RunGone, RunRecord, RunState, Status
from robotrain.store import plans, prune, records
from robotrain.store.prune import PruneCandidate
from robotrain.submission import reconcile

NOW = 1_000_000.0


def known(
    run: str, state: RunState | None = "succeeded", *, ended: float | None = 0.0, outputs: tuple[str, ...] = ()
) -> PruneCandidate:
    status = Status(state=state, ended=ended) if state else None
    return PruneCandidate(run=run, created=0.0, status=status, outputs=outputs)


def going(
    *runs: PruneCandidate, started_from: dict[str, list[str]] | None = None, before: float | None = None
) -> list[str]:
    return [one.run for one in prune.plan_pruning(runs, started_from or {}, before=before).removed]


def record(run: str, **changes: object) -> RunRecord:
    fields: dict = {"run": run, "platform": "mars", "phase": "sent", "job": "0" * 64, "plan": "0" * 64}
    fields |= {"created": 1.0, "workload": "lerobot-train", "settings": {}, "reference": {"id": run}}
    written = RunRecord(**(fields | changes))
    records.get_run_folder(run).mkdir(parents=True)
    (records.get_run_folder(run) / "claimed").touch()
    records.write_record(written)
    return written


class Platform:
    """One that remembers what it was asked to forget."""

    def __init__(self, state: RunState = "succeeded") -> None:
        self.state, self.forgot = state, list[str]()

    def status(self, reference):
        return Status(state=self.state)

    def remove_outputs(self, reference, dry_run=False):
        if not dry_run:
            self.forgot.append(reference["id"])
        return 7


@pytest.mark.parametrize("state", ["succeeded", "failed", "cancelled", "lost"])
def test_runs_that_ended_go_however_they_ended(state):
    assert going(known("a-1", state)) == ["a-1"]


@pytest.mark.parametrize("state", ["pending", "running"])
def test_a_run_that_goes_on_stays_and_it_is_said_why(state):
    plan = prune.plan_pruning([known("a-1", state)], {}, before=None)
    assert (plan.removed, plan.kept_reasons) == ((), {"a-1": f"it is {state}"})


def test_a_run_whose_platform_does_not_answer_stays():
    plan = prune.plan_pruning(
        [PruneCandidate(run="a-1", created=0.0, reason="mars did not answer within 5 s")], {}, before=None
    )
    assert (plan.removed, plan.kept_reasons) == ((), {"a-1": "mars did not answer within 5 s"})


def test_a_run_that_its_platform_no_longer_knows_goes():
    assert going(PruneCandidate(run="a-1", created=0.0, gone=True)) == ["a-1"]


def test_what_counts_is_when_a_run_ended_not_when_it_was_sent():
    runs = [known("long-1", ended=NOW - 10), known("short-1", ended=NOW - 100), known("unseen-1", ended=None)]
    assert going(*runs, before=NOW - 50) == ["short-1", "unseen-1"]


def test_the_newest_stay_and_of_the_others_those_that_are_old():
    runs = ["d-1", "c-1", "b-1", "a-1"]
    created = {"d-1": 4.0, "c-1": 3.0, "b-1": 2.0, "a-1": 1.0}
    assert prune.select_old_runs(runs, created, before=None, keep=1) == ["c-1", "b-1", "a-1"]
    assert prune.select_old_runs(runs, created, before=2.5, keep=0) == ["b-1", "a-1"]
    assert prune.select_old_runs(runs, created, before=2.5, keep=3) == ["a-1"]


def test_a_run_that_another_was_started_from_stays_as_long_as_that_one():
    base = known("base-1", outputs=("/runs/base-1/outputs/checkpoints/000400",))
    tuned = {"tuned-1": ["/data/pusht", "/runs/base-1/outputs/checkpoints/000400/pretrained_model"]}
    plan = prune.plan_pruning([base], tuned, before=None)
    assert (plan.removed, plan.kept_reasons) == ((), {"base-1": "tuned-1 was started from it"})
    assert going(base, known("tuned-1"), started_from=tuned) == ["base-1", "tuned-1"]


def test_a_whole_line_of_descent_stays_with_its_last():
    line = [known(f"run-{number}", outputs=(f"/runs/{number}",)) for number in (1, 2, 3)]
    started_from = {"run-2": ["/runs/1"], "run-3": ["/runs/2"], "run-4": ["/runs/3/model"]}
    plan = prune.plan_pruning(line, started_from, before=None)
    assert plan.removed == ()
    assert plan.kept_reasons["run-1"] == "run-2 was started from it"


def test_a_folder_whose_name_only_begins_alike_is_another():
    assert going(known("a-1", outputs=("/runs/a-1",)), started_from={"b-1": ["/runs/a-10/checkpoint"]}) == ["a-1"]


def test_what_a_run_was_started_from_is_read_from_its_kept_plan():
    record("a-1")
    assert plans.read_stored_sources("a-1") == ()
    plan = records.get_run_folder("a-1") / "plan"
    plan.mkdir()
    body = {"job": {"sources": [{"role": "policy", "kind": "local_path", "uri": "/runs/b-1"}]}}
    (plan / "robotrain-plan.json").write_text(json.dumps(body))
    assert [source.uri for source in plans.read_stored_sources("a-1")] == ["/runs/b-1"]
    (plan / "robotrain-plan.json").write_text("{")
    assert plans.read_stored_sources("a-1") == ()


def test_removing_takes_what_the_platform_keeps_and_then_the_record():
    one, platform = record("a-1"), Platform()
    (records.get_run_folder("a-1") / "plan").mkdir()
    assert reconcile.remove_run(one, platform) == 7
    assert platform.forgot == ["a-1"]
    assert records.list_runs() == []
    assert sorted(path.name for path in records.get_run_folder("a-1").iterdir()) == ["claimed", "forgotten"]


def test_a_run_that_went_on_meanwhile_is_left_alone():
    one, platform = record("a-1"), Platform("running")
    with pytest.raises(Rejected, match="a-1 is running and is not removed"):
        reconcile.remove_run(one, platform)
    assert platform.forgot == []
    assert records.list_runs() == ["a-1"]


def test_when_the_platform_fails_the_record_stays_so_that_it_can_be_tried_again():
    class Failing(Platform):
        def remove_outputs(self, reference, dry_run=False):
            raise PermissionError(13, "Permission denied")

    with pytest.raises(PermissionError):
        reconcile.remove_run(record("a-1"), Failing())
    assert records.list_runs() == ["a-1"]


def test_of_a_platform_that_keeps_its_files_only_the_record_goes():
    class Keeping:
        def status(self, reference):
            return Status(state="succeeded")

        def remove_outputs(self, reference, dry_run=False):
            return None

    one = record("a-1")
    assert reconcile.measure_outputs(one, Keeping()) is None
    assert reconcile.remove_run(one, Keeping()) is None
    assert records.list_runs() == []


def test_of_a_run_that_is_gone_the_record_goes():
    class Forgetful(Platform):
        def status(self, reference):
            raise RunGone("it is gone")

    assert reconcile.remove_run(record("a-1"), Forgetful()) == 0
    assert records.list_runs() == []


def test_a_run_that_is_being_sent_is_not_forgotten():
    import fcntl

    record("a-1")
    with (records.get_run_folder("a-1") / "claimed").open("r+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(Rejected, match="a-1 is being submitted by another process"):
            prune.remove_record("a-1")
    assert records.list_runs() == ["a-1"]
