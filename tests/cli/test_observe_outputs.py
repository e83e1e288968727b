"""`robotrain outputs` and `cancel`: what a run left, and what is left of one that is stopped."""

import _thread
import fcntl
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from robotrain.cli.commands import outputs
from robotrain.model.run import Output
from robotrain.store import code_folder, stored_job
from robotrain_runtime.contract.document import JobSource
from robotrain_runtime.contract.event import Checkpoint, Evaluated, Published, Scored
from robotrain_runtime.contract.files import make_atomically
from snapshots import check_snapshot


@pytest.fixture
def run(scripted):
    made = scripted.run("train-1", state="succeeded")
    for step in (200, 400):
        made.add_output(f"checkpoints/{step:06d}", step=step, digest="d" * 64)
    made.add_output("metrics.json", kind="file")
    return made


def test_outputs_are_listed_with_their_sizes(run, robotrain):
    answer = robotrain("outputs")
    assert answer.exit_code == 0
    titles, *rows = [line.split() for line in answer.stdout.splitlines()]
    assert titles == ["NAME", "SIZE", "WHERE"]
    assert [row[0] for row in rows] == ["checkpoints/000200", "checkpoints/000400", "metrics.json"]
    assert rows[0][1:3] == ["5", "bytes"]


@pytest.mark.parametrize(
    ("checkpoint", "names"),
    [
        ("last", ["checkpoints/000400"]),
        ("200", ["checkpoints/000200"]),
        ("all", ["checkpoints/000200", "checkpoints/000400"]),
    ],
)
def test_checkpoint_option_selects_one_or_all(run, robotrain, checkpoint, names):
    answer = robotrain("outputs", "--checkpoint", checkpoint, "--json")
    assert [output["name"] for output in answer.json["outputs"]] == names


def test_the_best_checkpoint_is_that_with_the_best_score(run, robotrain, scripted):
    robotrain("outputs", "--checkpoint", "best").check_problems(2, "scores-missing --checkpoint")
    scores = (Scored(step=step, scores={"rollout/success_rate": 1 / step}, episodes=10) for step in (200, 400))
    scored_run = scripted.run("eval-1", *scores, state="succeeded")
    for step in (200, 400):
        scored_run.add_output(f"checkpoints/{step:06d}", step=step, digest="d" * 64)
    answer = robotrain("outputs", "--checkpoint", "best", "--json")
    assert answer.exit_code == 0, answer.stderr
    assert [output["name"] for output in answer.json["outputs"]] == ["checkpoints/000200"]
    robotrain("outputs", "--best", "--json").check_problems(2, "option-unknown --best")


def test_the_last_checkpoint_of_a_sweep_is_that_of_each_trial(scripted, robotrain):
    sweep = scripted.run("sweep-1", state="succeeded")
    for name in ("trial-1/checkpoints/1", "trial-1/checkpoints/2", "trial-2/checkpoints/1"):
        sweep.add_output(name, step=int(name[-1]), digest="d" * 64)
    answer = robotrain("outputs", "--checkpoint", "last", "--json")
    assert [output["name"] for output in answer.json["outputs"]] == ["trial-1/checkpoints/2", "trial-2/checkpoints/1"]


def test_names_and_lines_that_others_wrote_forge_no_row_and_command_no_terminal(scripted, robotrain):
    odd = "a\nmetrics.json  5 bytes  \x1b]52;c;cm0=\x07\u009b2J"
    made = scripted.run("train-1", odd.replace("\n", " "), state="failed", reason=f"it failed\n  model  {odd}")
    made.add_output(odd, kind="file")
    for words in (("outputs",), ("status",), ("logs",), ("logs", "--raw")):
        answer = robotrain(*words)
        assert (answer.exit_code, {*(answer.stdout + answer.stderr)} & {*"\x1b\x07\u009b"}) == (0, set()), words
        assert not [line for line in answer.stdout.splitlines() if line.strip().startswith(("metrics.json", "model"))]


@pytest.mark.parametrize("checkpoint", ["300", "newest"])
def test_unknown_checkpoint_is_answered_with_those_that_exist(run, robotrain, checkpoint):
    robotrain("outputs", "--checkpoint", checkpoint).check_problems(2, "checkpoint-missing")


def test_outputs_are_downloaded_under_their_names(run, robotrain, tmp_path):
    answer = robotrain("outputs", "--to", tmp_path / "here/x")
    assert answer.exit_code == 0
    brought = [Path(line) for line in answer.stdout.splitlines()]
    assert brought[0] == tmp_path / "here/x/checkpoints/000200"
    assert (brought[1] / "model.safetensors").read_text() == "12345"
    assert brought[2].read_text() == "12345"
    assert "3 of 3: metrics.json  5 bytes" in answer.stderr
    assert sorted(path.name for path in (tmp_path / "here/x/checkpoints").iterdir()) == ["000200", "000400"]


def test_what_is_downloaded_into_the_folder_of_the_code_is_no_part_of_it(run, robotrain, tmp_path, monkeypatch):
    folder = tmp_path / "lab"
    folder.mkdir()
    (folder / "train.py").touch()
    monkeypatch.chdir(folder)
    sources = [JobSource(role="code", kind="local_path", uri=str(folder))]
    monkeypatch.setattr(stored_job, "read_stored_sources", lambda run: sources)
    for place in (".", "results"):
        answer = robotrain("outputs", "--to", place)
        assert answer.exit_code == 0, answer.stderr
        assert ".robotrainignore" in answer.stderr
    assert list(code_folder.scan_folder(folder).files) == ["train.py"]
    assert ".robotrainignore" not in robotrain("outputs", "--to", tmp_path / "elsewhere").stderr


def test_existing_target_is_refused_before_anything_is_downloaded(run, robotrain, tmp_path):
    (tmp_path / "to").mkdir()
    (tmp_path / "to/metrics.json").write_text("mine")
    robotrain("outputs", "--to", tmp_path / "to").check_problems(2, "output-exists")
    assert [path.name for path in (tmp_path / "to").iterdir()] == ["metrics.json"]
    assert (tmp_path / "to/metrics.json").read_text() == "mine"
    (tmp_path / "to/checkpoints/000400").mkdir(parents=True)
    answer = robotrain("outputs", "--to", tmp_path / "to", "--json")
    answer.check_problems(2, "output-exists")
    (problem,) = answer.json["problems"]
    assert problem["title"].startswith("2 of the 3 outputs exist")


def test_interrupted_download_leaves_no_file(run, robotrain, tmp_path):
    run.set_flag("tears")
    robotrain("outputs", "--checkpoint", "last", "--to", tmp_path / "to").check_problems(1, "io-failed")
    assert list((tmp_path / "to/checkpoints").iterdir()) == []


def test_interrupted_download_leaves_no_hidden_part(run, tmp_path, monkeypatch):
    """The download itself goes on in its thread, and makes files where it can."""
    stopped = threading.Event()

    def download(reference, output, to):
        with make_atomically(to) as scratch:
            scratch.mkdir()
            threading.Timer(0.2, _thread.interrupt_main).start()
            for number in range(1000):
                (scratch / str(number)).write_text("x")
                if stopped.wait(0.01):
                    break

    platform = SimpleNamespace(engine=SimpleNamespace(download=download))
    output = Output(name="checkpoints/1", kind="checkpoint", source="local_path", uri="/x", size=1)
    with pytest.raises(KeyboardInterrupt):
        outputs.download_outputs([output], platform, SimpleNamespace(reference={}), tmp_path)
    stopped.set()
    assert [*(tmp_path / "checkpoints").iterdir()] == []


def test_the_next_download_removes_what_a_killed_one_left(run, robotrain, tmp_path):
    folder = tmp_path / "to/checkpoints"
    for name in (".000400.abc.part", ".000400.def.part", ".000200.abc.part"):
        (folder / name).mkdir(parents=True)
        (folder / name / ".lock").touch()
    with (folder / ".000400.def.part/.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # that one goes on
        assert robotrain("outputs", "--checkpoint", "last", "--to", tmp_path / "to").exit_code == 0
    assert sorted(path.name for path in folder.iterdir()) == [".000200.abc.part", ".000400.def.part", "000400"]


def test_missing_output_and_a_full_disk_are_reported(run, robotrain, scripted, tmp_path):
    (run.folder / "left/metrics.json").unlink()
    robotrain("outputs", "--to", tmp_path / "to").check_problems(1, "scripted-says-no")
    scripted.run("train-2", state="succeeded", age=0).add_output("checkpoints/1", step=1, size=10**18)
    robotrain("outputs", "train-2", "--to", tmp_path / "other").check(4, "[disk-too-small]")


@pytest.mark.parametrize("name", ["../../.bashrc", "/etc/passwd", ""])
def test_output_name_outside_the_folder_is_refused(scripted, robotrain, tmp_path, name):
    scripted.run("train-1", state="succeeded").add_output("x", kind="file")
    result = tmp_path / "scripted/train-1/outputs.json"
    result.write_text(result.read_text().replace('"name": "x"', f'"name": "{name}"'))
    robotrain("outputs", "--to", tmp_path / "to").check_problems(1, "output-name-unsafe")
    assert not (tmp_path / "to").exists()


@pytest.mark.parametrize("state", ["pending", "running", "failed"])
def test_run_without_outputs_is_an_error_with_a_reason(scripted, robotrain, state):
    scripted.run("train-1", state=state, reason="all machines are busy")
    robotrain("outputs").check_problems(1, "outputs-missing")


def test_run_that_saved_nothing_differs_from_one_whose_outputs_are_gone(scripted, robotrain):
    scripted.run("train-1", state="succeeded")
    scripted.run("train-2", LEFT, state="succeeded")
    assert "saved nothing" in robotrain("outputs", "train-1").stderr
    assert "no longer there" in robotrain("outputs", "train-2").stderr


LEFT = Checkpoint(step=400, path="/x/checkpoints/000400")


def test_cancel_shows_the_checkpoint_and_how_to_resume(scripted, robotrain):
    scripted.run("train-1", LEFT, Published(step=400, to="models:/a/400"))
    answer = robotrain("cancel")
    seen = ("train-1  cancelled", "/x/checkpoints/000400", "models:/a/400", "robotrain resume train-1")
    assert (answer.exit_code, [text for text in seen if text not in answer.stdout]) == (0, [])
    check_snapshot("cli/snapshots/cancel-with-checkpoint.txt", answer.stdout)


def test_cancel_of_several_runs_leaves_ended_ones(scripted, robotrain):
    scripted.run("train-1")
    scripted.run("train-2", LEFT, state="succeeded")
    answer = robotrain("cancel", "train-1", "train-2", "--json")
    assert answer.exit_code == 0
    assert [(run["run"], run["was"], run["state"]) for run in answer.json] == [
        ("train-1", "running", "cancelled"),
        ("train-2", "succeeded", "succeeded"),
    ]


def test_cancel_without_a_run_stops_the_only_one_that_goes_on_and_lists_several(scripted, robotrain):
    scripted.run("train-1", called="pick")
    scripted.run("train-2", state="succeeded")
    scripted.run("train-3")
    answer = robotrain("cancel", "--json")
    answer.check_problems(2, "run-unnamed RUN")
    (problem,) = answer.json["problems"]
    ways = {way["text"]: way["remark"] for way in problem["instead"]}
    assert ways == {
        "robotrain cancel train-3": "running",
        "robotrain cancel pick": "train-1, running",
        "robotrain cancel train-3 pick": "all of them",
    }
    assert "train-1  cancelled" in robotrain("cancel", "train-1").stdout
    assert "train-3  cancelled" in robotrain("cancel").stdout


def test_failed_cancellation_does_not_stop_the_others(scripted, robotrain):
    scripted.run("train-1").set_flag("refuses")
    scripted.run("train-2")
    answer = robotrain("cancel", "train-1", "train-2")
    answer.check_problems(1, "scripted-says-no")
    assert [line for line in answer.stdout.splitlines() if line.startswith("train")] == [
        "train-1  running  on scripted",
        "train-2  cancelled  on scripted",
    ]


def test_unknown_run_cancels_nothing(scripted, robotrain):
    scripted.run("train-1")
    assert robotrain("cancel", "train-1", "nosuch").exit_code == 2
    assert robotrain("status", "--json").json["state"] == "running"


def test_checkpoint_is_missed_only_of_a_training(scripted, robotrain):
    evaluation = Evaluated(episodes=1, scores={}, results="/work/eval_results")
    scripted.run("eval-1", evaluation, state="succeeded").add_output("eval_results", kind="file")
    shown = robotrain("outputs").stderr
    assert ("robotrain outputs --to FOLDER eval-1" in shown, "checkpoint" in shown) == (True, False)
    scripted.run("train-1", state="succeeded").add_output("log.txt", kind="file")
    assert "there is no checkpoint among them" in robotrain("outputs").stderr
