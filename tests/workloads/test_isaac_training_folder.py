"""A training folder of the user's own: what of it is sent, how, and what its program is called with."""

import base64
import bz2
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from robotrain_workloads.isaac import user_code
from robotrain_workloads.isaac_train import training_folder

ON_OSMO = ("--platform", "osmo", "--pool", "p", "--tracking-uri", "none")
ON_AZUREML = ("--platform", "azureml", "--compute", "gpus", "--workspace-name", "w-1", "--resource-group", "g")
TRAIN = "scripts/train.sh"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "mine"
    (made / "scripts").mkdir(parents=True)
    (made / TRAIN).write_text("echo train\n")
    (made / "agent.py").write_text("print(1)\n")
    return made


@pytest.fixture
def render(robotrain: Any, folder: Path) -> Callable[..., Any]:
    """Renders a job with the folder: `render("--platform", …)`."""
    return lambda *words: robotrain("render", "isaac-train", "--code", folder, "--json", *words)


def list_codes(answer: Any) -> list[str]:
    return [problem["code"] for problem in answer.json["problems"] if problem["severity"] == "error"]


def read_task(answer: Any) -> Any:
    assert answer.exit_code == 0, answer.stderr
    (text,) = (content["text"] for path, content in answer.json["files"].items() if path.endswith(".yaml"))
    return yaml.safe_load(text)["workflow"]["tasks"][0]


def unpack_archive(task: Any) -> dict[str, bytes]:
    """The files of the user in the archive of the workflow."""
    content = bz2.decompress(base64.b64decode(task["files"][0]["contents"]))
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        files = {member.name: archive.extractfile(member) for member in archive.getmembers()}
        return {name[5:]: file.read() for name, file in files.items() if file and name.startswith("code/")}


def test_ignored_and_hidden_files_are_not_sent(render: Any, folder: Path) -> None:
    (folder / ".gitignore").write_text("logs/\n*.pt\n!keep.pt\n")
    (folder / "sub").mkdir()
    (folder / "sub" / ".amlignore").write_text("notes.txt\n")
    for name in ("logs/run.txt", "model.pt", "keep.pt", "sub/notes.txt", "sub/util.py", "notes.txt", ".env", ".git/x"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("x")
    (folder / "link.py").symlink_to("agent.py")
    files = unpack_archive(read_task(render(*ON_OSMO)))
    assert sorted(files) == ["agent.py", "keep.pt", "link.py", "notes.txt", TRAIN, "sub/util.py"]
    assert files["link.py"] == b"print(1)\n"


def test_the_same_files_make_the_same_workflow(render: Any, folder: Path) -> None:
    words = ("--storage-account", "acct", "--delivery", "dataset", "--pin")
    (folder / ".gitignore").write_text("logs/\n")
    before = render(*ON_OSMO, *words).stdout
    os.utime(folder / "agent.py", (1, 1))
    (folder / "logs").mkdir()
    (folder / "logs" / "run.txt").write_text("x")
    assert render(*ON_OSMO, *words).stdout == before
    (folder / "agent.py").write_text("print(2)\n")
    assert render(*ON_OSMO, *words).stdout != before


@pytest.mark.parametrize(
    ("size", "words", "is_inline"), [(1_000, (), True), (1_000, ("--delivery", "dataset"), False), (400_000, (), False)]
)
def test_a_folder_travels_in_the_workflow_while_that_is_small(
    render: Any, folder: Path, size: int, words: tuple[str, ...], is_inline: bool
) -> None:
    (folder / "weights.bin").write_bytes(os.urandom(size))
    task = read_task(render(*ON_OSMO, "--storage-account", "acct", *words))
    assert [task_input["url"].startswith("azure://acct/") for task_input in task.get("inputs", ())] == [True] * (
        not is_inline
    )
    assert ("weights.bin" in unpack_archive(task)) == is_inline


def test_a_folder_too_large_for_the_workflow_is_refused_with_its_size(render: Any, folder: Path) -> None:
    (folder / "weights.bin").write_bytes(os.urandom(900_000))
    answer = render(*ON_OSMO, "--delivery", "inline")
    answer.check_problems(3, "spec-over-limit")


def test_code_in_a_bucket_has_a_bucket_of_its_own(robotrain: Any) -> None:
    words = ("--training-dataset", "mine", "--storage-account", "acct", "--json")
    task = read_task(robotrain("render", "isaac-train", *ON_OSMO, *words))
    assert task["inputs"] == [{"url": "azure://acct/training/mine"}]


def test_on_azure_ml_the_folder_is_an_input_of_the_job(render: Any) -> None:
    answer = render(*ON_AZUREML, "--subscription-id", "s", "--pin")
    (text,) = (content["text"] for path, content in answer.json["files"].items() if path.endswith((".yml", ".yaml")))
    assert "/paths/robotrain/data/" in yaml.safe_load(text)["inputs"]["training_code"]["path"]


def test_a_large_folder_is_warned_of(render: Any, folder: Path) -> None:
    (folder / "data").mkdir()
    write_sparse(folder / "data" / "a.bin", 30_000_000)
    answer = render("--platform", "local")
    answer.check_problems(0, "code-large")


def write_sparse(path: Path, size: int) -> None:
    with path.open("wb") as file:
        file.truncate(size)


def test_options_of_the_users_program_are_not_checked(render: Any) -> None:
    answer = render("--platform", "local", "--", "--no_such_flag", "--num_e", "3", "hello", "--task=x")
    assert answer.exit_code == 0, answer.stderr
    assert f"the job runs {TRAIN} of" in answer.stderr


@pytest.mark.parametrize(
    ("change", "words", "expected"),
    [
        (lambda at: (at / TRAIN).unlink(), (), ["entry-missing"]),
        (lambda at: (at / ".gitignore").write_text("scripts\n"), (), ["entry-missing"]),
        (lambda at: (at / "id_rsa").write_text("k"), (), ["upload-secret"]),
        (lambda at: (at / "hosts").symlink_to("/etc/hosts"), (), ["upload-links"]),
        (lambda at: (at / "more").symlink_to("scripts"), (), ["upload-links"]),
        (lambda at: write_sparse(at / "last.pt", 100_000_001), (), ["code-too-large"]),
        (lambda at: None, ("--publish-url", "/data/x"), ["option-without-effect"]),
    ],
)
def test_a_folder_that_cannot_be_sent_is_refused_here(
    render: Any, folder: Path, change: Callable[[Path], Any], words: tuple[str, ...], expected: list[str]
) -> None:
    change(folder)
    answer = render("--platform", "local", *words)
    assert (list_codes(answer), answer.exit_code) == (expected, 2)


def start_program(folder: Path, work: Path, *words: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", training_folder.MODULE, "--folder", folder, "--entry", TRAIN, "--work", work]
    return subprocess.Popen([*command, "--", *words], stdout=subprocess.PIPE, text=True)


def test_the_program_gets_its_arguments_and_where_it_is(folder: Path, tmp_path: Path) -> None:
    (folder / TRAIN).write_text('echo "$* at $TRAINING_ROOT $ROBOTRAIN_CODE"; exit 7\n')
    process = start_program(folder, tmp_path, "--task", "A task")
    output, _ = process.communicate(timeout=60)
    assert output.splitlines()[-1] == f"--task A task at {folder} {folder}"
    assert process.returncode == 7


def test_a_stop_reaches_every_process_of_the_program(folder: Path, tmp_path: Path) -> None:
    child = "import signal,sys,time; signal.signal(15, lambda *a: (print('saved', flush=True), sys.exit(0)));"
    child += " print('ready', flush=True); time.sleep(60)"
    (folder / TRAIN).write_text(f'trap "" TERM\n{sys.executable} -c "{child}"\n')
    process = start_program(folder, tmp_path)
    assert process.stdout is not None
    assert "ready\n" in process.stdout, "reads up to there, or to the end"
    process.send_signal(signal.SIGTERM)
    assert "saved" in process.communicate(timeout=60)[0]
    assert process.returncode == 128 + signal.SIGTERM


def test_a_mounted_folder_is_where_the_seeds_have_it(folder: Path, tmp_path: Path) -> None:
    assert training_folder.link_folder(folder, "code", tmp_path / "data") == tmp_path / "data" / "code" / "training"
    assert (tmp_path / "data" / "code" / "training" / TRAIN).is_file()
    assert training_folder.link_folder(folder, "code", Path("/proc/none")) == folder
    assert user_code.find_folder(folder / "scripts", TRAIN) == folder


@pytest.mark.slow
def test_a_job_of_this_machine_runs_a_copy_of_the_folder(folder: Path, tmp_path: Path) -> None:
    (folder / TRAIN).write_text('echo "$*; $TASK; $CHECKPOINT_MODE" > "$TRAINING_ROOT/said"\n')
    command = [sys.executable, "-m", "robotrain", "submit", "isaac-train", "--training-path", folder]
    command += ["--platform", "local", "--tracking-uri", "none", "--task", "Isaac-Ant-v0", "--wait", "--json"]
    environ = {**os.environ, "ROBOTRAIN_STATE": str(tmp_path / "state")}
    done = subprocess.run([*command, "--", "--own", "1"], env=environ, capture_output=True, text=True, check=False)
    answer = json.loads(done.stdout)
    assert answer["state"] == "succeeded", done.stderr
    assert not (folder / "said").exists()
    said = tmp_path / "state" / "local" / answer["run"] / "code" / "said"
    arguments, task, mode = said.read_text().strip().split("; ")
    assert arguments.startswith("--mode train --task Isaac-Ant-v0 --num_envs 2048")
    assert arguments.endswith("--headless --own 1")
    assert (task, mode) == ("Isaac-Ant-v0", "from-scratch")
