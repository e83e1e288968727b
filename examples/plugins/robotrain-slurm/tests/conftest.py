"""The lab: a real Slurm, where it is installed."""

from collections.abc import Iterator

import pytest
from slurm_lab import SlurmLab, SlurmUnavailable


@pytest.fixture(scope="session")
def running_lab(tmp_path_factory) -> Iterator[SlurmLab]:
    """Slurm's daemons, for all tests."""
    try:
        lab = SlurmLab(tmp_path_factory.mktemp("lab"))
    except SlurmUnavailable as error:
        pytest.skip(str(error))
    try:
        lab.start()
    except SlurmUnavailable as error:
        lab.close()
        pytest.skip(f"Slurm does not start on this machine: {error}")
    yield lab
    lab.close()


@pytest.fixture
def lab(running_lab, monkeypatch) -> SlurmLab:
    """The lab, for the commands of this test."""
    monkeypatch.setenv("SLURM_CONF", str(running_lab.folder / "slurm.conf"))
    return running_lab
