"""What people really have, after public reports: each case of `public_cases` gets the right word of its expected.toml.

Programs that fail, and bags.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tomllib
from public_cases.fail import CASES as FAILURES

pytestmark = pytest.mark.slow

FOLDER = Path(__file__).with_name("public_cases")
EXPECTED = tomllib.loads((FOLDER / "expected.toml").read_text())
DRY_RUN = ("submit", "--platform", "local", "--dry-run", "--no-pin", "--json")
TOPICS = ("--image-topics", "/camera/image_raw", "--state-topic", "/joint_states")


@pytest.fixture(autouse=True)
def no_hub(monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")


def name_problems(answer):
    errors = [problem for problem in answer.json["problems"] if problem["severity"] == "error"]
    names = {f"{problem['where']} {problem['code']}".strip() for problem in errors}
    return f"refused: {', '.join(sorted(names))}"


def judge(answer):
    return name_problems(answer) if answer.exit_code else "valid"


def test_failure_of_a_program_has_its_fault_cause_and_subject(robotrain):
    runs = {name: f"case-{name.replace('_', '-')}" for name in (*FAILURES, "sigkill")}
    job = ("submit", "command", "--platform", "local", "--tracking-uri", "none")
    for name, run in runs.items():
        program = (sys.executable, FOLDER / "fail.py", name)
        assert robotrain(*job, "--name", run, "--", *program).exit_code == 0
    assert {name: describe_failure(robotrain, run) for name, run in runs.items()} == EXPECTED["failures"]


def describe_failure(robotrain, run):
    robotrain("wait", run)
    status = robotrain("status", run, "--json").json
    if status["state"] == "succeeded":
        return "succeeded"
    has_remedy = status["remedy"] or status["fault"] in ("", "code")
    return " ".join(filter(None, (status["fault"], status["cause"], status["subject"]))) + (
        "" if has_remedy else " without a remedy"
    )


def test_bag_is_judged_alike_by_inspect_and_by_a_dry_run(robotrain, tmp_path):
    command = [sys.executable, FOLDER / "make_bags.py", tmp_path / "bags"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    bags = sorted((tmp_path / "bags").iterdir())
    assert {bag.name: judge_bag(robotrain, bag, tmp_path / "alone") for bag in bags} == EXPECTED["bags"]


def judge_bag(robotrain, bag, folder):
    shutil.copytree(bag, folder / bag.name / bag.name)
    config = folder / f"{bag.name}.yaml"
    inspected = robotrain("bags", "inspect", folder / bag.name, "--write-config", config, "--json")
    has_topics = inspected.json.get("settings", {}).get("image_topics")
    words = ("--config", config) if has_topics else TOPICS
    sent = robotrain(*DRY_RUN, "rosbag-act-train", "--dataset-path", folder / bag.name, *words)
    if bool(inspected.exit_code) != bool(sent.exit_code):
        return f"inspect: {inspected.stdout}, dry run: {judge(sent)}"
    named = (f"{folder / bag.name / bag.name}", "all bags")
    if sent.exit_code and not any(name in sent.stdout for name in named):
        return f"refused, and neither the bag nor a file of it is named: {sent.stdout}"
    return "refused" if sent.exit_code else "valid"
