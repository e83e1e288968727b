"""Problem the workflow of an interrupted submit: the right one, none, or a problem if that is unknown."""

import os
import threading
from types import SimpleNamespace

import pytest
from osmo_small_plans import RUN, SUBMIT_MARK, add_workflow, make_plan
from robotrain.errors import Rejected, Unanswered, format_problem
from robotrain.store import records
from robotrain_osmo.platform import OSMO
from robotrain_osmo.submit import submit
from robotrain_runtime.contract.files import lock_file

OTHER = "0d" * 32


def make_interrupted_plan(*before: str):
    """A plan with a note of a submit, before which these workflows existed."""
    submit.NOTE.write(make_plan(), {"mark": SUBMIT_MARK, "before": before, "active": (), "workflow": ""})
    return make_plan()


def find_workflow(*before: str) -> str | None:
    """The workflow that is found for such a plan."""
    reference = OSMO.engine.find(make_interrupted_plan(*before))
    return reference["workflow"] if reference else None


def write_submit_lock(end: str):
    """The lock of a submit whose command ended at that time; it is empty if nobody saw its end."""
    path = records.get_run_folder(RUN) / submit.LOCK_FILE
    path.write_text(end)
    os.utime(path, (1, 1))
    return path


def test_nothing_is_found_if_nothing_was_accepted(osmo):
    assert find_workflow() is None


@pytest.mark.parametrize(
    ("note", "workflow"),
    [(None, None), ((), f"{RUN}-7"), ((OTHER,), None)],
    ids=["never submitted", "of this plan", "of another plan"],
)
def test_workflow_in_the_note_is_found_without_a_search(osmo, note, workflow):
    add_workflow(osmo)
    osmo.forget()
    if note is not None:
        submit.NOTE.write(make_plan(*note), {"mark": SUBMIT_MARK, "before": (), "active": (), "workflow": f"{RUN}-7"})
    reference = OSMO.engine.find(make_plan())
    assert (reference and reference["workflow"]) == workflow
    assert osmo.calls == []


@pytest.mark.parametrize(
    ("state", "is_found"), [({"status": "FAILED_SUBMISSION"}, False), ({"task_status": "COMPLETED"}, True)]
)
def test_ended_workflow_is_found_but_no_failed_submission(osmo, state, is_found):
    ours = add_workflow(osmo)
    osmo.set_state(ours, **state)
    assert find_workflow() == (ours if is_found else None)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("call", "form", "stdout"),
    [
        *(("workflow list", form, "") for form in ("refused", "server_error", "html")),
        ("workflow spec", "refused", ""),
        *(("workflow list", "answer", text) for text in ("{}", "[]", '{"workflows": null}', "There are no workflows.")),
    ],
)
def test_service_that_does_not_answer_is_not_taken_for_an_empty_one(osmo, call, form, stdout):
    add_workflow(osmo)
    osmo.fail(call, form, times=None, stdout=stdout)
    with pytest.raises(Rejected):
        find_workflow()


@pytest.mark.parametrize("content", [b"", b'{"plan": "', b"[]", b"{}", b"\xff"])
def test_damaged_note_is_reported_with_a_suggestion(osmo, content):
    wanted = make_interrupted_plan()
    file = submit.NOTE.get_path(wanted)
    file.write_bytes(content)
    with pytest.raises(Rejected) as raised:
        OSMO.engine.find(wanted)
    report = format_problem(raised.value.problems[0])
    assert str(file) in report
    assert "--new" in report


def test_earlier_workflow_without_visible_text_is_not_found(osmo, monkeypatch):
    monkeypatch.setattr(submit, "SPEC_SECONDS", (0.0,))
    before = add_workflow(osmo)
    osmo.fail("workflow spec", "answer", times=None, stdout="environment: [MASKED]")
    assert find_workflow(before) is None


def test_workflow_of_this_plan_is_found_among_others(osmo):
    add_workflow(osmo, run=f"{RUN}-1")
    add_workflow(osmo, run=f"{RUN}1")
    add_workflow(osmo, OTHER)
    ours = add_workflow(osmo)
    add_workflow(osmo, OTHER)
    reference = OSMO.engine.find(make_interrupted_plan())
    assert reference is not None
    assert (reference["workflow"], reference["run"], reference["cli"]) == (ours, RUN, "osmo")


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 2])
def test_workflow_without_visible_text_may_be_anothers(osmo, monkeypatch, count):
    monkeypatch.setattr(submit, "SPEC_SECONDS", (0.0,))
    names = [add_workflow(osmo) for _ in range(count)]
    osmo.fail(
        "workflow spec", "answer", times=None, code=2, stdout="Error message: The file is not there\nError code: 400"
    )
    with pytest.raises(Rejected) as raised:
        find_workflow()
    [problem] = raised.value.problems
    assert (problem.code, problem.given) == ("osmo-unseen-workflow", ", ".join(names))


@pytest.mark.slow
def test_long_list_is_read_completely(osmo, monkeypatch):
    monkeypatch.setattr(submit, "PAGE_SIZE", 1)
    ours = add_workflow(osmo)
    for _ in range(3):
        add_workflow(osmo, run=f"{RUN}-1")
    assert find_workflow() == ours
    assert [call[call.index("-c") + 1] for call in osmo.calls if "-c" in call] == ["1", "10", "1", "10"]


@pytest.mark.slow
@pytest.mark.parametrize("end", ["seen", "waited for", "waited for again", "unseen"])
def test_late_workflow_is_waited_for(osmo, monkeypatch, end):
    add_workflow(osmo, OTHER)
    wanted = make_interrupted_plan()
    if end == "seen":
        with submit.hold_lock(RUN):
            pass
    else:
        file = write_submit_lock("1.5" if end == "waited for again" else "").open(
            "rb"
        )  # a noted end, but the command goes on
        assert lock_file(file.fileno())
        threading.Timer(0.2, file.close).start() if end.startswith("waited for") else file.close()
    monkeypatch.setattr(submit, "SETTLE_SECONDS", 2.0)
    threading.Timer(0.8, add_workflow, [osmo]).start()
    reference = OSMO.engine.find(wanted)
    assert reference is not None
    assert reference["workflow"] == f"{RUN}-2"


def test_long_after_an_interruption_nothing_is_waited_for(osmo, monkeypatch):
    monkeypatch.setattr(submit, "SETTLE_SECONDS", 2.0)
    wanted = make_interrupted_plan()
    write_submit_lock("1.5")
    assert OSMO.engine.find(wanted) is None
    assert len(osmo.calls) == 1


def test_unseen_end_of_a_command_is_waited_for_once(osmo, monkeypatch):
    slept: list[float] = []
    clock = SimpleNamespace(time=lambda: 1e9 + sum(slept), sleep=slept.append)
    monkeypatch.setattr(submit, "time", clock)
    monkeypatch.setattr(submit, "SETTLE_SECONDS", 5.0)
    wanted = make_interrupted_plan()
    write_submit_lock("")
    for _ in range(2):
        assert OSMO.engine.find(wanted) is None
    assert (len(osmo.calls), slept) == (3, [5.0])


def test_two_commands_never_submit_one_run_at_once():
    with submit.hold_lock(RUN), pytest.raises(Unanswered) as raised, submit.hold_lock(RUN):
        pass
    assert "pgrep" in format_problem(raised.value.problems[0])


@pytest.mark.parametrize(("written", "end"), [("1000.0", 1100.0), (None, 0.0)])
def test_workflow_of_many_tasks_may_be_listed_later(monkeypatch, written, end):
    monkeypatch.setattr(submit, "SETTLE_SECONDS", 5.0)
    if written is not None:
        lock = records.get_run_folder(RUN) / submit.LOCK_FILE
        lock.parent.mkdir(parents=True)
        lock.write_text(written)
    assert submit._get_settle_end(RUN, 20) == end
