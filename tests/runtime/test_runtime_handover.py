"""Steps of a pipeline: what one hands over, and what a later one reads. The work is pretended."""

import hashlib
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from robotrain_runtime.checkpoints import model_lineage
from robotrain_runtime.contract import checkpoint, step_output
from robotrain_runtime.contract.container_plugin import ContainerContext
from robotrain_runtime.contract.document import JobSource, Mount
from robotrain_runtime.data import step_source
from robotrain_runtime.preflight import run_preflight
from robotrain_runtime.publishing import handover
from robotrain_runtime.publishing.sealing import SealedArtifact

TRAIN = "from pretend_training import *\ntrain(40, 20)"
EVALUATE = "from pretend_evaluating import *\nevaluate(0.75, kept=policy())"


@pytest.fixture
def output(tmp_path) -> Path:
    """The folder that a step hands over."""
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


@pytest.fixture
def make_later_step(job):
    """A job that reads the policy of an earlier step."""

    def make(program="", role="policy", **placement):
        mount = Mount(role=role, uri="train", folder="${ROBOTRAIN_STEP_TRAIN}/policy")
        made = job(program, mounts=(mount,), **placement)
        container_plugins = {**made.container_plugins, "source.step": "robotrain_runtime.data.step_source"}
        return replace(
            made, container_plugins=container_plugins, sources=(JobSource(role=role, kind="step", uri="train"),)
        )

    return make


def train(run, job, output, program=TRAIN, **placement):
    ran = run(job(program, handover="${ROBOTRAIN_STEP_OUTPUT}", **placement), ROBOTRAIN_STEP_OUTPUT=str(output))
    assert ran.exit_code == 0, ran.lines
    return ran


@pytest.mark.slow
def test_a_training_hands_over_its_last_policy_alone(run, job, output):
    ran = train(run, job, output)
    assert sorted(path.relative_to(output).as_posix() for path in output.rglob("*") if path.is_file()) == [
        "policy/weights",
        "step.json",
    ]
    assert (output / "policy/weights").read_text() == "model/weights of step 40"
    handed_over = step_output.read_step_output(output)
    assert (handed_over.run, handed_over.policy["step"]) == ("pretend-1", 40)
    assert step_output.find_damaged_file(output, handed_over) == ""
    assert ran.notes("info")[-1] == f"the steps that need this one read {output}"


def write_checkpoints(folder: Path, run: str = "pretend-1") -> None:
    for step in (20, 40, 50):
        model = folder / f"{step:06}" / "model"
        model.mkdir(parents=True)
        (model / "weights").write_text(f"weights of step {step}")
        (model.parent / "state").write_text("what a training goes on from")
        checkpoint.seal_checkpoint(model.parent, step=step, run=run, job="a" * 64, model="model")


@pytest.mark.parametrize(("which", "steps"), [("all", [20, 40, 50]), ("40", [40, 50]), ("30", [50])])
def test_chosen_checkpoints_are_handed_over_without_their_training_state(job, output, tmp_path, which, steps):
    folder = tmp_path / "checkpoints"
    write_checkpoints(folder)
    made = job("", handover=str(output))
    newest = SealedArtifact(folder=folder / "000050", manifest=checkpoint.read_manifest(folder / "000050"))
    chosen = handover.select_checkpoints([folder], made.run, which)
    handover.hand_over(made, newest, None, lambda: False, chosen)
    handed_over = step_output.read_step_output(output)
    names = [f"{step:06}" for step in steps]
    assert [*handed_over.checkpoints] == names
    assert {path: file.read_text() for path in handed_over.files if (file := output / path).is_file()} == {
        "policy/weights": "weights of step 50",
        **{f"checkpoints/{step:06}/model/weights": f"weights of step {step}" for step in steps},
    }
    assert step_output.find_damaged_file(output, handed_over) == ""
    (output / f"checkpoints/{names[-1]}/model/weights").write_text("another")
    assert "checkpoints" in step_output.find_damaged_file(output, handed_over, "checkpoints")


def test_checkpoints_of_another_run_are_not_handed_over(output, tmp_path, job):
    folder = tmp_path / "checkpoints"
    write_checkpoints(folder, run="another-1")
    assert handover.select_checkpoints([folder], "pretend-1", "all") == []


def test_a_later_step_knows_the_run_and_the_step_of_each_checkpoint(job, output, tmp_path):
    folder, cache = tmp_path / "checkpoints", tmp_path / "cache"
    write_checkpoints(folder)
    newest = SealedArtifact(folder=folder / "000050", manifest=checkpoint.read_manifest(folder / "000050"))
    chosen = handover.select_checkpoints([folder], "pretend-1", "20")
    handover.hand_over(job("", handover=str(output)), newest, None, lambda: False, chosen)
    source = JobSource(role="policy", kind="step", uri=str(output / "checkpoints"))
    place = ContainerContext(cache=cache)
    assert list(step_source.mounted(source, place)) == []
    assert step_source.fetch(source, place) == output / "checkpoints"
    facts = model_lineage.read_policy_lineage(cache, output / "checkpoints/000040")
    assert (facts["policy_run"], facts["policy_step"]) == ("pretend-1", "40")


@pytest.mark.slow
@pytest.mark.parametrize(("survives", "lost"), [("kept", []), ("left", [20])])
def test_checkpoints_of_a_lost_machine_are_handed_over_from_what_the_platform_keeps(
    run, job, output, tmp_path, survives, lost
):
    """`left` is where the platform leaves checkpoints of earlier attempts; here it has the newest alone."""
    platform_folder = tmp_path / "kept"
    platform_folder.mkdir()
    publish = {"hands_over": "20", "saves": "10 20 30 40 50 60"}
    program = "from pretend_training import *\ntrain({}, 10)"
    placed = {"handover": str(output), "left": str(platform_folder), "submission": "THIS_ONE"}
    first = job(program.format(40), publish=publish, kept=str(platform_folder), **placed)
    assert run(first, THIS_ONE="job-1").exit_code == 0
    shutil.rmtree(tmp_path / "work")
    for step in (10, 20, 30) if lost else ():
        shutil.rmtree(platform_folder / f"{step:06}")
    second = job(program.format(60), publish=publish, kept=str(platform_folder) if survives == "kept" else "", **placed)
    ran = run(second, THIS_ONE="job-1")
    assert ran.exit_code == 0, ran.lines
    assert "from step 41" in ran.ordinary
    handed_over = step_output.read_step_output(output)
    steps = [step for step in (20, 40, 60) if step not in lost]
    assert [*handed_over.checkpoints] == [f"{step:06}" for step in steps]
    assert step_output.find_damaged_file(output, handed_over) == ""
    warnings = [text for text in ran.notes("warning") if "later steps" in text]
    assert [re.findall(r"\d+", text) for text in warnings] == ([["20"]] if lost else [])


NUMBERED = """from pretend_training import *
folder = write(40)
(folder / "model/numbers.txt").write_text("even")
emit_event(Checkpoint(step=40, path=str(folder), model="model"))
"""


@pytest.mark.slow
def test_a_later_step_reads_the_policy_and_knows_its_run(run, job, make_later_step, output, tmp_path):
    train(run, job, output, NUMBERED)
    program = "import os, pathlib; print(*sorted(os.listdir(os.environ['PRETEND_DATA'])))"
    ran = run(make_later_step(program, work=str(tmp_path / "second")), ROBOTRAIN_STEP_TRAIN=str(output))
    assert ran.exit_code == 0, ran.lines
    assert "numbers.txt weights" in ran.ordinary
    (lineage,) = (tmp_path / "cache" / "sources" / "parentage").iterdir()
    facts = json.loads(lineage.read_text())
    assert (facts["policy_run"], facts["policy_step"]) == ("pretend-1", "40")


def write_output(output: Path) -> None:
    files = {}
    for path, text in {"policy/weights": "w", "policy/numbers.txt": "even"}.items():
        (output / path).parent.mkdir(parents=True, exist_ok=True)
        (output / path).write_text(text)
        files[path] = hashlib.sha256(text.encode()).hexdigest()
    step_output.write_step_output(output, step_output.StepOutput(run="train-1", job="0" * 64, files=files))


def titles(made) -> list[str]:
    return [finding.title for finding in run_preflight(made)]


def test_a_sound_output_is_accepted(plugins_on_path, make_later_step, output, monkeypatch):
    write_output(output)
    monkeypatch.setenv("ROBOTRAIN_STEP_TRAIN", str(output))
    assert titles(make_later_step()) == []


def test_a_changed_file_is_named_before_the_work(plugins_on_path, make_later_step, output, monkeypatch):
    write_output(output)
    (output / "policy/weights").write_text("x")
    monkeypatch.setenv("ROBOTRAIN_STEP_TRAIN", str(output))
    assert titles(make_later_step()) == [f"{output}/policy/weights is not what the step made"]


def test_an_output_without_its_description_is_refused(plugins_on_path, make_later_step, output, monkeypatch):
    write_output(output)
    (output / "step.json").unlink()
    monkeypatch.setenv("ROBOTRAIN_STEP_TRAIN", str(output))
    (title,) = titles(make_later_step())
    assert title.startswith(f"the step handed over nothing that can be read in {output}")


def test_a_variable_that_is_not_set_is_named(plugins_on_path, make_later_step):
    assert titles(make_later_step()) == ["ROBOTRAIN_STEP_TRAIN is not set: it should name the folder of train"]


@pytest.mark.slow
def test_an_evaluation_hands_over_its_results_alone(run, job, output):
    train(run, job, output, EVALUATE)
    handed_over = step_output.read_step_output(output)
    assert ("results/eval_results.json" in handed_over.files, handed_over.policy) == (True, {})
    assert not (output / "policy").exists()


@pytest.mark.slow
def test_a_failed_evaluation_hands_over_nothing(run, job, output):
    failed = EVALUATE.replace("kept=", "passed=False, kept=") + "\nraise SystemExit(5)"
    ran = run(job(failed, handover=str(output)))
    assert ran.exit_code != 0
    assert list(output.iterdir()) == []
