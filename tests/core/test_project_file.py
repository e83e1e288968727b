"""robotrain.toml: what a project says for all its jobs, at its top and in profiles; the environment is stronger."""

import os
import re
from collections import Counter
from functools import partial
from pathlib import Path

import pytest
from plugin_sources import make_workload

FOLDER = ("--dataset-path", "data")
NAME = "robotrain.toml"


@pytest.fixture
def explain(explain_values):
    return partial(explain_values, *FOLDER)


def write_project_file(text, folder="."):
    Path(folder).mkdir(parents=True, exist_ok=True)
    (Path(folder) / NAME).write_text(text)


WHOLE = """
platform = "local"
workload = "lerobot-train"

[parameters]
batch_size = 8
log_freq = 10

[workloads.lerobot-train]
batch_size = 9
seed = 7

[platforms.local]
runs_dir = "runs"

[profiles.quick]
workload = "lerobot-train"

[profiles.quick.parameters]
training_steps = 10
seed = 1

[profiles.quick.platforms.local]
runs_dir = "/opt/x"
"""


TOP = {
    "platform": ("local", ""),
    "workload": ("lerobot-train", ""),
    "batch_size": (9, " [workloads.lerobot-train]", "8", "32"),
    "seed": (7, " [workloads.lerobot-train]", "1000"),
    "runs_dir": ("HERE/runs", " [platforms.local]"),
}
QUICK = {
    "workload": ("lerobot-train", " [profiles.quick]"),
    "training_steps": (10, " [profiles.quick.parameters]"),
    "batch_size": (9, " [workloads.lerobot-train]"),
    "seed": (1, " [profiles.quick.parameters]", "7", "1000"),
    "runs_dir": ("/opt/x", " [profiles.quick.platforms.local]"),
}


@pytest.mark.parametrize(("words", "expected"), [((), TOP), (("--profile", "quick"), QUICK)], ids=["top", "profile"])
def test_values_for_every_job_and_those_of_a_profile_over_them(explain, words, expected):
    write_project_file(WHOLE)
    rows = explain(*words)
    for name, (value, table, *overrode) in expected.items():
        value = value.replace("HERE", str(Path.cwd())) if isinstance(value, str) else value
        assert (rows[name]["value"], rows[name]["origin"]) == (value, f"robotrain.toml{table}")
        assert [lost["value"] for lost in rows[name]["overrode"]][: len(overrode)] == overrode


def test_the_platform_by_its_layers(robotrain, plain_platform, monkeypatch):
    write_project_file("platform = 'local'\n[profiles.far]\nplatform = 'plain'\n")
    words = ("explain", *FOLDER, "--json")

    def platform(*more):
        rows = {row["name"]: row for row in robotrain(*words, *more).json["values"]}
        return rows["platform"]["value"], rows["platform"]["origin"]

    assert platform() == ("local", "robotrain.toml")
    assert platform("--profile", "far") == ("plain", "robotrain.toml [profiles.far]")
    Path(".env").write_text("ROBOTRAIN_PLATFORM=plain\n")
    assert platform() == ("plain", ".env:1")
    monkeypatch.setenv("ROBOTRAIN_PLATFORM", "local")
    assert platform("--profile", "far") == ("local", "environment ROBOTRAIN_PLATFORM")
    assert platform("--platform", "plain") == ("plain", "flag --platform")


def test_options_and_help_follow_the_platform_it_chooses(robotrain, plain_platform):
    write_project_file("platform = 'plain'\n[profiles.here]\nplatform = 'local'\n")
    assert "--zone" in robotrain("submit", "--help-all").stdout
    assert "--zone" not in robotrain("submit", "--profile", "here", "--help-all").stdout
    assert robotrain("render", *FOLDER, "--zone", "north").exit_code == 0


def test_the_profile_by_its_layers(explain, monkeypatch):
    write_project_file("platform = 'local'\n" + "".join(f"[profiles.p{n}.parameters]\nseed = {n}\n" for n in (1, 2, 3)))
    seeds = []
    Path(".env").write_text("ROBOTRAIN_PROFILE=p1\n")
    seeds.append(explain()["seed"]["value"])
    monkeypatch.setenv("ROBOTRAIN_PROFILE", "p2")
    seeds.append(explain()["seed"]["value"])
    seeds.append(explain("--profile", "p3")["seed"]["value"])
    assert seeds == [1, 2, 3]


@pytest.mark.parametrize("by", ["flag", "environment"])
def test_unknown_profile_is_rejected_with_the_nearest(robotrain, monkeypatch, by):
    write_project_file(WHOLE)
    if by == "environment":
        monkeypatch.setenv("ROBOTRAIN_PROFILE", "quik")
    answer = robotrain("explain", *FOLDER, *(["--profile", "quik"] if by == "flag" else []))
    answer.check_problems(2, f"profile-unknown {'--profile' if by == 'flag' else 'ROBOTRAIN_PROFILE'}")


def test_profile_without_a_project_file_is_rejected(robotrain):
    answer = robotrain("explain", "--platform", "local", *FOLDER, "--profile", "quick")
    answer.check_problems(2, "profile-unknown --profile")


def test_the_nearest_folder_above_up_to_the_repository(explain, monkeypatch):
    write_project_file("[parameters]\nseed = 1\n", "team")
    write_project_file("[parameters]\nseed = 2\n", "team/repository")
    Path("team/repository/.git").mkdir()
    Path("team/repository/deep/er").mkdir(parents=True)
    Path("team/other/.git").mkdir(parents=True)
    Path("team/other/deep").mkdir()
    seeds = {}
    here = Path.cwd()
    for folder in ("team/repository/deep/er", "team/repository", "team/other/deep", "team"):
        monkeypatch.chdir(here / folder)
        row = explain("--platform", "local")["seed"]
        seeds[folder] = (row["value"], row["origin"])
    assert seeds == {
        "team/repository/deep/er": (2, "../../robotrain.toml [parameters]"),
        "team/repository": (2, "robotrain.toml [parameters]"),
        "team/other/deep": (1000, "default"),
        "team": (1, "robotrain.toml [parameters]"),
    }


def test_the_search_ends_at_home(explain, monkeypatch):
    write_project_file("[parameters]\nseed = 1\n", "home")
    write_project_file("[parameters]\nseed = 2\n", ".")
    Path("home/work").mkdir()
    monkeypatch.chdir("home/work")
    monkeypatch.setenv("HOME", str(Path.cwd().parent))
    assert explain("--platform", "local")["seed"]["value"] == 1
    Path(f"../{NAME}").unlink()
    assert explain("--platform", "local")["seed"]["origin"] == "default"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a folder away")
def test_project_file_in_a_folder_of_another_user_does_not_count(explain, monkeypatch):
    write_project_file("[parameters]\nseed = 1\n", "shared")
    Path("shared/mine").mkdir()
    os.chown("shared", 12345, -1)
    monkeypatch.chdir("shared/mine")
    assert explain("--platform", "local")["seed"]["origin"] == "default"


def test_relative_paths_start_from_the_file(explain, monkeypatch):
    write_project_file("[platforms.local]\nruns_dir = 'runs'\n")
    Path("deep").mkdir()
    here = Path.cwd()
    monkeypatch.chdir("deep")
    rows = explain("--platform", "local")
    assert rows["runs_dir"]["value"] == str(here / "runs")
    (here / "robotrain.toml").write_text("[platforms.local]\nruns_dir = '~/runs'\n")
    assert explain("--platform", "local")["runs_dir"]["value"] == str(Path.home() / "runs")


WRITTEN = {
    **{"true": "true", "8": "8", "'8'": "8", "1e-5": "0.00001", "1_000.5": "1000.5", "0x10": "16", "1_000": "1000"},
    **{"+7": "7", "'2024-01-01'": "2024-01-01", '"a b"': "a b"},
}


def test_a_value_is_the_text_of_a_flag(install, explain_values):
    fields = (f"p{at}: Annotated[str, Param()] = ''" for at in range(len(WRITTEN)))
    install("acme-texts", {"workload.texts": "acme_texts"}, acme_texts=make_workload("texts", *fields))
    write_project_file("[parameters]\n" + "".join(f"p{at} = {written}\n" for at, written in enumerate(WRITTEN)))
    rows = explain_values("texts", "--platform", "local")
    assert [rows[f"p{at}"]["value"] for at in range(len(WRITTEN))] == [*WRITTEN.values()]


def test_a_list_is_taken_where_a_job_file_takes_one(explain):
    write_project_file("platform = 'local'\n[parameters]\npackages = ['numpy', 'torch>=2']\n")
    assert explain()["packages"]["value"] == '["numpy", "torch>=2"]'


def test_an_empty_text_counts_as_unset(explain):
    write_project_file("platform = ''\n[parameters]\nseed = ''\n[workloads.lerobot-train]\nseed = 5\n")
    assert explain("--platform", "local")["seed"]["value"] == 5


MISTAKES = """
platfrom = 'local'
trainer_args = ['--x']
platform = 3
terraform = 3
profiles = {quick = 3, p = {parameter = 1, profiles = {}, parameters = 3}}
[parameter]
seed = 1
[sources]
dataset = 'x'
[parameters]
batch_sise = 1
seed = [1]
log_freq = {a = 1}
job_name = 2024-01-01
experiment_name = 10:00:00
[workloads.lerobot-train]
batch_sise = 1
[platforms]
plain = 3
[platforms.local]
runs-dir = 'x'
"""
UNKNOWN_KEYS = {"": 4, " [parameters]": 1, " [profiles.p]": 2, " [workloads.lerobot-train]": 1, " [platforms.local]": 1}
WRONG_VALUES = {"": 5}


def test_problem_is_reported_with_its_table(robotrain):
    write_project_file(MISTAKES)
    answer = robotrain("explain", "--platform", "local", *FOLDER, "--json")
    codes = ("file-unknown-key", "file-wrong", "value-invalid")
    answer.check_problems(2, *(f"{code} robotrain.toml" for code in codes))
    problems = answer.json["problems"]
    for code, expected in (("file-unknown-key", UNKNOWN_KEYS), ("file-wrong", WRONG_VALUES)):
        places = Counter(
            problem["where"].removeprefix("robotrain.toml") for problem in problems if problem["code"] == code
        )
        assert places == expected


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("parameters = 3\n", "file-wrong robotrain.toml"),
        ("platforms = 3\nprofiles = 3\n", "file-wrong robotrain.toml"),
        ("[parameters]\nseed = x\n", "file-malformed robotrain.toml:2"),
        ("a = " + "[" * 5000, "file-malformed robotrain.toml"),
        ("a = " + "1" * 5000, "file-malformed robotrain.toml"),
    ],
)
def test_unusable_file_is_reported(robotrain, text, problem):
    write_project_file(text)
    robotrain("explain", "--platform", "local", *FOLDER).check_problems(2, problem)


EVERYTHING = ["file-unknown-key", "source-missing", "value-invalid", "value-invalid"]


@pytest.mark.parametrize(
    ("text", "words", "codes"),
    [
        (b"platform = 'local'\nworklod = 'x'\n[parameters]\nseed = [1]\n", ("--batch-size", "0"), EVERYTHING),
        (b"platform = local\n", (*FOLDER, "--profile", "p"), ["file-malformed"]),
        (b"\xff", FOLDER, ["file-malformed"]),
        (b"platform = 'locl'\n", FOLDER, ["plugin-not-loaded"]),
    ],
    ids=[
        "with everything else, nothing twice",
        "not TOML: nothing else",
        "not UTF-8: nothing else",
        "no such platform",
    ],
)
def test_problems_of_a_file(robotrain, text, words, codes):
    Path(NAME).write_bytes(text)
    problems = robotrain("explain", *words, "--json").json["problems"]
    assert sorted(problem["code"] for problem in problems) == codes
    if codes == ["plugin-not-loaded"]:
        assert problems[0]["where"] == NAME


def test_tables_for_what_is_not_installed_are_warnings(robotrain):
    write_project_file("[platforms.locl]\nx = 1\n[workloads.lerobot-trian]\nx = 1\n")
    answer = robotrain("explain", "--platform", "local", *FOLDER)
    answer.check_problems(0, "file-strange-table robotrain.toml")


def test_parameters_of_another_workload_do_not_count(robotrain, install):
    install("acme-sweep", {"workload.sweep": "acme_sweep"}, acme_sweep=SWEEP)
    write_project_file("[parameters]\nseed = 3\nlaps = 4\n[workloads.sweep]\nspeed = 2\n[platforms.other]\n")
    rows = robotrain("explain", "--platform", "local", *FOLDER, "--json").json["values"]
    assert {row["name"]: row["value"] for row in rows}["seed"] == 3
    rows = robotrain("explain", "sweep", "--platform", "local", "--json").json["values"]
    assert {row["name"]: row["value"] for row in rows if row["name"] in ("laps", "speed")} == {"laps": 4, "speed": 2.0}


SWEEP = make_workload("sweep", "laps: Annotated[int, Param()] = 1", "speed: Annotated[float, Param()] = 1.0")

SECRET = "hf_abcdefghijklmnopqrstuvwx1234"


@pytest.mark.parametrize(
    "text",
    [
        f"[parameters]\njob_name = '{SECRET}'\n",
        f"[platforms.local]\ntracking_uri = 'https://h/x?sig={SECRET}'\n",
        f"[parameters]\n{SECRET} = 1\n",
        f"{SECRET} = 1\n",
        f"[profiles.{SECRET}]\nx = 1\n",
        f"[parameters]\njob_name = ['{SECRET}']\n",
        f"platform = '{SECRET}'\n",
        f"workload = {SECRET}\n",
    ],
)
def test_a_secret_is_refused_and_never_echoed(robotrain, text):
    write_project_file(text)
    answer = robotrain("explain", "--platform", "local", *FOLDER, "--json")
    assert SECRET not in answer.stdout + answer.stderr
    if "platform = " not in text:
        assert answer.exit_code == 2


def test_byte_order_mark_and_line_ends_of_windows(explain):
    Path(NAME).write_bytes(b"\xef\xbb\xbf[parameters]\r\nseed = 7\r\n")
    assert explain("--platform", "local")["seed"]["value"] == 7


FOR_ALL = "[parameters]\npublish_url = '{}'\nkeep = {}\n"


def test_a_value_of_the_project_that_a_job_cannot_use_is_left_out_with_a_note(robotrain):
    write_project_file(FOR_ALL.format("azure://acct1/checkpoints/project", 3))  # for osmo
    answer = robotrain("explain", "--platform", "local", *FOLDER, "--json")
    notes = re.findall(r"note: (\S+) of robotrain.toml .* is left out.*\[value-left-out\]", answer.stderr)
    assert (answer.exit_code, notes) == (0, ["--publish-url", "--keep"])  # without a place there is nothing to keep
    rows = {row["name"]: row for row in answer.json["values"]}
    assert (rows["publish_url"]["value"], rows["keep"]["value"]) == (None, None)


def test_a_value_that_is_wrong_is_not_left_out(robotrain):
    write_project_file(FOR_ALL.format("relative/folder", 0))
    answer = robotrain("render", "--platform", "local", *FOLDER)
    answer.check_problems(2, "value-invalid", "value-invalid")


def test_a_wrong_value_hides_no_problem_of_another_in_its_table(robotrain):
    write_project_file("[workloads.isaac-train]\nisaac_version = '2.3'\naccept_eula = false\nseed = 'many'\n")
    answer = robotrain("render", "isaac-train", "--platform", "azureml", "--json")
    codes = [problem["code"] for problem in answer.json["problems"]]
    assert {"eula-not-accepted", "value-invalid"} <= {*codes}


def test_none_unsets_a_value_of_any_weaker_layer(explain, monkeypatch):
    write_project_file(
        "platform = 'local'\n[parameters]\npublish_url = '/project'\n[profiles.own.parameters]\npublish_url = 'none'\n"
    )
    assert explain()["publish_url"]["value"] == "/project"
    assert explain("--profile", "own")["publish_url"]["value"] is None
    monkeypatch.setenv("ROBOTRAIN_PUBLISH_URL", "/environment")
    assert explain("--profile", "own")["publish_url"]["value"] == "/environment"
    row = explain("--publish-url", "none")["publish_url"]
    assert (row["value"], row["origin"]) == (None, "default")
    assert [lost["value"] for lost in row["overrode"][:3]] == ["none", "/environment", "/project"]


def test_what_cannot_be_used_and_is_not_on_the_line_is_unset_there(robotrain, monkeypatch):
    monkeypatch.setenv("ROBOTRAIN_KEEP", "3")
    words = ("render", "--platform", "local", *FOLDER, "--json")
    robotrain(*words).check_problems(2, "option-without-effect")
    assert robotrain(*words, "--keep", "none").exit_code == 0


def test_an_option_of_the_trainer_is_no_value_of_the_project(robotrain):
    """`leave out --env` is about what stands after `--`."""
    write_project_file("[workloads.lerobot-eval]\nenv = 'pusht'\n")
    words = ("render", "lerobot-eval", "--platform", "local", "--policy-path", "/p", "--json", "--", "--env=x")
    answer = robotrain(*words)
    assert (answer.exit_code, "value-left-out" in answer.stderr) == (2, False)
