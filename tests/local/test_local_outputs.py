"""What a run left, and a copy of it: checkpoints that are complete, then files; never half of one."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from local_runs import SAVES, Runs
from robotrain.errors import Rejected, format_problem
from robotrain.model.reference import Reference
from robotrain.model.run import Output, RunGone
from robotrain_runtime.contract import checkpoint

pytestmark = pytest.mark.slow  # real runs, a second each


@pytest.fixture
def run_with_outputs(runs: Runs) -> Reference:
    """A run that left two checkpoints and a file."""
    reference = runs.submit(SAVES)
    runs.wait_for_end(reference)
    runs.sealed(reference)
    return reference


def outputs_by_name(runs: Runs, reference: Reference) -> dict[str, Output]:
    return {output.name: output for output in runs.local.outputs(reference)}


def test_checkpoints_are_listed_oldest_first_then_files(runs: Runs, run_with_outputs: Reference) -> None:
    outputs = list(runs.local.outputs(run_with_outputs))
    assert [(output.name, output.kind) for output in outputs] == [
        ("checkpoints/000200", "checkpoint"),
        ("checkpoints/000400", "checkpoint"),
        ("log.txt", "file"),
        ("events.jsonl", "file"),
        ("outcome.json", "file"),
        ("job.json", "file"),
        ("outputs/notes.txt", "file"),
    ]
    assert all(output.source == "local_path" and Path(output.uri).exists() for output in outputs)


def test_checkpoint_has_step_model_digest_and_size(runs: Runs, run_with_outputs: Reference) -> None:
    output = outputs_by_name(runs, run_with_outputs)["checkpoints/000400"]
    manifest = checkpoint.read_manifest(Path(output.uri))
    assert manifest is not None
    assert (output.step, output.model, output.digest) == (400, "model", manifest.digest)
    assert output.size == 400 + Path(output.uri, checkpoint.MANIFEST).stat().st_size


def test_incomplete_checkpoint_is_not_listed(runs: Runs, run_with_outputs: Reference) -> None:
    torn = Path(run_with_outputs["folder"], "outputs/checkpoints/000600")
    torn.mkdir()
    (torn / "half").write_text("")
    assert "checkpoints/000600" not in outputs_by_name(runs, run_with_outputs)
    Path(run_with_outputs["folder"], "outputs/checkpoints/000200", checkpoint.MANIFEST).unlink()
    assert outputs_by_name(runs, run_with_outputs)["checkpoints/000200"].digest == ""


def test_checkpoint_of_another_run_is_not_listed(runs: Runs, run_with_outputs: Reference) -> None:
    other = Path(run_with_outputs["folder"], "outputs/checkpoints/000100")
    other.mkdir()
    (other / "weights").write_text("w")
    checkpoint.seal_checkpoint(other, step=100, run="somebody-elses", job="j")
    assert "checkpoints/000100" not in outputs_by_name(runs, run_with_outputs)


def test_running_run_has_outputs(runs: Runs) -> None:
    reference = runs.submit(SAVES + "time.sleep(600)")
    runs.sealed(reference)
    assert set(outputs_by_name(runs, reference)) >= {"checkpoints/000400", "log.txt"}
    assert "outcome.json" not in outputs_by_name(runs, reference)


def test_outputs_in_another_folder_are_listed(runs: Runs, tmp_path: Path) -> None:
    program = SAVES.replace('os.environ["WORK"], "outputs"', repr(str(tmp_path / "elsewhere")))
    reference = runs.submit(program)
    runs.wait_for_end(reference)
    outputs = outputs_by_name(runs, reference)
    assert outputs["checkpoints/000400"].uri == str(tmp_path / "elsewhere/checkpoints/000400")
    assert outputs["elsewhere/notes.txt"].uri == str(tmp_path / "elsewhere/notes.txt")


def test_neighbours_of_a_checkpoint_folder_are_not_listed(runs: Runs, tmp_path: Path) -> None:
    (tmp_path / "shared/other").mkdir(parents=True)
    (tmp_path / "shared/thesis.txt").write_text("mine")
    program = SAVES.replace('os.environ["WORK"], "outputs", "checkpoints"', repr(str(tmp_path / "shared/mine")))
    reference = runs.submit(program.replace("parent.parent /", "parent /"))
    runs.wait_for_end(reference)
    assert [name for name in outputs_by_name(runs, reference) if "/" in name] == [
        "mine/000200",
        "mine/000400",
        "mine/notes.txt",
    ]


def test_a_run_without_anything_and_one_that_is_gone(runs: Runs, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert list(runs.local.outputs({"folder": str(tmp_path / "empty")})) == []
    with pytest.raises(RunGone):
        runs.local.outputs({"folder": str(tmp_path / "gone")})


def test_downloads_are_complete_copies(runs: Runs, run_with_outputs: Reference, tmp_path: Path) -> None:
    output = outputs_by_name(runs, run_with_outputs)["checkpoints/000400"]
    runs.local.download(run_with_outputs, output, tmp_path / "mine/best")
    notes = outputs_by_name(runs, run_with_outputs)["outputs/notes.txt"]
    runs.local.download(run_with_outputs, notes, tmp_path / "notes.txt")
    for changed in (Path(notes.uri), Path(output.uri, "model/weights.txt")):
        changed.write_text("changed")  # which a link would show
    shutil.rmtree(run_with_outputs["folder"])
    assert (tmp_path / "notes.txt").read_text() == "seven"
    assert checkpoint.validate_checkpoint(tmp_path / "mine/best") == ""
    assert (tmp_path / "mine/best/model/weights.txt").read_text() == "w" * 400
    assert os.listdir(tmp_path / "mine") == ["best"]


def fill_disk(source: Path, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = shutil.copy2

    def full(source: str, target: str, **options: bool) -> str:
        if "weights" in str(source):
            raise OSError(28, "No space left on device", str(target))
        return str(copy(source, target, **options))

    monkeypatch.setattr(shutil, "copy2", full)


@pytest.mark.parametrize(
    ("spoil", "fact"),
    [
        (lambda source, target, _: shutil.rmtree(source), "checkpoints/000400 no longer exists"),
        (lambda source, target, _: target.mkdir(parents=True), "target already exists"),
        (
            lambda source, target, _: (source / "model/weights.txt").write_text("changed"),
            "000400/model/weights.txt is not what was saved",
        ),
        (fill_disk, "No space left on device"),
    ],
    ids=["missing", "target exists", "changed", "full disk"],
)
def test_failed_download_leaves_nothing(
    runs: Runs,
    run_with_outputs: Reference,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    spoil: Callable[[Path, Path, pytest.MonkeyPatch], object],
    fact: str,
) -> None:
    output, target = outputs_by_name(runs, run_with_outputs)["checkpoints/000400"], tmp_path / "new/mine"
    spoil(Path(output.uri), target, monkeypatch)
    before = {*target.parent.glob("*")}
    with pytest.raises(Rejected) as caught:
        runs.local.download(run_with_outputs, output, target)
    assert fact in format_problem(caught.value.problems[0])
    assert {*target.parent.rglob("*")} == before
