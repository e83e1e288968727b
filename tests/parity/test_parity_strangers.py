"""What a third party's plugin brings works on each platform that says so, with what its workload and kinds declare."""

from pathlib import Path

import pytest
import yaml
from parity_cells import Cell, cells
from parity_command import COMPARED, DATASET, FROM_CHECKPOINT, IN_SIMULATION, OWN_PROGRAM, PLATFORMS, platform_words
from robotrain.check.publish_targets import PUBLISH_ROLE
from robotrain.model.support import ANY
from robotrain_runtime.contract import plugin_loader
from robotrain_runtime.contract.document import JobSource

SHELF = "shelf://top/left"
FLAGS = {
    **{"dataset": "--shelf", "policy": "--policy-shelf", "init_policy": "--init-shelf"},
    **{"checkpoint": "--checkpoint-shelf", "resume": "--resume-shelf", "code": "--code-shelf"},
    **{"backbone": "--backbone-shelf", "reference": "--reference-shelf", "scenes": "--scenes-shelf"},
}
BLOB = "https://account1.blob.core.windows.net/train/set1"
PLAIN_PLATFORM = (Path(__file__).parents[1] / "plain_platform.py").read_text()


@pytest.fixture(autouse=True)
def stranger(install, monkeypatch: pytest.MonkeyPatch) -> None:
    """The plugin in `container_plugins`, installed."""
    kinds, work = "parity_stranger.kinds", "parity_stranger.work"
    install("robotrain-stranger", {"source.shelf": kinds, "source.attic": kinds, "workload.sing": work})
    monkeypatch.syspath_prepend(Path(__file__).with_name("container_plugins"))


@pytest.fixture
def root() -> tuple[str, ...]:
    """With plugins."""
    return ()


def stranger_words(role: str) -> tuple[str, ...]:
    if role == PUBLISH_ROLE:
        return (*DATASET, "--publish-url", SHELF)
    if beside := {
        "checkpoint": FROM_CHECKPOINT,
        "code": OWN_PROGRAM,
        "reference": COMPARED,
        "scenes": IN_SIMULATION,
    }.get(role):
        return (*beside, FLAGS[role], SHELF)
    return (FLAGS[role], SHELF) if role == "dataset" else (*DATASET, FLAGS[role], SHELF)


@pytest.mark.parametrize("cell", cells("sources", where=lambda role, kind: kind == ANY))
def test_source_reaches_the_runtime_with_its_container_plugin_or_is_refused(
    render_job, find_errors, cell: Cell
) -> None:
    role, _ = cell.what
    if not cell.support:
        (problem,) = find_errors(cell.platform, *stranger_words(role))
        assert (problem["code"].endswith("-not-accepted"), problem["given"]) == (True, SHELF)
        return
    document = render_job(cell.platform, *stranger_words(role)).document
    if role == PUBLISH_ROLE:
        assert (document.parameters["publish_url"], document.container_plugins["target.shelf"]) == (
            SHELF,
            "parity_stranger.target",
        )
    else:
        assert JobSource(role=role, kind="shelf", uri=SHELF) in document.sources
        assert document.container_plugins["source.shelf"] == "parity_stranger.container"


@pytest.mark.parametrize("cell", cells("workloads", where=lambda name: name == ANY))
def test_workload_runs_its_own_command_or_is_refused(render_job, find_errors, cell: Cell) -> None:
    name, typed = "sing", ("sing", "--shelf", SHELF, "--voices", "3")
    if not cell.support:
        (problem,) = find_errors(cell.platform, *typed)
        assert (problem["code"], problem["given"]) == ("workload-not-accepted", name)
        return
    document = render_job(cell.platform, *typed).document
    half = plugin_loader.load_workload_plugin(document)
    assert (document.workload, half.__name__) == (name, document.container_plugins[f"workload.{name}"])
    work = half.work(document, dict.fromkeys(document.sources, Path("/data")), Path("/work"))
    assert work.arguments == ("-m", "choir", "--voices=3", "/data")


@pytest.mark.parametrize(
    ("declared", "workload"),
    [
        ('{"lerobot-train": no("It is too far for that.")}', "lerobot-train"),
        ('{"lerobot-train": not_yet("In a year.")}', "lerobot-train"),
        ("{}", "lerobot-train"),
        ('{"lerobot-train": YES}', "sing"),
    ],
)
def test_refused_workload_is_accepted_by_the_suggested_platforms(
    robotrain, install, assert_accepted, declared: str, workload: str
) -> None:
    source = PLAIN_PLATFORM.replace('workloads={"lerobot-train": YES}', f"workloads={declared}")
    install("robotrain-plain", {"platform.plain": "plain_plugin"}, plain_plugin=source)
    words = (workload, "--blob-url", BLOB)
    assert read_refusal(robotrain, words, "workload-not-accepted") == set(PLATFORMS)
    for platform in PLATFORMS:
        assert_accepted([*words, *platform_words(platform)])


@pytest.mark.parametrize(
    "words", [("--policy-url", BLOB), ("--policy-path", "/data/policy")], ids=["not yet", "undeclared"]
)
def test_undeclared_source_is_accepted_by_the_suggested_platforms(
    robotrain, plain_platform, assert_accepted, words: tuple[str, ...]
) -> None:
    problem, words = f"source-not-accepted {' '.join(words)}", (*DATASET, *words)
    assert read_refusal(robotrain, words, problem) == set(PLATFORMS)
    for platform in PLATFORMS:
        assert_accepted([*words, *platform_words(platform)])


def read_refusal(robotrain, words: tuple[str, ...], expected: str) -> set[str]:
    """Those of our platforms that the problem of a job names which the plain platform does not take."""
    answer = robotrain("submit", *words, "--platform", "plain", "--json")
    answer.check_problems(3, expected)
    (problem,) = answer.json["problems"]
    return {way["text"].removeprefix("--platform ") for way in problem["instead"]} & set(PLATFORMS)


SING = ("sing", "--shelf", SHELF)
IMAGE = f"registry.example/choir:1.0@sha256:{'ab' * 32}"


def test_workload_declares_its_resources_and_image_on_osmo(render_job) -> None:
    workflow = yaml.safe_load(render_job("osmo", *SING).spec)["workflow"]
    resources = workflow["resources"]["default"]
    assert (resources["cpu"], resources["memory"], resources["storage"]) == (3, "7Gi", "9Gi")
    assert workflow["timeout"]["exec_timeout"] == "45m"
    assert workflow["tasks"][0]["image"] == IMAGE


def test_workload_declares_its_environment_experiment_and_outputs_on_azureml(render_job) -> None:
    job = yaml.safe_load(render_job("azureml", *SING).spec)
    assert job["environment"].startswith("azureml:choir-env:1.0-sha256-")
    assert job["experiment_name"] == "concerts"
    assert list(job["outputs"]) == ["songs"]
    assert job["outputs"]["songs"]["path"].endswith("/songs/")


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--attic", "attic://chest"), "The attic is reached by its ladder alone."),
        ((*DATASET, "--policy-attic", "attic://chest"), "Policies are not kept in the attic."),
    ],
)
def test_kind_says_itself_why_a_platform_does_not_take_it(
    find_errors, robotrain, platform: str, words: tuple[str, ...], sentence: str
) -> None:
    problem = next(one for one in find_errors(platform, *words) if one["code"] == "source-not-accepted")
    instead = f"{words[-2].replace('attic', 'shelf')} shelf://NAME"
    assert (problem["why"], problem["instead"][0]["text"]) == (sentence, instead)
    rows = robotrain("platforms", platform, "--json").json["rows"]
    cells = [cell for row in rows if row.get("kind") == "attic" for cell in row["support"]]
    assert {"level": "no", "reason": sentence, "instead": instead} in cells
