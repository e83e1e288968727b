"""Settings of Slurm on the command line: sbatch's variables count, files of a project choose no program."""

import json
from pathlib import Path

import pytest
from problem_assertions import check_problems
from robotrain_runtime.contract.parameter import get_parameters
from robotrain_slurm.settings import SlurmSettings

JOB = ("command", "--platform", "slurm", "--code", "code")
PROGRAM = ("--", "python", "main.py")


@pytest.fixture(autouse=True)
def code():
    Path("code").mkdir()
    Path("code", "main.py").write_text("print(1)\n")


@pytest.fixture
def explain(robotrain):
    """The values and origins that `explain` shows, by name."""

    def run(*words):
        answer = robotrain("explain", "--json", *JOB, *words, *PROGRAM)
        assert answer.exit_code == 0, answer.stderr
        return {row["name"]: (row["value"], row["origin"]) for row in answer.json["values"]}

    return run


@pytest.fixture
def render(robotrain):
    """The `#SBATCH` lines of the script, and what is said beside it."""

    def run(*words):
        answer = robotrain("render", *JOB, *words, *PROGRAM)
        assert answer.exit_code == 0, answer.stderr
        lines = answer.stdout.split("# job.json")[0].splitlines()
        return [line.removeprefix("#SBATCH --") for line in lines if line.startswith("#SBATCH")], answer.stderr

    return run


VARIABLES = {
    "partition": ("SBATCH_PARTITION", "gpu,spare"),
    "account": ("SBATCH_ACCOUNT", "robots"),
    "qos": ("SBATCH_QOS", "high"),
    "constraint": ("SBATCH_CONSTRAINT", "a100&nvlink"),
    "time": ("SBATCH_TIMELIMIT", "1-12:00:00"),
    "memory": ("SBATCH_MEM_PER_NODE", "64000"),
}


def test_variables_of_sbatch_are_settings_of_their_own(explain, monkeypatch):
    for variable, value in VARIABLES.values():
        monkeypatch.setenv(variable, value)
    values = explain()
    for name, (variable, value) in VARIABLES.items():
        assert values[name] == (value, f"environment {variable}")
    flags = {
        parameter.name: parameter.flag for parameter in get_parameters(SlurmSettings) if parameter.name in VARIABLES
    }
    values = explain(*(word for flag in flags.values() for word in (flag, "12")))
    assert {name: values[name] for name in flags} == {name: ("12", f"flag {flag}") for name, flag in flags.items()}


@pytest.mark.parametrize(
    ("variable", "value", "gpus", "kind"),
    [
        ("SBATCH_GPUS", "2", 2, None),
        ("SBATCH_GPUS", "a100:2", 2, "a100"),
        ("SBATCH_GPUS_PER_NODE", "h100:4", 4, "h100"),
        ("SBATCH_GRES", "gpu:a100:2", 2, "a100"),
        ("SBATCH_GRES", "nvme:100,gpu:3", 3, None),
    ],
)
def test_variable_of_sbatch_asks_for_gpus(explain, render, monkeypatch, variable, value, gpus, kind):
    monkeypatch.setenv(variable, value)
    values = explain()
    assert (values["gpus"], values["gpu_type"][0]) == ((gpus, f"looked up {variable}"), kind)
    if variable == "SBATCH_GRES":
        wanted = ":".join(filter(None, ("gpu", kind, str(gpus)))) + (",nvme:100" if "nvme" in value else "")
        assert f"gres={wanted}" in render()[0]
        assert explain("--gpus", "0")["gpus"] == (0, "flag --gpus")


def test_other_variables_of_sbatch_are_options_below_those_of_the_line(explain, render, monkeypatch):
    for name, value in {"HINT": "nomultithread", "EXCLUSIVE": "", "REQ_SWITCH": "1@10", "WCKEY": "a b"}.items():
        monkeypatch.setenv(f"SBATCH_{name}", value)
    monkeypatch.setenv("SBATCH_MEM_BIND_TYPE", "none")  # what a job has around it is no option
    value, origin = explain()["sbatch"]
    assert list(json.loads(value)) == ["SBATCH_EXCLUSIVE", "SBATCH_HINT", "SBATCH_REQ_SWITCH", "SBATCH_WCKEY"]
    assert origin == "looked up SBATCH_EXCLUSIVE, SBATCH_HINT, SBATCH_REQ_SWITCH, SBATCH_WCKEY"
    lines, told = render("--sbatch", "hint=compute_bound", "--sbatch", "hold")
    assert [line for line in lines if line.partition("=")[0] in ("exclusive", "hint", "switches", "wckey", "hold")] == [
        *("exclusive", "hint=compute_bound", "switches=1@10", 'wckey="a b"', "hold")
    ]
    assert "SBATCH_" not in told


def test_variable_that_has_no_effect_is_named(render, monkeypatch):
    for name in ("EXPORT", "JOB_NAME", "SITE_OPTION"):
        monkeypatch.setenv(f"SBATCH_{name}", "NONE")
    lines, told = render()
    check_problems(told, *(f"variable-unused SBATCH_{name}" for name in ("EXPORT", "JOB_NAME", "SITE_OPTION")))
    assert not any("NONE" in line for line in lines)


@pytest.mark.parametrize("line", ["prologue", "modules", "environment"])
def test_file_of_a_project_does_not_say_what_the_job_starts_with(robotrain, line):
    Path("evil.sh").write_text("touch /tmp/owned\n")
    Path("robotrain.toml").write_text(f'[platforms.slurm]\n{line} = "evil.sh"\n')
    Path(".env").write_text(f"ROBOTRAIN_{line.upper()}=evil.sh\n")
    answer = robotrain("render", *JOB, *PROGRAM)
    answer.check_problems(2, "setting-not-trusted .env:1", "setting-not-trusted robotrain.toml [platforms.slurm]")
    assert "evil" not in answer.stdout


def test_modules_and_prologue_stand_before_the_job(robotrain, monkeypatch):
    Path("prologue.sh").write_text("# of this site\nexport http_proxy=http://proxy.lab:3128\n")
    monkeypatch.setenv("ROBOTRAIN_PROLOGUE", "prologue.sh")
    answer = robotrain("render", *JOB, "--module", "cuda/12.4, gcc/13", *PROGRAM)
    script = answer.stdout.split("# job.json")[0]
    lines = script.strip().splitlines()
    assert lines[-6:-2] == [
        ". /etc/profile >/dev/null 2>&1",
        "module load cuda/12.4 gcc/13 || exit 1",
        "# of this site",
        "export http_proxy=http://proxy.lab:3128",
    ]
