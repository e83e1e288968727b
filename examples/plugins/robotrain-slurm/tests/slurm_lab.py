"""A real Slurm on this machine: two nodes of two cores, with munge and without accounting."""

import contextlib
import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

CONFIGURATION = """
ClusterName=lab
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
SlurmUser={user}
SlurmdUser={user}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
ReturnToService=2
SwitchType=switch/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
Epilog={folder}/epilog
SlurmdParameters=config_overrides
NodeName=n[1-2] NodeHostname={host} NodeAddr=127.0.0.1 Port=[{ports[1]}-{ports[2]}] CPUs=2 RealMemory=10000
PartitionName=gpu Nodes=n1 Default=YES MaxTime=INFINITE State=UP
PartitionName=spare Nodes=n2 MaxTime=INFINITE State=UP
"""
SEARCHED = f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin"
START_SECONDS = 30.0


class SlurmUnavailable(Exception):
    """Slurm is not installed, or does not start."""


class SlurmLab:
    """The daemons, and the commands of a user."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}
        if missing := [name for name in ("munged", "slurmctld", "slurmd", "sbatch") if not find_program(name)]:
            raise SlurmUnavailable(f"no {missing[0]} on this machine; .ci/run installs it where it can")

    def start(self) -> None:
        """Start all daemons. Raise SlurmUnavailable."""
        (self.folder / "state").mkdir()
        host, ports = socket.gethostname().partition(".")[0], find_free_ports()
        text = CONFIGURATION.format(host=host, ports=ports, folder=self.folder, user=getpass.getuser())
        (self.folder / "slurm.conf").write_text(text)
        epilog = self.folder / "epilog"  # most clusters have one: a job is COMPLETING for so long
        epilog.write_text("#!/bin/sh\nsleep 2\n")
        epilog.chmod(0o755)
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        options = [
            f"--{name}={self.folder}/munge.{name.partition('-')[0]}" for name in ("socket", "pid-file", "log-file")
        ]
        self._start(
            "munged", "--foreground", "--force", f"--key-file={key}", f"--seed-file={self.folder}/seed", *options
        )
        wait_until((self.folder / "munge.socket").exists, "munged")
        self.start_controller()
        for node in ("n1", "n2"):
            self.start_node(node)
        wait_until(lambda: self.run("sinfo", "--noheader", "--format=%T %D") == "idle 2", "two idle nodes")

    def start_controller(self, *options: str) -> None:
        """Start slurmctld; `-c` forgets all jobs."""
        self._start("slurmctld", "-D", *options)
        wait_until(lambda: "is UP" in self.run("scontrol", "ping"), "slurmctld")

    def start_node(self, node: str) -> None:
        """Start slurmd for a node."""
        self._start(node, "-D", "-N", node, program="slurmd")

    def stop(self, name: str) -> None:
        """Stop a daemon, or lose a node: its jobs live on."""
        process = self._daemons.pop(name)
        process.terminate()
        process.wait()

    def close(self) -> None:
        """End all jobs and daemons."""
        with contextlib.suppress(SlurmUnavailable):
            self.run("scancel", f"--user={getpass.getuser()}", "--signal=KILL", "--full")
            self.run("scancel", f"--user={getpass.getuser()}")
            wait_until(lambda: not self.run("squeue", "--noheader"), "jobs to end")
        for name in reversed(list(self._daemons)):
            self.stop(name)

    def run(self, *command: str) -> str:
        """Return what a command of Slurm prints."""
        environ = os.environ | {"SLURM_CONF": str(self.folder / "slurm.conf")}
        done = subprocess.run(
            command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        return done.stdout.strip()

    def _start(self, name: str, *options: str, program: str = "") -> None:
        environ = os.environ | {"SLURM_CONF": str(self.folder / "slurm.conf"), "PATH": SEARCHED}
        with (self.folder / f"{name}.log").open("ab") as log:
            command = [find_program(program or name), *options]
            self._daemons[name] = subprocess.Popen(command, env=environ, stdout=log, stderr=log, start_new_session=True)


def find_program(name: str) -> str:
    """Return the path of a program, which may be an administrator's; empty for none."""
    return shutil.which(name, path=SEARCHED) or ""


def find_free_ports() -> tuple[int, int, int]:
    """Return a free port, and two in a row."""
    while True:
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            first, second, third = (stack.enter_context(socket.socket()) for _ in range(3))
            first.bind(("127.0.0.1", 0))
            second.bind(("127.0.0.1", 0))
            third.bind(("127.0.0.1", second.getsockname()[1] + 1))
            return first.getsockname()[1], second.getsockname()[1], third.getsockname()[1]


def wait_until(condition: Callable[[], bool], what: str, seconds: float = START_SECONDS) -> None:
    """Wait for a condition. Raise SlurmUnavailable, which says what was waited for."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise SlurmUnavailable(f"waited {seconds:.0f} s for {what}")
        time.sleep(0.1)
