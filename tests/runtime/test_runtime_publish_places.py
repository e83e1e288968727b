"""Where checkpoints go, in the words of a workload: folders and addresses, and how many of them stay there."""

import os

import pytest
from robotrain_runtime.contract import checkpoint
from robotrain_runtime.contract.event import Published, Withdrawn

pytestmark = pytest.mark.slow  # runs whole runs

TRAIN = "from pretend_training import *\ntrain(60, 20)"


def of_another_run(folder, step: int):
    at = folder / f"{step:06}"
    at.mkdir(parents=True)
    (at / "weights").touch()
    checkpoint.seal_checkpoint(at, step=step, run="another-1", job="j")


def published(ran) -> list[str]:
    return [one.to for one in ran.of_kind(Published)]


@pytest.mark.parametrize("form", ["{}", "shelf:{}/"])
def test_each_checkpoint_goes_there_and_only_the_last_stay(run, placed, shelf, form):
    of_another_run(shelf, 10)
    ran = run(placed(form.format(shelf), TRAIN, keep=2))
    assert ran.exit_code == 0, ran.lines
    place = form.format(shelf).rstrip("/")
    assert published(ran) == [f"{place}/{step:06}" for step in (20, 40, 60)]
    assert sorted(os.listdir(shelf)) == ["000010", "000040", "000060"]
    assert ran.of_kind(Withdrawn) == [Withdrawn(to=f"{place}/000020")]
    assert len(list(checkpoint.list_checkpoints(ran.work / "checkpoints"))) == 3
    said = [line for line in ran.ordinary if line in ("closed", f"opened {shelf}")]
    assert said == ([f"opened {shelf}", "closed"] if form.startswith("shelf:") else [])


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


def test_what_cannot_be_removed_is_told_and_fails_nothing(run, placed, shelf):
    program = (
        "from pretend_training import *\nimport robotrain_runtime\n"
        f"train(20, 20)\nwhile not Path({str(shelf)!r}, '000020').exists(): time.sleep(0.01)\n"
        f"Path({str(shelf)!r}, '.000020.pretend-1.old').touch()\nsave(40)"
    )
    ran = run(placed(shelf, program, keep=1))
    assert ran.exit_code == 0, ran.lines
    assert sorted(os.listdir(shelf)) == [".000020.pretend-1.old", "000020", "000040"]
    assert ran.notes("warning")[-1].startswith(f"older checkpoints are not removed from {shelf}: Not a directory")
