"""The continuation driver of a run on a cluster that is reached by ssh: a process of this machine.

It lets the driver's own code run on the login node for as long as the connection holds, and connects again until the
run has ended. It may be killed at any moment: what comes next stands in the run folder. Where it gives up, it leaves
the reason, which `robotrain status` shows when it starts another.
"""

import hashlib
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from robotrain import background
from robotrain.errors import Rejected
from robotrain.model.run import LOGIN_KEY, Reference
from robotrain.store import files
from robotrain_runtime.contract.files import is_locked, lock_file

from robotrain_slurm.login import calls

MODULE = "robotrain_slurm.remote.driver"
DRIVE = "robotrain_slurm.submit.continuation_driver:drive_from_login"
FIRST_PAUSE, LONGEST_PAUSE = 2.0, 300.0
BUSY_PAUSE = 30.0
"""Until it asks again whether the process still lives that drives the run."""
PATIENCE_SECONDS = 14 * 86400.0
"""How long it tries to reach the login node: a laptop is asleep, or away from the cluster's network, for days."""
FINAL_CODES = ("slurm-login-denied", "slurm-login-host-changed", "slurm-login-host-unknown", "slurm-login-invalid")
"""What only the user changes: to try on would look like an attack."""
LOCK_SECONDS = 1.0
SENDS_NEXT = "sends its next job"


def find_place(reference: Reference) -> Path:
    """Return where the driver of a run keeps its files, without their suffix."""
    key = f"{reference[LOGIN_KEY]}\0{reference['folder']}"
    return files.get_state_folder() / "login-drivers" / hashlib.sha256(key.encode()).hexdigest()[:32]


def start_driver(reference: Reference) -> bool:
    """Start the driver of a run in a session of its own; return False if one is alive, or it cannot be started."""
    place = find_place(reference)
    with suppress(OSError):
        files.make_private_folder(place.parent)
        if is_locked(place.with_suffix(".lock")):
            return False
        about = f"{reference[LOGIN_KEY]}\n{reference['folder']}".encode()
        files.write_atomically(place.with_suffix(".run"), about, files.PRIVATE_FILE)
        background.start_module(MODULE, str(place), place.with_suffix(".txt"), os.environ, files.PRIVATE_FILE)
        return True
    return False


def ensure_driver(reference: Reference, is_driven: bool) -> str:
    """Start the driver of a run, unless one is alive; return in words which one there is.

    :param is_driven: whether a process drives the run on the login node.
    """
    place = find_place(reference)
    if is_locked(place.with_suffix(".lock")):
        return f"a driver on this machine {SENDS_NEXT}"
    if is_driven:
        return f"a driver on another machine {SENDS_NEXT}"
    why = read_end(reference)
    if not start_driver(reference):
        return f"its driver cannot be started on this machine, and nothing {SENDS_NEXT}"
    return f"its driver on this machine ended ({why}), and was started again" if why else "its driver was started here"


def read_end(reference: Reference) -> str:
    """Return why the last driver of a run on this machine gave up; empty if none did."""
    with suppress(OSError):
        return find_place(reference).with_suffix(".end").read_text(encoding="utf-8").strip()
    return ""


def drive_run(place: Path) -> None:
    """Drive a run to its end, unless another process of this machine does; leave why, if it gives up."""
    login, _, folder = place.with_suffix(".run").read_text(encoding="utf-8").partition("\n")
    handle = os.open(place.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if not lock_file(handle, seconds=LOCK_SECONDS):
            return
        place.with_suffix(".end").unlink(missing_ok=True)
        if why := keep_driving(lambda: bool(calls.call(login, DRIVE, folder))):
            files.write_atomically(place.with_suffix(".end"), why.encode(), files.PRIVATE_FILE)
            return
        for suffix in (".run", ".txt"):
            place.with_suffix(suffix).unlink(missing_ok=True)
    finally:
        os.close(handle)


def keep_driving(drive: Callable[[], bool], sleep: Callable[[float], object] = time.sleep) -> str:
    """Call `drive` until the run has ended, also over lines that are lost. Return why not, if this gives up.

    :param drive: returns False at once while another process drives the run.
    """
    pause, reached = FIRST_PAUSE, time.time()
    while True:
        began = time.time()
        try:
            if drive():
                return ""
            pause, reached = BUSY_PAUSE, time.time()
            why = "another process sends its next job"
        except Rejected as rejected:
            why = "; ".join(problem.title for problem in rejected.problems)
            if any(problem.code in FINAL_CODES for problem in rejected.problems):
                return why
        except RuntimeError as error:  # of the login node, such as a disk that does not answer
            why = str(error)
        print(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {why}", flush=True)
        if time.time() - began > LONGEST_PAUSE:  # it was connected
            pause, reached = FIRST_PAUSE, time.time()
        if time.time() - reached > PATIENCE_SECONDS:
            return why
        sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE)


if __name__ == "__main__":
    os.chdir("/")
    drive_run(Path(sys.argv[1]))
