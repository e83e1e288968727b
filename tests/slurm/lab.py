"""A real Slurm on this machine: two nodes of two cores, with munge, and without accounting.

As a program, `python tests/slurm/lab.py FOLDER`, it starts one and says which SLURM_CONF to set, until Ctrl-C.
"""

import contextlib
import fcntl
import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))  # it is a program, too
from free_ports import find_free_ports

NODES = ("n1", "n2")
SETTINGS = {
    "AuthType": "auth/munge",
    "ProctrackType": "proctrack/linuxproc",
    "TaskPlugin": "task/none",
    "SelectType": "select/cons_tres",
    "SelectTypeParameters": "CR_Core_Memory",
    "DefMemPerCPU": "1000",
    "MpiDefault": "none",
    "ReturnToService": "2",
    "SwitchType": "switch/none",
    "JobAcctGatherType": "jobacct_gather/none",
    "AccountingStorageType": "accounting_storage/none",
    "JobCompType": "jobcomp/none",
    "SlurmdParameters": "config_overrides",
    # Slurm looks for a place when a job comes or ends, and else every second rather than every 30 or 60.
    "SchedulerParameters": "batch_sched_delay=0,bf_interval=1,sched_interval=1",
    "PreemptType": "preempt/partition_prio",
    "PreemptMode": "REQUEUE",
    "KillWait": "30",
    "MessageTimeout": "5",
    "MinJobAge": "300",
    "SlurmdTimeout": "300",
}
"""Settings of slurm.conf. Those of a cluster that tests depend on are Slurm's defaults, written out."""
PARTITIONS = {
    "batch": "Nodes=n[1-2] Default=YES MaxTime=INFINITE PriorityTier=10 PreemptMode=OFF",
    "small": "Nodes=n2 MaxTime=INFINITE MaxMemPerNode=4000 PriorityTier=10 PreemptMode=OFF",
    "short": "Nodes=n[1-2] DefaultTime=1 MaxTime=2 PriorityTier=10 PreemptMode=OFF",
    "spare": "Nodes=n[1-2] MaxTime=INFINITE PriorityTier=1 PreemptMode=REQUEUE GraceTime=20",
}
"""A job of any other partition preempts one of `spare`, which has 20 seconds from SIGTERM on."""
SEARCHED = f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin"
START_SECONDS = 30.0
LOCK = Path(tempfile.gettempdir(), f"robotrain-slurm-lab-{os.getuid()}.lock")
"""Held while daemons start: until they listen, their ports look free to another lab."""


class SlurmUnavailable(Exception):
    """Slurm is not installed, or does not start."""


class SlurmLab:
    """The daemons, and the commands of a user. `settings`: lines of slurm.conf that differ."""

    def __init__(self, folder: Path, settings: Mapping[str, str] = {}) -> None:
        self.folder = folder
        self.configuration = folder / "slurm.conf"
        self.environment = os.environ | {"SLURM_CONF": str(self.configuration), "PATH": SEARCHED}
        self._settings = SETTINGS | dict(settings)
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}
        if missing := [name for name in ("munged", "slurmctld", "slurmd", "sbatch") if not find_program(name)]:
            raise SlurmUnavailable(f"no {missing[0]} on this machine; .ci/run installs it where it can")

    def start(self) -> None:
        """Start all daemons. Raise SlurmUnavailable; `close` ends those that did start."""
        (self.folder / "state").mkdir(parents=True)
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        files = [
            f"--{name}={self.folder}/munge.{name.partition('-')[0]}" for name in ("socket", "pid-file", "log-file")
        ]
        with LOCK.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.configuration.write_text(self._configure())
            self._start(
                "munged", "--foreground", "--force", f"--key-file={key}", f"--seed-file={self.folder}/seed", *files
            )
            wait_until((self.folder / "munge.socket").exists, "munged")
            self.start_accounting()
            self.start_controller()
            for node in NODES:
                self.start_node(node)
            wait_until(self._is_idle, "two idle nodes")

    def start_accounting(self) -> None:
        """Start what the controller writes its accounting to: nothing."""

    def start_controller(self, *options: str) -> None:
        """Start slurmctld; `-c` forgets all jobs."""
        self._start("slurmctld", "-D", *options)
        wait_until(lambda: "is UP" in self.run("scontrol", "ping"), "slurmctld")

    def start_node(self, node: str, *wrapper: str) -> None:
        """Start slurmd for a node, perhaps by another program, until it listens: Slurm sends a job that it could not
        send once more only after a minute.
        """
        log = self.folder / f"{node}.log"
        earlier = count_starts(log)
        program, *options = [*wrapper, "slurmd"]
        self._start(node, *options, "-D", "-N", node, program=program)
        wait_until(lambda: count_starts(log) > earlier, f"slurmd of {node}")

    def stop(self, name: str) -> None:
        """Stop `slurmctld`, or the slurmd of a node: its jobs live on."""
        process = self._daemons.pop(name)
        process.send_signal(signal.SIGCONT)
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def kill(self, name: str) -> None:
        """Kill `slurmctld`, or the slurmd of a node, as when its machine dies."""
        process = self._daemons.pop(name)
        process.kill()
        process.wait()

    @contextlib.contextmanager
    def frozen(self, name: str) -> Iterator[None]:
        """Freeze `slurmctld`, or the slurmd of a node: it listens and does not answer, and its jobs go on."""
        self._daemons[name].send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._daemons[name].send_signal(signal.SIGCONT)

    def set_down(self, node: str) -> None:
        """Declare a node down: Slurm requeues its jobs, whose processes live on where slurmd does not hear of it."""
        self.run("scontrol", "update", f"nodename={node}", "state=down", "reason=test")

    def resume(self, node: str) -> None:
        """Let a node that was declared down take jobs again."""
        self.run("scontrol", "update", f"nodename={node}", "state=resume")

    def run(self, *command: str) -> str:
        """Return what a command of Slurm prints, errors included."""
        done = subprocess.run(
            command, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        return done.stdout.strip()

    def get_state(self, job: str) -> str:
        """Return the state of a job and Slurm's reason for it, such as `PENDING (Resources)`."""
        return self.run("squeue", "--noheader", "--states=all", "--format=%T (%r)", f"--jobs={job}")

    def wait_for_state(self, job: str, *states: str, seconds: float = START_SECONDS) -> str:
        """Wait until a job is in one of these states, such as `RUNNING`; return it as `get_state` does."""
        state = ""

        def is_there() -> bool:
            nonlocal state
            state = self.get_state(job)
            return state.partition(" ")[0] in states

        wait_until(is_there, f"job {job} to be {' or '.join(states)}", seconds)
        return state

    def reset(self) -> None:
        """End all jobs and repair what a test broke. Raise SlurmUnavailable."""
        for name, process in list(self._daemons.items()):
            process.send_signal(signal.SIGCONT)
            if process.poll() is not None:
                del self._daemons[name]
        if "slurmctld" not in self._daemons:
            self.start_controller()
        for node in NODES:
            if node not in self._daemons:
                self.start_node(node)
        if not self._is_idle():
            self._end_jobs()
            for node in NODES:
                self.resume(node)
            wait_until(self._is_idle, "two idle nodes")

    def close(self) -> None:
        """End all jobs and daemons, and processes of jobs that Slurm lost."""
        if "slurmctld" in self._daemons and self.run("squeue", "--noheader"):
            with contextlib.suppress(SlurmUnavailable):
                self._end_jobs()
        for name in reversed(list(self._daemons)):
            self.stop(name)
        for process in self.find_processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)

    def find_processes(self) -> list[int]:
        """Return the processes of jobs on this lab's nodes, and of Slurm that watch over them."""
        wanted = f"SLURM_CONF={self.configuration}\0".encode()
        pids = []
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                environment = (folder / "environ").read_bytes()
                watches = (folder / "comm").read_text() == "slurmstepd\n"
                if wanted in environment and (watches or b"\0SLURM_JOB_ID=" in environment):
                    pids.append(int(folder.name))
        return pids

    def find_node_processes(self, node: str) -> list[int]:
        """Return the processes of jobs on one node, and of Slurm that watch over them."""
        wanted, of_jobs, watchers = f"\0SLURMD_NODENAME={node}\0".encode(), [], set[int]()
        for process in self.find_processes():
            with contextlib.suppress(OSError):
                if wanted in b"\0" + Path(f"/proc/{process}/environ").read_bytes():
                    of_jobs.append(process)
                    parent = int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
                    watchers |= {parent} if Path(f"/proc/{parent}/comm").read_text() == "slurmstepd\n" else set()
        return [*watchers, *of_jobs]

    def _end_jobs(self) -> None:
        user = f"--user={getpass.getuser()}"
        self.run("scancel", user, "--signal=KILL", "--full")
        self.run("scancel", user)
        wait_until(lambda: not self.run("squeue", "--noheader"), "jobs to end")

    def _is_idle(self) -> bool:
        is_idle = self.run("sinfo", "--noheader", "--partition=batch", "--format=%T %D") == "idle 2"
        return is_idle and not self.run("squeue", "--noheader")

    def _configure(self) -> str:
        """Return a slurm.conf with ports that are free now."""
        controller, *nodes = find_free_ports(3)
        host, user = socket.gethostname().partition(".")[0], getpass.getuser()
        placed = {
            "ClusterName": "lab",
            "SlurmctldHost": f"{host}(127.0.0.1)",
            "SlurmctldPort": controller,
            # A job is requeued when its credential has surely expired: 120 seconds later, unless this is lower.
            "AuthInfo": f"socket={self.folder}/munge.socket,cred_expire=5",
            "SlurmUser": user,
            "SlurmdUser": user,
            "StateSaveLocation": f"{self.folder}/state",
            "SlurmdSpoolDir": f"{self.folder}/spool-%n",
            "SlurmctldPidFile": f"{self.folder}/slurmctld.pid",
            "SlurmdPidFile": f"{self.folder}/slurmd-%n.pid",
        }
        lines = [f"{name}={value}" for name, value in (placed | self._settings).items()]
        ports = f"Port=[{nodes[0]}-{nodes[-1]}]"
        lines += [f"NodeName=n[1-2] NodeHostname={host} NodeAddr=127.0.0.1 {ports} CPUs=2 RealMemory=10000"]
        lines += [f"PartitionName={name} {text} State=UP" for name, text in PARTITIONS.items()]
        return "\n".join([*lines, ""])

    def _start(self, name: str, *options: str, program: str = "") -> None:
        # It ends with this process, even one that is killed.
        tied = [setpriv, "--pdeathsig=TERM", "--"] if (setpriv := find_program("setpriv")) else []
        with (self.folder / f"{name}.log").open("ab") as log:
            command = [*tied, find_program(program or name), *options]
            self._daemons[name] = subprocess.Popen(
                command, cwd=self.folder, env=self.environment, stdout=log, stderr=log, start_new_session=True
            )


def find_program(name: str) -> str:
    """Return the path of a program, which may be an administrator's; empty for none."""
    return shutil.which(name, path=SEARCHED) or ""


def count_starts(log: Path) -> int:
    """Return how often a slurmd with this log began to listen."""
    return log.read_text().count("slurmd started on") if log.exists() else 0


def wait_until(condition: Callable[[], bool], what: str, seconds: float = START_SECONDS) -> None:
    """Wait for a condition. Raise SlurmUnavailable, which says what was waited for."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise SlurmUnavailable(f"waited {seconds:.0f} s for {what}")
        time.sleep(0.1)


def main() -> None:
    """Start a lab in the folder that is given, until Ctrl-C or SIGTERM."""
    lab = SlurmLab(Path(sys.argv[1]).absolute())
    for number in (signal.SIGTERM, signal.SIGINT):  # a shell's background job ignores SIGINT
        signal.signal(number, signal.default_int_handler)
    try:
        lab.start()
        print(f"export SLURM_CONF={lab.configuration}", flush=True)
        signal.pause()
    except KeyboardInterrupt:
        pass
    finally:
        lab.close()


if __name__ == "__main__":
    main()
