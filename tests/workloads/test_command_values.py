"""Parameters, arguments and paths reach the program of a job unchanged, whatever they hold, from every platform."""

import json
import re
import sys
from pathlib import Path

import job_documents
import pytest
import yaml
from odd_values import make_values
from robotrain_runtime.contract.document import JobSource
from robotrain_runtime.contract.parameter import load_pairs
from robotrain_workloads.command import container, parameters, placeholders, program_spec, supervisor

sys.path.insert(0, str(Path(__file__).parents[1] / "parity"))

from parity_command import platform_words
from parity_document import read_arrived

COUNT = 500
PER_JOB = 50
SHOW = "import json, os, sys; json.dump([sys.argv[2:], dict(os.environ)], open(sys.argv[1], 'w'))"
VALUES = make_values(COUNT)
CONTROL = re.compile("[\x01-\x08\x0b-\x1f\x7f]")
"""What a parameter of any workload is refused for, in one sentence; an argument may have it."""


@pytest.fixture
def arrive(robotrain, tmp_path):
    """What arrives of a job file, by platform."""

    def render(job):
        file = tmp_path / "job.yaml"
        file.write_text(yaml.safe_dump(job, allow_unicode=True))
        for platform in ("local", "osmo", "azureml"):
            answer = robotrain("--no-plugins", "render", str(file), *platform_words(platform), "--json")
            assert answer.exit_code == 0, answer.stderr
            yield read_arrived(answer.json).document

    return render


@pytest.mark.slow
@pytest.mark.parametrize("start", range(0, COUNT, PER_JOB))
def test_values_reach_the_program_unchanged(arrive, tmp_path, start):
    values = VALUES[start : start + PER_JOB]
    accepted = [value for value in values if not CONTROL.search(value)]
    params = {f"p{number}": value for number, value in enumerate(accepted)}
    literal = [value for value in values if not placeholders.PLACEHOLDER.search(value)]
    seen = tmp_path / "seen.json"
    run = [
        sys.executable,
        "-c",
        SHOW,
        str(seen),
        *(f"{{{name}}}" for name in params),
        *(f"<{{{name}}}>" for name in params),
    ]
    for document in arrive({"workload": "command", "params": params, "run": [*run, *literal]}):
        work = tmp_path / "work"
        command = container.work(document, {}, work)
        assert supervisor.run_program(program_spec.read_spec(command.environ[program_spec.SPEC_VARIABLE])) == 0
        arguments, environ = json.loads(seen.read_text())
        assert arguments == [*accepted, *(f"<{value}>" for value in accepted), *literal]
        assert [environ[f"ROBOTRAIN_PARAM_{name}"] for name in params] == accepted


@pytest.mark.slow
@pytest.mark.parametrize("start", range(0, COUNT, PER_JOB))
def test_variables_and_expressions_arrive_unchanged(arrive, start):
    values = [value for value in VALUES[start : start + PER_JOB] if not CONTROL.search(value)]
    literal = [value for value in values if not placeholders.PLACEHOLDER.search(value)]
    environ = {f"V{number}": value for number, value in enumerate(values)}
    metrics = {f"m{number}": f"{re.escape(value)}(.)" for number, value in enumerate(values)}
    settings = {
        "environ": environ,
        "metrics": metrics,
        "checkpoints": "a/{step}",
        "resume_args": json.dumps([*literal, "{resume}"]),
    }
    for document in arrive({"workload": "command", "run": ["true"], "parameters": settings}):
        arrived = document.parameters
        assert [load_pairs(arrived[name]) for name in ("environ", "metrics")] == [environ, metrics]
        assert parameters.parse_resume_args(arrived["resume_args"]) == (*literal, "{resume}")


def test_long_values_reach_the_program(tmp_path):
    seen, values = tmp_path / "seen.json", {f"p{number}": str(number) * 100_000 for number in range(5)}
    words = (sys.executable, "-c", SHOW, str(seen), *(f"{{{name}}}" for name in values))
    document = job_documents.command(tmp_path / "work", *words, values=values)
    command = container.work(document, {}, tmp_path / "work")
    assert all(len(value) < 1 << 17 for value in command.environ.values())
    assert supervisor.run_program(program_spec.read_spec(command.environ[program_spec.SPEC_VARIABLE])) == 0
    assert json.loads(seen.read_text())[0] == [*values.values()]


@pytest.mark.slow
def test_paths_reach_the_program_unchanged(tmp_path):
    for value in VALUES:
        name = value.replace("/", "")[:60].encode(errors="ignore").decode()
        if not name or name in (".", ".."):
            continue
        source = JobSource(role="dataset", kind="local_path", uri=f"/data/{name}")
        document = job_documents.command(tmp_path, "echo", "{dataset}", "a={dataset}", sources=[source])
        command = container.work(document, {source: Path(source.uri)}, tmp_path)
        spec = program_spec.read_spec(command.environ[program_spec.SPEC_VARIABLE])
        assert spec.arguments == ("echo", source.uri, f"a={source.uri}")
