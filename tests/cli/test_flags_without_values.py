"""Flags with an optional value, and flags that were taken for the value of another one."""

import pytest

PLUGIN = """
from dataclasses import dataclass, replace
from typing import Annotated
from robotrain.plugin import Param, hook
from plain_plugin import PLAIN, Settings

@dataclass(frozen=True, kw_only=True)
class MachineSettings(Settings):
    hub_token: Annotated[
        str | None,
        Param(help="which token", metavar="NAME", aliases=("--hub-key",), short="-T",
              bare_value="hf_token", env=("TOKEN",))
    ] = None
    machine: Annotated[str, Param(help="what machine")] = "small"

MACHINES = replace(
    PLAIN,
    name="machines",
    settings=MachineSettings,
)

@hook
def robotrain_platforms():
    return [MACHINES]
"""


@pytest.fixture
def machines_platform(plain_platform, install):
    install("robotrain-machines", {"platform.machines": "machines_plugin"}, machines_plugin=PLUGIN)


@pytest.fixture
def explain(robotrain, machines_platform):
    def run(*args):
        answer = robotrain("explain", *args, "--json")
        assert answer.exit_code == 0, answer.stderr
        return {row["name"]: row["value"] for row in answer.json["values"]}

    return run


ON = ("--platform", "machines")
DATA = ("--dataset-path", "x")


@pytest.mark.parametrize(
    "words",
    [
        (*DATA, "--hub-token", *ON),
        (*DATA, *ON, "--hub-key", "lerobot-train"),
        (*ON, "-T", "lerobot-train", *DATA),
    ],
)
def test_flag_without_a_value_has_its_bare_value(explain, words):
    rows = explain(*words)
    assert (rows["hub_token"], rows["workload"]) == ("hf_token", "lerobot-train")


@pytest.mark.parametrize(
    ("words", "value"),
    [
        (("--hub-token", "mine", "lerobot-train"), "mine"),
        (("-Tmine", "lerobot-train"), "mine"),
        (("--hub-token=lerobot-train",), "lerobot-train"),
    ],
)
def test_flag_with_a_value_has_that_value(explain, words, value):
    assert explain(*DATA, *words, *ON)["hub_token"] == value


def test_flag_stands_alone_before_a_job_file_at_the_end_and_before_dashes(robotrain, machines_platform, tmp_path):
    (tmp_path / "here/job.yaml").write_text("sources: {dataset: {local_path: x}}\n")
    for words in (
        ("--hub-token", "job.yaml", *ON),
        ("job.yaml", *ON, "--hub-token"),
        ("job.yaml", *ON, "-T", "--", "--policy.chunk_size=160"),
    ):
        answer = robotrain("explain", *words)
        assert answer.exit_code == 0, answer.stderr
        row = next(line for line in answer.stdout.splitlines() if line.startswith("hub_token"))
        assert row.split()[1:4] == ["hf_token", "flag", "--hub-token"]


def test_option_without_its_value_before_the_flag_is_refused(robotrain, machines_platform):
    answer = robotrain("explain", *ON, *DATA, "--job-name", "--hub-token")
    answer.check_problems(2, "flag-without-value --job-name")
    assert answer.stderr.count("error:") == 1


def test_help_and_platforms_show_that_the_value_may_be_left_out(robotrain, machines_platform):
    help = robotrain("submit", *ON, "--help-all").stdout
    assert "--hub-token, --hub-key, -T [NAME]" in help or "-T, --hub-token, --hub-key [NAME]" in help
    assert "hf_token" in help
    assert "--hub-token [NAME]" in robotrain("platforms", "machines").stdout


def test_misspelt_platform_is_answered_with_the_nearest_only(robotrain, machines_platform):
    answer = robotrain("submit", "--platform", "machinse", *DATA)
    answer.check_problems(2, "plugin-not-loaded --platform machinse")
    assert "--machine" not in answer.stderr
