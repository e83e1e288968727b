"""Rules on where files are, what the node can reach, and whether other nodes see the locks of a disk."""

import pytest
from planned_jobs import job, source
from robotrain.store import files
from robotrain_slurm.preflight.locks import check_locks
from robotrain_slurm.settings import SlurmSettings
from robotrain_slurm.spec.check_job import check_job

URL = "https://a.blob.core.windows.net/c/p"


def list_codes(settings, **given):
    return [(problem.code, problem.where, problem.severity) for problem in check_job(job(**given), settings)]


def test_staging_without_contradictions_has_no_problems():
    settings = SlurmSettings(stage=True, torch_backend="cu126", tracking_uri="sqlite:////shared/mlflow.db")
    assert list_codes(settings) == []


@pytest.mark.parametrize(
    ("settings", "given", "expected"),
    [
        ({"storage": "node"}, {}, ("options-conflict", "--stage", "error")),
        ({"torch_backend": "auto"}, {}, ("slurm-stage-backend", "--torch-backend", "error")),
        ({"tracking_uri": "http://mlflow.lab:5000"}, {}, ("slurm-stage-writes", "--tracking-uri", "warning")),
        (
            {},
            {"publish_url": URL},
            ("slurm-stage-writes", "--publish-url", "warning"),
        ),
    ],
)
def test_staging_says_what_it_cannot_do(settings, given, expected):
    assert expected in list_codes(SlurmSettings(stage=True, **settings), **given)


@pytest.mark.parametrize(
    ("settings", "sources", "expected"),
    [
        ({"continuation": "login"}, (), ("options-conflict", "--continuation", "error")),
        ({"continuation": "node"}, (), ("options-conflict", "--continuation", "error")),
        ({}, (source("local_path", "/home/a/code", "code"),), ("slurm-folder-on-node", "", "error")),
        ({}, (source("local_path", "/data/pusht"),), ("slurm-folder-on-node", "", "warning")),
    ],
)
def test_what_the_node_would_look_for_in_vain_is_reported(settings, sources, expected):
    problems = check_job(job(*sources, publish_url=URL), SlurmSettings(storage="node", **settings))
    assert expected in [(problem.code, problem.where, problem.severity) for problem in problems]


def test_staging_warns_of_weights_and_biases():
    assert ("slurm-stage-writes", "--wandb", "warning") in list_codes(SlurmSettings(stage=True), wandb=True)


@pytest.mark.parametrize(
    ("kind", "options", "has_locks"),
    [
        ("nfs4", "rw,relatime,vers=4.2,local_lock=none", True),
        ("nfs", "rw,nolock,vers=3", False),
        ("nfs", "rw,local_lock=flock", False),
        ("lustre", "rw,flock,lazystatfs", True),
        ("lustre", "rw,localflock", False),
        ("lustre", "rw,lazystatfs", False),
        ("ext4", "rw", True),
    ],
)
def test_locks_that_hold_on_one_machine_only_are_reported(kind, options, has_locks, tmp_path, monkeypatch):
    mounts = tmp_path / "mounts"
    mounts.write_text(f"none / ext4 rw 0 0\nserver:/home {tmp_path} {kind} {options} 0 0\n")
    monkeypatch.setattr(files, "MOUNTS_FILE", mounts)
    assert [problem.code for problem in check_locks(tmp_path / "cache")] == ([] if has_locks else ["slurm-locks-local"])
