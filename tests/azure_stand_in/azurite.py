"""Azurite, Microsoft's emulator of blob storage, which npm installs."""

import contextlib
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

from free_ports import find_free_port

from azure_stand_in import program
from azure_stand_in.certificates import Certificates
from azure_stand_in.keys import KEY

VERSION = "3.35.0"


@contextlib.contextmanager
def running(folder: Path, account: str, made: Certificates) -> Iterator[int]:
    """An empty one, in memory, that takes signed-in callers alone: its port on this machine, with TLS."""
    port = find_free_port()
    azurite = installed() / "node_modules/.bin/azurite-blob"
    tls = ("--cert", made.server, "--key", made.key, "--oauth", "basic")
    quiet = ("--silent", "--disableTelemetry", "--skipApiVersionCheck", "--inMemoryPersistence")
    words, environ = (azurite, "--blobPort", port, *tls, *quiet), {**os.environ, "AZURITE_ACCOUNTS": f"{account}:{KEY}"}
    connect = lambda: socket.create_connection(("127.0.0.1", port), timeout=1).close()  # noqa: E731
    with program.running(words, environ, folder / "azurite.log", connect):
        yield port


def installed() -> Path:
    """Its folder, installed on the first call."""
    return program.install_once(f"azurite-{VERSION}", install)


def install(scratch: Path) -> Path:
    flags = ("--no-audit", "--no-fund", "--ignore-scripts")
    command = ["npm", "install", "--prefix", str(scratch / "whole"), *flags, f"azurite@{VERSION}"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, f"npm could not install Azurite: {done.stderr}"
    return scratch / "whole"
