"""Cancelling: gentle first, certain in the end, and harmless when repeated."""

import json
import threading
import time
from pathlib import Path

from machine import Runs, until
from robotrain_local import process

SLEEP = "import time; print('ready', flush=True); time.sleep(600)"
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
    runs.waits(reference)
    before = runs.processes(reference)
    runs.local.cancel(reference)
    status = runs.local.status(reference)
    assert (status.state, status.exit_code) == ("cancelled", 143)
    assert status.reason
    assert status.ended is not None
    assert not any(process.birth(pid) for pid in before)


def test_a_cancelled_run_may_save_what_it_has_and_hears_of_it_once(runs: Runs) -> None:
    reference = runs.submit(SAVES)
    runs.waits(reference)
    runs.local.cancel(reference)
    assert "saved after 1 signal" in runs.local.logs(reference, follow=False)
    assert runs.local.status(reference).state == "cancelled"


def test_a_run_that_does_not_listen_is_ended_after_the_grace(runs: Runs) -> None:
    reference = runs.submit(DEAF, grace=0.5)
    runs.waits(reference)
    before = runs.processes(reference)
    runs.local.cancel(reference)
    assert runs.local.status(reference).state == "cancelled"
    until(lambda: not any(process.birth(pid) for pid in before))


def test_cancelling_twice_is_cancelling_once(runs: Runs) -> None:
    reference = runs.submit(SLEEP)
    runs.waits(reference)
    runs.local.cancel(reference)
    before = runs.local.status(reference)
    runs.local.cancel(reference)
    assert runs.local.status(reference) == before


def test_cancelling_while_it_is_being_cancelled_does_not_cut_its_saving_short(runs: Runs) -> None:
    reference = runs.submit(SAVES)
    runs.waits(reference)
    first = threading.Thread(target=runs.local.cancel, args=(reference,))
    first.start()
    time.sleep(0.2)
    runs.local.cancel(reference)
    first.join()
    assert "saved after 1 signal" in runs.local.logs(reference, follow=False)


def test_a_run_that_ended_is_left_as_it_is(runs: Runs) -> None:
    reference = runs.submit("pass")
    before = runs.end_of(reference)
    runs.local.cancel(reference)
    assert runs.local.status(reference) == before
    assert before.state == "succeeded"


def test_cancelling_at_once_after_submitting_works_too(runs: Runs) -> None:
    for number in range(5):
        reference = runs.submit(SLEEP, run=f"tiny-{number}")
        time.sleep(0.02 * number)
        runs.local.cancel(reference)
        assert runs.local.status(reference).state == "cancelled"
        assert runs.processes(reference) == []


def test_a_run_that_never_started_is_cancelled_and_does_not_start_later(runs: Runs, tmp_path: Path) -> None:
    folder = runs.folder / "runs" / "tiny-1"
    folder.mkdir(parents=True)
    runs.local.cancel({"folder": str(folder)})
    assert runs.local.status({"folder": str(folder)}).state == "cancelled"


def test_a_supervisor_that_comes_late_finds_the_cancellation(runs: Runs) -> None:
    plan = runs.plan(SLEEP)
    plan.files["cancel.json"] = json.dumps({"asked": 0}).encode()  # type: ignore[index]
    status = runs.end_of(runs.local.submit(plan))
    assert (status.state, status.reason) == ("cancelled", "cancelled before it started")


def test_a_trainer_saves_while_its_workers_live(runs: Runs) -> None:
    """A data loader whose workers were signalled raises in the middle of saving."""
    reference = runs.submit(WORKER)
    runs.waits(reference)
    runs.local.cancel(reference)
    assert "saved with a worker that is alive" in runs.local.logs(reference, follow=False)


def test_followers_of_a_cancelled_run_come_to_an_end(runs: Runs) -> None:
    reference = runs.submit(SLEEP)
    followed: list[str] = []
    follower = threading.Thread(target=lambda: followed.extend(runs.local.logs(reference, follow=True)))
    follower.start()
    runs.waits(reference)
    runs.local.cancel(reference)
    follower.join(10)
    assert not follower.is_alive()
    assert '"state": "cancelled"' in followed[-1]
