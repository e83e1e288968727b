"""A training whose data is in the store, and whose checkpoints are published there."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

EXAMPLE = Path(__file__).parents[3] / "pusht-mini"
FEW = ("--training-steps", "2", "--save-freq", "2", "--log-freq", "1", "--batch-size", "4", "--num-workers", "0")
SMALL = ("--policy.chunk_size=16", "--policy.n_action_steps=4", "--policy.dim_model=64", "--policy.n_heads=2")


def test_policy_is_trained_on_data_in_the_store_and_published_there(signed_in, tmp_path):
    dataset = EXAMPLE / "dataset"
    files = {path.relative_to(dataset).as_posix(): path.read_bytes() for path in dataset.rglob("*") if path.is_file()}
    signed_in.put("datasets/pusht-mini", files)
    words = ("submit", "--platform", "local", "--s3-url", signed_in.url("datasets/pusht-mini"), *FEW, "--wait")
    words += ("--publish-url", signed_in.url("out/act"))
    done = subprocess.run(
        [sys.executable, "-m", "robotrain", *words, "--", *SMALL],
        env={**os.environ, "ROBOTRAIN_STATE": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "step 2/2" in done.stderr
    (made,) = tmp_path.glob("local/*/outputs/checkpoints/000002")
    below = signed_in.client.list_objects_v2(Bucket="robots", Prefix="out/act/000002/")["Contents"]
    there = {one["Key"].removeprefix("out/act/000002/"): one["Size"] for one in below}
    files = [path for path in made.rglob("*") if path.is_file()]
    assert there == {path.relative_to(made).as_posix(): path.stat().st_size for path in files}
