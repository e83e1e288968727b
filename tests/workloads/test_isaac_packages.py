"""Packages that a job adds to the Isaac Lab that robotrain builds (`--with`): tasks, and what one's own tasks need."""

import dataclasses
from pathlib import Path
from typing import Any

import pretend_index
import pytest
from robotrain.store import plans
from robotrain_runtime.contract import added_packages, plugin_loader
from robotrain_runtime.contract.document import JobDocument, Placement, parse_document
from robotrain_runtime.contract.failure import JobFailed
from robotrain_runtime.contract.problem import ProblemError
from robotrain_runtime.environments import uv_program
from robotrain_workloads.isaac import installation

pytestmark = pytest.mark.skipif(uv_program.find_uv(Path("/nowhere")) is None, reason="no uv on this machine")
PLATFORM = Path(__file__).parents[1] / "plain_platform.py"
TASK = "My-Task-Direct"
PLAYED = ("--checkpoint-uri", ".")


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, install: Any) -> Path:
    """A package with tasks, a platform that takes trainings, and no package index."""
    plugin = PLATFORM.read_text().replace('{"lerobot-train": YES}', '{"isaac-train": YES, "isaac-validate": YES}')
    install("robotrain-plain", {"platform.plain": "plain_plugin"}, plain_plugin=plugin)
    (tmp_path / "uv.toml").write_text("no-index = true\n")
    monkeypatch.setenv("UV_CONFIG_FILE", str(tmp_path / "uv.toml"))
    return pretend_index.wheel(tmp_path / "shelf", "my_tasks", "1.0")


def read_document(run: str, cache: Path) -> JobDocument:
    text = plans.read_stored_plan(run).plan.files["job.json"].decode()
    return dataclasses.replace(parse_document(text), placement=Placement(work=str(cache / "work"), cache=str(cache)))


@pytest.fixture
def document(robotrain: Any, wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> JobDocument:
    """The document of a training with the package."""
    monkeypatch.delenv(installation.PATH_VARIABLE, raising=False)
    answer = robotrain("submit", "isaac-train", "--platform", "plain", "--with", wheel, "--task", TASK)
    assert "task-of-packages" in answer.stderr, answer.stderr
    assert answer.exit_code == 0, answer.stderr
    return read_document(answer.stdout.strip(), tmp_path / "cache")


def test_a_package_is_added_to_the_environment_of_isaac_lab_alone(document: JobDocument) -> None:
    assert added_packages.list_packages(document.program_lock) == {"my-tasks": "1.0"}
    built = plugin_loader.get_program_environment(document, Path(document.placement.work))
    assert built is not None
    assert dict(built.required_packages) == {"isaaclab": "3.0", "my-tasks": "1.0"}
    locked = added_packages.list_packages(built.lock.read_text())
    assert (locked["isaaclab"], locked["my-tasks"]) == ("3.0.0", "1.0")
    assert "my-tasks" not in plugin_loader.get_job_environment(document).required_packages


def test_isaac_lab_of_the_laptop_is_not_asked_about_what_only_the_job_installs(document: JobDocument) -> None:
    assert not installation.can_be_asked(document)
    alone = dataclasses.replace(document, parameters={**document.parameters, "packages": None})
    assert installation.can_be_asked(alone)


def test_an_isaac_lab_that_is_there_gets_no_packages(
    document: JobDocument, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "scripts/reinforcement_learning").mkdir(parents=True)
    (tmp_path / "scripts/reinforcement_learning/train.py").touch()
    (tmp_path / installation.SCRIPT).touch()
    monkeypatch.setenv(installation.PATH_VARIABLE, str(tmp_path))
    with pytest.raises(ProblemError, match="--with adds packages to an Isaac Lab that robotrain builds"):
        installation.find_present(document)


def test_a_cache_that_cannot_be_written_is_named(document: JobDocument, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    placement = Placement(work=str(tmp_path), cache=str(tmp_path / "file"))
    with pytest.raises(JobFailed, match="packages of the job cannot be written to the cache"):
        plugin_loader.get_program_environment(dataclasses.replace(document, placement=placement), tmp_path)


@pytest.mark.parametrize("words", [("isaac-train",), ("isaac-validate", *PLAYED), ("isaac-export", *PLAYED)])
@pytest.mark.parametrize("option", [("--isaac-version", "2.3"), ("--isaaclab-path", "/lab")])
def test_packages_without_an_isaac_lab_to_build_are_refused(
    robotrain: Any, wheel: Path, words: tuple[str, ...], option: tuple[str, ...]
) -> None:
    refused = robotrain("render", *words, "--platform", "local", "--with", wheel, *option)
    refused.check(2, "[option-without-effect]", f"--with has no effect with {option[0]}")
