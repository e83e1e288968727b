"""The lab, a real Slurm where it is installed; and the stand-in, its commands alone."""

import getpass
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from accounting import AccountingLab
from lab import SlurmLab, SlurmUnavailable
from login_node import LoginNode, start_login_node
from planned_jobs import job
from recorded_slurm import RUN, RecordedSlurm, RunFolder
from robotrain.store.files import MountPoint
from robotrain_slurm.platform import SLURM
from robotrain_slurm.settings import SlurmSettings
from slurm_pipelines import ENGINE, PAYLOAD
from slurm_stand_in import SlurmStandIn


@pytest.hookimpl(tryfirst=True)  # before -m chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test with a login node needs sshd, which a bare machine lacks: it is slow."""
    for item in items:
        if "login_node" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.slow)


@pytest.fixture
def slurm(tmp_path, monkeypatch) -> SlurmStandIn:
    """Slurm's commands on the PATH, which record jobs and run none."""
    return SlurmStandIn(tmp_path / "slurm", monkeypatch)


@pytest.fixture
def recorded(tmp_path, monkeypatch) -> RecordedSlurm:
    """Slurm's commands on the PATH, which print what the test sets."""
    return RecordedSlurm(tmp_path / "slurm", monkeypatch)


@pytest.fixture
def without_slurm(tmp_path, monkeypatch) -> Path:
    """A PATH with what this machine has, but for Slurm's commands."""
    (folder := tmp_path / "programs").mkdir()
    for name in os.listdir("/usr/bin"):
        if not name.startswith(("sbatch", "squeue", "sinfo", "scancel", "scontrol", "sacct", "srun")):
            (folder / name).symlink_to(f"/usr/bin/{name}")
    monkeypatch.setenv("PATH", str(folder))
    return folder


@pytest.fixture
def run(tmp_path) -> RunFolder:
    """The folder of the run of `recorded`."""
    return RunFolder(tmp_path / RUN)


@pytest.fixture
def make_plan(tmp_path):
    """Return the plan of a small job, unless another one or other settings are given."""

    def make(of=None, plugins=None, **settings):
        folders = {"runs_dir": str(tmp_path / "runs"), "cache_dir": str(tmp_path / "cache")}
        small = {"cpus": 1, "memory": "1G", "gpus": 0}
        chosen = SlurmSettings(**folders | small | settings)
        return SLURM.plans.render(of or job(), chosen, "a-1", PAYLOAD, plugins or {})

    return make


@pytest.fixture
def shared_disks(monkeypatch):
    monkeypatch.setattr("robotrain_slurm.preflight.survey.find_mount", lambda place, mounts: MountPoint(kind="nfs4"))


@pytest.fixture
def find_problems(recorded, shared_disks, make_plan):
    """Return what preflight finds of a job that fits, and what is changed, on a cluster as `sinfo` prints it.

    `refusal`: what `sbatch --test-only` prints when it refuses the job.
    """

    def find(cluster, of=None, plugins=None, refusal="", **settings):
        recorded.answer("sinfo", cluster)
        recorded.answer("sbatch", error=refusal, code=1 if refusal else 0)
        return [*ENGINE.preflight(make_plan(of, plugins, **{"time": "30m"} | settings))]

    return find


@pytest.fixture(scope="session")
def running_lab(tmp_path_factory) -> Iterator[SlurmLab]:
    """Slurm's daemons, for all tests of this process."""
    yield from start_lab(tmp_path_factory)


@pytest.fixture
def lab(running_lab, monkeypatch) -> Iterator[SlurmLab]:
    """The lab, for the commands of this test; afterwards it has no jobs, and two idle nodes."""
    monkeypatch.setenv("SLURM_CONF", str(running_lab.configuration))
    yield running_lab
    running_lab.reset()


@pytest.fixture
def make_lab(tmp_path_factory, monkeypatch) -> Iterator[object]:
    """Start a lab of this test's own: `make_lab(MinJobAge="2")`, with lines of slurm.conf that differ."""
    started = []

    def make(**settings: str) -> SlurmLab:
        started.append(start_lab(tmp_path_factory, **settings))
        lab = next(started[-1])
        monkeypatch.setenv("SLURM_CONF", str(lab.configuration))
        return lab

    yield make
    for started_lab in started:
        next(started_lab, None)


@pytest.fixture
def lab_with_accounting(tmp_path_factory, monkeypatch) -> Iterator[AccountingLab]:
    """A lab of this test's own, with slurmdbd and MariaDB; a controller forgets jobs two seconds after their end."""
    for lab in start_lab(tmp_path_factory, AccountingLab, MinJobAge="2"):
        monkeypatch.setenv("SLURM_CONF", str(lab.configuration))
        yield lab


@pytest.fixture
def lab_with_limits(tmp_path_factory, monkeypatch) -> Iterator[AccountingLab]:
    """A lab of this test's own that enforces its accounts, robots, and its qualities of service: tiny takes one job."""
    for lab in start_lab(tmp_path_factory, AccountingLab, AccountingStorageEnforce="associations,limits,qos"):
        user = getpass.getuser()
        for words in (
            "add account robots",
            "add qos tiny",
            "modify qos tiny set MaxSubmitJobsPerUser=1 MaxWall=10 Flags=DenyOnLimit",
            f"add user {user} account=robots qos=normal,tiny",
        ):
            lab.run("sacctmgr", "-i", *words.split())
        monkeypatch.setenv("SLURM_CONF", str(lab.configuration))
        yield lab


def start_lab(tmp_path_factory, kind: type[SlurmLab] = SlurmLab, **settings: str) -> Iterator[SlurmLab]:
    """Start a lab, and end it and all its jobs afterwards. Skip the test where there is no Slurm."""
    try:
        lab = kind(tmp_path_factory.mktemp("lab"), settings)
    except SlurmUnavailable as error:
        pytest.skip(str(error))
    try:
        lab.start()
        yield lab
    except SlurmUnavailable as error:
        pytest.skip(f"Slurm does not start on this machine: {error}")
    finally:
        lab.close()


@pytest.fixture
def login_node(slurm, tmp_path, monkeypatch) -> Iterator[LoginNode]:
    """A login node with the commands of the stand-in, which this machine lacks, and a Python without robotrain."""
    monkeypatch.setenv("PATH", os.environ["PATH"].removeprefix(f"{slurm.folder}/bin:"))
    yield from start_login_node(tmp_path / "node", monkeypatch, PATH=f"{slurm.folder}/bin:/usr/bin:/bin")
