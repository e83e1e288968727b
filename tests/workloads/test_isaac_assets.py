"""Assets of Isaac Lab: a source of the job, or a server that is asked before anything starts."""

import ast
import dataclasses
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from local_server import QuietHandler, serve
from robotrain_runtime.contract import files
from robotrain_runtime.contract.container_plugin import PREPARED_FILE, get_prepared_folder
from robotrain_runtime.contract.document import JobDocument, JobSource, Placement
from robotrain_runtime.contract.problem import summarize_problem
from robotrain_sources.blob_url.kind import KIND as BLOB
from robotrain_sources.huggingface.kind import KIND as HUB
from robotrain_sources.local_path.kind import KIND as FOLDER
from robotrain_workloads.isaac import assets, installation
from robotrain_workloads.isaac_export import container as export_container
from robotrain_workloads.isaac_export.parameters import IsaacExportParameters
from robotrain_workloads.isaac_train import container as train_container
from robotrain_workloads.isaac_train.parameters import IsaacTrainParameters
from robotrain_workloads.isaac_validate import container as validate_container
from robotrain_workloads.isaac_validate.parameters import IsaacValidateParameters

ROOT = Path(__file__).parents[2]
CARTPOLE, OWN_TASK = "Isaac-Cartpole-Direct", "Lab-Own-Task"
LINE = ("isaac-train", "--platform", "local", "--isaac-version", "3.0")
GROUND = "Isaac/IsaacLab/Environments/Grid/default_ground_plane_checker_v1/default_ground_plane.usda"
ROBOT = "Isaac/IsaacLab/Robots/Classic/Cartpole/cartpole.usd"
CONTAINERS: dict[str, tuple[ModuleType, type[Any]]] = {
    "isaac-train": (train_container, IsaacTrainParameters),
    "isaac-validate": (validate_container, IsaacValidateParameters),
    "isaac-export": (export_container, IsaacExportParameters),
}


def make_document(
    folder: Path, *sources: JobSource, workload: str = "isaac-train", task: str = CARTPOLE
) -> JobDocument:
    values = dataclasses.asdict(CONTAINERS[workload][1](task=task, isaac_version="3.0"))
    return JobDocument(
        schema=1,
        run="run-1",
        job="0" * 64,
        workload=workload,
        platform="local",
        container_plugins={},
        parameters=values,
        placement=Placement(work=str(folder / "work"), cache=str(folder / "cache")),
        sources=sources,
        trainer_args=(),
    )


def make_source(folder: Path, role: Any = "scenes") -> JobSource:
    return JobSource(role=role, kind="local_path", uri=str(folder))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Assets of the cart-pole."""
    for file in (GROUND, ROBOT):
        path = tmp_path / "assets" / file
        path.parent.mkdir(parents=True)
        path.write_text("#usda 1.0")
    return tmp_path / "assets"


def copy_tree(folder: Path, to: Path) -> None:
    shutil.copytree(folder, to)


@pytest.fixture
def find_problems(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., list[str]]:
    """Return what preflight says of a job without assets, where the variable has a root."""

    def find(root: object, task: str = CARTPOLE) -> list[str]:
        monkeypatch.setenv(assets.ROOT_VARIABLE, str(root))
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
        return list(map(summarize_problem, assets.find_problems(make_document(tmp_path, task=task), {})))

    return find


@pytest.fixture
def server() -> Iterator[str]:
    """A server that answers with the status that a root names, as `/404/Isaac/…`; others have all files."""

    class Handler(QuietHandler):
        def do_HEAD(self) -> None:
            root = self.path.split("/")[1]
            self.answer(status=int(root) if root.isdigit() else 200)

    with serve(Handler) as address:
        yield address


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("/data/assets", "local_path"),
        ("assets", "local_path"),
        ("./lab/assets", "local_path"),
        ("lab/assets", "huggingface"),
        ("hf://lab/assets@v1", "huggingface"),
        ("https://account.blob.core.windows.net/assets/isaac", "blob_url"),
    ],
)
def test_the_value_of_assets_tells_its_kind(text: str, kind: str) -> None:
    assert {each.roles["scenes"].flag for each in (FOLDER, HUB, BLOB)} == {assets.FLAG}
    assert [each.name for each in (FOLDER, HUB, BLOB) if each.recognizes_as("scenes", text)] == [kind]


def test_a_folder_of_here_is_not_taken_for_a_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lab/assets").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert not HUB.recognizes_as("scenes", "lab/assets")
    assert HUB.recognizes_as("scenes", "hf://lab/assets")


@pytest.mark.parametrize("workload", CONTAINERS)
def test_isaac_lab_reads_the_assets_of_the_job(workload: str, tmp_path: Path) -> None:
    data = {
        source: tmp_path / "fetched" / source.role
        for source in (make_source(tmp_path, "checkpoint"), make_source(tmp_path))
    }
    work = CONTAINERS[workload][0].work
    document = make_document(tmp_path, *data, workload=workload)
    assert work(document, data, tmp_path).environ[assets.ROOT_VARIABLE] == str(tmp_path / "fetched/scenes")
    bare = dataclasses.replace(document, sources=document.sources[:1])
    assert assets.ROOT_VARIABLE not in work(bare, data, tmp_path).environ


def test_a_program_of_ones_own_gets_the_assets_too(tmp_path: Path) -> None:
    data = {source: tmp_path / source.role for source in (make_source(tmp_path, "code"), make_source(tmp_path))}
    environ = train_container.work(make_document(tmp_path, *data), data, tmp_path).environ
    assert environ[assets.ROOT_VARIABLE] == str(tmp_path / "scenes")


@pytest.mark.parametrize(
    "place",
    ["assets/Isaac", ".", "other"],
)
def test_a_folder_of_here_must_have_what_the_task_loads(robotrain: Any, folder: Path, place: str) -> None:
    (folder.parent / "other").mkdir()
    answer = robotrain("render", *LINE, "--task", CARTPOLE, "--assets", folder.parent / place, "--json")
    (problem,) = (problem for problem in answer.json["problems"] if problem["code"] == "assets-incomplete")
    assert all(fact in problem["title"] for fact in (CARTPOLE, GROUND, ROBOT))
    assert [each["text"] for each in problem["instead"]] == ["--assets FOLDER"]


@pytest.mark.parametrize(
    ("place", "task", "arguments"),
    [
        ("assets", CARTPOLE, ()),
        ("elsewhere", CARTPOLE, ()),
        ("other", OWN_TASK, ()),
        ("other", CARTPOLE, ("--", "env.robot_cfg.spawn.usd_path=/data/cart.usd")),
    ],
)
def test_what_nobody_knows_here_is_left_to_the_job(
    robotrain: Any, folder: Path, place: str, task: str, arguments: tuple[str, ...]
) -> None:
    (folder.parent / "other").mkdir()
    words = (*LINE, "--task", task, "--assets", folder.parent / place, *arguments)
    assert robotrain("render", *words).exit_code == 0


def test_one_missing_file_is_named_with_its_task_alone(folder: Path) -> None:
    (folder / ROBOT).unlink()
    document = make_document(folder, source := make_source(folder))
    (problem,) = assets.find_problems(document, {source: folder})
    assert (ROBOT in problem.title, CARTPOLE in problem.title, GROUND in problem.title) == (True, True, False)


def test_isaac_lab_2_reads_no_assets(robotrain: Any, folder: Path) -> None:
    line = ("isaac-train", "--platform", "local", "--isaac-version", "2.3", "--assets", folder)
    robotrain("render", *line).check_problems(2, "option-without-effect")


@pytest.mark.parametrize(
    ("root", "task", "reason"),
    [
        ("whole", CARTPOLE, ""),
        ("404", CARTPOLE, "HTTP 404"),
        ("403", CARTPOLE, "HTTP 403"),
        ("500", CARTPOLE, ""),
        ("404", OWN_TASK, ""),
    ],
)
def test_the_server_is_asked_for_the_first_file(
    find_problems: Callable[..., list[str]], server: str, root: str, task: str, reason: str
) -> None:
    problems = find_problems(f"{server}/{root}", task)
    assert len(problems) == bool(reason)
    assert all(fact in text for text in problems for fact in ("127.0.0.1", GROUND, CARTPOLE, reason, "--assets FOLDER"))


def test_a_silent_server_is_waited_for_some_seconds(
    find_problems: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert assets.ANSWER_SECONDS < 10
    monkeypatch.setattr(assets, "ANSWER_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        (text,) = find_problems(f"http://127.0.0.1:{silent.getsockname()[1]}/assets")
    assert "did not answer within 0.05 s" in text or "timed out" in text


def test_a_server_that_is_not_there_is_named(find_problems: Callable[..., list[str]]) -> None:
    (text,) = find_problems("http://127.0.0.1:9/assets")
    assert "Connection refused" in text


def test_copies_of_isaac_lab_need_no_server(find_problems: Callable[..., list[str]], folder: Path) -> None:
    (folder.parent / "temporary/http/127.0.0.1_9").mkdir(parents=True)
    (folder.parent / "temporary/http/127.0.0.1_9/assets").symlink_to(folder)
    assert find_problems("http://127.0.0.1:9/assets") == []


@pytest.mark.parametrize("workload", CONTAINERS)
def test_what_was_fetched_before_needs_no_server(
    workload: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(assets.ROOT_VARIABLE, "http://127.0.0.1:9/assets/")
    monkeypatch.delenv(installation.PATH_VARIABLE, raising=False)
    plugin = CONTAINERS[workload][0]
    document = make_document(tmp_path, workload=workload)
    preparation = plugin.prepare(document, {}, {})
    assert preparation.arguments[1:] == ("http://127.0.0.1:9/assets", GROUND, ROBOT, "--")
    assert preparation.is_staged
    assert preparation.environment.required_packages == {"isaaclab": "3.0"}
    assert assets.make_environ(document, {}) == {}
    assert assets.list_cache_folders(document) == ()

    place = get_prepared_folder(document, preparation.key)
    files.fill_cache_folder(
        place, PREPARED_FILE, lambda to: copy_tree(folder, to / "http/127.0.0.1_9/assets"), on_wait=lambda: None
    )
    root = Path(assets.make_environ(document, {})[assets.ROOT_VARIABLE])
    assert (root / ROBOT).is_file()
    assert assets.list_cache_folders(document) == (root,)
    assert list(assets.find_problems(document, {})) == []
    assert plugin.prepare(document, {}, {}) == preparation
    later_step = dataclasses.replace(document, workload="isaac-export")
    assert assets.make_environ(later_step, {}) == assets.make_environ(document, {})


def test_a_server_that_answers_is_asked_though_its_files_were_fetched(
    server: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(assets.ROOT_VARIABLE, f"{server}/whole")
    document = make_document(tmp_path)
    preparation = assets.prepare(document, {}, {})
    assert preparation is not None
    copies = f"http/{server.removeprefix('http://').replace(':', '_')}/whole"
    place = get_prepared_folder(document, preparation.key)
    files.fill_cache_folder(place, PREPARED_FILE, lambda to: copy_tree(folder, to / copies), on_wait=lambda: None)
    assert assets.make_environ(document, {}) == {}


def test_what_isaac_lab_fetches_itself_is_not_fetched_before(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    document, with_assets = make_document(tmp_path), make_document(tmp_path, make_source(folder))
    own = dataclasses.replace(document, parameters={**document.parameters, "isaaclab_path": "/lab"})
    monkeypatch.setenv(assets.ROOT_VARIABLE, "http://127.0.0.1:9/assets")
    assert assets.prepare(with_assets, {}, {}) is assets.prepare(own, {}, {}) is None
    monkeypatch.setenv(assets.ROOT_VARIABLE, str(folder))
    assert assets.prepare(document, {}, {}) is None


@pytest.mark.slow
def test_isaac_lab_follows_the_files_that_a_robot_names(isaac_lab_python: Path, tmp_path: Path) -> None:
    served = tmp_path / "served"
    (served / "robot/parts").mkdir(parents=True)
    (served / "robot/cart.usda").write_text("#usda 1.0\n(\n    subLayers = [@./parts/body.usda@]\n)\n")
    (served / "robot/parts/body.usda").write_text('#usda 1.0\ndef Xform "cart"\n{\n}\n')

    class Handler(QuietHandler):
        def do_HEAD(self) -> None:
            file = served / self.path.lstrip("/")
            self.answer(file.read_bytes() if file.is_file() else b"", status=200 if file.is_file() else 404)

        do_GET = do_HEAD

    def fetch(root: str, file: str) -> subprocess.CompletedProcess[str]:
        command = (isaac_lab_python, assets.FETCH_PROGRAM, root, file, "--", "sky.hdr", tmp_path / file)
        return subprocess.run(command, capture_output=True, text=True, check=False)

    with serve(Handler) as root:
        fetched = fetch(root, "robot/cart.usda")
        lost = fetch(root, "lost.usda")
    assert (fetched.returncode, "sky.hdr, which only a window or a camera shows" in fetched.stdout) == (0, True)
    assert [path.name for path in (tmp_path / "robot").rglob("*.usda")].count("body.usda") == 1
    assert (lost.returncode, f"error: {root} does not give lost.usda" in lost.stderr) == (1, True)


def test_the_root_may_be_a_folder_of_the_machine(find_problems: Callable[..., list[str]], folder: Path) -> None:
    assert find_problems(folder) == []
    assert "--assets FOLDER" in find_problems(folder / "Isaac")[0]


def test_the_example_makes_what_the_task_loads() -> None:
    program = ast.parse((ROOT / "examples/isaac-cartpole/make_assets.py").read_text())
    texts = {node.value for node in ast.walk(program) if isinstance(node, ast.Constant)}
    needed = assets.list_needed_files({"task": CARTPOLE, "isaac_version": "3.0"}, (), ())
    assert {*needed} == {GROUND, ROBOT} == {text for text in texts if str(text).startswith("Isaac/")}
