"""What a run or a job lacks is a dash or nothing in every view: no word of Python."""

import re

import pytest
from scripted_runs import record

PYTHON = re.compile(r"\b(None|True|False|nan)\b")


@pytest.fixture
def runs(scripted, submit_plain, robotrain, tmp_path):
    """Runs that lack values: their names by what they lack."""
    scripted.run("train-1")
    scripted.run("train-2", state="failed", reason="")
    scripted.run("eval-1", state="succeeded")
    record("train-3", "scripted", tmp_path, 1e9, phase="sending", reference={})
    first = submit_plain("--name", "first", "--seed", "7")
    changes = ("--set", "experiment_name=mine", "--set", "system_metrics=false")
    answer = robotrain("resubmit", first, *changes, "--no-pin", "--json")
    assert answer.exit_code == 0, answer.stderr
    return {"first": first, "second": answer.json["run"]}


VIEWS = [
    *(("runs",), ("runs", "--steps", "--all"), ("status", "train-1"), ("status", "train-2"), ("status", "eval-1")),
    *(("outputs", "train-1"), ("outputs", "eval-1"), ("logs", "train-1"), ("wait", "train-2"), ("watch", "train-2")),
    *(("status", "first"), ("diff", "first", "second"), ("diff", "train-1", "eval-1"), ("diff", "first", "train-1")),
    ("resubmit", "first", "--set", "experiment_name=mine", "--set", "system_metrics=false", "--no-pin", "--dry-run"),
    ("resubmit", "second", "--set", "experiment_name=yours", "--set", "system_metrics=true", "--no-pin", "--dry-run"),
    *(("platforms",), ("platforms", "plain"), ("platforms", "scripted"), ("plugins",)),
    ("explain", "--platform", "plain", "-d", "lerobot/pusht", "--experiment-name", "mine", "--no-system-metrics"),
    ("explain", "lerobot-eval", "--platform", "plain", "--policy-run", "first"),
    ("submit", "--platform", "plain", "-d", "lerobot/pusht", "--dry-run", "--no-pin"),
    ("sweep", "--platform", "plain", "-d", "lerobot/pusht", "--over", "experiment_name=a,b", "--dry-run", "--no-pin"),
]


def test_no_view_has_a_word_of_python(runs, robotrain):
    for words in VIEWS:
        answer = robotrain(*(runs.get(word, word) for word in words))
        assert answer.stdout + answer.stderr, words
        assert not PYTHON.findall(answer.stdout + answer.stderr), (words, answer.stdout)


def test_no_report_has_a_word_of_python(runs, robotrain, tmp_path):
    for name in ("train-1", "train-2", "eval-1", "first", "second"):
        file = tmp_path / f"{name}.html"
        answer = robotrain("report", runs.get(name, name), "--to", file)
        assert answer.exit_code == 0, answer.stderr
        page = re.sub(r"<(style|script)\b.*?</\1>", "", file.read_text(), flags=re.DOTALL)
        assert not PYTHON.findall(page), name
