"""Removal of an old run: its folder is removed, published checkpoints stay."""

import os
import shutil
from pathlib import Path

import pytest
from local_runs import Runs
from robotrain.errors import Rejected
from robotrain_local.platform import LOCAL

pytestmark = pytest.mark.slow  # real runs, a second each

TRAINS = """
from pathlib import Path
folder = Path("outputs/checkpoints/000010")
folder.mkdir(parents=True)
(folder / "model.safetensors").write_bytes(b"w" * 100_000)
print("ready", flush=True)
"""
GOES_ON = "import time; print('ready', flush=True); time.sleep(600)"


def test_a_run_that_ended_goes_and_says_how_much_that_frees(runs: Runs) -> None:
    reference = runs.submit(TRAINS)
    runs.wait_for_end(reference)
    folder = Path(reference["folder"])
    would = LOCAL.engine.remove_outputs({"folder": str(folder)}, dry_run=True)
    assert folder.is_dir()
    assert would > 100_000
    assert LOCAL.engine.remove_outputs({"folder": str(folder)}) == would
    assert os.listdir(folder.parent) == []


def test_what_was_tracked_or_registered_by_a_hard_link_survives_and_is_not_counted(runs: Runs, tmp_path: Path) -> None:
    reference = runs.submit(TRAINS)
    runs.wait_for_end(reference)
    folder = Path(reference["folder"])
    model, elsewhere = folder / "model.safetensors", tmp_path / "artifacts" / "model.safetensors"
    model.write_bytes(b"w" * 10_000_000)
    elsewhere.parent.mkdir()
    os.link(model, elsewhere)
    assert LOCAL.engine.remove_outputs({"folder": str(folder)}) < 10_000_000
    assert not folder.exists()
    assert elsewhere.read_bytes() == b"w" * 10_000_000


def test_a_run_that_goes_on_is_left_alone(runs: Runs) -> None:
    reference = runs.submit(GOES_ON)
    runs.wait_until_ready(reference)
    with pytest.raises(Rejected, match="tiny-1 is running") as caught:
        LOCAL.engine.remove_outputs(reference)
    (problem,) = caught.value.problems
    assert (problem.code, problem.suggestions[0].text) == ("run-goes-on", "robotrain cancel tiny-1")
    assert not runs.local.status(reference).finished


@pytest.mark.parametrize("spoilt", ["missing", "another", "torn"])
def test_a_folder_that_is_no_runs_folder_is_left_alone_whatever_a_record_says(runs: Runs, spoilt: str) -> None:
    reference = runs.submit(TRAINS)
    runs.wait_for_end(reference)
    folder = Path(reference["folder"])
    if spoilt == "missing":
        (folder / "process.json").unlink()
    elif spoilt == "another":
        folder = shutil.move(folder, folder.with_name("my-thesis"))
    else:
        (folder / "process.json").write_text("{")
    with pytest.raises(Rejected) as caught:
        LOCAL.engine.remove_outputs({"folder": str(folder)})
    assert caught.value.problems[0].code == "not-a-run-folder"
    assert Path(folder, "log.txt").exists()
