"""`run:` of a job file, another name of `trainer_args:`, for a workload whose arguments are a whole command."""

from pathlib import Path

import jsonschema
import pytest
import yaml
from plugin_sources import PLATFORM, make_workload

WORKLOAD = make_workload(
    "exec",
    container_plugin='"exec_work"',
    own_command="UserCommand()",
    get_option_name='lambda argument: ""',
    program='"your program"',
).replace("import Param", "import UserCommand, Param")


@pytest.fixture(autouse=True)
def exec_workload(install):
    install("acme-exec", {"workload.exec": "exec_work"}, exec_work=WORKLOAD)
    source = PLATFORM.replace('"lerobot-train": YES', '"exec": YES, "lerobot-train": YES')
    install("robotrain-plain", {"platform.plain": "plain_plugin"}, plain_plugin=source)


@pytest.fixture
def arguments(robotrain):
    def run(*words):
        answer = robotrain("explain", "--platform", "plain", "--json", *words)
        assert answer.exit_code == 0, answer.stderr
        return [row["value"] for row in answer.json["values"] if row["name"] == "trainer_args"]

    return run


def test_run_is_the_command_and_arguments_after_dashes_replace_all_of_it(arguments):
    Path("job.yaml").write_text('workload: exec\nrun: [python, train.py, --lr, 1e-4, "a b"]\n')
    assert arguments("job.yaml") == ["python", "train.py", "--lr", "1e-4", "a b"]
    assert arguments("job.yaml", "--", "bash", "-c", "true") == ["bash", "-c", "true"]
    assert arguments("job.yaml", "--set", 'run=["make"]') == ["make"]
    assert arguments("job.yaml", "--set", 'trainer_args=["make"]') == ["make"]


RUN = "python train.py --lr 1e-4 --out=x --layers 64 64 opt.wd=1"
CHANGED_COMMANDS = [  # the options after --, the command
    ("--lr 3", RUN.replace("1e-4", "3")),
    ("--lr=-3 --out y", f"{RUN} --lr=-3 --out y"),  # of an option that is repeated the last one counts
    ("--layers 8 8", RUN.replace("64 64", "8 8")),
    ("--layers 8", f"{RUN} --layers 8"),  # its second word may be no value of it
    ("--lr 1 --lr 2", f"{RUN.replace('1e-4', '1')} --lr 2"),
    ("opt.wd=2 +opt.new=3", f"{RUN.removesuffix('1')}2 +opt.new=3"),
    ("--verbose --seed 1", f"{RUN} --verbose --seed 1"),
]


@pytest.mark.parametrize(("options", "command"), CHANGED_COMMANDS)
def test_options_after_dashes_replace_those_of_the_command(arguments, options, command):
    Path("job.yaml").write_text(f"workload: exec\nrun: [{', '.join(RUN.split())}]\n")
    assert arguments("job.yaml", "--", *options.split()) == command.split()


@pytest.mark.parametrize("key", ["run", "trainer_args"])
def test_both_names_are_read_for_every_workload(arguments, key):
    text = f"workload: lerobot-train\nsources: {{dataset: {{local_path: x}}}}\n{key}: [--wandb.notes=x]\n"
    Path("job.yaml").write_text(text)
    assert arguments("job.yaml") == ["--wandb.notes=x"]


def test_saved_job_has_the_name_of_its_workload(arguments):
    arguments("exec", "--save-as", "saved.yaml", "--", "python", "train.py", "x: {y}")
    assert yaml.safe_load(Path("saved.yaml").read_text())["run"] == ["python", "train.py", "x: {y}"]
    assert arguments("saved.yaml") == ["python", "train.py", "x: {y}"]


def test_new_job_file_shows_it(robotrain, tmp_path):
    assert robotrain("init", "--workload", "exec", tmp_path / "new").exit_code == 0
    assert "# run:\n" in (tmp_path / "new/job.yaml").read_text()


@pytest.mark.parametrize(
    "text", ["run: [a]\ntrainer_args: [b]", "run: python train.py", "run: [a, null]", "run: [a, [b]]"]
)
def test_malformed_list_is_rejected_with_its_line(robotrain, text):
    Path("job.yaml").write_text(f"workload: exec\n{text}\n")
    robotrain("explain", "job.yaml", "--platform", "plain").check_problems(2, "file-wrong job.yaml:2")


def test_step_of_a_pipeline_has_it_too(robotrain):
    Path("job.yaml").write_text("workload: exec\nrun: [python, train.py]\n")
    Path("pipeline.yaml").write_text(
        "steps:\n  first: {job: job.yaml}\n  second: {job: job.yaml, run: [python, eval.py], after: first}\n"
    )
    answer = robotrain("pipeline", "render", "pipeline.yaml", "--platform", "plain")
    assert answer.exit_code == 0, answer.stderr
    steps = answer.stdout
    assert steps.index("train.py") < steps.index("eval.py")


@pytest.mark.parametrize(
    ("job", "fits"),
    [
        ({"run": ["a"]}, True),
        ({"run": ["a"], "trainer_args": None}, True),
        ({"run": ["a"], "trainer_args": ["b"]}, False),
        ({"run": "a"}, False),
    ],
)
def test_schemas_take_what_the_readers_take(robotrain, job, fits):
    job = {"workload": "exec", **job}
    for command, content in (("schema", job), ("pipeline schema", {"steps": {"one": job}})):
        schema = robotrain(*command.split()).json
        assert jsonschema.Draft202012Validator(schema).is_valid(content) == fits
        Path("file.yaml").write_text(yaml.safe_dump(content))
        render = "render" if command == "schema" else "pipeline render"
        assert (robotrain(*render.split(), "--platform", "plain", "file.yaml").exit_code == 0) == fits
