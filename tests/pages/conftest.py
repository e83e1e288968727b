"""A shell for a page: in an empty folder, with robotrain on its path and the stand-ins that the page uses."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest
from azure_stand_in.fixtures import tenant_session
from azure_stand_in.manager import CONTRIBUTOR
from azure_stand_in.ml.azureml import PRINCIPAL, AzureML
from azure_stand_in.ml.fixtures import azureml, azureml_session, nobody
from hub_stand_in import HubStandIn
from osmo_stand_in import OsmoStandIn
from osmo_stand_in.config import platform, pool
from osmo_stand_in.fixtures import osmo
from page_session import DECLARED, ROOT, Page, Shell
from slurm_stand_in import SlurmStandIn

__all__ = ["azureml", "azureml_session", "nobody", "osmo", "tenant_session"]

Environ = Mapping[str, str]
DATASETS = ("lerobot/pusht", "lerobot/aloha_sim_insertion_human", "me/private")
WORKSPACE = ("AZURE_SUBSCRIPTION_ID", "AZURE_RESOURCE_GROUP", "AZUREML_WORKSPACE_NAME")
BLOBS = ("datasets/day-1", "datasets/day-2", "train/set1", "train/set2", "extra/pusht")
POLICY = {"config.json": b'{"type": "act"}', "model.safetensors": b"\x02\0\0\0\0\0\0\0{}"}
MODELS = (("my-act-policy", "7"), ("pusht-act", "3"), ("isaac-ant", "3"), ("anymal", "3"))
PATH = os.environ["PATH"]


def read_dataset() -> dict[str, bytes]:
    folder = ROOT / "examples/pusht-mini/dataset"
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.*")}


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Environ]:
    """A Hub with the repositories that pages name; what leads a program there."""
    with HubStandIn() as stand_in:
        for name in DATASETS:
            stand_in.repository(name, read_dataset(), kind="dataset")
        stand_in.repository("lerobot/diffusion_pusht", POLICY | {"config.json": b'{"type": "diffusion"}'})
        yield {"HF_ENDPOINT": stand_in.address, "HF_HOME": str(tmp_path / "hf"), "HF_TOKEN": stand_in.token}


@pytest.fixture
def workspace(azureml: AzureML) -> Environ:
    """A workspace with a compute, and blobs in a storage account beside it; what leads a program there."""
    azureml.kubernetes("k8s-robot")
    azureml.manager.assign(PRINCIPAL, CONTRIBUTOR, azureml.manager.account(azureml.account))
    for container, folder in (place.split("/") for place in BLOBS):
        azureml.store.put(container, {f"{folder}/{name}": content for name, content in read_dataset().items()})
    azureml.store.put("models", {f"pusht-act/{name}": content for name, content in POLICY.items()})
    for name, version in MODELS:
        azureml.store.put(azureml.container, {f"{name}/{at}": content for at, content in POLICY.items()})
        azureml.model(name, version, name)
    return {**azureml.environ, **dict(zip(WORKSPACE, azureml.names, strict=True))}


@pytest.fixture
def osmo_service(osmo: OsmoStandIn) -> Environ:
    """An OSMO whose administrators configured what pages name; what leads a program there."""
    osmo.put("azure://rtmemory/lerobot-datasets/my-dataset", read_dataset())
    osmo.put("azure://rtmemory/training/training-code", {"scripts/train.sh": b"exit 0"})
    osmo.pools["default"] = pool({"gpu_platform": platform(allowed_mounts=("/dev/shm",))})
    for name, key in (
        ("hf_token", "hf_token"),
        ("wandb_api_key", "wandb_api_key"),
        ("storage_key", "access_key"),
        ("team", "api_token"),
    ):
        osmo.credentials[name] = {key: "secret"}
    return osmo.environ


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SlurmStandIn:
    """Slurm's commands, of a cluster with two nodes of 8 GPUs."""
    stand_in = SlurmStandIn(tmp_path / "slurm", monkeypatch)
    for name in ("gpu-1", "gpu-2"):
        stand_in.add_node(name, "batch", gres="gpu:a100:8", cpus=64, memory=500_000)
    return stand_in


@pytest.fixture
def slurm_cluster(slurm: SlurmStandIn) -> Environ:
    """What leads a program to that cluster."""
    return {"PATH": str(slurm.folder / "bin")}


@pytest.fixture
def trains(training_python: Path) -> Environ:
    """The environments of jobs are built; one core for each training."""
    return {"OMP_NUM_THREADS": "1", "TRAINING_PYTHON": str(training_python)}


@pytest.fixture
def open_shell(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[Page], Shell]]:
    """Open a shell for a page in an empty folder: `open_shell(page)`."""
    with ExitStack() as opened:

        def start(page: Page) -> Shell:
            environs = [request.getfixturevalue(use) for use in page.uses]
            variables = {name: value for environ in environs for name, value in environ.items() if name != "PATH"}
            commands = [environ.get("PATH", "").partition(os.pathsep)[0] for environ in environs]
            first = [*commands, Path(sys.executable).parent]
            path = os.pathsep.join([*map(str, filter(None, first)), PATH])
            folder, cache = tmp_path / "reader", tmp_path / "cache"
            folder.mkdir()
            cache.mkdir()
            if page.uses:  # data is listed in the environment that fetches it
                (cache / "environments").symlink_to(request.getfixturevalue("data_python").parents[2])
            own = {"EXAMPLES": str(ROOT / "examples"), "CLONE": str(ROOT), "PATH": path}
            states = {"ROBOTRAIN_CACHE": str(cache), "ROBOTRAIN_STATE": os.environ["ROBOTRAIN_STATE"]}
            shell = Shell(folder, DECLARED["shell"] | variables | own | states)
            opened.callback(shell.close)
            return shell

        yield start
