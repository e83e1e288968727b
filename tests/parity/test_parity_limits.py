"""Every limit on every platform: it is where it is said to be, and what is beyond has a way out."""

import random
from pathlib import Path
from typing import Any

import pytest
from parity_cells import read_matrix
from parity_command import platform_words
from robotrain.config.sources import MAX_SOURCES

BLOB = "https://account1.blob.core.windows.net/train/set"
STRANGER = Path(__file__).with_name("container_plugins") / "parity_stranger"


def list_limits(name: str) -> list[Any]:
    """For parametrize: the platforms where a limit holds, with its number."""
    (limit,) = (limit for limit in read_matrix().limits if limit.name == name)
    return [(platform, number) for platform, number in limit.numbers.items() if number is not None]


def test_every_limit_is_tested() -> None:
    assert {limit.name for limit in read_matrix().limits} == {"sources", "spec_kib", "steps"}


@pytest.mark.parametrize(("platform", "number"), list_limits("sources"))
def test_limit_of_sources(render_job, find_errors, platform: str, number: int) -> None:
    typed = [word for index in range(number) for word in ("--blob-url", f"{BLOB}{index}")]
    assert sum(not source.implied for source in render_job(platform, *typed).document.sources) == number
    (problem,) = find_errors(platform, *typed, "--blob-url", BLOB, code=3 if number < MAX_SOURCES else 2)
    assert str(number) in problem["title"]


@pytest.mark.parametrize(("platform", "number"), list_limits("steps"))
def test_limit_of_pipeline_steps(robotrain, tmp_path: Path, platform: str, number: int) -> None:
    settings = {"osmo": "{pool: default, storage_account: robots}"}[platform]
    job = f"workload: lerobot-train, platforms: {{{platform}: {settings}}}"
    sources = f"sources: {{dataset: [{{blob_url: '{BLOB}'}}]}}"
    steps = [f"  s{at}: {{{job}, {sources}, parameters: {{seed: {at}}}}}" for at in range(number + 1)]
    file = tmp_path / "pipeline.yaml"

    def render(top: str, count: int) -> Any:
        file.write_text("\n".join((top, "steps:", *steps[:count])))
        return robotrain("pipeline", "render", file, "--platform", platform, "--json")

    assert render("name: most", number).exit_code == 0
    answer = render("name: Most", number + 1)  # a problem of another kind is reported with it
    problems = {problem["code"]: problem for problem in answer.json["problems"] if problem["severity"] == "error"}
    assert problems.keys() == {"pipeline-name-invalid", "steps-over-limit"}
    assert f"at most {number} steps" in problems["steps-over-limit"]["title"]


@pytest.fixture
def heavy_kind(install: Any, tmp_path: Path) -> str:
    """A kind whose half weighs more than any limit, and cannot be compressed: the flag of its datasets."""
    site = install("robotrain-heavy", {"source.heavy": "parity_heavy.kinds"})
    package = site / "parity_heavy"
    package.mkdir()
    for name in ("__init__", "kinds", "container", "target"):
        text = (STRANGER / f"{name}.py").read_text()
        for ours, other in (("parity_stranger", "parity_heavy"), ("shelf", "heavy")):
            text = text.replace(ours, other)
        (package / f"{name}.py").write_text(text)
    heaviest = max(number for _, number in list_limits("spec_kib"))
    (package / "noise.bin").write_bytes(random.Random(0).randbytes(heaviest << 10))
    return "--heavy"


@pytest.mark.parametrize(("platform", "number"), list_limits("spec_kib"))
def test_too_large_specification_suggests_an_upload(robotrain, heavy_kind: str, platform: str, number: int) -> None:
    alone = platform_words(platform, {"--storage-account": None})
    answer = robotrain("render", heavy_kind, "heavy://top/left", *alone, "--json")
    (problem,) = (problem for problem in answer.json["problems"] if problem["severity"] == "error")
    assert (answer.exit_code, platform in problem["title"].lower()) == (3, True)
    (way,) = (way["text"] for way in problem["instead"])
    mended = robotrain(
        "render", heavy_kind, "heavy://top/left", *alone, *way.replace("NAME", "robots").split(), "--json"
    )
    assert mended.json["files"][mended.json["spec"]]["bytes"] < number << 10
