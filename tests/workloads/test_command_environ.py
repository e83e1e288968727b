"""`--set-env` of `command`: variables of the program, none of them a secret or one that robotrain sets."""

import json
from pathlib import Path

import job_documents
import pytest
from robotrain_workloads.command import container, program_spec

REFUSED = [
    ("WANDB_API_KEY=0123456789abcdef0123456789abcdef01234567", "secret-in-job"),
    ("MY_PASSWORD=hunter22", "secret-in-job"),
    ("A=hf_" + "aB3dE5gH7jK9mN1pQ3sT5", "secret-in-job"),
    ("A=https://user:hunter22@host/x", "secret-in-job"),
    ("1A=b", "variable-invalid"),
    ("ROBOTRAIN_RUN=x", "variable-invalid"),
    ("PATH=/opt/venv/bin", "variable-invalid"),
    ("MLFLOW_RUN_ID=0", "variable-invalid"),
]


@pytest.mark.parametrize(("variable", "code"), REFUSED)
def test_variable_that_is_a_secret_or_robotrains_own_is_refused(robotrain, variable, code):
    line = ("explain", "command", "--platform", "local", "--set-env", variable, "--json", "--", "true")
    answer = robotrain(*line)
    (problem,) = answer.json["problems"]
    assert (problem["code"], answer.exit_code) == (code, 2)
    value = variable.partition("=")[2]
    if "secret" in code:
        assert value not in answer.stdout + answer.stderr
        assert problem["instead"][0]["text"] == "--secret NAME=REFERENCE"


@pytest.mark.slow
def test_variables_reach_the_program_as_they_are_given(robotrain, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    variables = {"A": "x,y {run} $HOME 'q'", "PYTHONPATH": "src", "COMMIT": "796ca8d87360913c47e9f75e17c11d63f7805048"}
    options = [word for name, value in variables.items() for word in ("--set-env", f"{name}={value}")]
    script = 'for n in A PYTHONPATH COMMIT; do printf "%s\\n" "${!n}"; done > "$ROBOTRAIN_OUTPUTS/seen"'
    answer = robotrain(
        "submit",
        "command",
        "--platform",
        "local",
        "--tracking-uri",
        "none",
        "--wait",
        *options,
        "--",
        "bash",
        "-c",
        script,
    )
    assert answer.exit_code == 0, answer.stderr
    (seen,) = tmp_path.rglob("outputs/files/seen")
    assert seen.read_text().splitlines() == [*variables.values()]


def test_variables_stand_in_a_job_file_as_a_table(robotrain, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    Path("job.yaml").write_text('workload: command\nparameters:\n  environ: {A: b, N: 3}\nrun: ["true"]\n')
    rows = robotrain("explain", "job.yaml", "--platform", "local", "--json").json["values"]
    assert json.loads(next(row["value"] for row in rows if row["name"] == "environ")) == {"A": "b", "N": "3"}


def test_a_variable_that_is_a_secret_too_is_the_secret_and_the_log_says_so(tmp_path):
    environ = json.dumps({"API_TOKEN": "plain", "OTHER": "x"})
    document = job_documents.command(tmp_path, "true", placement={"secrets": {"API_TOKEN": "/token"}}, environ=environ)
    command = container.work(document, {}, tmp_path)
    spec = program_spec.read_spec(command.environ[program_spec.SPEC_VARIABLE])
    assert ("API_TOKEN" in spec.environ, spec.environ["OTHER"]) == (False, "x")
    assert ["--set-env API_TOKEN has no effect" in note.text for note in command.notes] == [True]
