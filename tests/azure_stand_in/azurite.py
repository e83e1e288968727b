"""Azurite, Microsoft's emulator of blob storage: installed once by npm outside of the repository, and started."""

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from azure_stand_in.certificates import Certificates
from azure_stand_in.keys import KEY

VERSION = "3.35.0"
PATIENCE = 60.0


@contextlib.contextmanager
def running(folder: Path, account: str, made: Certificates) -> Iterator[int]:
    """An empty one, in memory, that takes signed-in callers alone: its port on this machine, with TLS."""
    port = _free_port()
    program = installed() / "node_modules/.bin/azurite-blob"
    tls = ("--cert", made.server, "--key", made.key, "--oauth", "basic")
    quiet = ("--silent", "--disableTelemetry", "--skipApiVersionCheck", "--inMemoryPersistence")
    log = folder / "azurite.log"
    with log.open("wb") as told:
        process = subprocess.Popen(
            [str(word) for word in (program, "--blobPort", port, *tls, *quiet)],
            env={**os.environ, "AZURITE_ACCOUNTS": f"{account}:{KEY}"},
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=told,
            stderr=subprocess.STDOUT,
        )
        try:
            _wait(process, port, log)
            yield port
        finally:
            process.terminate()
            process.wait()


def installed() -> Path:
    """The folder it is installed in; npm fetches it when it is not there."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "robotrain-tests"
    there = cache / f"azurite-{VERSION}"
    if not there.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as scratch:
            flags = ("--no-audit", "--no-fund", "--ignore-scripts")
            command = ["npm", "install", "--prefix", scratch, *flags, f"azurite@{VERSION}"]
            done = subprocess.run(command, capture_output=True, text=True)
            assert done.returncode == 0, f"npm could not install Azurite: {done.stderr}"
            made = Path(scratch, "whole")
            made.mkdir()
            shutil.move(Path(scratch, "node_modules"), made)
            with contextlib.suppress(OSError):  # another session was quicker
                os.replace(made, there)
    return there


def _wait(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    until = time.monotonic() + PATIENCE
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            assert process.poll() is None, f"Azurite ended: {log.read_text()}"
            assert time.monotonic() < until, f"Azurite does not listen: {log.read_text()}"
            time.sleep(0.05)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
