"""The lab with accounting: slurmdbd, and MariaDB, whose packages are installed where they can be."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from free_ports import find_free_port
from lab import SlurmLab, SlurmUnavailable, find_program, wait_until

PACKAGES = {"slurmdbd": "slurmdbd", "mariadbd": "mariadb-server", "mariadb-install-db": "mariadb-server"}
"""Packages of Debian, by the programs that are needed of them."""
INSTALL_SECONDS = 300.0
DATABASE_OPTIONS = ("--no-defaults", "--skip-grant-tables", "--innodb-flush-log-at-trx-commit=0", "--user=root")
CONFIGURATION = """
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
DbdHost=localhost
DbdPort={daemon}
SlurmUser=root
PidFile={folder}/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={database}
StorageUser=root
"""


class AccountingLab(SlurmLab):
    """A lab whose jobs `sacct` knows for ever. Without `AccountingStorageEnforce`, accounts are not enforced."""

    def __init__(self, folder: Path, settings: Mapping[str, str] = {}) -> None:
        if os.getuid():
            raise SlurmUnavailable("the database of the lab is started by root only")
        install_missing()
        self._ports = {"daemon": find_free_port(), "database": find_free_port()}
        accounting = {
            "AccountingStorageType": "accounting_storage/slurmdbd",
            "AccountingStorageHost": "127.0.0.1",
            "AccountingStoragePort": str(self._ports["daemon"]),
            "AccountingStoragePass": f"{folder}/munge.socket",
        }
        super().__init__(folder, accounting | dict(settings))

    def start_accounting(self) -> None:
        """Start the database and slurmdbd, which has to know the cluster before the controller asks."""
        data, file = self.folder / "database", self.folder / "slurmdbd.conf"
        if not data.exists():
            data.mkdir()
            file.write_text(CONFIGURATION.format(folder=self.folder, **self._ports))
            file.chmod(0o600)
            command = [find_program("mariadb-install-db"), "--no-defaults", f"--datadir={data}", "--user=root"]
            subprocess.run([*command, "--skip-test-db"], check=True, capture_output=True)
            self._start_database()
            self._start("slurmdbd", "-D")
            wait_until(lambda: "lab" in self.run("sacctmgr", "-i", "add", "cluster", "lab"), "slurmdbd", 60)
            return
        self._start("slurmdbd", "-D")

    def _start_database(self) -> None:
        data = self.folder / "database"
        place = ("--bind-address=127.0.0.1", f"--port={self._ports['database']}", f"--socket={self.folder}/sql.socket")
        self._start("mariadbd", *DATABASE_OPTIONS, f"--datadir={data}", f"--pid-file={self.folder}/sql.pid", *place)
        wait_until((self.folder / "sql.socket").exists, "MariaDB", 60)


def install_missing() -> None:
    """Install the packages that are missing. Raise SlurmUnavailable."""
    missing = sorted({package for program, package in PACKAGES.items() if not find_program(program)})
    if not missing:
        return
    if os.getuid() or not shutil.which("apt-get"):
        raise SlurmUnavailable(f"no {' and '.join(missing)} on this machine, and no apt-get that may install it")
    command = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing]
    environ = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=INSTALL_SECONDS)
    except subprocess.TimeoutExpired:
        raise SlurmUnavailable(f"apt-get did not install {' and '.join(missing)} in {INSTALL_SECONDS:g} s") from None
    if done.returncode:
        raise SlurmUnavailable(f"apt-get cannot install {' and '.join(missing)}: {done.stderr.strip()[-200:]}")
