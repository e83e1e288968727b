"""`robotrain cancel` of a workflow: OSMO reports success even if it refused, so the state is checked."""

import time

import pytest
from robotrain.errors import Rejected
from robotrain.model.run import RunGone
from robotrain_osmo.observe import workflow_state
from robotrain_osmo.platform import OSMO


def test_refused_cancel_with_exit_code_0_is_reported(run):
    run.set_status("RUNNING")
    run.osmo.configure(cancelling="refused")
    began = time.monotonic()
    with pytest.raises(Rejected) as raised:
        OSMO.engine.cancel(run.reference)
    assert time.monotonic() - began < 10
    (problem,) = raised.value.problems
    assert problem.code == "cancel-refused"
    assert problem.why
    assert run.status().state == "running"


@pytest.mark.slow
def test_workflow_that_does_not_end_is_reported_as_pending(run, monkeypatch):
    monkeypatch.setattr(OSMO.engine, "cancel_seconds", 0.5)
    run.set_status("PROCESSING").record()
    assert "preparing" in run.status().reason
    run.osmo.configure(cancelling="slow")
    with pytest.raises(Rejected, match="accepted the request"):
        OSMO.engine.cancel(run.reference)
    assert (run.status().state, "being cancelled" in run.status().reason) == ("pending", True)
    run.reference["workflow"] += "0"  # another one, which a later submit of the run made
    assert not workflow_state.is_cancel_requested(run.reference)


@pytest.mark.slow
def test_unknown_workflow_is_gone(run):
    run.reference["workflow"] = "nothing-of-that-name-7"
    with pytest.raises(RunGone):
        OSMO.engine.cancel(run.reference)


@pytest.mark.slow
def test_exit_code_of_cancel(run, robotrain):
    name = run.set_status("RUNNING").record()
    run.osmo.configure(cancelling="refused")
    answer = robotrain("cancel", name)
    assert answer.exit_code == 1
    assert "cancel-refused" in answer.stderr
    run.osmo.configure(cancelling="at-once")
    answer = robotrain("cancel", name)
    assert answer.exit_code == 0
    assert f"{name}  cancelled" in answer.stdout
