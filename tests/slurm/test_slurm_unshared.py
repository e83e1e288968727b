"""Data on a disk of the machine that submits: copied into the cluster's cache where its nodes do not see that disk."""

import json
import os
from pathlib import Path

import pytest
from robotrain.store import records
from robotrain.store.files import MountPoint

PROGRAM = ("--", "python3", "-c", "print(1)")
WORDS = ("--gpus", "0", "--num-gpus", "0", "--cpus", "1", "--memory", "500M", "--time", "10m")


@pytest.fixture
def episodes(tmp_path):
    """A folder on a disk of this machine."""
    (folder := tmp_path / "local/episodes/meta").mkdir(parents=True)
    (folder / "info.json").write_text("{}")
    return folder.parent


@pytest.fixture
def words(tmp_path):
    """The words of a job whose folders are on a disk that is called shared."""
    folders = ("--runs-dir", tmp_path / "shared/runs", "--cache-dir", tmp_path / "shared/cache")
    return ("command", "--platform", "slurm", *folders, *WORDS)


@pytest.fixture
def disks(monkeypatch):
    """Pretend that folders called `local` are on ext4, and all others on NFS."""

    def find_mount(path: str, mounts: str) -> MountPoint:
        return MountPoint(kind="ext4" if "/local/" in f"{path}/" else "nfs4")

    monkeypatch.setattr("robotrain_slurm.preflight.survey.find_mount", find_mount)


def list_copied(folder: Path) -> list[Path]:
    return [path for path in (folder / "uploads").glob("*") if path.is_dir() and not path.suffix]


def read_mounts(rendered: str) -> list[dict[str, str]]:
    document, _ = json.JSONDecoder().raw_decode(rendered, rendered.index("{\n"))
    return [mount for mount in document["placement"]["mounts"] if mount["role"] == "dataset"]


def test_data_on_a_disk_of_this_machine_is_copied_into_the_cache(robotrain, slurm, disks, words, episodes, tmp_path):
    job = (*words, "--dataset-path", episodes)
    answer = robotrain("submit", *job, "--dry-run", *PROGRAM)
    assert answer.exit_code == 0, answer.stderr
    assert "uploaded to the cluster's cache once: 1 file, 2 bytes" in answer.stderr
    assert "slurm-disk-local" not in answer.stderr
    assert not list_copied(tmp_path / "shared/cache")
    answer = robotrain("submit", *job, "--json", *PROGRAM)
    assert answer.exit_code == 0, answer.stderr
    (copy,) = list_copied(tmp_path / "shared/cache")
    assert (copy / "meta/info.json").read_text() == "{}"
    folder = Path(records.read_record(answer.json["run"]).reference["folder"])
    (mount,) = (
        mount
        for mount in json.loads((folder / "job.json").read_text())["placement"]["mounts"]
        if mount["uri"] == str(episodes)
    )
    assert mount["folder"] == str(copy)


def test_the_copy_goes_with_the_last_run_that_reads_it(robotrain, slurm, disks, words, episodes, tmp_path):
    answer = robotrain("submit", *words, "--dataset-path", episodes, "--json", *PROGRAM)
    slurm.set_state("1", "COMPLETED")
    assert robotrain("prune", answer.json["run"], "--yes").exit_code == 0
    assert not list_copied(tmp_path / "shared/cache")


@pytest.mark.parametrize("is_here", [True, False])
def test_a_copy_of_which_the_cluster_purged_a_file_is_repaired_or_refused(
    robotrain, slurm, disks, words, episodes, tmp_path, is_here
):
    (episodes / "data.bin").write_bytes(b"12345")
    run = robotrain("submit", *words, "--dataset-path", episodes, "--json", *PROGRAM).json["run"]
    (copy,) = list_copied(tmp_path / "shared/cache")
    stamp = (copy / "data.bin").stat().st_ino
    (copy / "meta/info.json").unlink()
    if not is_here:
        episodes.rename(tmp_path / "elsewhere")
    answer = robotrain("resubmit", run, "--new", "--json")
    assert (answer.exit_code == 0) is is_here, answer.stderr
    assert (copy / "meta/info.json").exists() is is_here
    assert (list_copied(tmp_path / "shared/cache"), (copy / "data.bin").stat().st_ino) == ([copy], stamp)
    assert len(slurm.read_jobs()) == (2 if is_here else 1)
    assert is_here or "[upload-unreadable]" in answer.stderr


@pytest.mark.parametrize(
    ("data", "cache", "more"),
    [
        ("shared", "shared", ()),  # nodes see it
        ("local", "shared", ("--storage", "shared")),  # nodes see that disk, its user says
        ("local", "local", ()),  # nor would nodes see a copy in the cache
    ],
)
def test_what_nodes_see_or_would_not_see_in_the_cache_is_not_copied(
    robotrain, slurm, disks, words, episodes, tmp_path, data, cache, more
):
    if data == "shared":
        (tmp_path / "shared").mkdir()
        episodes = episodes.rename(tmp_path / "shared/episodes")
    words = [tmp_path / cache / "cache" if word == tmp_path / "shared/cache" else word for word in words]
    answer = robotrain("render", *words, *more, "--pin", "--dataset-path", episodes, *PROGRAM)
    assert answer.exit_code == 0, answer.stderr
    assert read_mounts(answer.stdout) == []


def test_a_folder_that_only_nodes_have_is_not_copied(robotrain, slurm, disks, words, tmp_path):
    (tmp_path / "local").mkdir()
    answer = robotrain("submit", *words, "--dataset-path", tmp_path / "local/nodes-alone", "--dry-run", *PROGRAM)
    assert answer.exit_code == 0, answer.stderr
    assert "slurm-source-unseen" in answer.stderr
    assert "upload" not in answer.stderr


def test_folders_that_the_user_calls_unshared_are_copied(robotrain, slurm, words, episodes, tmp_path):
    answer = robotrain("render", *words, "--unshared", tmp_path / "local", "--dataset-path", episodes, *PROGRAM)
    assert answer.exit_code == 0, answer.stderr
    (mount,) = read_mounts(answer.stdout)
    assert mount["folder"].startswith(f"{tmp_path}/shared/cache/uploads/")


@pytest.mark.slow
def test_a_job_of_a_real_cluster_reads_the_copy(robotrain, lab, words, episodes, tmp_path):
    environments = Path(os.environ.get("ROBOTRAIN_CACHE") or Path("~/.cache/robotrain").expanduser(), "environments")
    (tmp_path / "shared/cache").mkdir(parents=True)
    (tmp_path / "shared/cache/environments").symlink_to(environments)
    program = (
        "import os, pathlib; print(pathlib.Path(os.environ['ROBOTRAIN_DATASET'], 'meta/info.json').read_text() * 3)"
    )
    data = ("--unshared", episodes, "--dataset-path", episodes, "--tracking-uri", "none")
    answer = robotrain("submit", *words, *data, "--json", "--wait", "--", "python3", "-c", program)
    assert answer.exit_code == 0, answer.stderr
    assert "{}{}{}" in robotrain("logs", answer.json["run"]).stdout
