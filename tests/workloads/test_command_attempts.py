"""A program after an interruption: what it continues from, and what it finds in its outputs."""

import dataclasses
import json
import os
import shutil

import job_documents
import pytest
from program_checkpoints import FollowedProgram
from robotrain_runtime.contract import checkpoint
from robotrain_runtime.contract.document import JobDocument, JobSource
from robotrain_workloads.command import container, program_spec

FOLDERS = "checkpoints/{step}"
RESUME_ARGS = '["--resume", "{resume}"]'
JOB = "0" * 64


@pytest.fixture
def make_document(tmp_path):
    def make(words=("train", "--out={outputs}"), sources=(), **values) -> JobDocument:
        return job_documents.command(tmp_path, *words, sources=sources, **values)

    return make


@pytest.fixture
def save(tmp_path):
    """Save checkpoints of the run, each with its place: of a folder, or of one file."""

    def save(*steps: int, is_file: bool = False, parent=tmp_path / "outputs/checkpoints"):
        for step in steps:
            folder = parent / f"{step:06}"
            folder.mkdir(parents=True)
            (folder / "model.pt").write_text(str(step))
            path = f"checkpoints/{step}" + "/model.pt" * is_file
            (folder / "robotrain-program.json").write_text(json.dumps({"path": path, "is_file": is_file}))
            checkpoint.seal_checkpoint(folder, step=step, run="command-00000000-1", job=JOB)
        return folder

    return save


@pytest.fixture
def start(tmp_path):
    """The arguments of the program, what it continues from in its environment, and the notes of the run."""

    def start(document: JobDocument, data=()):
        command = container.work(document, dict(data), tmp_path)
        spec = program_spec.read_spec(command.environ[program_spec.SPEC_VARIABLE])
        return list(spec.arguments), spec.environ.get("ROBOTRAIN_RESUME"), [note.text for note in command.notes]

    return start


def test_resume_args_are_added_only_after_an_interruption(make_document, start, save, tmp_path):
    document = make_document(checkpoints=FOLDERS, resume_args=RESUME_ARGS)
    first = ["train", f"--out={tmp_path}/outputs/files"]
    assert start(document) == (first, None, [])
    folder = save(10, 20)
    arguments, variable, notes = start(document)
    assert (arguments, variable) == ([*first, "--resume", str(folder)], str(folder))
    assert notes == ["an earlier attempt was interrupted: resuming from step 20"]


def test_a_torn_checkpoint_is_not_what_a_program_continues_from(make_document, start, save, tmp_path):
    newest = save(10, 20)
    (newest / "model.pt").write_text("torn")
    arguments, _, notes = start(make_document(checkpoints=FOLDERS, resume_args=RESUME_ARGS))
    assert arguments[-1] == str(newest.with_name("000010"))
    assert "kept as 000020.torn-1" in notes[0]


def test_a_checkpoint_of_one_file_is_given_as_the_file(make_document, start, save):
    folder = save(10, is_file=True)
    (folder / ".robotrain-checkpoint-0.tmp").touch()  # of a runtime that was killed
    arguments, variable, _ = start(make_document(checkpoints="{step}/model.pt", resume_args=RESUME_ARGS))
    assert arguments[-1] == variable == str(folder / "model.pt")


def test_a_given_checkpoint_is_what_the_first_attempt_continues_from(make_document, start, save, tmp_path):
    other_checkpoint = save(30, parent=tmp_path / "other")
    source = JobSource(role="resume", kind="local_path", uri=str(other_checkpoint))
    document = make_document(checkpoints=FOLDERS, resume_args=RESUME_ARGS, sources=[source])
    assert start(document, {source: other_checkpoint}.items())[0][-1] == str(other_checkpoint)
    own = save(40)
    assert start(document, {source: other_checkpoint}.items())[0][-1] == str(own)


def test_a_program_that_starts_over_is_warned_about_once(make_document, start, save):
    save(10)
    arguments, variable, notes = start(make_document(checkpoints=FOLDERS))
    assert (arguments[0], "--resume" in arguments, variable[-6:]) == ("train", False, "000010")
    assert len(notes) == 1
    assert "--resume-args" in notes[0]
    assert "--resume-in-place" in notes[0]


def test_a_script_reads_the_checkpoint_from_its_environment(make_document, start, save):
    save(10)
    arguments, variable, notes = start(make_document(("go $ROBOTRAIN_RESUME {a}",), shell=True, checkpoints=FOLDERS))
    assert arguments == ["bash", "-c", "go $ROBOTRAIN_RESUME {a}"]
    assert (variable[-6:], len(notes)) == ("000010", 1)


def test_a_checkpoint_that_continues_in_place_is_named_by_its_place(make_document, start, save, tmp_path):
    save(10)
    _, variable, _ = start(make_document(checkpoints=FOLDERS, resume_in_place=True))
    assert variable == f"{tmp_path}/outputs/files/checkpoints/10"


def test_a_foreign_checkpoint_has_a_place_if_its_name_is_of_the_pattern(make_document, tmp_path):
    for name, places in (("checkpoint-500", 0), ("best", 1)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.pt").touch()
        source = JobSource(role="resume", kind="local_path", uri=str(tmp_path / name))
        document = make_document(checkpoints="checkpoint-{step}", resume_in_place=True, sources=[source])
        assert len(list(container.inspect(document, {source: tmp_path / name}))) == places


def test_of_all_outputs_the_newest_file_of_the_pattern_is_given(make_document, start, tmp_path):
    program = FollowedProgram(tmp_path / "first")
    for step in (90, 100):
        program.write(f"checkpoint_{step}.json")
    program.end()
    folder = program.kept / "000000"
    source = JobSource(role="resume", kind="blob_url", uri="https://a.invalid/runs/1")
    for pattern, name in ((None, ""), ("other_{step}", ""), ("checkpoint_{step}.json", "checkpoint_100.json")):
        document = make_document(checkpoints=pattern, resume_args=RESUME_ARGS, sources=[source])
        problems = list(container.inspect(document, {source: folder}))
        assert len(problems) == (0 if name else 1)
        assert start(document, {source: folder}.items())[0][-1] == str(folder / name)
    in_place = make_document(checkpoints=pattern, resume_args=RESUME_ARGS, resume_in_place=True, sources=[source])
    assert start(in_place, {source: folder}.items())[0][-1] == f"{tmp_path}/outputs/files/{name}"


def test_outputs_that_the_program_reports_as_a_checkpoint_are_given_as_a_folder(make_document, tmp_path):
    program = FollowedProgram(tmp_path / "first")
    program.write("model_2.pt")
    report = {"event": "checkpoint", "path": "outputs/files", "step": 2}
    (tmp_path / "first/program-report.jsonl").write_text(json.dumps(report) + "\n")
    program.end()
    source = JobSource(role="resume", kind="local_path", uri=str(program.kept / "000002"))
    document = make_document(resume_args=RESUME_ARGS, sources=[source])
    assert not list(container.inspect(document, {source: program.kept / "000002"}))


def test_all_outputs_that_are_a_checkpoint_are_put_back(tmp_path, monkeypatch):
    program = FollowedProgram(tmp_path / "first")
    program.write("last.pt", "w")
    program.write("logs/train.txt")
    program.end()
    other = FollowedProgram(tmp_path / "second", resume_in_place=True)
    other.write("last.pt", "another")
    other.spec = dataclasses.replace(other.spec, resume=str(program.kept / "000000"))
    other.prepare_again(monkeypatch)
    assert (other.outputs / "last.pt").read_text() == "w"
    assert (other.outputs / "logs/train.txt").read_text() == "x"
    assert not (other.outputs / "last.pt").samefile(program.outputs / "last.pt")


CONTINUED = {"resume_args": RESUME_ARGS, "checkpoints": FOLDERS}


@pytest.fixture
def interrupted(tmp_path, monkeypatch):
    """A program that was killed after its checkpoint of step 10, and in the middle of that of step 20."""

    def make(resume="000010", **values) -> FollowedProgram:
        program = FollowedProgram(tmp_path, **values)
        program.write("log.txt")
        program.write("checkpoints/10/model.pt")
        program.wait(9)
        program.seal()
        program.write("checkpoints/20/model.pt")
        program.events.clear()
        folder = str(program.kept / resume) if resume else ""
        program.spec = dataclasses.replace(program.spec, resume=folder)
        program.prepare_again(monkeypatch)
        program.start()
        return program

    return make


def list_outputs(program: FollowedProgram) -> list[str]:
    files = (path for path in program.outputs.rglob("*") if path.is_file())
    return sorted(path.relative_to(program.outputs).as_posix() for path in files)


def test_an_incomplete_checkpoint_is_set_aside_and_the_rest_stays(interrupted):
    program = interrupted(**CONTINUED)
    assert list_outputs(program) == ["checkpoints/.20.unused-1/model.pt", "checkpoints/10/model.pt", "log.txt"]
    assert len(program.warnings) == 1
    program.wait(40)
    assert program.steps == []  # neither the torn one, nor once more what the run has
    program.write("checkpoints/20/model.pt")
    program.wait(9)
    assert program.steps == [20]


def test_a_newer_checkpoint_is_not_in_the_way_of_a_program_that_continues_from_a_given_one(interrupted):
    program = interrupted(**CONTINUED, checkpoint_complete="marker:model.pt")
    assert "checkpoints/20/model.pt" not in list_outputs(program)
    assert "is newer" in program.warnings[0]


def test_a_marked_checkpoint_of_an_earlier_attempt_counts_for_a_program_that_looks_itself(interrupted):
    program = interrupted(checkpoints=FOLDERS, resume_in_place=True, checkpoint_complete="marker:model.pt")
    assert "checkpoints/20/model.pt" in list_outputs(program)
    program.wait(1)
    assert program.steps == [20]


@pytest.mark.parametrize(("resume", "values"), [("000010", {"checkpoints": FOLDERS}), ("", CONTINUED)])
def test_a_program_that_starts_over_finds_no_files_of_the_attempt_before(interrupted, resume, values):
    program = interrupted(resume, **values)
    assert list_outputs(program) == []
    assert (program.outputs.with_name("files.attempt-1") / "checkpoints/20/model.pt").is_file()
    assert len(program.warnings) == 1


def test_the_last_checkpoint_is_put_back_in_place_of_what_was_changed(interrupted, monkeypatch):
    program = interrupted(checkpoints=FOLDERS, resume_in_place=True)
    assert list_outputs(program) == ["checkpoints/.20.unused-1/model.pt", "checkpoints/10/model.pt", "log.txt"]
    os.unlink(program.outputs / "checkpoints/10/model.pt")
    program.prepare_again(monkeypatch)
    assert "checkpoints/10/model.pt" in list_outputs(program)


def test_the_last_checkpoint_is_put_back_on_another_machine(tmp_path, save, monkeypatch):
    program = FollowedProgram(tmp_path, checkpoints=FOLDERS, resume_in_place=True)
    program.spec = dataclasses.replace(program.spec, resume=str(save(10)))
    program.prepare_again(monkeypatch)
    assert (list_outputs(program), program.warnings) == (["checkpoints/10/model.pt"], [])
    program.start()
    program.wait(9)
    assert program.steps == []


def test_a_checkpoint_of_another_run_does_not_change_with_the_one_that_is_put_back(tmp_path, save, monkeypatch):
    program = FollowedProgram(tmp_path, checkpoints=FOLDERS, resume_in_place=True)
    other_checkpoint = save(10, parent=tmp_path / "other")
    program.spec = dataclasses.replace(program.spec, resume=str(other_checkpoint))
    program.prepare_again(monkeypatch)
    program.start()
    program.wait(9)
    assert program.steps == []  # it is not this run's
    program.write("checkpoints/10/model.pt", "changed")
    assert checkpoint.validate_checkpoint(other_checkpoint) == ""
    program.write("checkpoints/20/model.pt")
    shutil.rmtree(program.outputs / "checkpoints/10")
    program.wait(9)
    assert (program.steps, program.discarded) == ([20], [])


@pytest.mark.parametrize(
    ("words", "behind"),
    [
        (["python", "train.py", "-m", "x"], ["train.py", "-m", "x"]),
        (["/opt/v/bin/python3.11", "-u", "-m", "lab.train", "--lr", "1"], ["--module", "lab.train", "--lr", "1"]),
    ],
)
def test_torchrun_starts_a_python_command_once_for_each_gpu(make_document, start, words, behind):
    arguments, _, _ = start(make_document(tuple(words), launcher="torchrun", num_gpus=4))
    assert arguments == [words[0], "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=4", *behind]
