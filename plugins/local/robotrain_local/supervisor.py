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

from robotrain_local import process
from robotrain_local import spec as files
from robotrain_local.process import Process
from robotrain_local.spec import SPEC_FILE, ProcessSpec, parse_spec

NOT_STARTED = 127
KILL_SECONDS = 10.0


class Supervisor:
    """Watches over one runtime. SIGTERM is passed on to it alone, once: signalled by themselves, the workers of a
    trainer die before it has saved anything, and a second signal would cut the runtime's own grace short.
    """

    def __init__(self, spec: ProcessSpec, me: Process) -> None:
        self._spec = spec
        self._me = me
        self._child: subprocess.Popen[bytes] | None = None
        self._stopping = False

    def run(self) -> int:
        """Start the runtime and see it, and everything it started, to the end. Its exit code, 128+n for signal n."""
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, self._handle_stop)
        signal.signal(signal.SIGALRM, self._kill_others)
        command = [sys.executable, "-P", "-m", self._spec.module, *self._spec.arguments]
        environ = os.environ | dict(self._spec.environment) | {process.MARK_VARIABLE: self._me.mark}
        self._child = subprocess.Popen(command, env=environ)
        if self._stopping:  # asked for before there was a child
            self._child.terminate()
        code = self._child.wait()
        self._end_leftovers()
        return code if code >= 0 else 128 - code

    def _handle_stop(self, number: int, frame: FrameType | None) -> None:
        if self._stopping:
            return
        self._stopping = True
        signal.setitimer(signal.ITIMER_REAL, self._spec.grace_seconds)
        if self._child:
            self._child.terminate()

    def _list_others(self) -> list[int]:
        return [pid for pid in process.list_run_processes(self._me) if pid != self._me.pid]

    def _kill_others(self, number: int, frame: FrameType | None) -> None:
        process.send_signal(self._list_others(), signal.SIGKILL)

    def _end_leftovers(self) -> None:
        """End what the runtime left running: a trainer whose runtime was killed would hold the machine for nobody."""
        until, told = time.monotonic() + self._spec.grace_seconds, set[int]()
        while (left := self._list_others()) and time.monotonic() < until:
            process.send_signal(new := {*process.find_heads(left)} - told, signal.SIGTERM)
            told |= new
            time.sleep(process.POLL_SECONDS)
        until = time.monotonic() + KILL_SECONDS
        while (left := self._list_others()) and time.monotonic() < until:  # it may fork while it is killed
            process.send_signal(left, signal.SIGKILL)
            time.sleep(process.POLL_SECONDS)


def main(folder: Path) -> None:
    """Run what `folder` says, to its end; nothing when another supervisor of the same folder was first."""
    me = process.identify_process(os.getpid())
    if files.create_locked_json(folder / files.SUPERVISOR_FILE, dataclasses.asdict(me)) is None:
        return
    if (folder / files.CANCEL_FILE).exists():
        return files.record_exit(folder, process.TERMINATED_EXIT_CODE, "cancelled before it started")
    try:
        os.chdir(folder)
        files.record_exit(folder, Supervisor(parse_spec((folder / SPEC_FILE).read_bytes()), me).run())
    except OSError as error:
        files.record_exit(folder, NOT_STARTED, f"the runtime could not be started: {error}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
