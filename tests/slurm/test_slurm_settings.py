"""Settings of Slurm on the command line: sbatch's variables count, files of a project choose no program."""

import json
from pathlib import Path

import pytest
from robotrain_runtime.contract.parameter import get_parameters
from robotrain_slurm.platform import SlurmPlatform
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


@pytest.mark.parametrize(
    ("variable", "value", "name", "shown"),
    [
        ("SBATCH_PARTITION", "gpu,spare", "partition", "gpu,spare"),
        ("SBATCH_ACCOUNT", "robots", "account", "robots"),
        ("SBATCH_QOS", "high", "qos", "high"),
        ("SBATCH_CONSTRAINT", "a100&nvlink", "constraint", "a100&nvlink"),
        ("SBATCH_TIMELIMIT", "1-12:00:00", "time", "1-12:00:00"),
        ("SBATCH_MEM_PER_NODE", "64000", "memory", "64000"),
    ],
)
def test_variable_of_sbatch_is_a_setting_of_its_own(explain, monkeypatch, variable, value, name, shown):
    monkeypatch.setenv(variable, value)
    assert explain()[name] == (shown, f"environment {variable}")
    flag = next(one.flag for one in get_parameters(SlurmSettings) if one.name == name)
    assert explain(flag, "12")[name] == ("12", f"flag {flag}")


@pytest.mark.parametrize(
    ("variable", "value", "gpus", "kind"),
    [
        ("SBATCH_GPUS", "2", "2", None),
        ("SBATCH_GPUS", "a100:2", "2", "a100"),
        ("SBATCH_GPUS_PER_NODE", "h100:4", "4", "h100"),
        ("SBATCH_GRES", "gpu:a100:2", "2", "a100"),
        ("SBATCH_GRES", "nvme:100,gpu:3", "3", None),
    ],
)
def test_variable_of_sbatch_asks_for_gpus(explain, render, monkeypatch, variable, value, gpus, kind):
    monkeypatch.setenv(variable, value)
    values = explain()
    assert values["gpus"] == (int(gpus), f"looked up {variable}")
    assert values["gpu_type"][0] == kind
    wanted = ":".join(filter(None, ("gpu", kind, gpus))) + (",nvme:100" if "nvme" in value else "")
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
    for name in ("EXPORT", "JOB_NAME", "SITE_OPTION"):
        assert f"note: SBATCH_{name} has no effect" in told
    assert not any("NONE" in line for line in lines)


@pytest.mark.parametrize("line", ["prologue", "modules", "environment"])
def test_file_of_a_project_does_not_say_what_the_job_starts_with(robotrain, line):
    Path("evil.sh").write_text("touch /tmp/owned\n")
    Path("robotrain.toml").write_text(f'[platforms.slurm]\n{line} = "evil.sh"\n')
    Path(".env").write_text(f"ROBOTRAIN_{line.upper()}=evil.sh\n")
    answer = robotrain("render", *JOB, *PROGRAM)
    assert answer.exit_code == 2
    assert answer.stderr.count("setting-not-trusted") == 2
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


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        (("--mem", "4G"), "--memory 4G"),
        (("--gres", "gpu:2"), "--gpus N"),
        (("--nodes", "2"), "--num-nodes N"),
        (("--ntasks", "2"), "one task on each node"),
        (("--job-name-x", "a"), "there is no option"),
        (("--output", "x"), "robotrain logs RUN"),
        (("--array", "1-4"), "robotrain sweep"),
        (("--dependency", "afterok:1"), "robotrain pipeline"),
        (("--cpus-per-task", "4"), "--cpus 4"),
        (("--exclusive",), "--sbatch exclusive"),
        (("--mail-type", "END,FAIL"), "--sbatch mail-type=END,FAIL"),
        (("--reservation",), "--sbatch reservation=VALUE"),
        (("-A", "lab"), "--account lab"),
        (("-t", "4:00:00"), "--time 4:00:00"),
        (("-p", "gpu"), "--partition gpu"),
        (("-c", "8"), "--cpus 8"),
        (("-w", "n1"), "--sbatch nodelist=n1"),
        (("-n", "4"), "one task on each node"),
        (("--pool", "x"), "--partition x"),
        (("--gpu-platform", "x"), "--partition x"),
    ],
)
def test_option_of_sbatch_or_another_platform_says_what_to_use(robotrain, typed, hint):
    answer = robotrain("render", *JOB, *typed, *PROGRAM)
    assert answer.exit_code == 2
    assert hint in answer.stderr


def test_no_hint_is_for_an_option_that_there_is():
    own = {flag for parameter in get_parameters(SlurmSettings) for flag in parameter.flags}
    assert not own & SlurmPlatform.option_hints.keys()
