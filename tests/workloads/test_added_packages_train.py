"""A policy of a package that somebody else wrote trains, resumes and is evaluated; one that fails is named."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from robotrain_runtime.environments import uv_program

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(uv_program.find_uv(Path("/nowhere")) is None, reason="no uv on this machine"),
]
SOURCE = Path(__file__).with_name("tiny_policy")
QUICK = (
    *("--batch-size", "2", "--num-workers", "0", "--save-freq", "2", "--log-freq", "2", "--device", "cpu"),
    *("--no-val-split", "--no-system-metrics", "--training-steps", "4", "--wait", "--stream"),
)


NAMES = {
    "tiny": "lerobot_policy_tiny",
    "dashed": "lerobot-policy-dashed",
    "plain": "my_policies",
    "broken": "lerobot_policy_broken",
}
"""The distributions, by the type of their policy."""


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    output: str


@pytest.fixture(scope="module")
def shelf(made_once: Callable[..., Path]) -> Path:
    """The wheels of a policy: as it should be, with other names, and one that cannot be imported."""

    def make(folder: Path) -> None:
        uv = uv_program.find_uv(Path("/nowhere"))
        for kind, name in NAMES.items():
            source = folder / "sources" / kind
            make_variant(source, name, kind)
            subprocess.run([str(uv), "build", "--wheel", "--out-dir", folder, source], check=True, capture_output=True)

    return made_once("policy-wheels", make)


def make_variant(source: Path, name: str, kind: str) -> None:
    """Copy the policy with another name and type."""
    shutil.copytree(SOURCE, source)
    package = source / "src" / f"lerobot_policy_{kind}"
    (source / "src/lerobot_policy_tiny").rename(package)
    for path in package.glob("*.py"):
        text = path.read_text().replace("tiny", kind).replace("Tiny", kind.title())
        path.unlink()
        path.with_name(path.name.replace("tiny", kind)).write_text(text)
    project = source / "pyproject.toml"
    project.write_text(project.read_text().replace("lerobot_policy_tiny", name))
    if kind == "broken":
        (package / "__init__.py").write_text("import no_such_robot_library\n")


@pytest.fixture
def robotrain_line(shelf: Path, tmp_path: Path, training_environment: str) -> Callable[..., Ended]:
    """Run a line of robotrain with the wheels as a second index; packages come from the user's cache."""
    (tmp_path / "uv.toml").write_text(f"find-links = [{json.dumps(str(shelf))}]\n")
    variables = {**os.environ, "ROBOTRAIN_STATE": str(tmp_path / "state"), "UV_CONFIG_FILE": str(tmp_path / "uv.toml")}

    def run(*words: object) -> Ended:
        line = [sys.executable, "-m", "robotrain", *map(str, words)]
        done = subprocess.run(line, cwd=tmp_path, env=variables, capture_output=True, text=True)
        return Ended(done.returncode, done.stdout + done.stderr)

    return run


@pytest.mark.long
def test_a_policy_of_an_index_trains_resumes_and_is_evaluated_with_its_package(robotrain_line, pusht, tmp_path):
    job = ("--platform", "local", "--dataset-path", pusht)
    added = ("--with", "lerobot_policy_tiny==0.1", "--policy-type", "tiny", "--name", "tiny")
    trained = robotrain_line("submit", *job, *QUICK, *added, "--", "--policy.hidden=8")
    assert trained.code == 0, trained.output[-3000:]
    (outputs,) = (tmp_path / "state/local").glob("lerobot-train-*/outputs")
    config = json.loads((outputs / "checkpoints/000004/pretrained_model/config.json").read_text())
    assert (config["type"], config["hidden"]) == ("tiny", 8)
    resumed = robotrain_line("resume", "tiny", "--training-steps", "6", "--wait", "--stream")
    assert resumed.code == 0, resumed.output[-3000:]
    assert "resuming from step 4" in resumed.output
    evaluation = ("lerobot-eval", *job, "--policy-run", "tiny", "--eval-episodes", "1", "--wait", "--stream")
    evaluated = robotrain_line("submit", *evaluation)
    assert evaluated.code == 0, evaluated.output[-3000:]
    assert "replay: mse" in evaluated.output
    without = robotrain_line("submit", *evaluation, "--set", "packages=[]", "--json")
    assert without.code in (2, 4), without.output[-3000:]
    assert "--with PACKAGE" in without.output


@pytest.mark.long
def test_a_name_with_dashes_is_imported_and_fine_tuned(robotrain_line, pusht, shelf, tmp_path):
    (wheel,) = shelf.glob("lerobot_policy_dashed-*.whl")
    job = ("submit", "--platform", "local", "--dataset-path", pusht, *QUICK, "--with", wheel)
    trained = robotrain_line(*job, "--policy-type", "dashed")
    assert trained.code == 0, trained.output[-3000:]
    (outputs,) = (tmp_path / "state/local").glob("lerobot-train-*/outputs")
    tuned = robotrain_line(
        *job, "--policy-path", outputs / "checkpoints/000004/pretrained_model", "--learning-rate", "1e-4"
    )
    assert tuned.code == 0, tuned.output[-3000:]


@pytest.mark.long
def test_a_package_of_another_name_is_imported_if_no_plugin_has_the_type(robotrain_line, pusht, shelf):
    (wheel,) = shelf.glob("my_policies-*.whl")
    job = ("submit", "--platform", "local", "--dataset-path", pusht, *QUICK)
    trained = robotrain_line(*job, "--with", wheel, "--with", "lerobot_policy_tiny", "--policy-type", "plain")
    assert trained.code == 0, trained.output[-3000:]


@pytest.mark.long
def test_a_package_that_cannot_be_imported_is_named_before_training(robotrain_line, pusht, shelf):
    (wheel,) = shelf.glob("lerobot_policy_broken-*.whl")
    job = ("submit", "--platform", "local", "--dataset-path", pusht, *QUICK)
    answer = robotrain_line(*job, "--with", wheel, "--policy-type", "broken")
    assert answer.code != 0
    sentence = "the package lerobot-policy-broken cannot be imported: ModuleNotFoundError: No module named"
    assert sentence in answer.output, answer.output[-3000:]
    assert "Start offline training" not in answer.output


@pytest.mark.long
def test_a_type_that_no_package_has_is_named_with_those_that_they_have(robotrain_line, pusht):
    job = ("submit", "--platform", "local", "--dataset-path", pusht, *QUICK)
    answer = robotrain_line(*job, "--with", "lerobot_policy_tiny", "--policy-type", "tinny")
    assert answer.code != 0
    assert "no policy type tinny: there is tiny" in answer.output, answer.output[-3000:]


@pytest.mark.long
def test_a_folder_is_built_in_the_job(robotrain_line, pusht, tmp_path):
    shutil.copytree(SOURCE, tmp_path / "mine")
    job = ("submit", "--platform", "local", "--dataset-path", pusht, *QUICK, "--policy-type", "tiny")
    built = robotrain_line(*job, "--with", "./mine", "--allow-builds")
    assert built.code == 0, built.output[-3000:]
