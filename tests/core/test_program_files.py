"""A program file in place of a command: of a stranger's workload that says which files it starts."""

import json
from pathlib import Path

import pytest
from plugin_sources import make_workload

WORKLOAD = make_workload(
    "simulate",
    roles='{"dataset": Role(), "code": Role(is_program=True)}',
    container_plugin='"simulate_work"',
    own_command='UserCommand(starters={".jl": ("julia", "-q")})',
    get_option_name='lambda argument: ""',
).replace("import Param", "import UserCommand, Param")


@pytest.fixture(autouse=True)
def simulate(install, tmp_path, monkeypatch):
    """The workload, and a folder with programs, some below it and one outside."""
    install("acme-simulate", {"workload.simulate": "simulate_work"}, simulate_work=WORKLOAD)
    for name in ("lab/run.jl", "lab/models/fit.jl", "other/run.jl"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path / "lab")


@pytest.fixture
def find_job(robotrain):
    """What the document of a job says: its command, its code, and its digest."""

    def find(*words):
        answer = robotrain("render", "--json", "--platform", "local", *words)
        assert answer.exit_code == 0, answer.stderr
        document = json.loads(answer.json["files"]["job.json"]["text"])
        code = [source["uri"] for source in document["sources"] if source["role"] == "code"]
        return document["trainer_args"], code, document["job"]

    return find


@pytest.mark.parametrize(
    ("words", "long"),
    [
        (["run.jl"], ["--code", ".", "--", "julia", "-q", "run.jl"]),
        (["run.jl", "--", "--lr", "1"], ["--code", ".", "--", "julia", "-q", "run.jl", "--lr", "1"]),
        (["simulate", "run.jl"], ["--code", ".", "--", "julia", "-q", "run.jl"]),
        (["models/fit.jl"], ["--code", ".", "--", "julia", "-q", "models/fit.jl"]),
        (["../other/run.jl"], ["--code", "../other", "--", "julia", "-q", "run.jl"]),
        (["models/fit.jl", "--code", "models"], ["--code", "models", "--", "julia", "-q", "fit.jl"]),
        (["--param", "lr=1", "run.jl"], ["--param", "lr=1", "--code", ".", "--", "julia", "-q", "run.jl"]),
    ],
)
def test_a_program_file_is_the_job_of_its_whole_command(find_job, words, long):
    assert find_job(*words) == find_job("simulate", *long)


def test_an_absolute_path_of_a_file_here_is_the_same_job(find_job):
    assert find_job(Path("run.jl").absolute()) == find_job("run.jl")


CODE_FOLDERS = [
    # marks of projects below the working folder, its role, the folder of the code of models/zoo/fit.jl
    ("", "", "."),
    ("models/.git", "", "models"),
    ("models/pyproject.toml", "", "models"),
    ("models/zoo/uv.lock models/.git", "", "models/zoo"),
    ("models/.git .git", "", "."),
    ("models/requirements.txt robotrain.toml", "", "."),
    ("", "home", "models/zoo"),
    (".git", "home", "models/zoo"),
    ("models/.git", "home", "models"),
    ("", "temporary", "models/zoo"),
]


@pytest.mark.parametrize(("marks", "role", "code"), CODE_FOLDERS)
def test_the_code_is_the_working_folder_unless_that_holds_other_things(
    find_job, tmp_path, monkeypatch, marks, role, code
):
    for name in ("models/zoo/fit.jl", *marks.split()):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()
    if role == "home":
        monkeypatch.setenv("HOME", str(Path.cwd()))
    elif role:
        monkeypatch.setattr("tempfile.tempdir", str(Path.cwd()))
    command, folders, _ = find_job("models/zoo/fit.jl")
    assert folders == [str(Path.cwd() / code)]
    assert Path(code, command[-1]) == Path("models/zoo/fit.jl")


def test_the_code_of_a_job_file_stays(find_job, tmp_path):
    Path("job.yaml").write_text("workload: simulate\nsources: {code: {local_path: ../other}}\nrun: [true]\n")
    command, code, _ = find_job("job.yaml", "../other/run.jl")
    assert (command, code) == (["julia", "-q", "run.jl"], [str(tmp_path / "other")])


def test_explain_says_where_the_code_comes_from(robotrain):
    rows = robotrain("explain", "--json", "--platform", "local", "run.jl").json["values"]
    assert {row["name"]: row["origin"] for row in rows}["code"] == "argument run.jl"


def test_an_option_of_the_program_belongs_after_dashes(robotrain):
    answer = robotrain("explain", "--platform", "local", "run.jl", "--depth", "3", "--json")
    answer.check_problems(2, "option-unknown --depth")
    assert "`--`" in answer.json["problems"][0]["why"]


MISSING = [
    # a line with a program that is not there, and its problems
    (["ran.jl", "--dataset-path", "nosuch", "--platform", "local"], ["program-missing", "source-unreachable"]),
    (["ran.jl", "--set", "foo=1", "--platform", "local"], ["program-missing", "value-unknown"]),
    (["nosuch/run.jl", "--platfrom", "local"], ["option-unknown", "program-missing"]),
    (["ran.jl"], ["platform-missing", "program-missing"]),
    (["models/fit.jl", "--code", "models"], ["platform-missing"]),
]


@pytest.mark.parametrize(("words", "codes"), MISSING)
def test_a_program_that_is_not_there_is_said_with_all_other_problems(robotrain, words, codes):
    answer = robotrain("submit", *words, "--json")
    assert sorted(problem["code"] for problem in answer.json["problems"]) == codes
    assert answer.exit_code == 2


@pytest.mark.parametrize("words", [["run.jl", "models/fit.jl"], ["lerobot-train", "run.jl"], ["run.py2"]])
def test_other_files_are_unknown_words(robotrain, words):
    answer = robotrain("explain", "--platform", "local", *words, "--json")
    assert "word-unknown" in [problem["code"] for problem in answer.json["problems"]]
