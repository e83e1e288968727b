"""The claim on a run folder: only one of the processes that an engine starts for a run works on it.

The claim is a symbolic link to `NAME:TOKEN:PROCESS`. A job that its engine starts again takes it over with a new token.
Its earlier process may still run, on a machine that the engine lost: it reads the token before each save, and ends.
The link's time of change is its lease: that process renews it every second, and the new one waits for it to end.
"""

import os
import re
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

CLAIM_LINK = "taken"
CANCELLED_FILE = "cancelled"
"""A file in the run's folder: a job that starts when it exists does nothing."""
CLAIM_VARIABLE = "ROBOTRAIN_CLAIM"
"""The environment variable with the claim that the programs of a run work under: `TOKEN:LINK`."""

CHECK_SECONDS = 1.0
LEASE_SECONDS = 5.0
"""How long after its last renewal a process may still save: it looks at its claim every second."""
KILL_ROUNDS = 5
"""How often the programs of a run are looked for that is superseded: one may start another meanwhile."""


class RunOwner(NamedTuple):
    """The job that works on a run: its name in the engine, the token of its claim, and its process on its machine."""

    name: str
    token: str
    process: int


def find_owner(folder: Path) -> RunOwner | None:
    """Return the job that works on the run; None before any has begun. Raise OSError, ValueError."""
    try:
        return parse_owner(os.readlink(folder / CLAIM_LINK))
    except FileNotFoundError:
        return None


def parse_owner(claim: str) -> RunOwner:
    """Return the job of a claim. Raise ValueError for a text that is none."""
    name, token, process = claim.rsplit(":", 2)
    if not re.fullmatch("[1-9][0-9]{0,9}", process):
        raise ValueError(f"{process[:40]!r} is no process")
    return RunOwner(name, token, int(process))


def take_claim(folder: Path, name: str) -> str:
    """Claim the run for the job `name`, also from an earlier process of it; return the name of the job that owns it.

    Programs that this process starts inherit its claim. An earlier process that was alive just now has ended when this
    returns. Raise OSError.
    """
    link = folder.absolute() / CLAIM_LINK
    token = os.urandom(8).hex()
    claim = f"{name}:{token}:{os.getpid()}"
    try:
        link.symlink_to(claim)
    except FileExistsError:
        owner = find_owner(folder)
        if owner is None or owner.name != name:
            return owner.name if owner else ""
        renewed = link.with_name(f".{CLAIM_LINK}.{token}")
        renewed.symlink_to(claim)
        idle_seconds = renewed.lstat().st_mtime - link.lstat().st_mtime  # both by the clock of the file system
        renewed.replace(link)
        if idle_seconds < LEASE_SECONDS:
            time.sleep(LEASE_SECONDS)
    os.environ[CLAIM_VARIABLE] = f"{token}:{link}"
    return name


def release_claim() -> None:
    """End the lease of this process, which saves nothing more: a later start of its job need not wait."""
    link = os.environ.get(CLAIM_VARIABLE, "").partition(":")[2]
    if link and not is_superseded():
        with suppress(OSError):
            os.utime(link, (0, 0), follow_symlinks=False)


def is_superseded() -> bool:
    """Return whether another process took over the run that this one works on."""
    token, _, link = os.environ.get(CLAIM_VARIABLE, "").partition(":")
    if not token:
        return False
    with suppress(OSError):
        os.utime(link, follow_symlinks=False)  # a write: NFS answers reads from a cache, for up to a minute
    try:
        owner = find_owner(Path(link).parent)
    except OSError:  # the file system does not answer
        return False
    return owner is not None and owner.token != token


def start_watch() -> None:
    """Look every second from now on, in a thread, whether another process took over the run, and end then."""

    def watch() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGINT))  # the main thread takes them
        while True:
            time.sleep(CHECK_SECONDS)
            end_if_superseded()

    threading.Thread(target=watch, daemon=True).start()


def end_if_superseded() -> None:
    """End this process and all that works under its claim here, if another process took over the run.

    At once: nothing more may be saved.
    """
    if is_superseded():
        process = f"process {os.getpid()} on {os.uname().nodename}"
        with suppress(OSError):
            os.write(2, f"this run was started again by its engine: {process} ends without saving\n".encode())
        rounds = 0
        while _kill_programs() and rounds < KILL_ROUNDS:
            rounds += 1
        os.killpg(0, signal.SIGKILL)


def _kill_programs() -> bool:
    """Kill the programs under the claim of this process, which may lead groups of their own; return whether any was.

    Linux only.
    """
    mark = f"{CLAIM_VARIABLE}={os.environ[CLAIM_VARIABLE].partition(':')[0]}:".encode()
    has_killed = False
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended, or is somebody else's
            if folder.name != str(os.getpid()) and mark in (folder / "environ").read_bytes():
                os.kill(int(folder.name), signal.SIGKILL)
                has_killed = True
    return has_killed
