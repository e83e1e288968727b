"""What `render --to` adds to a plan for OSMO, and the training on bags that such a package starts in a pod."""

import json
import os
import subprocess
from pathlib import Path

import pytest
import yaml
from azure_stand_in.fixtures import azure, azure_session
from osmo_stand_in import config
from osmo_stand_in.fixtures import osmo
from recorded_bags import Recording
from robotrain_workloads.rosbag_act_train.workload import ROSBAG_ACT_TRAIN

__all__ = ["azure", "azure_session", "osmo"]

ADDED = {"osmo-workflow.yaml", "osmo-config.yaml", "README.md"}
BAGS = "https://account1.blob.core.windows.net/datasets/bags"
PLACE = ("--platform", "osmo", "--pool", "gpu-pool", "--gpu-platform", "dgx-a100", "--tracking-uri", "none")
KEY_BY_NAME = ("--blob-credential", "azure_cred:azure_storage_key")
DATA = ("--state-topic", "/joint_states", "--environment-state-topic", "/action", "--action-topic", "/action")
SMALL = {
    **{"fps": 10, "batch_size": 8, "training_steps": 4, "save_freq": 2, "log_freq": 1, "device": "cpu"},
    "val_split": 0,
}
NETWORK = {
    **{"chunk_size": 10, "n_action_steps": 10, "dim_model": 16, "n_heads": 2, "dim_feedforward": 32},
    **{"n_encoder_layers": 1, "n_vae_encoder_layers": 1, "latent_dim": 4},
}
TRAINING = (
    *(word for name, value in SMALL.items() for word in (f"--{name.replace('_', '-')}", str(value))),
    *("--", *(f"--policy.{name}={value}" for name, value in NETWORK.items())),
)


@pytest.fixture
def package(robotrain, tmp_path):
    """Write a package: `package("--blob-url", URL)` → its folder."""

    def write(*words: object) -> Path:
        folder = tmp_path / "package"
        answer = robotrain("render", "rosbag-act-train", *PLACE, *DATA, "--to", folder, *words)
        assert answer.exit_code == 0, answer.stderr
        assert {path.name for path in folder.iterdir()} >= ADDED
        return folder

    return write


@pytest.fixture
def cluster(osmo):
    """A service with the pool of the example, whose credential holds a storage key."""
    osmo.pools["gpu-pool"] = config.pool({"dgx-a100": config.platform()})
    osmo.credentials["azure_cred"] = {"azure_storage_key": "secret"}
    return osmo


def test_the_workflow_of_a_package_is_what_submit_sends(robotrain, package, cluster):
    folder = package("--blob-url", BAGS, *KEY_BY_NAME)
    answer = robotrain("submit", "--plan", folder, "--json")
    assert answer.exit_code == 0, answer.stderr
    (workflow,) = cluster.workflows.values()
    written = yaml.safe_load((folder / "osmo-workflow.yaml").read_text())["workflow"]
    (task,) = written["tasks"]
    assert (folder / "osmo-workflow.yaml").read_bytes() == (folder / "workflow.yaml").read_bytes()
    assert workflow.task["command"] == task["command"]
    assert written["resources"]["default"] | {"storage": ""} == {
        **{"gpu": 1, "cpu": 4, "memory": "16Gi", "storage": ""},
        "platform": "dgx-a100",
    }
    assert set(task["credentials"]) == {"azure_cred"}


def test_another_training_reads_the_settings_of_a_package(robotrain, package):
    folder = package("--blob-url", BAGS, "--image-topics", "/camera/top=top", "--image-size", "48x64", *TRAINING)
    settings = yaml.safe_load((folder / "osmo-config.yaml").read_text())
    assert settings["data"]["bag_dir"] == "/tmp/robotrain/cache/data"
    assert settings["data"]["image_topics"] == {"/camera/top": "top"}
    words = ("rosbag-act-train", *PLACE, "--config", folder / "osmo-config.yaml", "--blob-url", BAGS, "--json")
    again = json.loads(robotrain("render", *words).json["files"]["job.json"]["text"])
    first = json.loads((folder / "job.json").read_text())
    assert settings["model"] == NETWORK
    assert again["parameters"] == first["parameters"]
    assert sorted(again["trainer_args"]) == sorted(first["trainer_args"])


def test_a_folder_of_bags_is_uploaded_and_lies_in_the_inputs_of_the_container(package, tmp_path):
    Recording(steps=5).write(tmp_path / "bags" / "ep000")
    folder = package("--dataset-path", tmp_path / "bags", "--storage-account", "account1")
    assert yaml.safe_load((folder / "osmo-config.yaml").read_text())["data"]["bag_dir"] == "/osmo/data/input/0"


def test_the_readme_names_the_example_and_what_was_not_done(package):
    text = (package("--blob-url", BAGS, *KEY_BY_NAME) / "README.md").read_text()
    for words in (
        "osmo login http://192.168.1.100",
        "--pool gpu-pool --gpu-platform dgx-a100",
        "osmo workflow submit osmo-workflow.yaml --pool gpu-pool",
        "robotrain image rosbag-act-train --from nvcr.io/nvidia/pytorch:",
        "osmo credential set azure_cred --type GENERIC --payload-file azure_storage_key=/path/to/file",
        "no image was built",
        f"--blob-url {BAGS}",
    ):
        assert words in text
    assert "$" not in text


def test_a_plan_for_another_platform_has_nothing_beside_it(robotrain, tmp_path):
    words = ("--platform", "local", *DATA, "--blob-url", BAGS, "--to", tmp_path / "plan")
    answer = robotrain("render", "rosbag-act-train", *words)
    assert answer.exit_code == 0, answer.stderr
    assert ADDED.isdisjoint(path.name for path in (tmp_path / "plan").iterdir())


def test_the_task_runs_in_a_prebuilt_image_or_builds_its_environment_when_it_starts(package, tmp_path):
    mine = "registry.example/team/rosbag-act-train:2"
    images = [ROSBAG_ACT_TRAIN.profile.container.image, mine]
    for words, image in zip(((), ("--image", mine)), images, strict=True):
        folder = package("--blob-url", BAGS, *words)
        (task,) = yaml.safe_load((folder / "osmo-workflow.yaml").read_text())["workflow"]["tasks"]
        assert task["image"] == image
        folder.rename(tmp_path / image.partition("/")[0])
    assert f"docker push {mine}" in (tmp_path / "registry.example/README.md").read_text()


STRANGER = """
from robotrain.plugin import Workload, hook

class Parameters:
    pass

@hook
def robotrain_workloads():
    return [Workload(name="hum", summary="", parameters=Parameters, roles={}, container_plugin="hum_container",
                     format_config=format_config)]

def format_config(document, folder):
    import hum_config
    return hum_config.write(document, folder)
"""


def test_the_configuration_file_of_a_strangers_workload_is_in_the_package(robotrain, install, tmp_path):
    program = "def write(document, folder):\n    return f'folder: {folder}'\n"
    stranger = STRANGER.replace("class", "from dataclasses import dataclass\n@dataclass(frozen=True)\nclass")
    install("robotrain-hum", {"workload.hum": "hum"}, hum=stranger, hum_container="", hum_config=program)
    answer = robotrain("render", "hum", *PLACE, "--to", tmp_path / "plan")
    assert answer.exit_code == 0, answer.stderr
    assert "folder: /osmo/data/input" in (tmp_path / "plan/osmo-config.yaml").read_text()
    assert "plan-fixed" not in robotrain("submit", "--plan", tmp_path / "plan", "--dry-run").stderr


def read_everything(*folders: Path) -> bytes:
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    return b"\n".join(path.read_bytes() for path in files)


@pytest.mark.slow
@pytest.mark.long
def test_a_package_trains_on_a_cluster_without_identities_with_a_key_that_no_file_names(
    robotrain, package, cluster, azure, data_python, training_environment, rosbag_python, tmp_path, monkeypatch
):
    for name in [name for name in os.environ if name.startswith("AZURE_")]:
        monkeypatch.delenv(name)
    for name, value in azure.way.items():
        monkeypatch.setenv(name, value)
    baked = data_python.parents[3]
    monkeypatch.setenv("ROBOTRAIN_BAKED", str(baked))
    for number, storage in enumerate(("sqlite3", "mcap")):
        bag = Recording(steps=30).write(tmp_path / "bags" / f"ep{number}", storage)
        files = {f"day-{number}/{bag.name}/{path.name}": path.read_bytes() for path in bag.iterdir()}
        azure.blobs.put("datasets", files)
    cluster.credentials["azure_cred"] = {"azure_storage_key": azure.key}
    days = [word for number in (1, 0) for word in ("--blob-url", azure.url("datasets", f"day-{number}"))]
    target = azure.url("datasets", "policies")
    folder = package(*days, *KEY_BY_NAME, "--publish-url", target, "--gpus", "0", "--image-topics", "none", *TRAINING)
    answer = robotrain("submit", "--plan", folder, "--json")
    assert answer.exit_code == 0, answer.stderr
    run = answer.json["run"]
    (workflow,) = cluster.workflows
    environ = {**azure.way, "ROBOTRAIN_BAKED": str(baked), "OMP_NUM_THREADS": "1", "PATH": os.environ["PATH"]}
    code = cluster.run(workflow, environ=environ)
    log = subprocess.run(["osmo", "workflow", "logs", workflow], capture_output=True, text=True, check=True).stdout
    assert code == 0, log
    assert "made a dataset of 2 bags: 2 episodes, 60 frames" in log
    assert log.index("reading ep1") < log.index("reading ep0"), "bags come in the order of their sources"
    status = robotrain("status", run, "--json").json
    assert (status["state"], status["step"]) == ("succeeded", 4)
    for step in ("000002", "000004"):
        assert f'"to": "{target}/{step}"' in log
    pod = cluster.pod(workflow)
    (held,) = pod.rglob("azure_storage_key")
    assert held.read_text() == azure.key
    held.unlink()
    everything = read_everything(folder, pod, tmp_path / "state", cluster.store.folder) + log.encode()
    assert b"events" in everything
    assert azure.key.encode() not in everything
