"""A dataset that the Hub does not give, and that LeRobot's cache holds, is offered with the options to type."""

import json
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
from robotrain.model.source import SourceError, SourceNotFound
from robotrain_sources.huggingface import pin

JOB = ("submit", "--platform", "fake", "--dry-run", "--json", "--dataset-repo-id")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fake_platform: Any, pusht: Path) -> Path:
    """LeRobot's cache, with a dataset that was recorded here and one that came from the Hub."""
    folder = tmp_path / "cache of lerobot"
    shutil.copytree(pusht, folder / "me/cups")
    shutil.copytree(pusht, folder / "hub/datasets--lerobot--pusht/snapshots/abc")
    monkeypatch.setenv("HF_LEROBOT_HOME", str(folder))
    return folder


@pytest.fixture(params=["missing", "unreachable"])
def hub(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Hub without the dataset, and one that does not answer."""

    def resolve_pin(source: object, role: str) -> str:
        if request.param == "missing":
            raise SourceNotFound(f"The Hub has no public dataset {source}.")
        raise SourceError("The Hub cannot be reached.")

    monkeypatch.setattr(pin, "resolve_pin", resolve_pin)


def suggest(robotrain: Any, *words: str) -> list[str]:
    """The options that an error suggests for a folder."""
    answer = robotrain(*JOB, *words)
    assert answer.exit_code == 4
    ways = [way["text"] for problem in json.loads(answer.stdout)["problems"] for way in problem["instead"]]
    return [text for text in ways if text.startswith("--dataset-path")]


@pytest.mark.parametrize(
    ("name", "place"), [("me/cups", "me/cups"), ("lerobot/pusht@main", "hub/datasets--lerobot--pusht/snapshots/abc")]
)
def test_a_dataset_of_lerobots_cache_is_offered_and_its_options_work(
    robotrain: Any, cache: Path, hub: None, name: str, place: str
) -> None:
    (suggestion,) = suggest(robotrain, name)
    words = shlex.split(suggestion)
    assert words == ["--dataset-path", str(cache / place), "--dataset-id", name.partition("@")[0]]
    assert robotrain("submit", "--platform", "fake", "--dry-run", *words).exit_code == 0


@pytest.mark.parametrize("name", ["me/cars", "me/.."])
def test_nothing_is_offered_that_is_not_there(robotrain: Any, cache: Path, hub: None, name: str) -> None:
    assert not [line for line in robotrain(*JOB, name).stdout.splitlines() if "--dataset-path" in line]


def test_a_platform_that_takes_no_folders_offers_none(
    robotrain: Any, cache: Path, hub: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fake_plugin
    from robotrain.model.support import Support

    monkeypatch.setitem(fake_plugin.FAKE.capabilities.sources, ("dataset", "local_path"), Support("no", "No folders."))
    assert suggest(robotrain, "me/cups") == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("revision", "is_offered"), [("", True), ("@main", True), ("@" + "a" * 40, True), ("@" + "b" * 40, False)]
)
def test_backbone_of_the_hubs_cache_is_offered(
    robotrain: Any,
    fake_platform: Any,
    hub: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    revision: str,
    is_offered: bool,
) -> None:
    folder = tmp_path / "hub/models--lab--vlm/snapshots" / ("a" * 40)
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    words = ("--policy-type", "smolvla", "--backbone-repo-id", f"lab/vlm{revision}")
    answer = robotrain("submit", "--platform", "local", "--dry-run", "--json", "--dataset-repo-id", "me/cups", *words)
    ways = [way["text"] for problem in answer.json["problems"] for way in problem["instead"]]
    assert (f"--backbone-path {folder}" in ways) == is_offered
