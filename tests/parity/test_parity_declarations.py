"""What a stranger declares holds on every platform: the machine of its workload, the sentence of its source kind."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from parity_command import DATASET, PLATFORMS, platform_words

SHELF = ("--shelf", "shelf://top/left")
ATTIC = {
    ("--attic", "attic://chest"): "The attic is reached by its ladder alone.",
    (*DATASET, "--policy-attic", "attic://chest"): "Policies are not kept in the attic.",
}
IMAGE = f"registry.example/choir:1.0@sha256:{'ab' * 32}"


@pytest.fixture(autouse=True)
def stranger(install: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The plugin in `halves`, installed."""
    kinds, work = "parity_stranger.kinds", "parity_stranger.work"
    install("robotrain-stranger", {"source.shelf": kinds, "source.attic": kinds, "workload.sing": work})
    monkeypatch.syspath_prepend(Path(__file__).with_name("container_plugins"))


@pytest.fixture
def root() -> tuple[str, ...]:
    """With plugins."""
    return ()


def spec(robotrain: Any, platform: str, name: str) -> dict[str, Any]:
    """A file of the plan of a stranger's job."""
    answer = robotrain("render", "sing", *SHELF, *platform_words(platform), "--json")
    assert answer.exit_code == 0, answer.stderr
    return dict(yaml.safe_load(answer.json["files"][name]["text"]))


def test_osmo_places_a_strangers_workload_as_it_declares(robotrain: Any) -> None:
    workflow = spec(robotrain, "osmo", "workflow.yaml")["workflow"]
    resources = workflow["resources"]["default"]
    assert (resources["cpu"], resources["memory"], resources["storage"]) == (3, "7Gi", "9Gi")
    assert workflow["timeout"]["exec_timeout"] == "45m"
    assert workflow["tasks"][0]["image"] == IMAGE


def test_azureml_places_a_strangers_workload_as_it_declares(robotrain: Any) -> None:
    job = spec(robotrain, "azureml", "job.yaml")
    assert job["environment"].startswith("azureml:choir-env:1.0-sha256-")
    assert job["experiment_name"] == "concerts"
    assert list(job["outputs"]) == ["songs"]
    assert job["outputs"]["songs"]["path"].endswith("/songs/")


def test_this_machine_runs_a_strangers_workload(robotrain: Any) -> None:
    answer = robotrain("render", "sing", *SHELF, *platform_words("local"), "--json")
    assert answer.exit_code == 0, answer.stderr


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize(("words", "sentence"), ATTIC.items())
def test_a_kind_says_itself_why_a_platform_does_not_take_it(
    find_errors: Any, platform: str, words: tuple[str, ...], sentence: str
) -> None:
    problem = next(one for one in find_errors(platform, *words) if one["code"] == "source-not-accepted")
    assert problem["why"] == sentence
    assert problem["instead"][0]["text"].endswith("shelf://NAME")


@pytest.mark.parametrize("platform", PLATFORMS)
def test_the_table_of_platforms_has_the_kinds_sentence(robotrain: Any, platform: str) -> None:
    told = robotrain("platforms", platform, "--json").json
    (row,) = [one for one in told["rows"] if one.get("kind") == "attic" and one.get("role") == "policy"]
    assert row["support"] == [
        {"level": "no", "reason": "Policies are not kept in the attic.", "instead": "--policy-shelf shelf://NAME"}
    ]
