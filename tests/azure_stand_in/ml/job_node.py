"""A node of a job: its disk, its process, and its log. A job of one node has one of them."""

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from osmo_stand_in.pod.namespace import Namespace
from osmo_stand_in.pod.room import Room

from azure_stand_in.ml.job import LOG, Job
from azure_stand_in.ml.job_folders import Laid

TICK = 0.05
CHUNK = 64 * 1024


def count_nodes(job: Job) -> int:
    """How many there are: as many as instances."""
    return int((job.body.get("resources") or {}).get("instanceCount") or 1)


def make_group_environ(job: Job, port: int) -> list[dict[str, str]]:
    """What Azure ML sets on each node for a PyTorch job with one process each.

    From its guide on distributed training (`how-to-train-distributed-gpu`): MASTER_ADDR, MASTER_PORT, WORLD_SIZE and
    NODE_RANK for each node, RANK and LOCAL_RANK for each process. That AZUREML_NODE_COUNT is set is from the scripts of
    others.
    """
    if not job.body.get("distribution"):
        return [{}]
    count = count_nodes(job)
    same = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(count), "LOCAL_RANK": "0"}
    return [
        {**same, "AZUREML_NODE_COUNT": str(count), "NODE_RANK": str(rank), "RANK": str(rank)} for rank in range(count)
    ]


class Node:
    """rank: its number in the job. log: the file of its process, by its number where there are several."""

    def __init__(self, job: Job, folder: Path, own: Sequence[str], rank: int) -> None:
        self.job, self.rank = job, rank
        self.log = f"user_logs/std_log_process_{rank}.txt" if job.body.get("distribution") else LOG
        self.room = Room(folder, own, user=0)  # it mounts inside
        self.process: subprocess.Popen[bytes] | None = None
        self.last = ""
        """The last line that it printed."""
        self._namespace = Namespace()
        self._reading: threading.Thread | None = None

    def start(self, laid: Laid, environ: Mapping[str, str]) -> None:
        """Start the command of the job."""
        home = self.room.scratch / "home"
        home.mkdir()
        image = {"PATH": self.room.path(), "HOME": str(home)}
        typed, environ = self.room.words(laid.words(laid.command(self.job.command)), {**image, **environ})
        self.process = subprocess.Popen(
            typed,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environ,
            cwd=home,
            start_new_session=True,
        )
        assert self.process.stdout is not None
        self._reading = threading.Thread(target=self._read, args=(self.process.stdout,))
        self._reading.start()

    def look(self) -> int | None:
        """The exit code of its process; None while it runs."""
        assert self.process is not None
        if (code := self.process.poll()) is None:
            self._namespace.look(self.process.pid)
            return None
        return code if code >= 0 else 128 - code

    def end(self) -> int:
        """Nothing of it is left: the exit code of its process."""
        self._namespace.end()
        assert self._reading is not None
        self._reading.join()
        code = self.look()
        assert code is not None
        return code

    def terminate(self) -> None:
        """Ask its processes to end."""
        assert self.process is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGTERM)

    def kill(self) -> None:
        """End them."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self._namespace.sweep()

    def _read(self, pipe: IO[bytes]) -> None:
        """Whole lines to the log, as they come."""
        held = b""
        with pipe:
            while fresh := os.read(pipe.fileno(), CHUNK):
                *whole, held = (held + fresh).split(b"\n")
                self._say(whole)
                time.sleep(TICK)  # not a request for each line
            self._say([held] if held else [])

    def _say(self, lines: list[bytes]) -> None:
        if texts := [line.decode(errors="replace") for line in lines]:
            self.last = next((line for line in reversed(texts) if line.strip()), self.last)
            self.job.say(*texts, file=self.log)
