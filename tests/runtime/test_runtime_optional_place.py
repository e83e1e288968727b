"""Places that do not fail a run: what is missing there is told, and can be sent later."""

import dataclasses
import shutil
from pathlib import Path

import pytest
from robotrain_runtime.contract import checkpoint
from robotrain_runtime.contract.event import Published
from robotrain_runtime.contract.failure import JobFailed
from robotrain_runtime.publishing.late_publication import LatePublication

pytestmark = pytest.mark.slow  # runs whole runs

TRAIN = "from pretend_training import *\ntrain(60, 20)"
SAVED_AND_FAILED = "from pretend_training import *\ntrain(20, 20)\nraise SystemExit('error: preempted')"


@pytest.fixture
def optional(placed, shelf):
    """Make a document that publishes to an optional place: `optional(program)`."""

    def make(program: str = TRAIN, **placement):
        made = placed(f"optional:{shelf}", program, **placement)
        return dataclasses.replace(
            made, container_plugins={**made.container_plugins, "target.optional": "pretend_optional"}
        )

    return make


def test_a_checkpoint_has_the_address_that_its_place_gives_it(run, optional, shelf):
    ran = run(optional())
    assert ran.exit_code == 0, ran.lines
    assert [publication.to for publication in ran.of_kind(Published)] == [
        f"optional:{shelf}#{step:06}" for step in (20, 40, 60)
    ]
    assert "step 40 of the run `pretend-1`" in (shelf / "000040.txt").read_text()
    again = run(optional())
    assert (again.exit_code, again.of_kind(Published)) == (0, [])  # it knows what it published


def test_a_place_that_takes_nothing_fails_no_run_and_what_is_missing_is_told(run, optional, shelf):
    (shelf / "closed").touch()
    ran = run(optional())
    assert (ran.exit_code, ran.outcome["state"]) == (0, "succeeded"), ran.lines
    last = ran.notes("warning")[-1]
    names = ", ".join(f"checkpoint {step:06}" for step in (20, 40, 60))
    assert last.startswith(f"{names} could not be published to optional:{shelf}: ")
    assert last.endswith(f"`robotrain publish pretend-1 optional:{shelf}` sends what is missing")
    assert len(list(checkpoint.list_checkpoints(ran.work / "checkpoints"))) == 3
    assert any("it is not known whether" in text for text in ran.notes("warning"))

    (shelf / "closed").unlink()
    again = run(optional())
    assert again.exit_code == 0, again.lines
    assert {publication.to for publication in again.of_kind(Published)} == {
        f"optional:{shelf}#{step:06}" for step in (20, 40, 60)
    }


def test_where_nothing_else_stays_a_missing_checkpoint_fails_the_run(run, optional, shelf):
    (shelf / "closed").touch()
    ran = run(optional(volatile=True))
    assert ran.exit_code != 0
    assert f"could not be published to optional:{shelf}" in ran.outcome["reason"]


@pytest.mark.parametrize(
    ("file", "text", "reason"),
    [("refuses", "the token may not write", "the token may not write"), ("owner", "other-1", "the run other-1")],
)
def test_what_is_certain_is_told_before_the_work(run, optional, shelf, file, text, reason):
    (shelf / file).write_text(text)
    ran = run(optional("print('started')"))
    assert (ran.exit_code, "started" in ran.ordinary) == (4, False)
    assert reason in ran.outcome["reason"]


def test_what_is_wrong_since_does_not_end_a_run_that_restarts(run, optional, shelf):
    first = run(optional(SAVED_AND_FAILED))
    assert (first.exit_code, len(first.of_kind(Published))) == (1, 1)
    (shelf / "refuses").write_text("the token may not write")
    again = run(optional())
    assert again.exit_code == 0, again.lines
    assert any("the token may not write" in text for text in again.notes("warning"))


def test_checkpoints_are_published_apart_from_their_run(run, optional, shelf, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).with_name("container_plugins")))
    (shelf / "closed").touch()
    document = optional()
    ran = run(document)
    (shelf / "closed").unlink()
    lines: list[str] = []
    late = LatePublication(document, f"optional:{shelf}", lines.append)
    assert late.inspect() == ([], [])
    folder = ran.work / "checkpoints/000040"
    assert [late.publish(folder)[:2] for _ in range(2)] == [
        (f"optional:{shelf}#000040", True),
        (f"optional:{shelf}#000040", False),
    ]
    torn = shutil.copytree(folder, tmp_path / "torn/000040")
    (torn / next(iter(checkpoint.read_manifest(torn).files))).write_text("torn")
    with pytest.raises(JobFailed, match="is not what was saved"):
        late.publish(torn)
    late.close()
    (shelf / "owner").write_text("other-1")
    (finding,), _ = late.inspect()
    assert (finding.code, "the run other-1" in finding.title) == ("publish-unwritable", True)
