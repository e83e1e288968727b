"""A command that sends a job is called once, whoever interrupts it."""

import fcntl
import os
import subprocess

import pytest
from messages import check_rejected
from robotrain.errors import Unanswered
from robotrain.run_folder import submit_call
from robotrain.run_folder.submit_call import SubmitCall

SEND = """#!/bin/sh
echo "$*" >> sent
echo "job $(wc -l < sent)"
"""


@pytest.fixture
def call(tmp_path, monkeypatch):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/send").write_text(SEND)
    (tmp_path / "bin/send").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setattr(submit_call, "PATIENCE_SECONDS", 0.2)
    monkeypatch.setattr(submit_call, "QUIET_SECONDS", 0.2)
    return SubmitCall(tmp_path / "send.txt", r"(?m)^job (\d+)$")


def list_sent(call):
    sent = call.file.with_name("sent")
    return sent.read_text().splitlines() if sent.exists() else []


def test_job_is_sent_once(call):
    assert (call.read_answer(), call.read_job()) == (None, "")
    assert [call.run(["a"]), call.run(["a"])] == [0, 0]
    assert (call.read_job(), list_sent(call)) == ("1", ["a"])


def test_answer_of_a_refusal_is_replaced(call):
    call.file.write_text("send: no such queue\n")
    call.run(["a"])
    assert call.read_answer() == "job 1\n"


def test_command_of_another_submit_is_waited_for(call):
    with call.file.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        for attempt in (call.wait, lambda: call.run(["a"])):
            with pytest.raises(Unanswered) as busy:
                attempt()
            assert busy.value.problems[0].code == "submit-still-sending"
    assert list_sent(call) == []


def test_command_holds_the_lock_after_its_submit_was_killed(call, tmp_path):
    (tmp_path / "bin/send").write_text("#!/bin/sh\nsleep 1\necho job 7\n")

    started = []

    class Killed(BaseException):
        pass

    def start_and_die(words, folder, file, env):
        started.append(subprocess.Popen(words, stdout=file, start_new_session=True))
        raise Killed

    with pytest.MonkeyPatch.context() as killed:
        killed.setattr(submit_call, "_run_to_file", start_and_die)
        with pytest.raises(Killed):
            call.run([])
    with pytest.raises(Unanswered):
        call.run(["a"])
    with pytest.MonkeyPatch.context() as patient:
        patient.setattr(submit_call, "PATIENCE_SECONDS", 20.0)
        call.wait()
    assert call.read_job() == "7"
    started[0].wait()


def test_command_that_hangs_is_ended(call, tmp_path):
    (tmp_path / "bin/send").write_text("#!/bin/sh\nexec sleep 60\n")
    assert call.run(["a"]) is None


def test_missing_command_is_a_problem(call, tmp_path):
    (tmp_path / "bin/send").unlink()
    with check_rejected("submit-command-missing"):
        call.run(["a"])
