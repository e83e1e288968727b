"""Submission exactly once: an interrupted submit is reconciled by the next one."""

import json
import os
import signal

import pytest
from fake_engine import answer_submits, count_submissions
from robotrain.store import plans, records, stored_job


@pytest.fixture
def submit(robotrain, fake_platform, pusht):
    def submit(*more: object):
        return robotrain("submit", "--platform", "fake", "--dataset-path", pusht, "--no-pin", *more)

    return submit


@pytest.fixture
def interrupted_submit(submit, fake_platform):
    """A submit that fake answers in a mood; the name of the run that it leaves."""

    def run(mood: str) -> str:
        with answer_submits(fake_platform, mood):
            submit()
        (left,) = records.list_runs()
        return left

    return run


def run_name(answer) -> str:
    return answer.stdout.strip()


NOTHING_SENT = {
    "refused by the engine": ("mood", "refuses", 1, ["refused"]),
    "interrupted before it was sent": ("mood", "interrupted in time", 130, []),
    "stopped by preflight": ("weather", "acid rain", 4, ["weather"]),
    "preflight without an answer": ("weather", "no answer", 1, ["io-failed"]),
}


@pytest.mark.parametrize(("file", "text", "exit_code", "problems"), NOTHING_SENT.values(), ids=NOTHING_SENT)
def test_a_submit_that_sends_nothing_leaves_no_record_and_no_name(
    submit, fake_platform, file, text, exit_code, problems
):
    (fake_platform / file).write_text(text)
    answer = submit()
    answer.check_problems(exit_code, *problems)
    assert ("nothing was sent to fake" in answer.stderr) == (exit_code == 130)
    assert "c2VjcmV0" not in answer.stderr
    assert os.listdir(records.get_run_folder("x").parent) == []
    (fake_platform / file).unlink()
    assert run_name(submit()).endswith("-1")


def test_a_run_that_the_platform_accepted_is_found_by_the_same_command(submit, fake_platform):
    with answer_submits(fake_platform, "takes it and hangs up"):
        submit().check_problems(1, "submit-unsure")
    again = submit()
    again.check_problems(0, "run-adopted")
    assert count_submissions(fake_platform) == {run_name(again): 1}
    record = records.read_record(run_name(again))
    assert (record.phase, record.reference) == ("sent", {"id": record.run})
    assert "adopted" in record.notes[0]


@pytest.mark.parametrize("end", ["exits", "answers with a text"])
def test_run_is_sent_once_whatever_the_platform_raises_or_answers(submit, fake_platform, end):
    with answer_submits(fake_platform, f"takes it and {end}"):
        submit().check_problems(1, "submit-unsure")
    again = submit()
    again.check_problems(0, "run-adopted")
    assert count_submissions(fake_platform) == {run_name(again): 1}


def test_job_is_not_sent_while_the_status_of_its_run_is_unknown(submit, fake_platform):
    run = run_name(submit())
    (fake_platform / "status").write_text("exits")
    submit().check_problems(1, "run-unfinished-unsure")
    assert count_submissions(fake_platform) == {run: 1}


def test_a_run_that_did_not_arrive_is_sent_again_under_its_name(submit, fake_platform):
    with answer_submits(fake_platform, "hangs up"):
        assert submit().exit_code == 1
        (left,) = records.list_runs()
    again = submit()
    assert run_name(again) == left
    again.check_problems(0, "run-adopted")
    assert count_submissions(fake_platform) == {left: 1}
    assert run_name(submit("--new")).endswith("-2")


def test_new_leaves_an_interrupted_submit_alone(submit, interrupted_submit, fake_platform):
    interrupted_submit("takes it and hangs up")
    assert run_name(submit("--new")).endswith("-2")
    assert records.read_record(records.list_runs()[-1]).phase == "sending"


def test_a_job_with_other_settings_leaves_an_interrupted_submit_alone(submit, interrupted_submit, fake_platform):
    interrupted_submit("takes it and hangs up")
    answer = submit("--slots", "60")
    assert run_name(answer).endswith("-2")
    answer.check_problems(0, "run-interrupted")


def test_ctrl_c_during_the_submit_leaves_its_result_unknown(submit, fake_platform):
    with answer_submits(fake_platform, "interrupted"):
        submit().check_problems(130, "submit-unsure")
    assert count_submissions(fake_platform) == {run_name(submit()): 1}


def test_an_unknown_result_is_reported_with_what_the_platform_answered(submit, fake_platform):
    (fake_platform / "mood").write_text("does not say")
    answer = submit()
    answer.check_problems(1, "submit-unsure Fake is dark. It is night.")
    assert "nothing was done" not in answer.stderr


def test_an_interrupted_submit_keeps_its_name_while_preflight_fails(submit, interrupted_submit, fake_platform):
    """The engine may have it a little later than it was asked."""
    left = interrupted_submit("hangs up")
    (fake_platform / "weather").write_text("acid rain")
    submit().check_problems(4, "weather", f"run-interrupted {left}")
    assert records.read_record(left).phase == "sending"
    (fake_platform / "weather").unlink()
    assert run_name(submit()) == left


def test_ctrl_c_after_the_name_is_printed_leaves_a_recorded_run(submit, fake_platform, monkeypatch):
    from robotrain.cli.commands import sending

    def interrupt(text: str) -> None:
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(sending, "print_result", interrupt)
    assert submit().exit_code == 130
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    (run,) = records.list_runs()
    assert records.read_record(run).phase == "sent"


def test_a_dry_run_takes_no_name_and_leaves_an_interrupted_submit(submit, interrupted_submit):
    assert submit("--dry-run").exit_code == 0
    assert records.list_runs() == []
    left = interrupted_submit("hangs up")
    shown = submit("--dry-run")
    assert f"dry run: {left}" in shown.stderr
    shown.check_problems(0, "run-interrupted")
    assert f"dry run: {left[:-1]}2" in submit("--dry-run", "--new").stderr
    assert records.read_record(left).phase == "sending"


def test_a_dry_run_holds_no_name_during_preflight(submit, fake_platform, monkeypatch):
    import fake_plugin

    names_during_preflight: list[list[str]] = []
    monkeypatch.setattr(
        fake_plugin.FakeEngine,
        "preflight",
        lambda self, plan: names_during_preflight.append(os.listdir(records.get_run_folder("x").parent)) or (),
    )
    assert submit("--dry-run").exit_code == 0
    assert names_during_preflight == [[]]


@pytest.mark.parametrize(
    ("memory", "exit_code", "problems"),
    [
        ("away", 1, ["submit-unsure"]),
        ("answers with an empty text", 1, ["submit-unsure"]),
        ("refuses", 1, ["submit-unsure", "asleep"]),
        ("interrupted", 130, []),
    ],
)
def test_a_platform_that_cannot_be_asked_leaves_everything_as_it_is(
    submit, interrupted_submit, fake_platform, memory, exit_code, problems
):
    interrupted_submit("takes it and hangs up")
    (fake_platform / "memory").write_text(memory)
    answer = submit("--json")
    answer.check_problems(exit_code, *problems)
    assert "c2VjcmV0" not in answer.stdout + answer.stderr
    (left,) = records.list_runs()
    (fake_platform / "memory").unlink()
    assert run_name(submit()) == left
    assert count_submissions(fake_platform) == {left: 1}


@pytest.mark.parametrize("mood", ["takes it and hangs up", "hangs up"])
def test_a_submit_of_another_machine_is_adopted_if_the_platform_has_it_and_else_left(
    submit, interrupted_submit, fake_platform, mood
):
    left = interrupted_submit(mood)
    path = records.get_run_folder(left) / "record.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"host": "another"}))
    answer = submit()
    if mood.startswith("takes"):
        assert count_submissions(fake_platform) == {run_name(answer): 1} == {left: 1}
        return
    assert run_name(answer) == left[:-1] + "2"
    answer.check_problems(0, "run-interrupted")
    assert records.read_record(left).phase == "sending"


@pytest.mark.parametrize("file", ["job.json", "robotrain-plan.json"])
def test_a_stored_plan_that_is_damaged_is_never_sent(submit, interrupted_submit, fake_platform, file):
    left = interrupted_submit("hangs up")
    path = stored_job.get_plan_folder(left) / file
    path.write_text(path.read_text()[:-40])
    submit().check_problems(1, f"submit-unsure {stored_job.get_plan_folder(left)}")
    assert count_submissions(fake_platform) == {}
    assert run_name(submit("--new")) == left[:-1] + "2"


def test_files_of_an_earlier_plan_are_removed(submit, fake_platform):
    run = run_name(submit())
    records.get_run_folder(run).joinpath("record.json").unlink()
    (stored_job.get_plan_folder(run) / "robotrain-plan.json").unlink()
    (stored_job.get_plan_folder(run) / "stray.txt").write_text("")
    assert run_name(submit()) == run
    assert not (stored_job.get_plan_folder(run) / "stray.txt").exists()


def test_a_full_disk_before_the_submit_sends_nothing(submit, fake_platform, monkeypatch):
    def full(rendered: object) -> None:
        with records.report_write_errors():
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(plans, "store_plan", full)
    submit().check_problems(4, "state-folder-unwritable ROBOTRAIN_STATE")
    assert count_submissions(fake_platform) == {}
    assert records.list_runs() == []


def test_a_disk_that_fills_up_during_the_submit_loses_no_run(submit, fake_platform, monkeypatch):
    write = records.write_record

    def full_later(record: object) -> None:
        if record.phase == "sent":
            with records.report_write_errors():
                raise OSError(28, "No space left on device")
        write(record)

    monkeypatch.setattr(records, "write_record", full_later)
    answer = submit()
    run = run_name(answer)
    assert count_submissions(fake_platform) == {run: 1}
    answer.check_problems(1, "run-unrecorded")  # 4 would say that nothing was sent
    assert "nothing was done" not in answer.stderr
    monkeypatch.setattr(records, "write_record", write)
    assert run_name(submit()) == run
    assert count_submissions(fake_platform) == {run: 1}


def test_a_truncated_record_keeps_its_name_and_hides_no_other_run(submit, fake_platform, robotrain):
    first = run_name(submit())
    path = records.get_run_folder(first) / "record.json"
    path.write_text(path.read_text()[:40])
    second = run_name(submit())
    assert second.endswith("-2")
    assert robotrain("status", first).exit_code == 1
    assert robotrain("status", second).exit_code == 0


def test_the_plan_is_stored_with_settings_values_and_origins(submit, fake_platform):
    run = run_name(submit("--slots", "60", "--training-steps", "7"))
    stored = plans.read_stored_plan(run)
    assert stored.changed == ()
    assert stored.plan.digest == records.read_record(run).plan
    assert stored.settings == {"slots": 60}
    assert stored.plan.job["training_steps"] == 7
    origins = {value["name"]: value["origin"] for value in stored.values}
    assert origins["training_steps"] == "flag --training-steps"


def test_a_payload_is_stored_once_for_all_runs(submit, fake_platform):
    runs = [run_name(submit("--new")) for _ in range(2)]
    files = [os.stat(stored_job.get_plan_folder(run) / "payload.zip") for run in runs]
    assert [file.st_nlink for file in files] == [3, 3]
    assert files[0].st_mode & 0o222 == 0, "it is read-only"


def test_a_damaged_payload_is_stored_again(submit, fake_platform):
    first = run_name(submit())
    (payload,) = (records.get_run_folder("x").parents[1] / "payloads").iterdir()
    payload.chmod(0o644)
    payload.write_bytes(b"")  # as after a power cut
    assert plans.read_stored_plan(first).changed == ("payload.zip",)
    assert plans.read_stored_plan(run_name(submit("--new"))).changed == ()


def test_a_disk_without_room_for_the_payload_is_left_unchanged(submit, fake_platform, monkeypatch):
    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    submit().check_problems(4, "state-folder-unwritable ROBOTRAIN_STATE")
    assert count_submissions(fake_platform) == {}
    assert [path for path in records.get_run_folder("x").parents[1].rglob("*") if path.is_file()] == []
