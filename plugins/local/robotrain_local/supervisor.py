"""The supervisor process: starts the runtime, outlives the terminal and records how the run ended.

Started as `python -m robotrain_local.supervisor FOLDER`, it leads the session of all processes of the run.
"""

import dataclasses
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

from robotrain.store import files
from robotrain_runtime.contract import child_python

from robotrain_local import process, process_list, spec
from robotrain_local.process import Process
from robotrain_local.spec import ProcessSpec, read_spec

NOT_STARTED = 127
KILL_SECONDS = 10.0


class Supervisor:
    """The supervisor of one runtime.

    It passes SIGTERM to the runtime alone, once: a trainer whose workers are signaled loses them before it has saved,
    and a second signal would end the runtime's grace period.
    """

    def __init__(self, process_spec: ProcessSpec, me: Process, folder: Path) -> None:
        self._spec = process_spec
        self._me = me
        self._folder = folder
        self._child: subprocess.Popen[bytes] | None = None
        self._stopping = False

    def run(self) -> int:
        """Run the runtime and end what it leaves running. Return its exit code, 128+n for signal n."""
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, self._handle_stop)
        signal.signal(signal.SIGALRM, self._kill_others)
        command = child_python.make_module_command(self._spec.module, *self._spec.arguments)
        environ = os.environ | dict(self._spec.environment) | {process.MARK_VARIABLE: self._me.make_mark(self._folder)}
        self._child = subprocess.Popen(command, env=environ)
        if self._stopping:  # requested before the child existed
            self._child.terminate()
        exit_code = self._child.wait()
        # end what it left running, such as a trainer whose runtime was killed
        deadline = time.monotonic() + self._spec.grace_seconds
        signaled_pids = set[int]()
        while (pids := self._list_others()) and time.monotonic() < deadline:
            process_list.send_signal(new_heads := {*process_list.find_heads(pids)} - signaled_pids, signal.SIGTERM)
            signaled_pids |= new_heads
            time.sleep(process.POLL_SECONDS)
        deadline = time.monotonic() + KILL_SECONDS
        while (pids := self._list_others()) and time.monotonic() < deadline:  # they may fork while being killed
            process_list.send_signal(pids, signal.SIGKILL)
            time.sleep(process.POLL_SECONDS)
        return exit_code if exit_code >= 0 else 128 - exit_code

    def _handle_stop(self, number: int, frame: FrameType | None) -> None:
        if self._stopping:
            return
        self._stopping = True
        signal.setitimer(signal.ITIMER_REAL, self._spec.grace_seconds)
        if self._child:
            self._child.terminate()

    def _list_others(self) -> list[int]:
        return [pid for pid in process_list.list_run_processes(self._me, self._folder) if pid != self._me.pid]

    def _kill_others(self, number: int, frame: FrameType | None) -> None:
        process_list.send_signal(self._list_others(), signal.SIGKILL)


def main(folder: Path) -> None:
    """Run the spec in `folder` to its end, unless another supervisor has claimed the folder."""
    own_process = process_list.identify_process(os.getpid())
    os.chdir(folder)  # first: it shows whose supervisor this is
    if spec.create_locked_json(folder / spec.SUPERVISOR_FILE, dataclasses.asdict(own_process)) is None:
        return
    if (folder / spec.CANCEL_FILE).exists():
        return spec.record_exit(folder, process.TERMINATED_EXIT_CODE, "cancelled before it started")
    try:
        exit_code = Supervisor(read_spec(folder), own_process, folder).run()
        files.make_tree_private(folder)  # the trainer writes with the user's umask
        spec.record_exit(folder, exit_code)
    except OSError as error:
        spec.record_exit(folder, NOT_STARTED, f"cannot start the runtime: {error}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
