"""The platforms that submits are killed on, each with nothing in it yet, and what it has afterwards."""

from __future__ import annotations  # the stand-ins are imported when they are asked for

import contextlib
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from kill_subjects import ROOT, TESTS
from kill_subjects.commands import install_count_workload, install_plugin

if TYPE_CHECKING:
    from azure_stand_in.ml.azureml import AzureML

DATASET = ROOT / "examples/pusht-mini/dataset"
REVISION = "a" * 40
COMPUTE = "k8s-robot-dev-00"

PIPELINE = """
name: kills
steps:
  train:
    workload: lerobot-train
    sources: {{dataset: [{dataset}]}}
    parameters: {{training_steps: 10}}
    platforms: {settings}
  evaluate:
    workload: lerobot-eval
    sources: {{policy: [{{from: train}}]}}
    parameters: {{env: pusht, eval_episodes: 4, register_model: pusher}}
    platforms: {settings}
  again:
    workload: lerobot-eval
    sources: {{policy: [{{from: train}}]}}
    parameters: {{env: pusht, eval_episodes: 8}}
    after: evaluate
    platforms: {settings}
"""


class Target(NamedTuple):
    """A platform to submit to, with nothing in it yet."""

    words: Sequence[str]
    environ: Mapping[str, str]
    list_runs: Callable[[], list[str]]
    """What the platform has: a name for each time that a run began."""
    get_name: Callable[[Mapping[str, str]], str]
    """That name, by a record's reference."""


def submit_pipeline(folder: Path, platform: str, dataset: str, **settings: str) -> Sequence[str]:
    """Write a pipeline of three steps, and return the words that submit it."""
    file = folder / "pipeline.yaml"
    file.write_text(PIPELINE.format(dataset=dataset, settings=json.dumps({platform: settings})))
    return ("pipeline", "submit", str(file), "--platform", platform, "--native-only")


@contextlib.contextmanager
def local(top: Path) -> Iterator[Callable[[Path], Target]]:
    """A workload of a plugin, in a process of this machine."""
    install_count_workload(top / "site")

    def begin(folder: Path) -> Target:
        lines, runs = folder / "lines", folder / "state/local"
        words = ("submit", "count", "--platform", "local", "--environment", sys.prefix, "--tracking-uri", "none")

        def list_runs() -> list[str]:
            until = time.monotonic() + 60
            while any(not (run / "exit.json").exists() for run in runs.glob("count-*")):
                assert time.monotonic() < until, f"a run in {runs} does not end"
                time.sleep(0.02)
            began = lines.read_text().splitlines() if lines.exists() else []
            return [str(run) for run in runs.glob("count-*")][: len(began)] + began[len(list(runs.glob("count-*"))) :]

        return Target((*words, "--lines", str(lines)), {}, list_runs, lambda run: run["folder"])

    yield begin


@contextlib.contextmanager
def dag_platform(top: Path) -> Iterator[Callable[[Path], Target]]:
    """The platform of the tests whose engine is a folder."""
    for name in ("fake", "dag"):
        modules = {f"{name}_plugin.py": (TESTS / f"{name}_platform.py").read_text()}
        install_plugin(top / "site", f"robotrain_{name}", f"platform.{name} = {name}_plugin", modules)

    def begin(folder: Path) -> Target:
        engine = folder / "engine"
        engine.mkdir()
        words = submit_pipeline(folder, "dag", f"{{local_path: {DATASET}}}")

        def list_runs() -> list[str]:
            return [run.name for run in engine.glob("jobs/*") for _ in run.read_text().splitlines()]

        return Target(words, {"FAKE_ENGINE": str(engine)}, list_runs, lambda run: run["id"])

    yield begin


@contextlib.contextmanager
def osmo(top: Path, pipeline: bool = False) -> Iterator[Callable[[Path], Target]]:
    """The stand-in's service, whose `submit` takes a moment."""
    from osmo_stand_in import OsmoStandIn

    def begin(folder: Path) -> Target:
        stand_in = OsmoStandIn(folder / "osmo")
        stand_in.fail("workflow submit", "slow", seconds=0.3, times=None)
        words: Sequence[str] = ("submit", "--platform", "osmo", "--pool", "default", "-d", f"lerobot/pusht@{REVISION}")

        def list_runs() -> list[str]:
            return [name for name, workflow in stand_in.workflows.items() if workflow.status != "FAILED_SUBMISSION"]

        words = (*words, "--training-steps", "10", "--tracking-uri", "none", "--no-pin")
        if pipeline:
            dataset = "{blob_url: https://account1.blob.core.windows.net/sets/pusht}"
            tracking = "https://mlflow.example"
            words = submit_pipeline(folder, "osmo", dataset, pool="default", tracking_uri=tracking)
        return Target(words, stand_in.environ, list_runs, lambda run: run["workflow"])

    yield begin


@contextlib.contextmanager
def start_workspace(folder: Path) -> Iterator[AzureML]:
    """The light workspace of the tests."""
    from azure_stand_in.ml.azureml import AzureML
    from azure_stand_in.ml.fixtures import ACCOUNT, HOST
    from azure_stand_in.ml.memory import Memory
    from azure_stand_in.tenant import tenant
    from azure_stand_in.workspace import Workspace

    with contextlib.ExitStack() as running:
        azure = running.enter_context(tenant(folder))
        made = azure.certificates
        blobs = running.enter_context(Memory(made, ACCOUNT))
        history = running.enter_context(Workspace(made, azure.manager, 0, ACCOUNT))
        azure.proxy.hosts |= {f"{ACCOUNT}.blob.core.windows.net": blobs.port, HOST: history.port}
        workspace = AzureML(azure, blobs, {"arm": azure.manager, "history": history, "blobs": blobs})
        workspace.begin()
        yield workspace


@contextlib.contextmanager
def azureml(top: Path, pipeline: bool = False) -> Iterator[Callable[[Path], Target]]:
    """A workspace of the stand-in, without jobs, code and environments."""
    with start_workspace(top) as workspace:
        names = dict(zip(("subscription_id", "resource_group", "workspace_name"), workspace.names, strict=True))
        settings = {**names, "compute": COMPUTE}
        flags = [f"--{name.replace('_', '-')}={value}" for name, value in settings.items()]
        job = ("submit", "--platform", "azureml", *flags, "--dataset-asset", "azureml:episodes:3")

        def begin(folder: Path) -> Target:
            workspace.begin()
            workspace.kubernetes(COMPUTE)
            workspace.data("episodes", "3", "episodes/3")
            workspace.store.put(workspace.container, {"episodes/3/meta/info.json": b"{}"})
            words: Sequence[str] = (*job, "--training-steps", "10")
            if pipeline:
                words = submit_pipeline(folder, "azureml", '{data_asset: "azureml:episodes:3"}', **settings)

            def list_runs() -> list[str]:
                return [name for name, job in workspace.jobs.items() if job.parent is None]

            return Target(words, workspace.environ, list_runs, lambda run: run["job"])

        yield begin


@contextlib.contextmanager
def slurm(top: Path, pipeline: bool = False, login: bool = False) -> Iterator[Callable[[Path], Target]]:
    """A real Slurm, whose jobs wait for ever: they are on hold, or the first step is.

    :param login: whether it is reached by ssh; every second submit finds a login node without robotrain's code.
    """
    from lab import SEARCHED, SlurmLab
    from login_node import HOST, LoginNode

    lab = SlurmLab(top / "lab")
    node = LoginNode(top / "node", PATH=SEARCHED, SLURM_CONF=str(lab.configuration)) if login else None
    (code := top / "code").mkdir()
    (code / "main.py").write_text("print('done')\n")

    def begin(folder: Path) -> Target:
        folders = {"runs_dir": str(folder / "runs"), "cache_dir": str(folder / "cache")}
        small = ("--cpus", "1", "--memory", "1G", "--gpus", "0", "--sbatch", "hold")
        places = ("--runs-dir", folders["runs_dir"], "--cache-dir", folders["cache_dir"])
        words: Sequence[str] = ("submit", "command", "--platform", "slurm", "--code", str(code), *small, *places)
        if node:
            words = (*words, "--login", HOST)
            if int(folder.name.rpartition("-")[2]) % 2:
                shutil.rmtree(node.home / ".cache", ignore_errors=True)
        words = (*words, "--", "python3", "main.py")
        if pipeline:
            least = {"cpus": "1", "memory": "1G", "gpus": "0", "sbatch": '{"begin": "now+1day"}'}
            words = submit_pipeline(folder, "slurm", f"{{local_path: {DATASET}}}", **folders, **least)

        def list_runs() -> list[str]:
            time.sleep(0.05)  # a killed submit may have left an sbatch at work
            lines = lab.run("squeue", "--noheader", "--states=all", "--format=%i|%Z").splitlines()
            jobs = [
                job
                for job, _, job_folder in (line.partition("|") for line in lines)
                if job_folder.startswith(f"{folder}/")
            ]
            return [" ".join(sorted(jobs, key=int))] if pipeline and len(jobs) == 3 else jobs

        def get_name(run: Mapping[str, str]) -> str:
            return " ".join(job.partition("=")[2] for job in run["jobs"].split()) if pipeline else run["job"]

        environ = {"SLURM_CONF": str(lab.configuration), "ROBOTRAIN_TRACKING_URI": "http://mlflow.example"}
        if node:
            environ |= {"SLURM_CONF": "/nowhere", "PATH": f"{node.bin}:{os.environ['PATH']}"}
        return Target(words, environ, list_runs, get_name)

    try:
        lab.start()
        if node:
            node.start()
        yield begin
    finally:
        if node:
            node.close()
        lab.close()


PLATFORMS: Mapping[str, Callable[[Path], AbstractContextManager[Callable[[Path], Target]]]] = {
    "local": local,
    "osmo": osmo,
    "azureml": azureml,
    "slurm": slurm,
    "dag-pipeline": dag_platform,
    "osmo-pipeline": partial(osmo, pipeline=True),
    "azureml-pipeline": partial(azureml, pipeline=True),
    "slurm-pipeline": partial(slurm, pipeline=True),
    "slurm-login": partial(slurm, login=True),
}
