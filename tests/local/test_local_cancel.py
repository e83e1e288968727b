"""Cancelling: gentle first, certain in the end, and harmless when repeated."""

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from crash import line_plan, put_in_place
from local_runs import SLEEP, Runs, wait_for
from robotrain.model.reference import Reference
from robotrain_local import process_list, spec, submit

pytestmark = pytest.mark.slow  # real processes and their patience

SAVES = """
import signal, sys, time
heard = []
signal.signal(signal.SIGTERM, lambda *_: heard.append(1))
print('ready', flush=True)
while not heard:
    time.sleep(0.01)
time.sleep(0.5)
print('saved after', len(heard), 'signal', flush=True)
sys.exit(143)
"""
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(600)"
WORKER = """
import multiprocessing, signal, sys, time
worker = multiprocessing.get_context('fork').Process(target=time.sleep, args=(600,), daemon=True)
worker.start()
def save(*_):
    time.sleep(0.3)
    print('saved with a worker that is', 'alive' if worker.is_alive() else 'dead', flush=True)
    sys.exit(143)
signal.signal(signal.SIGTERM, save)
print('ready', flush=True)
time.sleep(600)
"""


def test_a_cancelled_run_has_ended_when_cancel_returns(runs: Runs) -> None:
    reference = runs.submit(SLEEP)
    runs.wait_until_ready(reference)
    before = runs.processes(reference)
    runs.local.cancel(reference)
    status = runs.local.status(reference)
    assert (status.state, status.exit_code) == ("cancelled", 143)
    assert status.reason
    assert status.ended is not None
    assert not any(process_list.get_birth(pid) for pid in before)


def cancel_twice(runs: Runs, reference: Reference) -> None:
    first = threading.Thread(target=runs.local.cancel, args=(reference,))
    first.start()
    time.sleep(0.2)
    runs.local.cancel(reference)
    first.join()


def cancel_again(runs: Runs, reference: Reference) -> None:
    """As after a cancel that was killed."""
    Path(reference["folder"], "cancelled").write_text('{"asked": 0}')
    runs.local.cancel(reference)


def cancel_without_supervisor(runs: Runs, reference: Reference) -> None:
    os.kill(runs.supervisor(reference), signal.SIGKILL)
    wait_for(lambda: runs.local.status(reference).reason)
    others = [threading.Thread(target=runs.local.cancel, args=(reference,)) for _ in range(2)]
    for other in others:
        other.start()
    for other in others:
        other.join()


@pytest.mark.parametrize(
    "cancel",
    [
        lambda runs, reference: runs.local.cancel(reference),
        cancel_twice,
        cancel_again,
        cancel_without_supervisor,
    ],
    ids=["once", "twice", "after an interrupted cancel", "without a supervisor"],
)
def test_cancelled_run_may_save_and_is_signalled_once(runs: Runs, cancel: Callable[[Runs, Reference], None]) -> None:
    reference = runs.submit(SAVES)
    runs.wait_until_ready(reference)
    cancel(runs, reference)
    assert "saved after 1 signal" in runs.local.logs(reference, follow=False)
    assert runs.local.status(reference).state == "cancelled"


def test_deaf_run_is_killed_after_the_grace_period(runs: Runs) -> None:
    reference = runs.submit(DEAF, grace=0.5)
    runs.wait_until_ready(reference)
    before = runs.processes(reference)
    runs.local.cancel(reference)
    assert runs.local.status(reference).state == "cancelled"
    wait_for(lambda: not any(process_list.get_birth(pid) for pid in before))


def test_cancelling_an_ended_run_changes_nothing(runs: Runs) -> None:
    reference = runs.submit("pass")
    before = runs.wait_for_end(reference)
    runs.local.cancel(reference)
    assert runs.local.status(reference) == before
    assert before.state == "succeeded"


def test_run_can_be_cancelled_right_after_the_submit(runs: Runs) -> None:
    for number in range(5):
        reference = runs.submit(SLEEP, run=f"tiny-{number}")
        time.sleep(0.02 * number)
        runs.local.cancel(reference)
        assert runs.local.status(reference).state == "cancelled"
        assert runs.processes(reference) == []


def test_run_that_never_started_is_cancelled(runs: Runs, tmp_path: Path) -> None:
    folder = runs.folder / "runs" / "tiny-1"
    folder.mkdir(parents=True)
    runs.local.cancel({"folder": str(folder)})
    assert runs.local.status({"folder": str(folder)}).state == "cancelled"


def test_late_supervisor_finds_the_cancellation(runs: Runs, tmp_path: Path) -> None:
    """As that of a submit that was cut off, on a busy machine; the cancel may have been cut off as well."""
    for number, whole in enumerate((True, False)):
        plan = line_plan(runs, tmp_path / "lines", f"tiny-{number}")
        folder = put_in_place(plan)
        if whole:
            runs.local.cancel({"folder": str(folder)})
        else:
            (folder / "cancelled").write_text('{"asked": 0}')
            assert "cancel it again" in runs.local.status({"folder": str(folder)}).reason
        submit._start_supervisor(folder, spec.parse_spec(plan.files[plan.spec]))
        wait_for((folder / "supervisor.json").exists)
        status = runs.wait_for_end({"folder": str(folder)})
        assert (status.state, status.reason) == ("cancelled", "cancelled before it started")
    assert not (tmp_path / "lines").exists()


def test_a_trainer_saves_while_its_workers_live(runs: Runs) -> None:
    """A data loader whose workers were signalled raises in the middle of saving."""
    reference = runs.submit(WORKER)
    runs.wait_until_ready(reference)
    runs.local.cancel(reference)
    assert "saved with a worker that is alive" in runs.local.logs(reference, follow=False)


def test_a_trainer_without_supervisor_and_runtime_saves_while_its_workers_live(runs: Runs, tmp_path: Path) -> None:
    """Also when the two are being killed at this very moment."""
    saved = tmp_path / "saved"  # nobody reads what it prints any more
    print_it = "print('saved with a worker that is', 'alive' if worker.is_alive() else 'dead', flush=True)"
    write_it = f"open({str(saved)!r}, 'w').write(f'saved, alive: {{worker.is_alive()}}')"
    reference = runs.submit(WORKER.replace(print_it, write_it))
    runs.wait_until_ready(reference)
    process_list.send_signal([runs.supervisor(reference), runs.runtime(reference)], signal.SIGKILL)
    runs.local.cancel(reference)
    assert runs.local.status(reference).state == "cancelled"
    assert saved.read_text() == "saved, alive: True"


def test_processes_outside_the_session_are_stopped(runs: Runs, tmp_path: Path) -> None:
    """As the launchers of several processes start each in a session of its own."""
    program = f"""
import subprocess, sys, time
left = subprocess.Popen(["sleep", "600"], start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
open({str(tmp_path / "pid")!r}, "w").write(str(left.pid))
print("ready", flush=True)
time.sleep(600)
"""
    reference = runs.submit(program)
    runs.wait_until_ready(reference)
    left = int((tmp_path / "pid").read_text())
    assert process_list.get_birth(left)
    runs.local.cancel(reference)
    wait_for(lambda: not process_list.get_birth(left))


def test_run_started_by_a_run_goes_on(runs: Runs, tmp_path: Path) -> None:
    program = f"""
import os, sys; sys.path[:0] = [{str(Path(__file__).parent)!r}, {str(Path(__file__).with_name("container_plugins"))!r}]
from crash import line_plan, put_in_place
from local_runs import SLEEP, Runs; from pathlib import Path
os.close(int(os.environ["ROBOTRAIN_EVENTS_FD"]))  # else the inner run keeps it open, and it is waited for
Runs(Path({str(runs.folder)!r})).submit(SLEEP, run="tiny-2")
print("ready", flush=True)
"""
    outer = runs.submit(program)
    assert runs.wait_for_end(outer).state == "succeeded"
    inner = {"folder": str(runs.folder / "runs/tiny-2")}
    runs.wait_until_ready(inner)
    assert runs.local.status(inner).state == "running"


def test_followers_of_a_cancelled_run_come_to_an_end(runs: Runs) -> None:
    reference = runs.submit(SLEEP)
    followed: list[str] = []
    follower = threading.Thread(target=lambda: followed.extend(runs.local.logs(reference, follow=True)))
    follower.start()
    runs.wait_until_ready(reference)
    runs.local.cancel(reference)
    follower.join(60)
    assert not follower.is_alive()
    assert '"state": "cancelled"' in followed[-1]
