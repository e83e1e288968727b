"""Tasks of the user's own: a folder whose package registers them is read before the job, and imported by it alone."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from robotrain_workloads.isaac import user_code

EXAMPLE = Path(__file__).parents[2] / "examples/isaac-own-task"
TASK = "Cartpole-Centered-Direct"
TRAIN, PLAY = ("isaac-train",), ("isaac-validate", "--checkpoint-uri", ".")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The example, to be changed."""
    copied = tmp_path / "own"
    shutil.copytree(EXAMPLE, copied, ignore=shutil.ignore_patterns("__pycache__"))
    return copied


def test_a_folder_with_tasks_needs_no_program_and_is_not_run(robotrain: Any, folder: Path) -> None:
    package = folder / "centered_cartpole/__init__.py"
    package.write_text(package.read_text() + "\nraise SystemExit('it was run')\n")
    job = ("explain", "isaac-train", "--platform", "local", "--code", folder, "--task", TASK, "--json")
    values = {row["name"]: row for row in robotrain(*job).json["values"]}
    assert (values["entry"]["value"], values["entry"]["origin"]) == ("isaaclab.tasks", "default of pyproject.toml")


def test_a_python_without_a_reader_of_toml_finds_the_entry_points(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tomllib", None)
    assert user_code.read_folder(EXAMPLE).modules == ("centered_cartpole",)


REMOVED = {"[project.entry-points": "[tool.mine.entry-points"}
CASES: dict[str, tuple[tuple[str, ...], dict[str, dict[str, str]], str]] = {
    # by what is tested: words of the line, changed texts of files, and the refusal
    "a task of the folder": ((*TRAIN, "--task", TASK), {}, ""),
    "a task of Isaac Lab": ((*TRAIN, "--task", "Isaac-Cartpole-Direct"), {}, ""),
    "no entry points, no program": ((*TRAIN, "--task", TASK), {"pyproject.toml": REMOVED}, "entry-missing --code"),
    "no entry points to play": ((*PLAY, "--task", TASK), {"pyproject.toml": REMOVED}, "tasks-missing --code"),
    "a package that is not there": (
        (*TRAIN, "--task", TASK),
        {"pyproject.toml": {'= "centered_cartpole"': '= "other.tasks"'}},
        "tasks-missing --code",
    ),
    "an option that robotrain sets": ((*TRAIN, "--task", TASK, "--", "--num_envs=3"), {}, "option-owned --"),
    "an option that the script lacks": ((*TRAIN, "--task", TASK, "--", "--nope"), {}, "script-option-invalid --"),
    "Isaac Lab 2.3": (
        (*TRAIN, "--task", TASK, "--isaac-version", "2.3", "--backend", "rsl_rl"),
        {},
        "option-without-effect --code",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_the_job_would_not_find_is_refused_before(robotrain: Any, folder: Path, case: str) -> None:
    words, changes, refusal = CASES[case]
    for name, texts in changes.items():
        for before, after in texts.items():
            content = (folder / name).read_text()
            assert before in content
            (folder / name).write_text(content.replace(before, after))
    program = words[words.index("--") :] if "--" in words else ()
    line = words[: len(words) - len(program)]
    answer = robotrain("render", *line, "--platform", "local", "--code", folder, *program)
    answer.check_problems(*((2, refusal) if refusal else (0,)))


def test_a_package_in_src_is_imported_from_there(folder: Path) -> None:
    (folder / "src").mkdir()
    (folder / "centered_cartpole").rename(folder / "src/centered_cartpole")
    read = user_code.read_folder(folder)
    assert read == (folder / "src", ("centered_cartpole",))


def test_what_reads_a_trained_policy_gets_the_tasks_alone() -> None:
    assert user_code.brings_tasks(str(EXAMPLE))
    assert not user_code.brings_tasks(str(EXAMPLE.parent / "two-nodes"))


@pytest.mark.slow
@pytest.mark.long
def test_an_own_task_is_trained_and_validated_for_real(isaac_lab_python: Path, tmp_path: Path) -> None:
    assets = tmp_path / "assets"
    script = EXAMPLE.parent / "isaac-cartpole/make_assets.py"
    subprocess.run([isaac_lab_python, script, assets], check=True)

    def submit(*words: object) -> Any:
        line = ("submit", *words, "--platform", "local", "--assets", assets, "--wait", "--json")
        command = [sys.executable, "-m", "robotrain", *map(str, line)]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=900)
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)

    trained = submit(EXAMPLE / "job.yaml", "--num-envs", 16, "--max-iterations", 3)
    played = ("--checkpoint-uri", trained["run"], "--code", EXAMPLE, "--num-envs", 4, "--eval-episodes", 4)
    submit("isaac-validate", *played, "--success-threshold", 0)
