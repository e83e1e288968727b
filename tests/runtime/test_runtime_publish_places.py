"""Where checkpoints and results go, in the words of a workload: folders and addresses, and how many stay there."""

import dataclasses
import os
import signal
import time
from pathlib import Path

import pytest
from robotrain_runtime.contract import checkpoint
from robotrain_runtime.contract.event import Checkpoint, Delivered, Evaluated, Published, Withdrawn

pytestmark = pytest.mark.slow  # runs whole runs

EVALUATE = "from pretend_evaluating import *\n"
DELIVER = EVALUATE + "evaluate()"
FILES = ["eval_results.json", *(f"videos/episode_{number:03}.mp4" for number in range(4))]


def list_deliveries(ran) -> list[str]:
    return sorted(delivery.to for delivery in ran.of_kind(Delivered))


def list_files(folder: Path) -> list[str]:
    names = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return sorted(name for name in names if name != checkpoint.MANIFEST)


def test_a_stop_while_a_place_is_looked_at_cancels_the_run(placed, shelf, start, until, finish):
    (shelf / "silent").touch()
    process = start(placed(f"shelf:{shelf}", "print('worked')"))
    until(process, "looking")
    process.terminate()
    ran = finish(process)
    assert ran.exit_code == 143, ran.lines
    assert (ran.outcome["state"], ran.outcome["fault"]) == ("cancelled", "stopped")
    assert "worked" not in ran.lines


@pytest.mark.parametrize("form", ["{}", "shelf:{}"])
def test_results_are_copied_under_the_name_of_the_run_and_nothing_else_is_changed(run, placed, shelf, form):
    (shelf / "pretend-2").mkdir()
    (shelf / "pretend-2/eval_results.json").write_text("another's")
    program = "from pretend_training import *\ntrain(40, 20)\n" + EVALUATE + "evaluate(kept=policy())"
    ran = run(placed(form.format(shelf), program, keep=1))
    assert ran.exit_code == 0, ran.lines
    assert list_deliveries(ran) == [f"{form.format(shelf)}/pretend-1"]
    assert sorted(os.listdir(shelf)) == ["000040", "pretend-1", "pretend-2"]
    assert list_files(shelf / "pretend-1") == FILES
    assert (checkpoint.validate_checkpoint(shelf / "pretend-1"), checkpoint.read_manifest(shelf / "pretend-1").run) == (
        "",
        "pretend-1",
    )
    assert (shelf / "pretend-2/eval_results.json").read_text() == "another's"
    assert [step for step, _ in checkpoint.list_checkpoints(shelf)] == [40]  # `keep` counts checkpoints alone
    assert [withdrawal.to for withdrawal in ran.of_kind(Withdrawn)] == [f"{form.format(shelf)}/000020"]
    assert sorted(os.listdir(ran.work / "outputs/policy/000040")) == ["weights"]
    assert not (ran.work / ".results").exists()


def test_results_are_copied_directly_into_the_folder_that_the_platform_keeps(run, job, tmp_path):
    output = tmp_path / "output"
    output.mkdir()
    (output / "theirs.txt").touch()
    ran = run(job(EVALUATE + "evaluate(kept=policy())", kept=str(output), kept_as="azureml://outputs/eval_results/"))
    assert ran.exit_code == 0, ran.lines
    assert list_deliveries(ran) == ["azureml://outputs/eval_results"]
    assert list_files(output) == [*FILES[:1], "theirs.txt", *FILES[1:]]
    assert ran.of_kind(Published) == ran.of_kind(Checkpoint) == []


def test_an_evaluation_that_does_not_reach_what_was_demanded_is_delivered_and_fails(run, placed, shelf):
    ran = run(placed(shelf, EVALUATE + "evaluate(0.25, passed=False)\nraise SystemExit('error: only 0.25')"))
    assert (ran.exit_code, ran.outcome["reason"]) == (1, "only 0.25")
    assert list_files(shelf / "pretend-1") == FILES


def test_a_place_that_has_nowhere_to_be_written_is_told_as_one_for_results(run, placed, tmp_path):
    made = placed(f"shelf:{tmp_path}/none", DELIVER)
    ran = run(
        dataclasses.replace(made, container_plugins={**made.container_plugins, "workload.pretend": "pretend_measured"})
    )
    assert ran.outcome["reason"] == f"results cannot be published to shelf:{tmp_path}/none: there is no such shelf"


def test_an_attempt_that_was_killed_once_it_had_results_delivers_them_once(start, run, placed, tmp_path):
    to, kept_in = tmp_path / "disk/shelf", tmp_path / "output"
    made = placed(to, DELIVER, kept=str(kept_in))
    process = start(made)
    for line in process.stdout:
        if '"delivered"' in line:
            break
    while not list((tmp_path / "work/.results").glob("pretend-1")):
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    to.parent.mkdir()
    ran = run(made)
    assert ran.exit_code == 0, ran.lines
    assert list_deliveries(ran) == [f"{to}/pretend-1"]  # the other has them, and was told
    again = run(made)
    assert (again.exit_code, len(again.of_kind(Evaluated)), list_deliveries(again)) == (0, 1, [])
    other = run(placed(to, EVALUATE + "evaluate(0.5)", kept=str(kept_in)))
    assert list_deliveries(other) == sorted([f"{to}/pretend-1", str(kept_in)])
    for folder in (to / "pretend-1", kept_in):
        assert (folder / "eval_results.json").read_text() == '{"success_rate": 0.5}'


TRAIN = "from pretend_training import *\ntrain(60, 20)"


def of_another_run(folder, step: int):
    at = folder / f"{step:06}"
    at.mkdir(parents=True)
    (at / "weights").touch()
    checkpoint.seal_checkpoint(at, step=step, run="another-1", job="j")


def published(ran) -> list[str]:
    return [publication.to for publication in ran.of_kind(Published)]


@pytest.mark.parametrize("form", ["{}", "shelf:{}/"])
def test_each_checkpoint_is_published_and_only_the_last_are_kept(run, placed, shelf, form):
    of_another_run(shelf, 10)
    ran = run(placed(form.format(shelf), TRAIN, keep=2))
    assert ran.exit_code == 0, ran.lines
    place = form.format(shelf).rstrip("/")
    assert published(ran) == [f"{place}/{step:06}" for step in (20, 40, 60)]
    assert sorted(os.listdir(shelf)) == ["000010", "000040", "000060"]
    assert ran.of_kind(Withdrawn) == [Withdrawn(to=f"{place}/000020")]
    assert len(list(checkpoint.list_checkpoints(ran.work / "checkpoints"))) == 3
    lines = [line for line in ran.ordinary if line in ("closed", f"opened {shelf}")]
    assert lines == ([f"opened {shelf}", "closed"] if form.startswith("shelf:") else [])


def test_a_name_that_another_run_has_there_is_told_before_the_work(run, placed, shelf):
    of_another_run(shelf, 80)
    assert run(placed(f"shelf:{shelf}", "pass")).exit_code == 0
    of_another_run(shelf, 40)
    ran = run(placed(f"shelf:{shelf}", "print('started')"))
    assert (ran.exit_code, "started" in ran.ordinary) == (4, False)
    assert ran.outcome["reason"].endswith("000040 of the run another-1")


def test_an_address_that_nothing_takes_is_told_before_the_work(run, placed):
    ran = run(placed("drawer:/x", "print('started')"))
    assert (ran.exit_code, "started" in ran.ordinary) == (4, False)
    assert "absolute path" in ran.outcome["reason"]


def test_a_checkpoint_that_cannot_be_removed_is_a_warning(run, placed, shelf):
    program = (
        "from pretend_training import *\n"
        "train(20, 20)\nevents = PARENT.with_name('events.jsonl')\n"
        "while '\"published\"' not in events.read_text(): time.sleep(0.01)\n"  # until then it tidies up there
        f"Path({str(shelf)!r}, '.000020.pretend-1.old').touch()\nsave(40)"
    )
    ran = run(placed(shelf, program, keep=1))
    assert ran.exit_code == 0, ran.lines
    assert sorted(os.listdir(shelf)) == [".000020.pretend-1.old", "000020", "000040"]
    assert ran.notes("warning")[-1].startswith(f"older checkpoints are not removed from {shelf}: Not a directory")
