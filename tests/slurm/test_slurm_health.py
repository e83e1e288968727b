"""`robotrain doctor` looks for Slurm's commands here, and asks the cluster only with `--online`."""

import pytest
from robotrain_slurm.preflight import setup


def run_check(online: bool) -> list:
    """Return what the checks of this machine find, or those of the cluster."""
    return [finding for check in setup.list_checks() if check.online == online for finding in check.run()]


@pytest.fixture
def configured(monkeypatch, tmp_path):
    monkeypatch.setenv("ROBOTRAIN_RUNS_DIR", str(tmp_path / "runs"))
    monkeypatch.setenv("ROBOTRAIN_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


def test_version_is_shown_without_asking_the_controller(slurm, configured):
    slurm.configure(away=True)
    assert [(finding.state, finding.text) for finding in run_check(online=False)] == [("ok", "slurm 22.05.8")]


def test_machine_without_slurm_matters_only_to_its_users(without_slurm, configured):
    (result,) = run_check(online=False)
    assert (result.state, result.required) == ("warn", True)
    assert run_check(online=True) == []


def test_folder_that_cannot_be_used_is_a_failure(slurm, configured, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("ROBOTRAIN_RUNS_DIR", str(tmp_path / "file/runs"))
    assert [finding.state for finding in run_check(online=False)] == ["ok", "fail"]


def test_cluster_shows_its_partitions_and_disks_that_nodes_may_not_see(slurm, configured):
    slurm.add_node("n3", "batch", gres="gpu:a100:4")
    slurm.add_partition("late", "n1", state="down")
    cluster, disks = run_check(online=True)
    assert cluster.text == "partitions: batch, short, late"
    assert (disks.state, "--runs-dir" in disks.text) == ("warn", True)


def test_controller_that_is_away_is_a_failure(slurm, configured):
    slurm.configure(away=True)
    (result,) = run_check(online=True)
    assert result.state == "fail"
    assert "does not answer" in result.text
