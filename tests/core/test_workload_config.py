"""A workload's own configuration file: a level just below the job file, for any workload that declares a reader."""

from pathlib import Path

import pytest
import robotrain as library
from plugin_sources import make_workload
from problem_assertions import check_rejected

WORKLOAD = make_workload(
    "tea",
    'cups: Annotated[int, Param(help="how many", gt=0, env=("CUPS",))] = 1',
    'strong: Annotated[bool, Param(help="how strong")] = False',
    'beans: Annotated[str | None, Param(help="the beans", path=True)] = None',
    roles='{"dataset": Role()}',
    container_plugin='"tea_work"',
    read_config="read_config",
)
READER = """
from robotrain.plugin import ConfigValue, Problem, Stage


def read_config(file):
    for number, line in enumerate(file.read_text().splitlines(), 1):
        key, _, value = line.partition(" ")
        where = f"{file.name}:{number}"
        if key == "pots":
            yield ConfigValue("cups", 4 * int(value), where)
        elif key in ("strong", "beans", "leaves"):
            yield ConfigValue({"leaves": "dataset.local_path"}.get(key, key), value or True, where)
        elif key == "sieve":
            yield ConfigValue("--sieve", value, where)
        elif key == "odd":
            yield ConfigValue("sugar", 1, where)
        else:
            yield Problem(code="tea-config", stage=Stage.PARSE, title=f"no key {key}", where=where)
"""


@pytest.fixture
def tea_workload(install, tmp_path):
    """A stranger's workload that reads recipes; the folder of a recipe."""
    install("acme-tea", {"workload.tea": "tea_work"}, tea_work=WORKLOAD + READER)
    folder = tmp_path / "recipes"
    (folder / "assam").mkdir(parents=True)
    return folder


@pytest.fixture
def explain(tea_workload, robotrain):
    def run(recipe, *words):
        (tea_workload / "recipe").write_text(recipe)
        return robotrain("explain", "tea", "--platform", "local", "--config", tea_workload / "recipe", *words, "--json")

    return run


def rows(answer):
    assert answer.exit_code == 0, answer.stderr
    return {row["name"]: row for row in answer.json["values"]}


def test_its_values_have_their_place_and_paths_start_from_its_folder(explain, tea_workload):
    settings = rows(explain("pots 2\nstrong\nbeans dark.csv\nleaves assam\n"))
    assert (settings["cups"]["value"], settings["cups"]["origin"]) == (8, "config file recipe:1")
    assert settings["strong"]["value"] is True
    assert settings["beans"]["value"] == str(tea_workload / "dark.csv")
    assert settings["dataset"]["value"] == f"local_path {tea_workload / 'assam'}"


def test_options_of_the_program_are_replaced_by_their_names(explain, tea_workload, robotrain):
    assert rows(explain("sieve fine\n"))["trainer_args"]["value"] == "--sieve=fine"
    Path("job.yaml").write_text(
        f"workload: tea\nconfig: {tea_workload / 'recipe'}\ntrainer_args: [--sieve=coarse, --stir]\n"
    )
    answer = robotrain("explain", "job.yaml", "--platform", "local", "--json", "--", "--stir=twice")
    rows_by_option = {row.get("option"): row for row in answer.json["values"]}
    assert rows_by_option["--sieve"]["value"] == "--sieve=coarse"
    assert rows_by_option["--sieve"]["overrode"] == [{"value": "--sieve=fine", "origin": "config file recipe:1"}]
    assert rows_by_option["--stir"]["value"] == "--stir=twice"


def test_flags_and_the_job_file_win_and_it_wins_over_the_environment(explain, tea_workload, monkeypatch, robotrain):
    monkeypatch.setenv("CUPS", "3")
    cups = rows(explain("pots 2\n"))["cups"]
    assert cups["value"] == 8
    assert cups["overrode"][0] == {"value": "3", "origin": "environment CUPS"}
    assert rows(explain("pots 2\n", "--cups", 5))["cups"]["value"] == 5
    Path("job.yaml").write_text(f"workload: tea\nconfig: {tea_workload / 'recipe'}\nparameters:\n  cups: 7\n")
    answer = robotrain("explain", "job.yaml", "--platform", "local", "--json")
    assert rows(answer)["cups"]["overrode"][0] == {"value": "8", "origin": "config file recipe:1"}


def test_a_job_file_names_it_from_its_own_folder(tea_workload, fake_platform, robotrain):
    (tea_workload / "recipe").write_text("pots 1\n")
    (tea_workload / "job.yaml").write_text("workload: tea\nconfig: recipe\n")
    settings = rows(robotrain("explain", tea_workload / "job.yaml", "--platform", "local", "--json"))
    assert settings["cups"]["value"] == 4
    (tea_workload / "other").write_text("pots 3\n")
    answer = robotrain(
        "explain", tea_workload / "job.yaml", "--platform", "local", "--config", tea_workload / "other", "--json"
    )
    assert rows(answer)["cups"]["value"] == 12, "the flag wins"
    (tea_workload / "pipeline.yaml").write_text("steps:\n  brew: {job: job.yaml}\n")
    answer = robotrain("pipeline", "submit", tea_workload / "pipeline.yaml", "--platform", "fake", "--dry-run")
    assert answer.exit_code == 0, answer.stderr
    saved = robotrain("explain", tea_workload / "job.yaml", "--platform", "local", "--save-as", "again.yaml")
    assert saved.exit_code == 0
    assert "cups: 4\n" in Path("again.yaml").read_text()


@pytest.mark.parametrize(
    ("recipe", "code"),
    [
        ("suger 2\n", "tea-config recipe:1"),
        ("pots many\n", "file-unreadable"),
        ("odd\n", "file-unreadable"),
        ("pots 0\n", "value-invalid recipe:1"),
    ],
)
def test_what_is_wrong_is_named(explain, recipe, code):
    explain(recipe).check_problems(2, code)


@pytest.mark.parametrize(
    ("words", "code", "where"),
    [
        (("tea", "--config", "nowhere"), "file-unreadable", "--config"),
        (("job.yaml", "--dataset-path", "data"), "config-not-taken", "job.yaml:1"),
    ],
    ids=["no such file", "a workload without a reader"],
)
def test_file_that_cannot_be_read_is_the_only_problem(tea_workload, robotrain, words, code, where):
    Path("job.yaml").write_text("config: x.yaml\n")
    answer = robotrain("explain", *words, "--platform", "local", "--json")
    assert answer.exit_code == 2
    assert [(problem["code"], problem["where"]) for problem in answer.json["problems"]] == [(code, where)]


def test_only_a_workload_with_a_reader_has_the_option(tea_workload, robotrain):
    assert "configuration file of tea" in " ".join(robotrain("submit", "tea", "--help-all").stdout.split())
    assert "--config" not in robotrain("submit", "lerobot-train", "--help-all").stdout


def test_python_calls_take_it(tea_workload, fake_platform):
    (tea_workload / "recipe").write_text("pots 2\n")
    values = library.explain(platform="fake", workload="tea", config=tea_workload / "recipe")
    assert {row["name"]: row["value"] for row in values}["cups"] == 8
    with check_rejected("config-not-taken config"):
        library.explain(platform="fake", workload="lerobot-train", config="x")
