"""Fixtures of the workload tests: documents, datasets, policies and checkpoints, real trainings, translated lines."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import job_documents
import pytest
from robotrain.cli.commands import train_eval
from robotrain_runtime.contract import checkpoint, document
from robotrain_runtime.contract.document import JobDocument
from robotrain_workloads.lerobot import versions
from small_training import SMALL, STEPS, Small, Trained, record_dataset

LONGEST_SECONDS = 480.0
"""Longer than any training of the tests takes on a busy machine."""
PARQUET = "PAR1\x15\x04\x00\x03\x00\x00\x00PAR1"
"""A file with the shortest footer."""


@pytest.fixture
def training(tmp_path):
    """Make a document: `training(batch_size=8)`; starts: folders by their role, `{"policy": folder}`.

    dataset: a folder, a `Source`, or a list of them.
    """

    def make(dataset="/data", args=(), placement=None, starts=None, **parameters) -> JobDocument:
        place = {"work": str(tmp_path / "work"), "cache": str(tmp_path / "cache"), **(placement or {})}
        return job_documents.training(dataset, place, args, starts, **parameters)

    return make


@pytest.fixture
def dataset(tmp_path):
    """Make the shell of a v3 dataset: `dataset(total_frames=0)`; a value of None leaves the key out."""

    def make(without=(), video=False, folder="data", **changes) -> Path:
        folder = tmp_path / folder
        names = ("observation.state", "observation.environment_state", "action")  # ACT needs a camera or the second
        features = {name: {"dtype": "float32"} for name in names}
        if video:
            features["observation.image"] = {"dtype": "video"}
        info = {
            "codebase_version": "v3.0",
            "total_episodes": 2,
            "total_frames": 20,
            "total_tasks": 1,
            "fps": 10,
            "features": features,
            **changes,
        }
        declared = info["features"] if isinstance(info["features"], dict) else {}
        described = {name: feature for name, feature in declared.items() if isinstance(feature, dict)}
        for feature in described.values():
            if feature.get("dtype") in ("image", "video"):
                feature.setdefault("names", ["height", "width", "channels"])
        files = {
            "meta/info.json": json.dumps({name: value for name, value in info.items() if value is not None}),
            "meta/stats.json": json.dumps(job_documents.make_statistics(described)),
            "meta/tasks.parquet": PARQUET,
            "meta/episodes/chunk-000/file-000.parquet": PARQUET,
            "data/chunk-000/file-000.parquet": PARQUET,
        }
        for name, text in files.items():
            if name not in without:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_text(text)
        return folder

    return make


@pytest.fixture
def policy(tmp_path):
    """Make the shell of a trained policy: `policy(type="diffusion")`; a value of None leaves the key out."""

    def make(folder="policy", without=(), **changes) -> Path:
        at = tmp_path / folder
        settings = {
            "type": "act",
            "input_features": {"observation.state": {"type": "STATE", "shape": [2]}},
            "output_features": {"action": {"type": "ACTION", "shape": [2]}},
            **changes,
        }
        steps = {"steps": [{"registry_name": "normalizer_processor", "state_file": "normalizer.safetensors"}]}
        files = {
            "config.json": json.dumps({name: value for name, value in settings.items() if value is not None}).encode(),
            "model.safetensors": safetensors(b"12345678"),
            "policy_preprocessor.json": json.dumps(steps).encode(),
            "policy_postprocessor.json": json.dumps(steps).encode(),
            "normalizer.safetensors": safetensors(b"1234"),
        }
        at.mkdir(parents=True)
        for name, content in files.items():
            if name not in without:
                (at / name).write_bytes(content)
        return at

    return make


@pytest.fixture
def saved(policy):
    """Make the shell of a checkpoint, sealed: `saved("run/outputs/checkpoints/000006", step=6)`."""

    def make(folder, step, run="lerobot-train-00000000-1", sealed=True, config=None, **changes) -> Path:
        at = policy(f"{folder}/pretrained_model", **changes).parent
        trained = {"steps": step, "seed": 1000, "batch_size": 32, "optimizer": {"lr": 1e-4}, "scheduler": None}
        (at / "pretrained_model/train_config.json").write_text(json.dumps({**trained, **(config or {})}))
        (at / "training_state").mkdir()
        state = {"step": step, "num_processes": 1, "batch_size": 32}
        (at / "training_state/training_step.json").write_text(json.dumps(state))
        if sealed:
            checkpoint.seal_checkpoint(at, step=step, run=run, job="0" * 64, model="pretrained_model")
        return at

    return make


def safetensors(content: bytes, name: str = "weight") -> bytes:
    """A file of one tensor of bytes."""
    header = json.dumps({name: {"dtype": "U8", "shape": [len(content)], "data_offsets": [0, len(content)]}}).encode()
    return len(header).to_bytes(8, "little") + header + content


@pytest.fixture(scope="session")
def older_folder(tmp_path_factory) -> Path:
    """The folder of a version 0.6.0, as the newest one but that diffusion has no option gradient_checkpointing."""
    folder = tmp_path_factory.mktemp("versions") / "v0_6_0"
    shutil.copytree(versions.get_version().folder, folder)
    options = json.loads((folder / versions.OPTIONS_FILE).read_text())
    del options["choices"]["policy"]["diffusion"]["gradient_checkpointing"]
    (folder / versions.OPTIONS_FILE).write_text(json.dumps(options))
    return folder


@pytest.fixture
def older_lerobot(older_folder, monkeypatch) -> str:
    """The name of an older LeRobot that is here beside the newest."""
    both = (versions.get_version(), versions.LeRobotVersion("0.6.0", older_folder))
    monkeypatch.setattr(versions, "list_versions", lambda: both)
    return both[1].name


@pytest.fixture
def start(request, tmp_path, training, training_environment):
    """Start a training in a process group of its own, which is killed after some minutes.

    tracked: what loads MLflow besides; `Trained.ask` needs it. environment: another one to train in.
    """
    started: list[tuple[subprocess.Popen[str], threading.Timer]] = []

    def run(
        dataset: Path, args=(), starts=None, work="work", tracked=False, environment=None, **parameters
    ) -> subprocess.Popen[str]:
        place = {"environment": environment or training_environment, "work": str(tmp_path / work)}
        if tracked:
            place["tracking_uri"] = request.getfixturevalue("tracking_database")(tmp_path / "mlflow.db")
        made = training(dataset, args, place, starts, **STEPS | parameters)
        (tmp_path / f"{work}.json").write_text(
            document.format_document(replace(made, run=f"lerobot-train-00000000-{work}"))
        )
        command = [sys.executable, "-m", "robotrain_runtime", "run", str(tmp_path / f"{work}.json")]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
        )
        watchdog = threading.Timer(LONGEST_SECONDS, process.kill)
        watchdog.daemon = True
        watchdog.start()
        started.append((process, watchdog))
        return process

    yield run
    for process, watchdog in started:
        watchdog.cancel()
        with suppress(ProcessLookupError):  # also what a runtime that was killed left behind
            os.killpg(process.pid, signal.SIGKILL)
        with process:
            pass


@pytest.fixture
def train(start, tmp_path):
    """Train to the end, which has this exit code."""

    def run(dataset: Path, args=(), starts=None, work="work", exit_code=0, **how) -> Trained:
        process = start(dataset, args, starts, work, **how)
        stdout, _ = process.communicate(timeout=600)
        assert process.returncode == exit_code, stdout
        return Trained(process.returncode, stdout.splitlines(), tmp_path / work, tmp_path / "mlflow.db")

    return run


@pytest.fixture(scope="session")
def recorded(training_environment, made_once) -> Path:
    """The folder with a dataset for each name of `RECORDINGS`."""
    return made_once("recorded", lambda folder: record_dataset(training_environment, folder))


@pytest.fixture(scope="session")
def small(training_environment, recorded, made_once) -> Small:
    """A recorded dataset with a camera, and a policy that was trained on it for a few steps."""
    dataset = recorded / "small"

    def fill(folder: Path) -> None:
        place = {"environment": training_environment, "work": str(folder / "work"), "cache": str(folder / "cache")}
        made = job_documents.training(dataset, place, SMALL["act"], **STEPS | {"learning_rate": 3e-4, "log_freq": 1})
        (folder / "job.json").write_text(document.format_document(made))
        command = [sys.executable, "-m", "robotrain_runtime", "run", str(folder / "job.json")]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert done.returncode == 0, done.stdout
        (folder / "output.txt").write_text(done.stdout)

    folder = made_once("small", fill)
    ran = Trained(0, (folder / "output.txt").read_text().splitlines(), folder / "work", folder / "none.db")
    return Small(dataset=dataset, ran=ran, checkpoint=folder / "work/outputs/checkpoints/000006")


@pytest.fixture
def bag_document(tmp_path):
    """Make the document of a training on bags: `bag_document([folder], fps=10.0)`."""
    from robotrain_workloads.rosbag import bag_datasets

    def make(data, **changed) -> JobDocument:
        place = {"work": str(tmp_path / "work"), "cache": str(tmp_path / "cache")}
        made = job_documents.training(data, place, bags=True, **changed)
        return replace(made, container_plugins={**made.container_plugins, "data.bags": bag_datasets.__name__})

    return make


SCRIPT_SETTINGS = {
    "OSMO_POOL": "gp",
    "AZURE_SUBSCRIPTION_ID": "00000000-0000-4000-8000-000000000000",
    "AZURE_RESOURCE_GROUP": "rg-robotics",
    "AZUREML_WORKSPACE_NAME": "aml-robotics",
    "AZUREML_COMPUTE": "k8s-robot-dev",
    "AZURE_STORAGE_ACCOUNT_NAME": "account3",
}
"""What the scripts take of Terraform and of the user's profiles."""
ONLY_OF_SUBMIT = {"--stream": 0, "--dry-run": 0, "--assets-only": 0, "--name": 1}
"""Options of `submit` that `render` does not have, each with the number of its values."""


@pytest.fixture
def translate(robotrain, monkeypatch):
    """Translate a line, `translate("from-lerobot", "lerobot-train", …)` → Answer; what is printed is rendered."""

    def run(command: str, *line: str):
        answer = robotrain(command, "--json", "--", *line)
        if answer.exit_code == 0:
            _render_translation(robotrain, monkeypatch, answer.json["command"])
        return answer

    return run


def _render_translation(robotrain, monkeypatch, words) -> None:
    taken = []
    words = ["local" if word == "PLATFORM" else word.replace("@COMMIT", f"@{0:040}") for word in words[1:]]
    with monkeypatch.context() as world:
        for name, value in SCRIPT_SETTINGS.items():
            world.setenv(name, value)
        if "pipeline" in words[:1] and "--help" not in words:
            world.setattr(train_eval, "pin_pipeline", lambda prepared, *rest: (prepared, ()))
            world.setattr(train_eval.submit, "submit_job", lambda ctx, ready, *rest: taken.append(ready))
            answer = robotrain(*words)
            assert taken, answer.stderr
        elif words[0] == "submit":
            answer = robotrain("render", *_drop_options(words[1:]))
        else:
            answer = robotrain(*words)
    assert answer.exit_code == 0, answer.stderr


def _drop_options(words):
    """Return the words without the options that only `submit` has."""
    others, remaining = [], list(words)
    while remaining:
        word = remaining.pop(0)
        if word in ONLY_OF_SUBMIT:
            del remaining[: ONLY_OF_SUBMIT[word]]
        else:
            others.append(word)
    return others
