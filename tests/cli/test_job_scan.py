"""The words of a command that takes a job choose its options; its parser finds the same ones."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from robotrain.cli.app import app
from robotrain.cli.command_factory import load_command
from robotrain.config.selection import is_job_file
from typer.main import get_command

FILES = {"job.yaml": "lerobot-eval", "other.yaml": "lerobot-train"}
WORKLOADS = ("lerobot-train", "lerobot-eval", "command")
WORDS = st.sampled_from([*WORKLOADS, *FILES, "train.py", "x", "-"])
VALUED = st.sampled_from(["--name", "--note", "--save-as", "--job-name", "--runs-dir", "--set", "--profile"])
ITEMS = st.one_of(
    WORDS.map(lambda word: [word]),
    st.tuples(VALUED, WORDS).map(list),
    st.tuples(VALUED, WORDS).map(lambda pair: ["=".join(pair)]),
    st.sampled_from(["--dry-run", "--json", "--wait"]).map(lambda flag: [flag]),
)


@pytest.fixture
def parse(robotrain, tmp_path, monkeypatch):
    """Parse the words of a submit: its context."""
    monkeypatch.chdir(tmp_path)
    for name, workload in FILES.items():
        Path(name).write_text(f"workload: {workload}\n")
    top = get_command(app).make_context("robotrain", ["submit"], resilient_parsing=True)
    return lambda *words: load_command("submit").make_context("submit", [*words], parent=top, resilient_parsing=True)


@given(items=st.lists(ITEMS, max_size=5))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_scan_and_the_parser_find_the_same_words(parse, items):
    context = parse("--platform", "local", *(word for item in items for word in item))
    choice, words = context.command.choice, context.params["words"] or []
    named = next((word for word in words if word in WORKLOADS), "")
    file = next(filter(is_job_file, words), "")
    program = next((word for word in words if word == "train.py"), "") if named in ("", "command") else ""
    assert (choice.workload if choice.origins[0].layer == "argument" else "") == (named or "command" * bool(program))
    assert choice.program == program
    assert (choice.file.find_text("workload") if choice.file else "") == FILES.get(file, "")


@pytest.mark.parametrize(
    ("words", "chosen"),
    [
        ((), ("lerobot-train", "", False)),
        (("--platform", "local"), ("lerobot-train", "local", False)),
        (("--platform=osmo", "lerobot-eval"), ("lerobot-eval", "osmo", False)),
        (("--platform", "local", "--platform", "osmo"), ("lerobot-train", "osmo", False)),
        (("--platform",), ("lerobot-train", "", False)),
        (("--set", "--platform", "local"), ("lerobot-train", "local", False)),
        (("job.yaml",), ("lerobot-eval", "", False)),
        (("lerobot-train", "job.yaml"), ("lerobot-train", "", False)),
        (("--dry-run", "job.yaml"), ("lerobot-eval", "", False)),
        (("--save-as", "job.yaml"), ("lerobot-train", "", False)),
        (("--episodes", "lerobot-eval", "command"), ("command", "", False)),
        (("--save-freq", "job.yaml"), ("lerobot-train", "", False)),
        (("--eval-episodes", "job.yaml"), ("lerobot-train", "", False)),
        (("--eval-episodes", "lerobot-eval"), ("lerobot-train", "", False)),
        (("-p", "lerobot-eval"), ("lerobot-train", "", False)),
        (("-px", "lerobot-eval"), ("lerobot-eval", "", False)),
        (("--evaluate-checkpoints", "job.yaml"), ("lerobot-eval", "", False)),
        (("--evaluate-checkpoints", "other.yaml"), ("lerobot-train", "", True)),
        (("--evaluate-checkpoints", "none"), ("lerobot-train", "", False)),
        (("--evaluate-checkpoints=200", "--set", "seed=1"), ("lerobot-train", "", True)),
        (("--set=parameters.evaluate-checkpoints=200",), ("lerobot-train", "", True)),
        (("command", "--image", "lerobot-eval"), ("command", "", False)),
        (("train.py",), ("command", "", False)),
        (("--shipped-environment", "lerobot-train", "sub/train.sh"), ("command", "", False)),
        (("--requirements", "train.py"), ("lerobot-train", "", False)),
        (("lerobot-eval", "train.py"), ("lerobot-eval", "", False)),
    ],
)
def test_what_words_choose(parse, words, chosen):
    choice = parse(*words).command.choice
    assert (choice.workload, choice.platform, choice.is_evaluated) == chosen


def test_an_empty_platform_is_none(parse, monkeypatch):
    monkeypatch.setenv("ROBOTRAIN_PLATFORM", "local")
    assert parse("--platform", "").command.choice.platform == "local"
    assert parse("--platform", "osmo").command.choice.platform == "osmo"
