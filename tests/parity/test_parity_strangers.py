"""What a third party's plugin brings works on each platform that says so, with what its workload and kinds declare."""

from pathlib import Path

import pytest
import yaml
from parity_cells import list_cells
from parity_command import DATASET, FROM_CHECKPOINT, OWN_PROGRAM, PLATFORMS, platform_words
from parity_lines import list_lines
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
SING = ("sing", "--shelf", SHELF)
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


def stranger_words(role: str, kind: str = ANY) -> tuple[str, ...]:
    return ("--publish-url" if role == PUBLISH_ROLE else FLAGS[role], SHELF)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_accepted_source_reaches_the_runtime_with_its_container_plugin(render_job, platform: str) -> None:
    accepted = list_cells("sources", platform, taken=True, where=lambda role, kind: kind == ANY)
    lines = list(list_lines(accepted, stranger_words))
    assert sorted(cell for _, cells in lines for cell in cells) == sorted(accepted), "each is in a line"
    for line, cells in lines:
        document = render_job(platform, *line).document
        for cell in cells:
            role, _ = cell.what
            if role == PUBLISH_ROLE:
                target = (document.parameters["publish_url"], document.container_plugins["target.shelf"])
                assert target == (SHELF, "parity_stranger.target"), cell
            else:
                assert JobSource(role=role, kind="shelf", uri=SHELF) in document.sources, cell
                assert document.container_plugins["source.shelf"] == "parity_stranger.container", cell


@pytest.mark.parametrize("platform", PLATFORMS)
def test_refused_source_is_named(find_errors, platform: str) -> None:
    for cell in list_cells("sources", platform, taken=False, where=lambda role, kind: kind == ANY):
        start = {"code": OWN_PROGRAM, "checkpoint": FROM_CHECKPOINT}.get(cell.what[0], DATASET)
        (problem,) = find_errors(platform, *start, *stranger_words(*cell.what))
        assert (problem["code"].endswith("-not-accepted"), problem["given"]) == (True, SHELF), cell


@pytest.mark.parametrize("platform", PLATFORMS)
def test_workload_runs_its_own_command(render_job, platform: str) -> None:
    assert list_cells("workloads", platform, taken=True, where=lambda name: name == ANY)
    document = render_job(platform, *SING, "--voices", "3").document
    half = plugin_loader.load_workload_plugin(document)
    assert (document.workload, half.__name__) == ("sing", document.container_plugins["workload.sing"])
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
def test_refused_workload_suggests_the_platforms_that_accept_it(
    robotrain, install, declared: str, workload: str
) -> None:
    source = PLAIN_PLATFORM.replace('workloads={"lerobot-train": YES}', f"workloads={declared}")
    install("robotrain-plain", {"platform.plain": "plain_plugin"}, plain_plugin=source)
    assert read_refusal(robotrain, (workload, "--blob-url", BLOB), "workload-not-accepted") == set(PLATFORMS)


@pytest.mark.parametrize(
    "words", [("--policy-url", BLOB), ("--policy-path", "/data/policy")], ids=["not yet", "undeclared"]
)
def test_undeclared_source_suggests_the_platforms_that_accept_it(
    robotrain, plain_platform, words: tuple[str, ...]
) -> None:
    problem = f"source-not-accepted {' '.join(words)}"
    assert read_refusal(robotrain, (*DATASET, *words), problem) == set(PLATFORMS)


@pytest.mark.parametrize("words", [("lerobot-train", "--blob-url", BLOB), ("sing", "--blob-url", BLOB)])
def test_suggested_platforms_accept_what_another_refused(assert_accepted, words: tuple[str, ...]) -> None:
    for platform in PLATFORMS:
        assert_accepted([*words, *platform_words(platform)])


def read_refusal(robotrain, words: tuple[str, ...], expected: str) -> set[str]:
    """Those of our platforms that the problem of a job names which the plain platform does not take."""
    answer = robotrain("submit", *words, "--platform", "plain", "--json")
    answer.check_problems(3, expected)
    (problem,) = answer.json["problems"]
    return {way["text"].removeprefix("--platform ") for way in problem["instead"]} & set(PLATFORMS)


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


WHY = {
    "dataset": (("--attic", "attic://chest"), "The attic is reached by its ladder alone."),
    "policy": ((*DATASET, "--policy-attic", "attic://chest"), "Policies are not kept in the attic."),
}


def test_kind_says_itself_why_a_platform_does_not_take_it(find_errors, robotrain) -> None:
    rows = robotrain("platforms", "--json").json["rows"]
    for words, sentence in WHY.values():
        instead = f"{words[-2].replace('attic', 'shelf')} shelf://NAME"
        cells = [cell for row in rows if row.get("kind") == "attic" for cell in row["support"]]
        refused = [(cell["level"], cell["instead"]) for cell in cells if cell["reason"] == sentence]
        assert len(refused) >= len(PLATFORMS)
        assert set(refused) == {("no", instead)}
        for platform in PLATFORMS:
            problems = find_errors(platform, *words)
            problem = next(problem for problem in problems if problem["code"] == "source-not-accepted")
            assert (problem["why"], problem["instead"][0]["text"]) == (sentence, instead), platform
