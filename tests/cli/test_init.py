"""`robotrain init`: the first files of a project from what is found here, and examples with their data."""

import functools
import json
import re
import shlex
import shutil
from pathlib import Path

import jsonschema
import pytest
import tomllib
import yaml

ROOT = Path(__file__).parents[2]
ON = {
    "local": [],
    "osmo": ["--pool", "p", "--tracking-uri", "none", "--storage-account", "acct"],
    "azureml": ["--subscription-id", "S", "--resource-group", "G", "--workspace-name", "W-1", "--compute", "k8s-1"],
}
CAMERAS = ROOT / "examples/pusht-camera/dataset"


@pytest.fixture(autouse=True)
def tool_folders(tmp_path, monkeypatch):
    """The folders of LeRobot's cache and of the Azure CLI, empty, and no OSMO that anybody is signed in to."""
    for name in ("HF_LEROBOT_HOME", "AZURE_CONFIG_DIR", "OSMO_CONFIG_FILE_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
        (tmp_path / name).mkdir()
    return tmp_path


@pytest.fixture
def dataset_folder(pusht):
    """A dataset below this folder."""
    shutil.copytree(pusht, "data/pusht")


def load_valid_yaml(path, schema):
    """The content of a YAML file, which its schema line's schema accepts."""
    text = Path(path).read_text()
    assert text.startswith(f"# yaml-language-server: $schema={schema}\n")
    content = yaml.safe_load(text)
    make_validator(Path(path).with_name(schema).read_text()).validate(content)
    return content


@functools.cache
def make_validator(schema):
    """What validates with a schema; tests/core/test_job_schema.py checks that it is one."""
    return jsonschema.Draft202012Validator(json.loads(schema))


def test_job_with_a_dataset_below_this_folder_renders_on_every_platform(robotrain, dataset_folder):
    answer = robotrain("init")
    answer.check(0, "data/pusht: 50 episodes, 2000 frames", "job.yaml, robotrain.toml, job.schema.json")
    answer.check(0, "next: robotrain submit job.yaml --platform local --wait")
    job = load_valid_yaml("job.yaml", "job.schema.json")
    assert job["sources"] == {"dataset": [{"local_path": "data/pusht"}]}
    for platform, words in ON.items():
        assert robotrain("render", "job.yaml", "--platform", platform, *words).exit_code == 0, platform
    assert all(len(line) <= 120 for line in Path("job.yaml").read_text().splitlines())


def test_suggested_next_line_works(robotrain, dataset_folder):
    (line,) = [text for text in robotrain("init").stderr.splitlines() if text.startswith("next: robotrain ")]
    words = shlex.split(line)[2:]
    assert robotrain(*(word for word in words if word != "--wait"), "--dry-run").exit_code == 0


def test_job_of_a_program_of_the_user_has_its_folder_as_code(robotrain):
    Path("reader.py").touch()
    answer = robotrain("init", "--workload", "command")
    answer.check(0, "reader.py", "robotrain submit job.yaml", "robotrain init --example gr00t-n1.5")
    job = load_valid_yaml("job.yaml", "job.schema.json")
    assert job == {"workload": "command", "sources": {"code": [{"local_path": "."}]}}
    text = Path("job.yaml").read_text().replace("# run:\n#   - PROGRAM", "run: [python, reader.py]")
    Path("job.yaml").write_text(text)
    assert robotrain("explain", "job.yaml", "--platform", "local").exit_code == 0


OPTION = 'parser.add_argument("--output-dir", default="outputs")\n'
SCRIPTS = {
    # the files of a folder, the command, its parameters
    "an option for the outputs": ({"train.py": OPTION}, ["--output-dir", "{outputs}"], None),
    "the option of all outputs": ({"train.py": f"cli('--ckpt-dir')\n{OPTION}"}, ["--output-dir", "{outputs}"], None),
    "a folder in the text": ({"train.py": "save(f'checkpoints/{step}.pt')"}, [], {"output_folder": "checkpoints"}),
    "neither": ({"train.py": "print('outputs, of all')"}, [], None),
    "PyTorch without a list of packages": (
        {"train.py": "import torch.nn"},
        [],
        {"shipped_environment": "lerobot-train"},
    ),
    "a list of packages": (
        {"train.py": "import torch", "requirements.txt": "torch"},
        [],
        {"requirements": "requirements.txt"},
    ),
    "a project": ({"train.py": "import torch", "requirements.txt": "torch", "uv.lock": ""}, [], None),
    "other scripts": ({"train.py": "", "train_other.py": "", "plot.py": ""}, [], None),
}


@pytest.mark.parametrize("case", SCRIPTS)
def test_a_folder_with_a_training_script_is_the_job_of_that(robotrain, case):
    files, words, parameters = SCRIPTS[case]
    for name, text in files.items():
        Path(name).write_text(text)
    answer = robotrain("init")
    answer.check(0, "train.py", "next: robotrain submit job.yaml")
    job = load_valid_yaml("job.yaml", "job.schema.json")
    assert (job["workload"], job["run"], job.get("parameters")) == (
        "command",
        ["python", "train.py", *words],
        parameters,
    )
    assert robotrain("explain", "job.yaml").exit_code == 0


@pytest.mark.parametrize("names", [["plot.py"], ["train_a.py", "train_b.py"], ["setup.py", "sub/train.py"]])
def test_a_folder_of_several_scripts_or_others_says_nothing_about_the_job(robotrain, dataset_folder, names):
    for name in names:
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).touch()
    robotrain("init").check(0)
    assert load_valid_yaml("job.yaml", "job.schema.json")["workload"] == "lerobot-train"


TRAINER = """import argparse
import torch
cli = argparse.ArgumentParser()
cli.add_argument("--out")
torch.nn.Linear(1, 1)(torch.ones(1)).backward()
"""
PROGRAMS = [
    # the files of a folder, the one that the job is about
    ({"main.py": TRAINER, "model.py": "import torch"}, "main.py"),
    ({"train_act.py": TRAINER, "train_dp.py": TRAINER}, None),
    ({"trainer.py": TRAINER}, None),
    ({"main.py": TRAINER, "train.py": ""}, "train.py"),
]


@pytest.mark.parametrize(("files", "script"), PROGRAMS)
def test_the_only_program_with_a_usual_name_is_the_job(robotrain, files, script):
    for name, text in files.items():
        Path(name).write_text(text)
    robotrain("init").check(0)
    run = load_valid_yaml("job.yaml", "job.schema.json").get("run")
    assert (run[1] if run else None) == script


def test_a_script_beside_a_dataset_is_the_job(robotrain, dataset_folder):
    Path("finetune.py").touch()
    robotrain("init", "--dry-run").check(0, "finetune.py")


def test_further_datasets_are_comments(robotrain, tool_folders, pusht):
    shutil.copytree(CAMERAS, "deep/er/camera")
    cached = tool_folders / "HF_LEROBOT_HOME"
    shutil.copytree(pusht, cached / "me/only-here")
    shutil.copytree(pusht, cached / "hub/datasets--lerobot--pusht/snapshots/abc")
    Path("broken/meta").mkdir(parents=True)
    Path("broken/meta/info.json").write_text("{")
    inputs = robotrain("init", "--json").json["inputs"]
    assert [(dataset["kind"], dataset["text"]) for dataset in inputs] == [
        ("local_path", "deep/er/camera"),
        ("local_path", str(cached / "me/only-here")),
        ("huggingface", "lerobot/pusht"),
    ]
    assert "observation.image" in inputs[0]["summary"]
    text = Path("job.yaml").read_text()
    assert "    # - huggingface: lerobot/pusht #" in text
    assert load_valid_yaml("job.yaml", "job.schema.json")["sources"] == {"dataset": [{"local_path": "deep/er/camera"}]}


def test_old_dataset_has_the_parameter_that_converts_it(robotrain, dataset_folder):
    info = Path("data/pusht/meta/info.json")
    info.write_text(info.read_text().replace('"v3.0"', '"v2.1"'))
    robotrain("init")
    assert load_valid_yaml("job.yaml", "job.schema.json")["parameters"]["convert_v21"] is True


def test_job_without_a_dataset_has_a_placeholder(robotrain):
    answer = robotrain("init")
    answer.check(0, "found no dataset", "robotrain init --example pusht-mini")
    assert "isaac" not in answer.stderr  # an example of another workload
    assert "  #   - local_path: FOLDER\n" in Path("job.yaml").read_text()
    assert "sources" not in load_valid_yaml("job.yaml", "job.schema.json")
    robotrain("render", "job.yaml", "--platform", "local").check_problems(2, "source-missing")


def test_existing_file_is_overwritten_only_with_force(robotrain, dataset_folder):
    name = "robotrain.toml"
    Path(name).write_text("# mine\n")
    robotrain("init").check_problems(2, "file-in-use")
    assert sorted(path.name for path in Path().iterdir()) == ["data", name]
    assert robotrain("init", "--force").exit_code == 0
    assert "mine" not in Path(name).read_text()


def test_dry_run_prints_the_files_and_writes_none(robotrain, dataset_folder):
    answer = robotrain("init", "--dry-run")
    assert "==> job.yaml <==" in answer.stdout
    assert set(robotrain("init", "--dry-run", "--json").json["texts"]) == {"job.yaml", "robotrain.toml"}
    assert [path.name for path in Path().iterdir()] == ["data"]


def test_settings_of_the_azure_cli_are_in_the_project_file(robotrain, dataset_folder, tool_folders):
    profile = {"subscriptions": [{"id": "sub-1", "name": "Lab", "isDefault": True, "state": "Enabled"}]}
    (tool_folders / "AZURE_CONFIG_DIR/azureProfile.json").write_text(json.dumps(profile))
    (tool_folders / "AZURE_CONFIG_DIR/config").write_text("[defaults]\ngroup = rg-1\nworkspace = ws-1\n")
    answer = robotrain("init")
    settings = "subscription_id sub-1, resource_group rg-1, workspace_name ws-1"
    answer.check(0, f"azureml: {settings}", f"osmo: {settings}")
    platforms = tomllib.loads(Path("robotrain.toml").read_text())["platforms"]
    expected = {"subscription_id": "sub-1", "resource_group": "rg-1", "workspace_name": "ws-1"}
    assert platforms == {"azureml": expected, "osmo": expected}
    assert '# compute = "NAME"' in Path("robotrain.toml").read_text()
    assert robotrain("render", "job.yaml", "--platform", "azureml", "--compute", "k8s-1").exit_code == 0


@pytest.mark.parametrize("words", [(), ("--platform", "local")])
def test_platform_of_the_project_is_the_named_one_else_this_machine(robotrain, dataset_folder, words):
    assert "--platform local" in robotrain("init", *words).stderr
    assert tomllib.loads(Path("robotrain.toml").read_text()) == {"platform": "local"}
    assert robotrain("render", "job.yaml").exit_code == 0
    assert robotrain("init", "x", "--platform", "locl").exit_code == 2


def test_folder_below_a_project_has_no_settings_of_its_own(robotrain, dataset_folder):
    robotrain("init", "--platform", "local")
    assert robotrain("init", "next", "--workload", "isaac-train", "--json").json["kept"] == ["robotrain.toml"]
    assert not Path("next/robotrain.toml").exists()
    assert load_valid_yaml("next/job.yaml", "job.schema.json")["workload"] == "isaac-train"
    assert robotrain("render", "next/job.yaml").exit_code == 0


@pytest.mark.parametrize("example", ["pusht-mini", "pusht-bags"])
def test_training_and_evaluation_of_an_example_have_names_of_their_own(robotrain, example):
    """So that `report pusht-mini` means the training, whatever was evaluated since."""
    assert robotrain("init", "--example", example).exit_code == 0
    files = (Path(example, name) for name in ("job.yaml", "evaluate.yaml"))
    names = [yaml.safe_load(file.read_text())["parameters"]["job_name"] for file in files]
    assert names == [example, f"{example}-eval"]


def test_example_has_its_data_and_its_commands(robotrain, tmp_path):
    answer = robotrain("init", "--example", "pusht-mini")
    answer.check(0, "robotrain submit pusht-mini/job.yaml --platform local --wait")
    assert "robotrain submit pusht-mini/job.yaml" in Path("pusht-mini/job.yaml").read_text()
    assert robotrain("submit", "pusht-mini/job.yaml", "--platform", "local", "--dry-run").exit_code == 0
    there = {path.relative_to("pusht-mini") for path in Path("pusht-mini").rglob("*.parquet")}
    assert there == {
        path.relative_to(ROOT / "examples/pusht-mini") for path in ROOT.glob("examples/pusht-mini/**/*.parquet")
    }
    assert robotrain("init", "--example", "pusht-mini").exit_code == 2
    assert robotrain("init", "elsewhere", "--example", "pusht-mini").exit_code == 0
    assert robotrain("pipeline", "render", "elsewhere/pipeline.yaml", "--platform", "local").exit_code == 0


def test_isaac_example_renders_on_every_platform(robotrain):
    assert robotrain("init", "--example", "isaac-cartpole").exit_code == 0
    for platform, words in {**ON, "slurm": ["--partition", "gpu"]}.items():
        answer = robotrain("render", "isaac-cartpole/job.yaml", "--platform", platform, *words)
        assert answer.exit_code == 0, answer.stderr
    assert "Isaac-Cartpole-Direct" in Path("isaac-cartpole/job.yaml").read_text()


def test_unknown_example_is_answered_with_the_examples(robotrain):
    robotrain("init", "--example", "pusht-mni").check_problems(2, "value-unknown --example")
    assert robotrain("init", "--example", "pusht-mini", "--workload", "command").exit_code == 2
    assert list(Path().iterdir()) == []


STRANGER = """
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from robotrain.plugin import FoundInput, JobTemplate, Param, Role, Workload, hook

@dataclass(frozen=True, kw_only=True)
class Parameters:
    depth: Annotated[int, Param(help="how deep")]
    width: Annotated[int, Param(help="how wide")] = 3

@hook
def robotrain_workloads():
    roles = {"dataset": Role(required=True)}
    return [Workload(name="dig", summary="digs", parameters=Parameters, roles=roles, container_plugin="x.y",
                     template=TEMPLATE)]

def find_inputs(folder):
    yield FoundInput("dataset", "local_path", "ground", "found here", {"width": 5})

TEMPLATE = JobTemplate(
    parameters={"depth": 4, "width": None},
    examples={"hole": Path(__file__).parent / "hole"},
    find_inputs=find_inputs,
)
"""


def test_template_and_examples_of_a_plugin_are_written(robotrain, install):
    folder = install("digger", {"workload.dig": "dig_plugin"}, dig_plugin=STRANGER)
    (folder / "hole").mkdir()
    (folder / "hole/job.yaml").write_text("workload: dig # examples/hole/job.yaml\n")
    robotrain("init", "--workload", "dig")
    job = load_valid_yaml("job.yaml", "job.schema.json")
    assert job["parameters"] == {"depth": 4, "width": 5}
    assert job["sources"] == {"dataset": [{"local_path": "ground"}]}
    assert robotrain("init", "--example", "hole").exit_code == 0
    assert Path("hole/job.yaml").read_text() == "workload: dig # hole/job.yaml\n"


def list_examples(robotrain):
    """The words of every example about a job or a pipeline, of all help."""
    for command in (
        ["submit"],
        ["render"],
        ["explain"],
        ["sweep"],
        *(["pipeline", pipeline] for pipeline in PIPELINES),
    ):
        shown = robotrain(*command, "--help").stdout.partition("Options:")[0]
        for line in re.findall(r"^ {2,}robotrain (\w.*)$", re.sub(r" \\\n +(?=-)", " ", shown), re.MULTILINE):
            yield shlex.split(re.split(r"\s{3,}|\s+>", line)[0])


PIPELINES = ("submit", "render", "explain", "train-eval")


@pytest.mark.slow
def test_every_example_about_a_job_runs_in_a_folder_that_init_made(robotrain, dataset_folder, pusht):
    shutil.copytree(pusht, "my-dataset")  # a folder of code has no link out of it
    assert robotrain("init").exit_code == 0
    evaluation = "{workload: lerobot-eval, sources: {policy: {from: train}}, parameters: {env: pusht}}"
    Path("pipeline.yaml").write_text(f"steps:\n  train: {{job: job.yaml}}\n  evaluate: {evaluation}\n")
    Path("train.py").write_text("")
    examples = [words for words in list_examples(robotrain) if "--plan" not in words]
    assert len(examples) > 10
    for words in examples:
        result = ["local" if word == "PLATFORM" else word for word in words if word not in ("--wait", "--dry-run")]
        if words[0] in ("submit", "sweep") or words[:2] in (["pipeline", "submit"], ["pipeline", "train-eval"]):
            at = result.index("--") if "--" in result else len(result)
            result.insert(at, "--dry-run")
        answer = robotrain(*result)
        assert answer.exit_code == 0, (result, answer.stderr)


@pytest.mark.parametrize("name", ["foo.yaml", "lab/train.py"])
def test_a_new_folder_is_not_called_like_a_file(robotrain, name):
    robotrain("init", name).check_problems(2, "value-invalid")
    assert not Path(name).exists()


def test_a_folder_that_is_there_may_be_called_like_a_file(robotrain):
    Path("old.py").mkdir()
    robotrain("init", "old.py").check(0)
