"""Help in two sizes: `--help` fits a screen and shows what people set, `--help-all` shows everything."""

import re
from pathlib import Path

import pytest
from robotrain.command_table import COMMANDS, EXPERT, GROUPS
from robotrain.plugins.manager import choose_plugins

ROOT = Path(__file__).parents[2]
BUILT_IN = choose_plugins("none", (), "")
WORKLOADS = BUILT_IN.list_names("workload")
PLATFORMS = BUILT_IN.list_names("platform")
JOB_COMMANDS = ("submit", "render", "explain", "sweep")
OTHER_COMMANDS = ("runs", "logs", "resume", "resubmit", "register", "outputs", "report", "init", "doctor")
FIRST = ["init", "submit", "watch", "report", "runs"]


def list_options(text):
    """The options that a help text describes, by all spellings."""
    lines = re.findall(r"^  (-.*?)(?:  |$)", text, re.MULTILINE)
    return {word.strip(",") for line in lines for word in line.split() if word.startswith("-")}


def list_commands(text):
    return re.findall(r"^  ([a-z][a-z-]*)  ", text, re.MULTILINE)


def test_help_is_one_screen_that_begins_with_the_five_commands_of_the_week(robotrain):
    shown = robotrain("--help").stdout
    assert robotrain().stdout == shown
    lines = shown.splitlines()
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 80
    described = list_commands(shown)
    assert described[:5] == FIRST
    assert described == [name for title, group in GROUPS.items() if title != EXPERT for name in group]
    (experts,) = re.findall(r"^More: (.*(?:\n.*)?)\n`robotrain --help-all`", shown, re.MULTILINE)
    assert experts.replace("\n", " ").split(", ")[: len(GROUPS[EXPERT])] == list(GROUPS[EXPERT])
    assert "from-lerobot" in experts


def test_help_all_describes_every_command_and_the_global_options(robotrain):
    shown = robotrain("--help-all").stdout
    assert {name for group in GROUPS.values() for name in group} <= {*list_commands(shown)}
    assert {"--version", "--no-plugins", "--without", "--plugins-from", "--help-all"} <= list_options(shown)


def test_help_names_the_installed_platforms(robotrain, install):
    assert "run it on azureml, local, osmo or slurm." in robotrain("--no-plugins", "--help").stdout
    install("robotrain-acme", {"platform.airship": "acme_airship"}, acme_airship="raise SystemExit('imported')")
    assert "airship" in robotrain("--help").stdout
    assert robotrain("--without", "nosuch", "--help").exit_code == 0


def test_commands_of_plugins_are_named_and_with_help_all_described(robotrain, install):
    install("robotrain-acme", {"command.board": "acme_board:app"}, acme_board="raise SystemExit('imported')")
    assert "board" in robotrain("--help").stdout
    assert "board" not in robotrain("--no-plugins", "--help").stdout
    of_plugins = robotrain("--help-all").stdout.partition("Commands of plugins:")[2]
    assert [line.split() for line in of_plugins.splitlines() if "acme" in line] == [
        ["board", "From", "robotrain-acme", "1.0."]
    ]


def test_the_documents_list_the_commands_by_the_same_groups():
    text = (ROOT / "docs/cli.md").read_text().partition("## Commands by task")[2].partition("<!-- the commands -->")[0]
    parts = dict(re.findall(r"### (.*?)\n\n```sh\n(.*?)```", text, re.DOTALL))
    assert list(parts) == list(GROUPS)
    for title, group in GROUPS.items():
        named = dict.fromkeys(re.findall(r"^robotrain ([a-z][a-z-]*)", parts[title], re.MULTILINE))
        assert list(named)[: len(group)] == list(group), title


@pytest.mark.parametrize("workload", WORKLOADS)
def test_the_help_of_a_job_is_one_screen_and_help_all_has_every_option(robotrain, workload):
    for platform in (None, *PLATFORMS):
        words = ["submit", workload, *(["--platform", platform] if platform else [])]
        short = robotrain("--no-plugins", *words, "--help").stdout
        assert len(short.splitlines()) <= 84, (workload, platform)  # a screen, and the names of all that is chosen
        assert max(map(len, short.splitlines())) <= 80
        if platform not in (None, PLATFORMS[WORKLOADS.index(workload) % len(PLATFORMS)]):
            continue
        full = robotrain("--no-plugins", *words, "--help-all").stdout
        assert {"--platform", "--wait", "--dry-run", "--name"} <= list_options(short) < list_options(full)
        count = len(set(re.findall(r"^  (?:-\w, )?(--[a-z0-9-]+)", full, re.MULTILINE))) - 1  # that of the help
        assert f"--help-all shows all {count} options" in short
        told = "With --platform NAME, the options of that platform are shown too." in " ".join(full.split())
        assert told == (platform is None)


def test_the_help_of_a_workload_lists_no_others(robotrain):
    shown = robotrain("--no-plugins", "submit", "command", "--help").stdout
    assert "submit [OPTIONS] [WORKLOAD | JOB.yaml | PROGRAM] [-- ARGS]" in shown
    assert "Workloads:" not in shown


def test_the_help_of_a_training_shows_what_people_set(robotrain):
    assert list_options(
        robotrain("--no-plugins", "submit", "lerobot-train", "--platform", "slurm", "--help").stdout
    ) == {
        *("--platform", "--wait", "--dry-run", "--stream", "--name", "--set"),
        *("--dataset-path", "-d", "--dataset-repo-id", "--blob-url", "--policy-repo-id", "--policy-run"),
        *("-p", "--policy-type", "--training-steps", "--batch-size", "--learning-rate", "--num-gpus", "--publish-url"),
        "--save-freq",
        *("--login", "--partition", "--account", "--time", "--gpus", "--gpu-type"),
    }


@pytest.mark.parametrize(
    ("command", "most"), [("render", 72), ("explain", 72), ("sweep", 76), ("pipeline train-eval", 86)]
)
def test_every_command_of_a_job_has_the_same_help_in_two_sizes(robotrain, command, most):
    for platform in PLATFORMS:
        words = ["--no-plugins", *command.split(), "--platform", platform]
        short, full = (robotrain(*words, option).stdout for option in ("--help", "--help-all"))
        assert len(short.splitlines()) <= most
        assert {"--platform", "--dataset-path", "--training-steps"} <= list_options(short) < list_options(full)
        assert "--save-freq" in full


STRANGER = """
from dataclasses import dataclass
from typing import Annotated
from robotrain.plugin import Param, Platform, PlatformEngine, RoleFlag, SourceKind, Workload, hook


@dataclass(frozen=True, kw_only=True)
class Brewing:
    leaves: Annotated[str, Param(help="which leaves")]
    minutes: Annotated[int, Param(help="how long it draws. Green tea takes less", common=True, env=("MINUTES",))] = 3
    sugar: Annotated[int, Param(help="lumps of it")] = 0


@dataclass(frozen=True, kw_only=True)
class Kitchen:
    stove: Annotated[str, Param(help="the stove", common=True)] = "gas"
    tap: Annotated[str, Param(help="the tap")] = "cold"


KITCHEN = Platform(
    name="kitchen",
    engine_class=PlatformEngine,
    settings=Kitchen,
)


@hook
def robotrain_workloads():
    return [Workload(name="tea", summary="t", parameters=Brewing, roles={}, container_plugin="tea", produces="files")]


@hook
def robotrain_platforms():
    return [KITCHEN]
"""


def test_the_help_of_a_sweep_of_a_program_has_its_examples(robotrain):
    for word in ("train.py", "command"):
        shown = robotrain("sweep", word, "--help-all").stdout
        assert "-- --lr '{lr}'" in shown
        assert "learning_rate" not in shown
    assert "learning_rate=" in robotrain("sweep", "lerobot-train", "--help").stdout


def test_a_plugin_declares_what_help_shows(robotrain, install):
    install("acme", {"workload.tea": "acme_tea", "platform.kitchen": "acme_tea"}, acme_tea=STRANGER)
    words = ("submit", "tea", "--platform", "kitchen")
    short, full = (robotrain(*words, option).stdout for option in ("--help", "--help-all"))
    assert {"--leaves", "--minutes", "--stove"} <= list_options(short)
    assert not list_options(short) & {"--sugar", "--tap"}
    assert re.search(r"--minutes INT +How long it draws \(default: 3\)\.\n", short)
    assert re.search(r"--leaves TEXT +Which leaves\.  \[required\]\n", short)
    assert {"--leaves", "--minutes", "--stove", "--sugar", "--tap"} <= list_options(full)
    assert "Green tea" in full
    assert "MINUTES" in full


@pytest.mark.parametrize("command", [*JOB_COMMANDS, *OTHER_COMMANDS])
def test_help_of_options_is_sentences(robotrain, command):
    shown = robotrain("--no-plugins", command, "--help").stdout
    descriptions = re.findall(r"^  -.*?(?:  |\n {8,})(\S.*(?:\n {8,}\S.*)*)", shown, re.MULTILINE)
    sentences = [" ".join(text.split()).partition(" [")[0] for text in descriptions]
    assert sentences
    assert [sentence for sentence in sentences if not re.fullmatch(r"(?:[^a-z]|[a-z]+\W).*[.…]", sentence)] == []


SUBCOMMANDS = ("pipeline submit", "data check", "data view", "bags convert", "bags inspect", "from-lerobot")


@pytest.mark.parametrize("command", [*COMMANDS, *SUBCOMMANDS, "data", "bags"])
def test_help_has_one_form_of_examples_defaults_and_required_words(robotrain, command):
    shown = robotrain("--no-plugins", *command.split(), "--help").stdout
    assert {len(indent) for indent in re.findall(r"^( +)robotrain ", shown, re.MULTILINE)} <= {4}
    assert not re.search(r"^ +robotrain .*\n\n +robotrain ", shown, re.MULTILINE), "examples stand together"
    assert not re.search(r"\[default|; default", shown)
    assert not re.search(r"[{<][A-Za-z|.]+[}>]", shown.partition("\n\n")[0])
    assert robotrain("--no-plugins", *command.split(), "--help-all").exit_code == 0


@pytest.mark.parametrize("workload", WORKLOADS)
def test_the_help_of_a_workload_says_what_it_does_and_shows_its_own_jobs(robotrain, workload):
    shown = robotrain("--no-plugins", "submit", workload, "--platform", "slurm", "--help").stdout
    text = " ".join(shown.split())
    assert f" {workload}: " in text
    examples = re.findall(r"^    robotrain submit (.*)$", shown, re.MULTILINE)
    assert examples
    assert "job.yaml" not in shown
    assert "--platform slurm" in text
    assert "--platform PLATFORM" not in text


@pytest.mark.parametrize("group", ["pipeline", "bags", "data"])
def test_the_help_of_a_group_cuts_no_sentence(robotrain, group):
    assert "..." not in robotrain(group, "--help").stdout.partition("Commands:")[2]
