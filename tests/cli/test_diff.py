"""What differs between runs: `robotrain diff`, and the changes that `robotrain runs` shows."""

import shutil
from dataclasses import replace

import pytest
from fake_engine import set_run_state
from robotrain.cli import output
from robotrain.store import code_changes, records, run_differences
from robotrain.store.run_differences import Difference
from robotrain_runtime.contract.document import JobSource
from robotrain_runtime.contract.event import Metrics, Outcome
from robotrain_sources.local_path import pin as local_pin
from robotrain_sources.local_path.kind import LocalFolder


def test_diff_shows_the_settings_that_differ(submit_plain, robotrain):
    first = submit_plain("--name", "pick-v2", "--batch-size", "8")
    second = submit_plain("--name", "pick-v3", "--batch-size", "16")
    answer = robotrain("diff", "pick-v2", "pick-v3", "--json")
    assert [run["run"] for run in answer.json["runs"]] == [first, second]
    assert {"name": "batch_size", "values": ["8", "16"]} in answer.json["settings"]
    assert answer.json["data"] == []
    head, ids, *rows = [line.split() for line in robotrain("diff", "pick-v2").stdout.splitlines()]
    assert (head, ids) == (["pick-v2", "pick-v3"], ["run", first, second])
    assert [row[0] for row in rows] == ["state", "batch_size"]


DROPOUT, STEPS = "--policy.dropout", "--policy.n_action_steps"


@pytest.mark.parametrize(
    ("before", "after", "settings"),
    [
        ([f"{STEPS}=4", f"{DROPOUT}=0.0"], [f"{DROPOUT}=0.0", f"{STEPS}=8"], [(STEPS, "4", "8")]),
        ([f"{STEPS}=4", f"{DROPOUT}=0.0"], [f"{DROPOUT}=0.0", f"{STEPS}=4"], []),
        ([f"{DROPOUT}=0.0"], [f"{DROPOUT}=0.0", f"{STEPS}=8"], [(STEPS, None, "8")]),
        ([STEPS, "4"], [f"{STEPS}=8"], [(STEPS, "4", "8")]),
    ],
)
def test_diff_compares_the_options_of_the_trainer_by_their_names(submit_plain, robotrain, before, after, settings):
    first, second = submit_plain("--seed", "7", "--", *before), submit_plain("--seed", "7", "--", *after)
    rows = robotrain("diff", first, second, "--json").json["settings"]
    assert [(row["name"], *row["values"]) for row in rows] == settings
    shown = robotrain("diff", first, second).stdout
    assert [name in shown for name in (DROPOUT, STEPS)] == [False, bool(settings)]
    assert ("not set" in shown) == any(None in row for row in settings)


def test_runs_names_other_data_by_its_last_folder(robotrain, fake_platform, pusht, tmp_path):
    folders = [shutil.copytree(pusht, tmp_path / "a-long-folder" / name) for name in ("day-1", "day-2", "day-3")]
    (folders[1] / "meta" / "note.txt").write_text("other data")
    words = ("submit", "--platform", "fake", "--training-steps", "4", "--dataset-path")
    robotrain(*words, folders[0]).check(0)
    robotrain(*words, folders[1], "--dataset-path", folders[2]).check(0)
    assert robotrain("runs").stdout.splitlines()[2].endswith(": dataset day-1 → day-2 + day-3")


def test_a_copy_of_the_data_is_no_other_data(robotrain, fake_platform, pusht, tmp_path):
    words = ("submit", "--platform", "fake", "--training-steps", "4", "--dataset-id", "d", "--json", "--dataset-path")
    runs = [robotrain(*words, folder).json["run"] for folder in (pusht, shutil.copytree(pusht, tmp_path / "copy"))]
    assert robotrain("diff", *runs, "--json").json["data"] == []


def test_diff_shows_a_source_once_and_cuts_its_pin(robotrain, fake_platform, pusht):
    words = ("submit", "--platform", "fake", "--training-steps", "4", "--json", "--dataset-path", pusht)
    first = robotrain(*words).json["run"]
    set_run_state(fake_platform, first, "failed", checkpoints=[4])
    second = robotrain("resume", first, "--training-steps", "8", "--json").json["run"]
    other = robotrain(*words, "--no-pin").json["run"]
    assert [row["name"] for row in robotrain("diff", first, second, "--json").json["data"]] == ["resume"]
    shown = robotrain("diff", first, second).stdout.splitlines()
    assert [line.split()[0] for line in shown].count("resume") == 1
    (row,) = robotrain("diff", first, other, "--json").json["data"]
    pin = records.read_record(first).values["dataset"][0].partition(" @ ")[2]
    assert f" @ {pin}" in row["values"][0]
    assert max(map(len, robotrain("diff", first, other).stdout.splitlines())) < 250


def test_diff_of_a_name_with_several_runs_compares_its_newest_two(submit_plain, robotrain):
    first = submit_plain("--name", "pick-v3")
    for words in ((first,), ()):
        robotrain("diff", *words).check_problems(2, "usage")  # there is nothing to compare with
    second = submit_plain("--name", "pick-v3", "--seed", "7")
    answer = robotrain("diff", "pick-v3", "--json")
    assert [run["run"] for run in answer.json["runs"]] == [first, second]
    assert second in answer.stderr
    assert f"pick-v3 is {second}" in answer.stderr
    assert first in answer.stderr
    (problem,) = robotrain("diff", "pick-v3", "latest", "--json").json["problems"]
    assert [way["text"] for way in problem["instead"]] == [f"robotrain diff {first} {second}"]
    third = submit_plain("--name", "other")
    assert [run["run"] for run in robotrain("diff", "pick-v3", "--json").json["runs"]] == [second, third]
    assert [run["run"] for run in robotrain("diff", "other", "--json").json["runs"]] == [second, third]
    assert f"{second} is compared with the newest run of lerobot-train, {third}" in robotrain("diff", "pick-v3").stderr


def test_diff_of_a_run_alone_compares_it_with_one_of_its_workload(submit_plain, robotrain):
    program, first, second = submit_plain(), submit_plain("--seed", "7"), submit_plain("--seed", "8")
    records.write_record(replace(records.read_record(program), workload="command"))
    answer = robotrain("diff", program, "--json")
    answer.check_problems(2, "usage")
    (problem,) = answer.json["problems"]
    assert problem["instead"][0]["text"] == f"robotrain report {program}"
    records.write_record(replace(records.read_record(second), workload="command"))
    assert [run["run"] for run in robotrain("diff", second, "--json").json["runs"]] == [program, second]
    assert [run["run"] for run in robotrain("diff", program, "--json").json["runs"]] == [program, second]
    robotrain("diff", first).check_problems(2, "usage")
    code = {"code": ("/lab @ folder:12345", ""), "python": ("train.py --lr 1", "")}
    records.write_record(replace(records.read_record(second), workload="command", program="train.py", values=code))
    answer = robotrain("diff", second, "--json")  # of another program
    answer.check_problems(2, "usage")
    assert "run of train.py" in answer.json["problems"][0]["title"]


def test_diff_of_two_workloads_says_so(submit_plain, robotrain):
    first, second = submit_plain(), submit_plain("--seed", "7")
    assert "they are jobs of" not in robotrain("diff", first, second).stderr
    records.write_record(replace(records.read_record(second), workload="command"))
    assert "they are jobs of lerobot-train and command" in robotrain("diff", first, second).stderr


def test_an_attempt_says_what_changed_since_the_one_before(robotrain, fake_platform, pusht, tmp_path):
    dataset = shutil.copytree(pusht, tmp_path / "dataset")
    words = ("submit", "--platform", "fake", "--training-steps", "4", "--dataset-path", dataset)
    robotrain(*words).check(0)
    robotrain(*words, "--new", "--no-pin").check(0, "attempt 2 of the same job")  # a source without a pin is the same
    third = robotrain(*words, "--new")
    third.check(0, "attempt 3 of the same job")
    (dataset / "meta/more.json").write_text("{}")
    robotrain(*words, "--new").check(0, f"attempt 4 of this job, with changes since {third.stdout.strip()}: dataset")


def test_code_that_changed_is_named_by_file_where_copies_are_kept(tmp_path):
    sources = []
    code = tmp_path / "code"
    code.mkdir()
    for texts in ({"train.py": "1", "old.py": "1"}, {"train.py": "2", "new.py": "1"}):
        for name in ("train.py", "old.py", "new.py"):
            (code / name).unlink(missing_ok=True)
        for name, text in texts.items():
            (code / name).write_text(text)
        pin = local_pin.resolve_pin(LocalFolder(str(code)), "code")
        sources.append([JobSource(role="code", kind="local_path", uri=str(code), pin=pin)])
    changes = code_changes.find_code_changes(*sources)
    assert str(changes) == "train.py changed, new.py added, old.py removed"
    assert code_changes.find_code_changes(sources[0], sources[0]) is None
    gone = replace(sources[0][0], pin="folder:1:2:3:4")
    assert code_changes.find_code_changes([gone], sources[1]) is None


def test_runs_shows_what_differs_from_the_run_before(submit_plain, robotrain, scripted):
    submit_plain("--name", "pick-v1", "--batch-size", "8", "--seed", "7")
    scripted.run("eval-1", age=0)
    submit_plain("--name", "pick-v2", "--batch-size", "16", "--seed", "1000")
    newest, _, oldest = robotrain("runs", "--json").json["runs"]
    assert newest["changed"] == [
        {"name": "batch_size", "before": "8", "after": "16"},
        {"name": "seed", "before": "7", "after": "1000"},
    ]
    assert (oldest["changed"], oldest["values"]["batch_size"]) == ([], "8")
    assert robotrain("runs", "-n", "1", "--json").json["runs"][0]["changed"] == newest["changed"]
    before = oldest["run"].removeprefix("lerobot-train-")
    assert robotrain("runs").stdout.splitlines()[2] == f"  unlike {before}: batch_size 8 → 16, seed 7 → 1000"


def test_runs_shows_what_differs_from_the_run_that_is_continued(robotrain, fake_platform, pusht, tmp_path):
    words = ("submit", "--platform", "fake", "--json", "--no-pin", "--dataset-path", pusht, "--training-steps")
    first = robotrain(*words, "4").json["run"]
    set_run_state(fake_platform, first, "failed", checkpoints=[4])
    robotrain(*words, "4", "--batch-size", "16", "--seed", "7")

    def list_changes():
        newest, *_ = robotrain("runs", "--json").json["runs"]
        return newest["run"], [(change["name"], change["before"]) for change in newest["changed"]]

    resumed = robotrain("resume", first, "--training-steps", "8", "--no-pin", "--json").json["run"]
    assert list_changes() == (resumed, [("resume", ""), ("training_steps", "4")])
    assert f"continues {first.removeprefix('lerobot-train-')}; training_steps 4 → 8" in robotrain("runs").stdout
    run = robotrain(*words, "8", "--resume-from", tmp_path / first / "checkpoints/000004").json["run"]
    assert list_changes() == (run, [("resume", ""), ("training_steps", "4")]), "a checkpoint below its outputs"
    run = robotrain(*words, "9", "--resume-from", tmp_path / "elsewhere/000004").json["run"]
    assert list_changes()[1][1:] == [("training_steps", "8")], "of the run before"


@pytest.mark.parametrize(
    ("loss", "is_better", "shown"),
    [
        (0.2, True, "better than train-1: loss 0.25 → 0.2; batch_size 8 → 16"),
        (0.5, False, "worse than train-1: loss 0.25 → 0.5; batch_size 8 → 16"),
        (0.25, None, "as good as train-1: loss 0.25; batch_size 8 → 16"),
    ],
)
def test_runs_compares_a_repeated_run_with_its_parent(scripted, robotrain, loss, is_better, shown):
    done = {"state": "succeeded", "ended": 1e9}
    values = {"batch_size": ("8", "4")}

    def add(name, value, **fields):
        end = (Metrics(step=8, total=8, values={"train/loss": value}), Outcome(state="succeeded", exit_code=0))
        scripted.run(name, *end, **done)
        records.write_record(replace(records.read_record(name), **fields))

    add("train-1", 0.25, values=values)
    add("train-2", 0.125, values=values | {"batch_size": ("32", "4")})
    add("train-3", loss, values=values | {"batch_size": ("16", "4")}, parent="train-1")
    newest, *others = robotrain("runs", "--json").json["runs"]
    assert (newest["parent"], newest["result"]) == (
        "train-1",
        {"metric": "train/loss", "before": 0.25, "after": loss, "is_better": is_better},
    )
    assert [other["result"] for other in others] == [None, None]
    _, row, below, *_ = robotrain("runs").stdout.splitlines()
    assert (row.startswith("train-3"), below) == (True, f"  {shown}")


def test_the_validation_loss_decides_where_both_runs_have_one(scripted, robotrain):
    for name, loss, validation, parent in (("train-1", 0.25, 0.5, ""), ("train-2", 0.5, 0.25, "train-1")):
        values = {"train/loss": loss, "val/loss": validation}
        end = (Metrics(step=8, total=8, values=values), Outcome(state="succeeded", exit_code=0))
        scripted.run(name, *end, state="succeeded", ended=1e9)
        values = {"batch_size": ("8", "4")}
        records.write_record(replace(records.read_record(name), values=values, parent=parent))
    newest = robotrain("runs", "--json").json["runs"][0]
    assert newest["result"] == {"metric": "val/loss", "before": 0.5, "after": 0.25, "is_better": True}
    assert "better than train-1: validation loss 0.5 → 0.25" in robotrain("runs").stdout


def test_runs_compares_with_the_run_that_resubmit_repeats(submit_plain, robotrain):
    first = submit_plain("--batch-size", "8")
    submit_plain("--batch-size", "32")
    again = robotrain("resubmit", first, "--set", "batch_size=16", "--no-pin", "--json").json["run"]
    newest, *_ = robotrain("runs", "--json").json["runs"]
    assert (newest["run"], newest["parent"], newest["result"]) == (again, first, None)
    assert newest["changed"] == [{"name": "batch_size", "before": "8", "after": "16"}]


def test_runs_on_a_terminal_shows_changes_on_a_line_of_their_own(submit_plain, robotrain, monkeypatch):
    submit_plain("--batch-size", "8")
    run = submit_plain("--batch-size", "16", "--", "--policy.chunk_size=16", "--policy.n_action_steps=4")
    monkeypatch.setattr(output, "get_terminal_width", lambda stream: 80)
    _, first, changed, _ = robotrain("runs").stdout.splitlines()
    assert first.split()[:2] == ["pusht-act", run]
    assert changed.startswith("  unlike ")
    assert "batch_size 8 → 16, --policy.chunk_size not set → 16" in changed


def test_runs_compares_a_program_with_its_own_earlier_runs_alone(robotrain, scripted):
    def write(run: str, script: str, created: float) -> None:
        values = {"code": ("/lab @ folder:12345", ""), "python": (f"{script} --lr {created}", "")}
        scripted.run(run, age=0)
        records.write_record(replace(records.read_record(run), values=values, program=script, created=created))

    for number, script in enumerate(("train.py", "eval.py", "train.py"), 1):
        write(f"command-{number}-1", script, float(number))
    changed = {run["run"]: run["changed"] for run in robotrain("runs", "--json").json["runs"]}
    assert changed["command-2-1"] == []
    assert [change["name"] for change in changed["command-3-1"]] == ["python"]


@pytest.mark.parametrize(
    ("command", "program"),
    [
        ("echo hello", "echo hello"),
        ("nvidia-smi -l", "nvidia-smi"),
        ("python -m json.tool --sort-keys", "json.tool"),
        ("python -u /lab/train.py --lr 1", "/lab/train.py"),
        ("uv run /lab/train.py", "/lab/train.py"),
    ],
)
def test_program_of_a_command_is_its_script_or_module_or_how_it_begins(robotrain, fake_platform, command, program):
    answer = robotrain("submit", "command", "--platform", "fake", "--json", "--", *command.split())
    assert records.read_record(answer.json["run"]).program == program, answer.stderr


def test_a_source_whose_content_alone_changed_is_said_in_two_words():
    change = Difference("code", ("/lab @ folder:1", "/lab @ folder:2"))
    assert run_differences.format_changes([change]) == "code changed"
