"""The recipes: each renders for every platform and starts its program, which a stand-in plays, with what it takes."""

import itertools
import os
import re
import runpy
import sys
from pathlib import Path

import pytest
import yaml
from job_documents import PLATFORMS, read_job
from robotrain import api
from robotrain_runtime.contract.event import Checkpoint, Metrics

ROOT = Path(__file__).parents[2]
RECIPES = ROOT / "examples/recipes"
STAND_IN = Path(__file__).parent / "recipe_stand_in"
BLOB = ("--blob-url", "https://account1.blob.core.windows.net/train/set1")
POLICY = ("--policy-url", "https://account1.blob.core.windows.net/train/pi05_base")
NAMES = sorted(path.name for path in RECIPES.iterdir())


def list_inputs(name):
    """The options that a line of the recipe's README has on a cluster."""
    image = () if name == "pytorch-pusht" else ("--image", f"r.azurecr.io/{name}:1")
    data = () if name == "pytorch-pusht" else BLOB
    return (*image, *data, *(POLICY if name.startswith("openpi") else ()))


@pytest.mark.parametrize(("name", "platform"), [*zip(NAMES, itertools.cycle(PLATFORMS), strict=False)])
def test_recipe_renders(robotrain, name, platform):
    inputs = list_inputs(name)
    if platform == "local" and "--image" in inputs:
        inputs = inputs[2:]
    answer = robotrain("render", RECIPES / name / "job.yaml", *PLATFORMS[platform], *inputs, "--json")
    assert answer.exit_code == 0, answer.stderr
    assert "placeholder-unused" not in answer.stderr
    assert read_job(answer)["trainer_args"][0] == "python"


def test_check_of_a_machine_starts_with_the_python_of_isaac_labs_image(robotrain, tmp_path):
    words = (ROOT / "examples/isaac-check/job.yaml", *PLATFORMS["azureml"])
    answer = robotrain("render", *words, "--to", tmp_path / "plan")
    assert answer.exit_code == 0, answer.stderr
    files = [path for path in (tmp_path / "plan").rglob("*.*") if path.suffix != ".zip"]
    plan = "".join(path.read_text() for path in files)
    assert "nvcr.io/nvidia/isaac-lab" in plan
    assert "/isaac-sim/kit/python/bin/python3" in plan


@pytest.mark.parametrize("name", NAMES)
def test_readme_is_short_and_names_what_it_starts(name):
    text = (RECIPES / name / "README.md").read_text()
    assert len(text.splitlines()) <= 25
    assert f"examples/recipes/{name}/job.yaml" in text
    if name != "pytorch-pusht":
        assert re.search(r"`[0-9a-f]{40}`", text)


def test_plain_program_knows_nothing_of_robotrain():
    lines = (RECIPES / "pytorch-pusht/train.py").read_text().splitlines()
    assert len(lines) <= 60
    assert not [line for line in lines if "robotrain" in line.lower()]


@pytest.fixture
def run_recipe(robotrain, tmp_path, monkeypatch, pusht):
    """Run a recipe on this machine with the stand-in of its program, to its end."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "python").symlink_to(sys.executable)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)
    policy = tmp_path / "policy"
    (policy / "params").mkdir(parents=True)
    (policy / "config.json").write_text("{}")
    (policy / "params/weights").write_text("0")
    hdf5 = tmp_path / "demonstrations"
    hdf5.mkdir()
    (hdf5 / "low_dim.hdf5").write_text("")
    path = os.pathsep.join(map(str, (STAND_IN, STAND_IN / "openpi_checkout/src")))

    def run(name, *options):
        data = ("--dataset-path", hdf5 if name.startswith("robomimic") else pusht)
        start = () if name.startswith("robomimic") else ("--policy-path", policy)
        line = ("--tracking-uri", "none", "--set-env", f"PYTHONPATH={path}", "--new", "--wait", *data, *start, *options)
        return robotrain("submit", RECIPES / name / "job.yaml", "--platform", "local", *line)

    return run


SMALL = {
    "gr00t-n1.5": ("max_steps=4", "save_steps=2"),
    "gr00t-n1.7": ("max_steps=4", "save_steps=2"),
    "openpi-pi0.5": ("steps=5", "save_interval=2"),
    "robomimic-bc": ("epochs=100",),
}
USUAL = ("openpi-pi0.5", "robomimic-bc")
SAVED = {"robomimic-bc": [50, 100]}
LONGER = {"openpi-pi0.5": "steps=8", "robomimic-bc": "epochs=150"}


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [*USUAL, *(pytest.param(name, marks=pytest.mark.long) for name in SMALL if name not in USUAL)]
)
def test_program_takes_what_the_recipe_gives_it_and_continues(run_recipe, name):
    params = [word for text in SMALL[name] for word in ("--param", text)]
    answer = run_recipe(name, *params)
    assert answer.exit_code == 0, answer.stderr + answer.stdout
    run = api.runs(limit=1)[0]
    events = [record.event for record in run._read_events(follow=False, skip=0)]
    saved = [event.step for event in events if isinstance(event, Checkpoint)]
    assert saved == SAVED.get(name, [2, 4])
    if name != "robomimic-bc":
        lines = [line for line in run.logs() if "starting" in line]
        assert lines
    if name in ("gr00t-n1.7", "openpi-pi0.5"):
        assert any("loss" in metric for event in events if isinstance(event, Metrics) for metric in event.values)

    longer = LONGER.get(name, "max_steps=6")
    words = [word for text in (*SMALL[name], longer) if text.partition("=")[0] for word in ("--param", text)]
    words = words[2:] if longer.partition("=")[0] == SMALL[name][0].partition("=")[0] else words
    last = [event.path for event in events if isinstance(event, Checkpoint)][-1]
    answer = run_recipe(name, *words, "--resume-from", last)
    assert answer.exit_code == 0, answer.stderr + answer.stdout
    lines = list(api.runs(limit=1)[0].logs())
    assert any(re.search(rf"continuing from (step|epoch) {saved[-1]}\b", line) for line in lines), lines


@pytest.mark.slow
@pytest.mark.long
def test_data_config_that_nobody_registers_fails(run_recipe):
    answer = run_recipe("gr00t-n1.5", "--param", "data_config=nobody", "--param", "max_steps=2")
    assert answer.exit_code == 5
    assert "KeyError: 'nobody'" in "".join(api.runs(limit=1)[0].logs())


@pytest.mark.parametrize("arguments", ["--dataset-path", "--no-such-option 1", "--dataset-path x --report-to mlflow"])
def test_stand_in_refuses_what_the_program_does_not_take(arguments):
    options = runpy.run_path(str(STAND_IN / "options.py"))
    with pytest.raises((SystemExit, IndexError)):
        options["read_options"]("gr00t_finetune", arguments.split())


def test_gr00t_on_osmo_has_the_resources_and_no_token(robotrain, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_" + "a" * 34)
    line = (*PLATFORMS["osmo"], *list_inputs("gr00t-n1.5"), "--json")
    answer = robotrain("render", RECIPES / "gr00t-n1.5/job.yaml", *line)
    assert "hf_aaa" not in answer.stdout + answer.stderr
    workflow = yaml.safe_load(answer.json["files"]["workflow.yaml"]["text"])["workflow"]
    resources = next(iter(workflow["resources"].values()))
    wanted = {"cpu": 14, "memory": "48Gi", "storage": "200Gi", "gpu": 1, "platform": "gpu_platform"}
    assert {name: resources[name] for name in wanted} == wanted
    assert workflow["timeout"] == {"exec_timeout": "2d", "queue_timeout": "4h"}


@pytest.mark.slow
@pytest.mark.long
def test_plain_program_trains(robotrain, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    answer = robotrain("submit", RECIPES / "pytorch-pusht/job.yaml", "--platform", "local", "--wait", "--new")
    assert answer.exit_code == 0, answer.stderr + answer.stdout
    run = api.runs(limit=1)[0]
    assert run.evaluated().scores["held_out_error"] < 10
    assert run.progress().metrics["loss"] < 0.001
    steps = [output.step for output in run.outputs() if output.kind == "checkpoint"]
    assert steps == [500, 1000, 1500, 2000]

    last = next(output for output in run.outputs() if output.step == 2000)
    line = ("--resume-from", last.uri, "--param", "steps=2500", "--wait")
    answer = robotrain("submit", RECIPES / "pytorch-pusht/job.yaml", "--platform", "local", *line)
    assert answer.exit_code == 0, answer.stderr + answer.stdout
    assert [output.step for output in api.runs(limit=1)[0].outputs() if output.kind == "checkpoint"] == [2500]
