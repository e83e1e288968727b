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
from robotrain_local.process import Process
from robotrain_local.spec import FILE, Spec, load

NOT_STARTED = 127
KILL_SECONDS = 10.0


class Supervisor:
    """Watches over one runtime. SIGTERM is passed on to it alone, once: signalled by themselves, the workers of a
    trainer die before it has saved anything, and a second signal would cut the runtime's own grace short.
    """

    def __init__(self, spec: Spec, me: Process) -> None:
        self._spec = spec
        self._me = me
        self._child: subprocess.Popen[bytes] | None = None
        self._stopping = False

    def run(self) -> int:
        """Start the runtime and see it, and everything it started, to the end. Its exit code, 128+n for signal n."""
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGALRM, self._kill_others)
        command = [sys.executable, "-P", "-m", self._spec.module, *self._spec.arguments]
        environ = os.environ | dict(self._spec.environment) | {process.MARK: self._me.mark}
        self._child = subprocess.Popen(command, env=environ)
        if self._stopping:  # asked for before there was a child
            self._child.terminate()
        code = self._child.wait()
        self._sweep()
        return code if code >= 0 else 128 - code

    def _stop(self, number: int, frame: FrameType | None) -> None:
        if self._stopping:
            return
        self._stopping = True
        signal.setitimer(signal.ITIMER_REAL, self._spec.grace_seconds)
        if self._child:
            self._child.terminate()

    def _others(self) -> list[int]:
        return [pid for pid in process.of_run(self._me) if pid != self._me.pid]

    def _kill_others(self, number: int, frame: FrameType | None) -> None:
        process.send(self._others(), signal.SIGKILL)

    def _sweep(self) -> None:
        """End what the runtime left running: a trainer whose runtime was killed would hold the machine for nobody."""
        until, told = time.monotonic() + self._spec.grace_seconds, set[int]()
        while (left := self._others()) and time.monotonic() < until:
            process.send(new := {*process.heads(left)} - told, signal.SIGTERM)
            told |= new
            time.sleep(process.POLL)
        until = time.monotonic() + KILL_SECONDS
        while (left := self._others()) and time.monotonic() < until:  # it may fork while it is killed
            process.send(left, signal.SIGKILL)
            time.sleep(process.POLL)


def main(folder: Path) -> None:
    """Run what `folder` says, to its end; nothing when another supervisor of the same folder was first."""
    me = process.identify(os.getpid())
    if files.claim(folder / files.SUPERVISOR, dataclasses.asdict(me)) is None:
        return
    if (folder / files.CANCEL).exists():
        return files.end(folder, process.TERMINATED, "cancelled before it started")
    try:
        os.chdir(folder)
        files.end(folder, Supervisor(load((folder / FILE).read_bytes()), me).run())
    except OSError as error:
        files.end(folder, NOT_STARTED, f"the runtime could not be started: {error}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
