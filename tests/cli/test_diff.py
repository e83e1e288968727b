"""What differs between runs: `robotrain diff`, and the changes that `robotrain runs` shows."""

import shutil
from dataclasses import replace

import pytest
from fake_engine import set_run_state
from robotrain.store import code_changes, records
from robotrain_runtime.contract.document import JobSource
from robotrain_sources.local_path import pin as local_pin
from robotrain_sources.local_path.kind import LocalFolder


def test_diff_shows_the_settings_that_differ(submit_plain, robotrain):
    first = submit_plain("--name", "pick-v2", "--batch-size", "8")
    second = submit_plain("--name", "pick-v3", "--batch-size", "16")
    answer = robotrain("diff", "pick-v2", "pick-v3", "--json")
    assert [run["run"] for run in answer.json["runs"]] == [first, second]
    assert {"name": "batch_size", "values": ["8", "16"]} in answer.json["settings"]
    head, ids, *rows = [line.split() for line in robotrain("diff", "pick-v2", "pick-v3").stdout.splitlines()]
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


def test_diff_needs_two_runs(submit_plain, robotrain):
    first = submit_plain("--name", "pick-v3")
    for words in ((), (first,), ("pick-v3", "latest")):
        robotrain("diff", *words).check_problems(2, "usage")


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
    assert str(changes) == "new.py, old.py, train.py"
    assert code_changes.find_code_changes(sources[0], sources[0]) is None
    gone = replace(sources[0][0], pin="folder:1:2:3:4")
    assert code_changes.find_code_changes([gone], sources[1]) is None


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
