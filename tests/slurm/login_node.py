"""A login node on this machine: a real sshd with keys of its own, and an `ssh` that counts how often it is called.

Its users are this user; its home folder and its PATH are its own.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from free_ports import find_free_port
from lab import SlurmUnavailable, find_program
from robotrain.run_folder import ssh_transport
from robotrain_slurm.login import reach

HOST = "cluster"
CONFIGURATION = """
Host {host} stranger
  HostName 127.0.0.1
  Port {port}
  IdentityFile {folder}/user
  IdentitiesOnly yes
  UserKnownHostsFile {folder}/known_hosts
  GlobalKnownHostsFile /dev/null
Host *
  IdentityAgent none
"""
SERVER = """
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host
AuthorizedKeysFile {folder}/authorized_keys
PidFile {folder}/sshd.pid
StrictModes no
UsePAM no
PermitRootLogin yes
PasswordAuthentication yes
KbdInteractiveAuthentication no
LogLevel VERBOSE
SetEnv {environment}
"""
START_SECONDS = 20.0


class LoginNode:
    """The daemon, and the user's configuration of ssh on the machine of the user, whose PATH begins with `bin`.

    Raise SlurmUnavailable where it is not installed. `environment`: variables of the users there.
    """

    def __init__(self, folder: Path, **environment: str) -> None:
        if not find_program("sshd") or not shutil.which("ssh"):
            raise SlurmUnavailable("no sshd on this machine; .ci/run installs it where it can")
        self.folder, self.home, self.port = folder, folder / "home", find_free_port()
        self.configuration, self._calls = folder / "config", folder / "calls"
        self.home.mkdir(parents=True)
        folder.chmod(0o700)
        for name in ("host", "user"):
            self.make_key(name)
        shutil.copy(folder / "user.pub", folder / "authorized_keys")
        self.trust()
        self.configuration.write_text(CONFIGURATION.format(host=HOST, port=self.port, folder=folder))
        self.environment = {"HOME": str(self.home), "PATH": os.environ["PATH"], **environment}
        self.bin = folder / "bin"
        self.bin.mkdir()
        ssh = self.bin / "ssh"
        counted = f'case " $* " in *" -G "*|*" -O "*) ;; *) echo $$ >>{self._calls};; esac'
        words = f'{shutil.which("ssh")} -F {self.configuration} "$@"'
        ssh.write_text(f"#!/bin/sh\n{counted}\nexec {words}\n")
        ssh.chmod(0o755)
        self._daemon: subprocess.Popen[bytes] | None = None

    def make_key(self, name: str) -> None:
        """Make a key without a passphrase."""
        words = ["-q", "-t", "ed25519", "-N", "", "-f", str(self.folder / name)]
        subprocess.run(["ssh-keygen", *words], check=True)

    def trust(self, key: str = "host") -> None:
        """Let the user's ssh know the host by a key."""
        kind, text = (self.folder / f"{key}.pub").read_text().split()[:2]
        (self.folder / "known_hosts").write_text(f"[127.0.0.1]:{self.port} {kind} {text}\n")

    def start(self) -> None:
        """Start sshd, which has `environment` for its users."""
        pairs = " ".join(f'"{name}={value}"' for name, value in self.environment.items())
        (self.folder / "sshd_config").write_text(SERVER.format(port=self.port, folder=self.folder, environment=pairs))
        if os.getuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)
        words = [find_program("sshd"), "-D", "-e", "-f", str(self.folder / "sshd_config")]
        with (self.folder / "sshd.txt").open("ab") as log:
            self._daemon = subprocess.Popen(words, stderr=log, start_new_session=True)
        until = time.monotonic() + START_SECONDS
        while "Server listening" not in (self.folder / "sshd.txt").read_text():
            assert time.monotonic() < until, (self.folder / "sshd.txt").read_text()
            time.sleep(0.02)

    def close(self) -> None:
        """End sshd; the connections that are open go on."""
        if self._daemon:
            self._daemon.terminate()
            self._daemon.wait()
            (self.folder / "sshd.txt").write_text("")
            self._daemon = None

    def restart(self, **environment: str) -> None:
        """Start it with other variables for its users."""
        self.close()
        self.environment |= environment
        self.start()

    @property
    def daemon(self) -> int:
        """The process of sshd."""
        assert self._daemon
        return self._daemon.pid

    def count_logins(self) -> int:
        """Count how often somebody was let in since sshd was started."""
        return (self.folder / "sshd.txt").read_text().count("Accepted publickey")

    def list_calls(self) -> list[int]:
        """Return the processes of ssh that were started so far."""
        return [int(line) for line in self._calls.read_text().split()] if self._calls.exists() else []

    def clear_calls(self) -> None:
        """Count calls from now on."""
        self._calls.unlink(missing_ok=True)

    def list_running(self) -> list[int]:
        """Return the processes of ssh that are still there."""
        return [number for number in self.list_calls() if Path(f"/proc/{number}").exists()]

    def find_agents(self) -> list[int]:
        """Return the processes that this node runs for its user, without those of jobs."""
        wanted = f"HOME={self.home}\0".encode()
        pids = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                environment = (folder / "environ").read_bytes()
                if wanted in environment and b"SLURM_JOB_ID=" not in environment:
                    pids.append(int(folder.name))
            except OSError:
                continue
        return pids


def close_connections() -> None:
    """End the connections of this process, as its end does, and forget which login nodes did not answer."""
    ssh_transport.close_connections()
    reach.reach.cache_clear()


def start_login_node(folder: Path, patched: pytest.MonkeyPatch, **environment: str) -> Iterator[LoginNode]:
    """Start a login node, and end it and the connections to it afterwards. Skip the test where there is no sshd."""
    try:
        node = LoginNode(folder, **environment)
    except SlurmUnavailable as error:
        pytest.skip(str(error))
    patched.setenv("PATH", f"{node.bin}:{os.environ['PATH']}")
    node.start()
    yield node
    close_connections()
    node.close()
