"""The process that starts the runtime, outlives the terminal, and writes down how it ended.

`python -m robotrain_local.supervisor FOLDER`; it leads a session that holds everything the run starts.
"""

import dataclasses
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

from robotrain_local import folder as files
from robotrain_local import process
from robotrain_local.spec import FILE, Spec, load

NOT_STARTED = 127


class Supervisor:
    """Watches over one runtime. SIGTERM is passed on to it alone, once: signalled by themselves, the workers of a
    trainer die before it has saved anything, and a second signal would cut the runtime's own grace short.
    """

    def __init__(self, spec: Spec) -> None:
        self._spec = spec
        self._child: subprocess.Popen[bytes] | None = None
        self._stopping = False

    def run(self) -> int:
        """Start the runtime and see it, and everything it started, to the end. Its exit code, 128+n for signal n."""
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGALRM, _kill_others)
        command = [sys.executable, "-P", "-m", self._spec.module, *self._spec.arguments]
        self._child = subprocess.Popen(command, env=os.environ | dict(self._spec.environment))
        if self._stopping:  # asked for before there was a child
            self._child.terminate()
        code = self._child.wait()
        _sweep(self._spec.grace_seconds)
        return code if code >= 0 else 128 - code

    def _stop(self, number: int, frame: FrameType | None) -> None:
        if self._stopping:
            return
        self._stopping = True
        signal.setitimer(signal.ITIMER_REAL, self._spec.grace_seconds)
        if self._child:
            self._child.terminate()


def main(folder: Path) -> None:
    """Run what `folder` says, to its end."""
    os.chdir(folder)
    if not Path(files.SUPERVISOR).exists():
        files.write(Path(files.SUPERVISOR), dataclasses.asdict(process.identify(os.getpid())))
    if Path(files.CANCEL).exists():
        return files.end(folder, process.TERMINATED, "cancelled before it started")
    try:
        files.end(folder, Supervisor(load(Path(FILE).read_bytes())).run())
    except OSError as error:
        files.end(folder, NOT_STARTED, f"the runtime could not be started: {error}")


def _others() -> list[int]:
    return [pid for pid in process.session(os.getpid()) if pid != os.getpid()]


def _kill_others(number: int, frame: FrameType | None) -> None:
    process.send(_others(), signal.SIGKILL)


def _sweep(seconds: float) -> None:
    """End what the runtime left running: a trainer whose runtime was killed would hold the machine for nobody."""
    process.send(_others(), signal.SIGTERM)
    until = time.monotonic() + seconds
    while (left := _others()) and time.monotonic() < until:
        time.sleep(process.POLL)
    process.send(left, signal.SIGKILL)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
