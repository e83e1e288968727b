"""Checkpoints of a program of the user's own: when one is complete, what the run keeps of it, and what is an error."""

import dataclasses
import json
import os
import random
import shutil
from pathlib import Path

import pytest
from program_checkpoints import FollowedProgram
from robotrain_runtime.contract.event import Checkpoint
from robotrain_workloads.command import checkpoint_follower, program_checkpoint
from robotrain_workloads.command.checkpoint_pattern import CheckpointPattern

FOLDERS, FILES = "checkpoints/{step}", "model_{step}.pth"


def read_kept(folder: Path) -> dict[str, str]:
    """The files of a checkpoint of the run, without robotrain's own."""
    files = (
        path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != program_checkpoint.PLACE_FILE
    )
    return {path.relative_to(folder).as_posix(): path.read_text() for path in files}


@pytest.fixture
def follow(tmp_path):
    return lambda **values: FollowedProgram(tmp_path, **values)


TIMING = [
    # pattern, rule, actions, the steps that are complete after each: a file is written, a number of seconds passes
    (FOLDERS, "quiet:5", ["checkpoints/1/a", 3, "checkpoints/1/b", 4, 3], [[], [], [], [], [1]]),
    (FILES, "quiet:5", ["model_1.pth", 3, "model_1.pth", 4, 3], [[], [], [], [], [1]]),
    (FILES, "quiet:0", ["model_1.pth", 1], [[], [1]]),
    (FOLDERS, "rename", ["checkpoints/1/a", 1], [[], [1]]),
    (FILES, "rename", ["model_1.pth", 1, "model_1.pth", 9, 30], [[], [1], [1], [1], [1, 1]]),
    (FOLDERS, "marker:done", ["checkpoints/1/a", 99, "checkpoints/1/done", 1], [[], [], [], [1]]),
    (FOLDERS, "marker:done", ["checkpoints/1/done", "checkpoints/1/a", 9, 30], [[], [], [], [1]]),
    (FOLDERS, "marker:a/done", ["checkpoints/1/done", 99, "checkpoints/1/a/done", 1], [[], [], [], [1]]),
    (FILES, "marker:.done", ["model_1.pth", 99, "model_1.pth.done", 1], [[], [], [], [1]]),
    (FILES, "marker:.done", ["model_1.pth.done", 99, "model_1.pth", 9, 30], [[], [], [], [], [1]]),
]


@pytest.mark.parametrize(("pattern", "rule", "actions", "complete"), TIMING)
def test_a_checkpoint_is_complete_by_its_rule(follow, pattern, rule, actions, complete):
    program = follow(checkpoints=pattern, checkpoint_complete=rule)
    for action, steps in zip(actions, complete, strict=True):
        program.write(action) if isinstance(action, str) else program.wait(action)
        assert program.steps == steps, action


def test_a_checkpoint_of_the_run_has_the_same_files_and_says_their_place(follow):
    program = follow(checkpoints="runs/*/{step}", checkpoint_complete="rename")
    written = program.write("runs/a/20/weights/model", "w")
    program.write("runs/a/20/state", "s")
    program.wait(1)
    folder = program.kept / "000020"
    assert read_kept(folder) == {"state": "s", "weights/model": "w"}
    assert (folder / "weights/model").samefile(written)
    assert program_checkpoint.read_place(folder) == program_checkpoint.Place("runs/a/20", False)
    assert program_checkpoint.get_resume_path(folder, "") == folder


def test_a_checkpoint_of_one_file_is_that_file_to_continue_from(follow):
    program = follow(checkpoints=FILES, checkpoint_complete="rename")
    program.write("model_7.pth", "w")
    program.wait(1)
    assert program_checkpoint.get_resume_path(program.kept / "000007", FILES) == program.kept / "000007/model_7.pth"


def test_files_are_copied_where_links_are_not_possible(follow, monkeypatch):
    def refuse(*arguments):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    program = follow(checkpoints=FILES, checkpoint_complete="rename")
    written = program.write("model_7.pth", "w")
    program.wait(1)
    assert read_kept(program.kept / "000007") == {"model_7.pth": "w"}
    program.seal()
    assert program_checkpoint.is_kept(written, program.kept / "000007")


def test_a_checkpoint_that_is_written_again_is_reported_again(follow):
    program = follow(checkpoints=FOLDERS)
    program.write("checkpoints/1/model", "first")
    program.wait(7)
    program.write("checkpoints/1/model", "again")  # which changes the run's too: they share their bytes
    program.wait(4)
    assert program.steps == [1]
    program.wait(3)
    assert program.steps == [1, 1]
    assert read_kept(program.kept / "000001") == {"model": "again"}


def test_one_of_many_kept_checkpoints_that_changes_in_place_is_noticed_at_the_end(follow):
    program = follow(checkpoints=FOLDERS, checkpoint_complete="rename")
    for step in range(1, 9):
        program.write(f"checkpoints/{step}/model")
    program.wait(1)
    program.write("checkpoints/3/model", "again")
    program.end()
    assert program.steps == [*range(1, 9), 3]


def test_what_the_program_removes_is_discarded_but_never_the_newest(follow):
    program = follow(checkpoints=FOLDERS, checkpoint_complete="rename")
    for step in (10, 20):
        program.write(f"checkpoints/{step}/model")
        program.wait(1)
    shutil.rmtree(program.outputs / "checkpoints/10")
    shutil.rmtree(program.outputs / "checkpoints/20")
    program.wait(2)
    assert program.discarded == [10]
    program.write("checkpoints/30/model")
    program.wait(1)
    assert (program.steps, program.discarded, program.end()) == ([10, 20, 30], [10, 20], [])


def test_a_checkpoint_that_is_removed_or_changed_while_it_is_linked_is_not_reported(follow, monkeypatch):
    program, link = follow(checkpoints=FOLDERS, checkpoint_complete="rename"), os.link

    def change(source, copy):
        program.write("checkpoints/1/b", "longer")
        link(source, copy)

    def remove(source, copy):
        shutil.rmtree(program.outputs / "checkpoints", ignore_errors=True)
        link(source, copy)

    for disturb in (change, remove):
        program.write("checkpoints/1/a")
        program.write("checkpoints/1/b")
        monkeypatch.setattr(os, "link", disturb)
        program.wait(1)
        monkeypatch.setattr(os, "link", link)
        assert (program.steps, program.warnings) == ([], [])
        assert list(program.kept.iterdir()) == []
    program.write("checkpoints/1/a")
    program.wait(40)
    assert program.steps == [1]


def test_a_full_disk_is_told_and_tried_again(follow, monkeypatch):
    program = follow(checkpoints=FILES, checkpoint_complete="rename")
    monkeypatch.setattr(program_checkpoint, "keep_checkpoint", _raise_full)
    program.write("model_1.pth")
    program.wait(3)
    message = f"the checkpoint {program.outputs / 'model_1.pth'} cannot be kept: No space left on device"
    assert program.warnings == [message]
    assert program.end() == [message]
    monkeypatch.undo()
    assert (program.end(), program.steps) == ([], [1])


def _raise_full(*arguments):
    raise OSError(28, "No space left on device")


def test_links_hidden_names_and_numbers_in_longer_ones_are_no_checkpoints(follow):
    program = follow(checkpoints=FOLDERS, checkpoint_complete="rename")
    program.write("checkpoints/20/model")
    for name in (".30/model", "30.tmp/model", "x30/model"):
        program.write(f"checkpoints/{name}")
    (program.outputs / "checkpoints/99").symlink_to("20")
    (program.outputs / "checkpoints/40").mkdir()
    program.wait(2)
    assert program.steps == [20]


def test_steps_that_go_back_are_kept_with_a_warning(follow):
    program = follow(checkpoints="*/{step}", checkpoint_complete="rename")
    for path in ("a/20/m", "b/10/m", "c/5/m"):
        program.write(path)
        program.wait(1)
    assert program.steps == [20, 10, 5]
    assert len(program.warnings) == 1


def test_of_two_checkpoints_of_a_step_the_later_one_counts(follow):
    program = follow(checkpoints="*/{step}", checkpoint_complete="rename")
    for name in ("a", "b"):
        program.write(f"{name}/20/m", name)
        program.wait(1)
    assert read_kept(program.kept / "000020") == {"m": "b"}
    assert "are of step 20" in program.warnings[0]


@pytest.mark.parametrize(
    ("exit_code", "is_stopped", "steps"),
    [
        (0, False, [1]),
        (1, False, []),
        (-9, False, []),
        (0, True, [1]),
        (143, True, [1]),
        (-15, True, []),
        (-9, True, []),
    ],
)
def test_what_a_program_saves_last_counts_if_it_ended_itself(follow, exit_code, is_stopped, steps):
    program = follow(checkpoints=FOLDERS)
    program.write("checkpoints/1/model")
    program.end(exit_code, is_stopped)
    assert (program.steps, len(program.warnings)) == (steps, 0 if steps else 1)


def test_a_marked_checkpoint_counts_however_the_program_ended(follow):
    program = follow(checkpoints=FOLDERS, checkpoint_complete="marker:done")
    program.write("checkpoints/1/done")
    program.end(-9)
    assert program.steps == [1]


@pytest.mark.parametrize(
    ("rule", "writes", "steps"),
    [
        ("quiet:30", ["1/a", "2/a", "3/a"], [1, 2]),
        ("quiet:30", ["1/a", "2/a", "1/b"], []),  # still written to, beside the second
        ("marker:done", ["1/a", "2/a"], []),
    ],
)
def test_only_the_newest_checkpoint_of_a_killed_program_is_doubted(follow, rule, writes, steps):
    program = follow(checkpoints=FOLDERS, checkpoint_complete=rule)
    for path in writes:
        program.write(f"checkpoints/{path}")
        program.wait(2)
    program.end(-9)
    assert program.steps == steps


def test_a_program_reports_its_checkpoints_itself(follow):
    program = follow()
    (program.outputs / "last").symlink_to(program.write("saved/20/model").parent)
    program.write("other")
    reports = [("files/last", 20), ("files/other", 30), ("files/missing", 40)]
    with Path(program.spec.work, "program-report.jsonl").open("w") as file:
        file.write('{"event": "metrics", "step": 1, "values": {}}\n{"event": "checkpoint", "step": "x"}\n')
        for name, step in reports:
            path = str(program.outputs.parent / name)
            file.write(json.dumps({"event": "checkpoint", "path": path, "step": step}) + "\n")
    program.wait(1)
    assert (program.steps, len(program.warnings)) == ([20, 30], 1)
    places = [program_checkpoint.read_place(program.kept / name) for name in ("000020", "000030")]
    assert places == [program_checkpoint.Place("saved/20", False), program_checkpoint.Place("other", True)]
    assert program.end() == []


def test_a_report_of_no_path_ends_nothing(follow):
    program = follow()
    with Path(program.spec.work, "program-report.jsonl").open("w") as file:
        for path in (None, 1, ["a"], "/a\0b", "\ud800"):
            file.write(json.dumps({"event": "checkpoint", "path": path, "step": 3}) + "\n")
    program.wait(1)
    assert (program.steps, len(program.warnings)) == ([], 1)


def test_a_link_in_a_checkpoint_counts_as_what_it_leads_to_below_the_outputs(follow):
    program = follow(checkpoints=FOLDERS, checkpoint_complete="rename")
    model = program.write("checkpoints/10/model")
    program.write("checkpoints/20/step")
    (program.outputs / "checkpoints/20/base").symlink_to(model)
    (program.outputs / "checkpoints/20/folder").symlink_to(model.parent)
    (program.outputs / "checkpoints/20/gone").symlink_to("missing")
    program.wait(1)
    folder = program.kept / "000020"
    assert read_kept(folder) == {"base": "x", "step": "x"}
    assert (folder / "base").samefile(model)
    assert program.end() == []


def make_pipe(path: Path, outside: Path) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize("pattern", [FOLDERS, None])
@pytest.mark.parametrize(
    "make",
    [
        make_pipe,
        lambda path, outside: path.symlink_to(outside / "file"),
        lambda path, outside: path.symlink_to(outside),
    ],
    ids=["pipe", "link to a file", "link to a folder"],
)
def test_a_checkpoint_with_anything_from_outside_the_outputs_is_refused_by_name(follow, tmp_path, make, pattern):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("private")
    program = follow(checkpoints=pattern, checkpoint_complete="rename")
    program.write("checkpoints/20/step")
    make(program.outputs / "checkpoints/20/odd", outside)
    program.wait(1)
    problems = program.end()
    assert (len(problems), "checkpoints/20/odd" in problems[0], program.steps) == (1, True, [])
    assert not program.kept.exists() or not any(program.kept.iterdir())


@pytest.mark.parametrize("path", ["/etc", "/", "../outside", "files-2"])
def test_a_reported_checkpoint_outside_the_outputs_is_refused_by_name(follow, tmp_path, path):
    program = follow()
    for name in ("outside", "files-2"):
        (program.outputs.parent / name).mkdir()
        (program.outputs.parent / name / "file").write_text("private")
    reported = str(program.outputs.parent / path)
    line = json.dumps({"event": "checkpoint", "path": reported, "step": 2})
    Path(program.spec.work, "program-report.jsonl").write_text(f"{line}\n")
    program.wait(1)
    problems = program.end()
    assert (len(problems), os.path.realpath(reported) in problems[0], program.steps) == (1, True, [])


def test_a_file_without_a_unicode_name_is_named(follow):
    program = follow(checkpoints=FOLDERS, checkpoint_complete="rename")
    program.write("checkpoints/20/\udcff")
    program.wait(1)
    assert "not valid Unicode: '\\udcff'" in program.end()[0]


def test_without_a_pattern_all_outputs_are_the_one_checkpoint(follow):
    program = follow()
    program.start(step=300)
    program.write("model/weights", "w")
    program.write("log.txt", "l")
    program.wait(3)
    assert (program.steps, program.end(), program.steps) == ([], [], [300])
    assert read_kept(program.kept / "000300") == {"log.txt": "l", "model/weights": "w"}


def test_an_evaluation_and_a_failed_program_leave_no_checkpoint(follow):
    program = follow(results="results.json")
    program.write("results.json")
    assert (program.end(), program.steps) == ([], [])
    program.spec = dataclasses.replace(program.spec, values={**program.spec.values, "results": None})
    program.start()
    assert (program.end(1), program.steps) == ([], [])


def test_a_program_without_outputs_is_warned_about(follow):
    program = follow()
    assert (program.end(), program.steps) == ([], [])
    assert "no files" in program.warnings[0]


def test_a_pattern_that_matched_nothing_is_an_error_with_what_is_there(follow):
    program = follow(checkpoints=FOLDERS)
    for step in (100, 200):
        program.write(f"run-2026-11/ckpt_{step}/model-00001-of-2.bin")
    (problem,) = program.end()
    assert "run-2026-11/ckpt_100/model-00001-of-2.bin" in problem


def test_a_program_that_had_nothing_left_to_do_has_not_failed(follow):
    program = follow(checkpoints=FOLDERS)
    program.spec = dataclasses.replace(program.spec, resume="/data/run/000200")
    program.start()
    assert program.end() == []
    assert "no checkpoint after" in program.warnings[0]


@pytest.mark.parametrize(
    ("pattern", "paths", "expected"),
    [
        ("models/model_epoch_{step}.pth", ["models/model_epoch_20.pth", "models/model_epoch_20.pth.tmp"], {20}),
        ("epoch=*-step={step}.ckpt", ["epoch=3-step=400.ckpt", "last.ckpt"], {400}),
        ("**/{step}", ["5", "a/10", "a/b/20", ".c/30", "a/.tmp/40"], {5, 10, 20}),
        ("*{step}", ["a7", "12", ".12"], {7, 12}),
        ("{step}/model/best", ["9/model/best", "8/model/other"], {9}),
        ("a.b/{step}", ["axb/1", "a.b/2"], {2}),
        ("{step}", ["0020", "1" * 20, "٣"], {20}),
    ],
)
def test_a_pattern_finds_its_steps(tmp_path, pattern, paths, expected):
    for path in paths:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    steps = [step for _, step in CheckpointPattern(pattern).find_checkpoints(tmp_path)]
    assert (set(steps), len(steps)) == (expected, len(expected))


def test_only_folders_along_the_pattern_are_listed(follow, monkeypatch):
    program = follow(checkpoints="run/*/saved/{step}", checkpoint_complete="rename")
    for path in ("run/a/saved/1/m", "run/a/frames/1/m", "videos/1/m"):
        program.write(path)
    listed, scandir = [], os.scandir

    def record(path):
        listed.append(os.path.relpath(path, program.outputs))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", record)
    program.follower.read_new()
    assert set(listed) <= {"run", "run/a/saved", "run/a/saved/1", "../checkpoints"}


def test_a_look_that_costs_much_is_taken_less_often(follow, monkeypatch):
    program, costs = follow(checkpoints=FOLDERS, checkpoint_complete="quiet:5"), iter(range(10**6))
    monkeypatch.setattr(checkpoint_follower.time, "thread_time", lambda: 0.099 * next(costs))  # the seconds of a look
    looks, find = [], CheckpointPattern.find_checkpoints

    def count(self, outputs):
        looks.append(program.now)
        return find(self, outputs)

    monkeypatch.setattr(CheckpointPattern, "find_checkpoints", count)
    program.write("checkpoints/1/model")
    program.wait(16)
    assert looks == [1.0, 6.0, 11.0, 16.0]
    assert program.steps == [1]


class Writer:
    """A program that saves, changes and removes checkpoints in small steps, as its rule promises."""

    def __init__(self, program: FollowedProgram, rule: str, chance: random.Random) -> None:
        self._program, self._rule, self._chance = program, rule, chance
        self.pending: list[tuple[str, ...]] = []
        self._version = 0

    def act(self) -> None:
        """Do the next small step, or begin another checkpoint."""
        if not self.pending:
            self._version += 1
            self.pending = list(self._plan(self._chance.randrange(1, 4)))
        kind, *arguments = self.pending.pop(0)
        outputs = self._program.outputs
        if kind == "write":
            self._program.write(*arguments)
        elif kind == "remove":
            shutil.rmtree(outputs / arguments[0], ignore_errors=True)
        elif kind == "unmark":
            (outputs / arguments[0]).unlink(missing_ok=True)
        else:
            (outputs / arguments[0]).rename(outputs / arguments[1])

    def _plan(self, step: int):
        path, text = f"checkpoints/{step}", str(self._version)
        if self._chance.random() < 0.3:
            yield "remove", path
            return
        names = [f"part{number}" for number in range(3)]
        if self._rule == "rename":
            yield from (("write", f".new/{name}", text) for name in names)
            yield from (("remove", path), ("rename", ".new", path))
            return
        if self._rule.startswith("marker"):
            yield "unmark", f"{path}/done"
        yield from (("write", f"{path}/{name}", text) for name in names)
        if self._rule.startswith("marker"):
            yield "write", f"{path}/done", text


@pytest.mark.parametrize("rule", ["rename", "marker:done", "quiet:5"])
@pytest.mark.parametrize("seed", range(3))
def test_whatever_is_reported_complete_is_whole(follow, monkeypatch, rule, seed):
    program, chance, link = follow(checkpoints=FOLDERS, checkpoint_complete=rule), random.Random(seed), os.link
    writer = Writer(program, rule, chance)

    def link_while_written(source, copy):
        if chance.random() < 0.15:
            writer.act()
        link(source, copy)

    def check(event):
        program.events.append(event)
        if isinstance(event, Checkpoint):
            contents = read_kept(program.kept / f"{event.step:06}")
            assert {name for name in contents if name != "done"} == {"part0", "part1", "part2"}
            assert len(set(contents.values())) == 1, "files of two saves"

    monkeypatch.setattr(os, "link", link_while_written)
    (program.outputs / "checkpoints").mkdir()
    program.start(send=check)
    for _ in range(150):
        writer.act()
        is_busy = rule == "quiet:5" and writer.pending
        program.wait(1 if is_busy else chance.choice([1, 1, 1, 7]))
    assert len(program.steps) > 5


RECOGNIZED = {
    "checkpoint-100/model.safetensors": 100,
    "run/checkpoint-100/pytorch_model.bin": 100,
    "checkpoints/000100/model.safetensors": 100,
    "policy_step_100.pt": 100,
    "models/step_100/weights.npz": 100,
    "logs/epoch=0-step=100.ckpt": 100,
    "rl_model_100_steps.zip": 100,
    "checkpoint_100.pth": 100,
}
NOT_RECOGNIZED = ["samples_step_100.png", "checkpoint-100/trainer_log.txt", "model_100.pt", "videos/step_100/a.mp4"]


@pytest.mark.parametrize(("path", "step"), RECOGNIZED.items())
def test_checkpoints_of_usual_names_are_recognized_and_named_once(follow, path, step):
    program = follow()
    program.write(path)
    program.wait(9)
    assert program.steps == [step]
    program.wait(9)
    assert [(note.level, note.ways) for note in program.notes] == [("info", (("--checkpoints PATTERN",),))]


@pytest.mark.parametrize("path", NOT_RECOGNIZED)
def test_other_files_with_a_number_are_no_checkpoints(follow, path):
    program = follow()
    program.write(path)
    program.wait(9)
    assert program.steps == []
    program.end()
    assert program.steps == [0]
    assert set(read_kept(program.kept / "000000")) == {path}


def test_several_numbered_models_are_checkpoints(follow):
    program = follow()
    for step in (10, 20):
        program.write(f"model_{step}.pt")
    program.wait(9)
    assert program.steps == [10, 20]


def test_of_checkpoints_that_were_not_complete_only_that_is_said(follow):
    program = follow()
    program.write("checkpoint-5/model.pt")
    program.end(1)
    assert len(program.notes) == 1
    assert "was not complete" in program.warnings[0]


def test_a_pattern_of_the_job_wins(follow):
    program = follow(checkpoints=FILES)
    program.write("checkpoint-100/model.pt")
    program.write("model_7.pth")
    program.wait(9)
    assert (program.steps, program.notes) == ([7], [])


def test_a_report_of_the_program_wins(follow):
    program = follow()
    program.write("checkpoint-100/model.pt")
    path = str(program.write("best/model.pt").parent)
    report = json.dumps({"event": "checkpoint", "step": 7, "path": path})
    Path(program.spec.work, "program-report.jsonl").write_text(f"{report}\n")
    program.wait(9)
    program.end()
    assert (program.steps, program.notes) == ([7], [])


def test_weights_beside_recognized_checkpoints_are_kept_too(follow):
    program = follow()
    program.write("checkpoint-100/model.pt", "early")
    program.wait(9)
    program.write("model.pt", "last")
    program.end()
    assert program.steps == [100, 101]
    assert read_kept(program.kept / "000101") == {"model.pt": "last"}


@pytest.mark.parametrize(("printed_step", "steps"), [(140, [100, 140]), (None, [100, 100])])
def test_file_called_last_is_the_newest_checkpoint(follow, printed_step, steps):
    program = follow()
    program.start(printed_step)
    program.write("epoch=2-step=100.ckpt", "early")
    program.wait(9)
    program.write("last.ckpt", "late")
    program.end()
    assert program.steps == steps
    assert read_kept(program.kept / f"{steps[-1]:06}") == {"last.ckpt": "late"}
    assert not any(note.level == "warning" for note in program.notes)


def test_several_files_of_one_step_are_no_checkpoints_by_their_names(follow):
    program = follow()
    program.write("model_step_100.pt")
    program.wait(2)
    program.write("optimizer_step_100.pt")
    program.wait(9)
    assert (program.steps, program.notes) == ([], [])
    program.end()
    assert set(read_kept(program.kept / "000000")) == {"model_step_100.pt", "optimizer_step_100.pt"}


def test_what_is_beside_recognized_checkpoints_and_no_weights_is_no_checkpoint(follow):
    program = follow()
    program.write("checkpoint-100/model.pt")
    program.write("log.txt")
    program.end()
    assert program.steps == [100]


def test_recognized_checkpoints_of_an_attempt_that_was_killed_are_set_aside(follow, monkeypatch):
    program = follow(resume_args='["{resume}"]')
    program.write("checkpoint-100/model.pt")
    program.wait(9)
    program.seal()
    program.write("checkpoint-200/model.pt")
    program.spec = dataclasses.replace(program.spec, resume=str(program.kept / "000100"))
    program.prepare_again(monkeypatch)
    assert not (program.outputs / "checkpoint-200").exists()
    assert (program.outputs / "checkpoint-100").exists()


def test_a_folder_that_the_program_writes_to_itself_is_its_outputs(follow, tmp_path, monkeypatch):
    program = follow(output_folder="runs/now")
    (tmp_path / "runs/now").mkdir(parents=True)
    (tmp_path / "runs/now/of-the-code").touch()
    program.prepare_again(monkeypatch)
    program.prepare_again(monkeypatch)
    (tmp_path / "runs/now/checkpoint-5").mkdir()
    (tmp_path / "runs/now/checkpoint-5/model.pt").write_text("w")
    program.end()
    assert read_kept(program.kept / "000005") == {"model.pt": "w"}
    assert (tmp_path / "runs/.now.unused-1/of-the-code").exists()
