"""Submits that are killed (SIGKILL) at random moments and repeated: each leaves one run, which its record names.

    ./uvw run python bench/kills.py [local osmo azureml slurm dag-pipeline …] [--kills 100] [--seed 1]

The local platform runs a program that adds a line to a file; OSMO and Azure ML are the stand-ins of the tests, dag a
platform of theirs, Slurm a real one of two nodes, where it is installed. `-login` reaches it by ssh, and `-pipeline`
submits a pipeline that the engine runs as one submission. A moment is random within the time that a whole submit takes;
a submit that has ended before is not counted. Exits 1 when a run is lost or doubled.
"""

from __future__ import annotations  # the stand-ins are imported when their folder is known

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from robotrain.model.run import RunRecord
from robotrain.store import files, records

TESTS = Path(__file__).parents[1] / "tests"
sys.path.insert(0, str(TESTS))

from warm_server import open_server  # noqa: E402

if TYPE_CHECKING:
    from azure_stand_in.ml.azureml import AzureML

DATASET = TESTS.parent / "examples/pusht-mini/dataset"
REVISION = "a" * 40
COMPUTE, ASSET = "k8s-robot-dev-00", ("episodes", "3")
LOADED = ("typer", "yaml", "robotrain.pipeline_api", "robotrain.submission.submitter")
LOADED_FOR_AZUREML = ("azure.ai.ml", "azure.identity", "azure.storage.blob")
"""What commands import: it is loaded before they start."""

WORKLOAD = """
from dataclasses import dataclass
from typing import Annotated
from robotrain.plugin import Param, Workload, hook

@dataclass(frozen=True, kw_only=True)
class Parameters:
    lines: Annotated[str, Param(help="the file")] = "lines"

@hook
def robotrain_workloads():
    half = dict(container_plugin="count_work.container", produces="files")
    return [Workload(name="count", summary="adds a line", parameters=Parameters, roles={}, **half)]
"""
CONTAINER = """
from pathlib import Path
from robotrain_runtime.plugin import PythonEnvironment, TrackingSpec, WorkCommand

ENVIRONMENT = PythonEnvironment(lock=Path(__file__).with_name("lock.txt"), python="3.11", gib=0.1)

def inspect(document, data):
    return []

def work(document, data, work):
    program = "import sys; open(sys.argv[1], 'a').write('ran\\\\n')"
    return WorkCommand(arguments=("-c", program, str(document.parameters["lines"])))

def tracked(document):
    return TrackingSpec(experiment="count", run_name=document.run, params={}, tags={}, machine=False)
"""


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
    parameters: {{env: pusht, eval_episodes: 4}}
    platforms: {settings}
  register: {{register: pusher, from: evaluate}}
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


def install(site: Path, name: str, claim: str, modules: Mapping[str, str]) -> None:
    """Install a plugin of these modules: `claim` is what it provides, as `workload.count`."""
    info = site / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[robotrain]\n{claim}\n")
    for path, text in modules.items():
        (site / path).parent.mkdir(exist_ok=True)
        (site / path).write_text(text)


@contextlib.contextmanager
def local(top: Path) -> Iterator[Callable[[Path], Target]]:
    """A workload of a plugin, in a process of this machine."""
    modules = {"count_work/__init__.py": WORKLOAD, "count_work/container.py": CONTAINER, "count_work/lock.txt": ""}
    install(top / "site", "robotrain_count", "workload.count = count_work", modules)  # on the path of the commands

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
        install(top / "site", f"robotrain_{name}", f"platform.{name} = {name}_plugin", modules)

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
            return [name for name, one in stand_in.workflows.items() if one.status != "FAILED_SUBMISSION"]

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


def make_job_words(workspace: AzureML) -> list[str]:
    """The job."""
    subscription, group, name = workspace.names
    at = ["--subscription-id", subscription, "--resource-group", group, "--workspace-name", name]
    reads = ["--dataset-asset", f"azureml:{':'.join(ASSET)}"]
    return ["--platform", "azureml", *at, "--compute", COMPUTE, *reads, "--training-steps", "10"]


@contextlib.contextmanager
def azureml(top: Path, pipeline: bool = False) -> Iterator[Callable[[Path], Target]]:
    """A workspace of the stand-in, without jobs, code and environments."""
    with start_workspace(top) as there:

        def begin(folder: Path) -> Target:
            there.begin()
            there.kubernetes(COMPUTE)
            there.data("episodes", "3", "episodes/3")
            there.store.put(there.container, {"episodes/3/meta/info.json": b"{}"})
            words: Sequence[str] = ("submit", *make_job_words(there))
            if pipeline:
                names = dict(zip(("subscription_id", "resource_group", "workspace_name"), there.names, strict=True))
                dataset = '{data_asset: "azureml:episodes:3"}'
                words = submit_pipeline(folder, "azureml", dataset, compute=COMPUTE, **names)

            def list_runs() -> list[str]:
                return [name for name, job in there.jobs.items() if job.parent is None]

            return Target(words, there.environ, list_runs, lambda run: run["job"])

        yield begin


@contextlib.contextmanager
def slurm(top: Path, pipeline: bool = False, login: bool = False) -> Iterator[Callable[[Path], Target]]:
    """A real Slurm, whose jobs wait for ever: they are on hold, or the first step is.

    :param login: whether it is reached by ssh; every second submit finds a login node without robotrain's code.
    """
    sys.path.insert(0, str(TESTS / "slurm"))
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
            told = lab.run("squeue", "--noheader", "--states=all", "--format=%i|%Z").splitlines()
            jobs = [job for job, _, place in (line.partition("|") for line in told) if place.startswith(f"{folder}/")]
            return [" ".join(sorted(jobs, key=int))] if pipeline and len(jobs) == 3 else jobs

        def get_name(run: Mapping[str, str]) -> str:
            return " ".join(one.partition("=")[2] for one in run["jobs"].split()) if pipeline else run["job"]

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


class Commands:
    """Runs one `robotrain` at a time."""

    def __init__(self, platform: str, path: Path) -> None:
        modules = (*LOADED, *(LOADED_FOR_AZUREML if platform.startswith("azureml") else ()))
        environ = {**os.environ, "PYTHONPATH": str(path)}
        log, imports = path.parent / "server.log", f"import {', '.join(modules)}"
        self._server = open_server(log, Path(sys.executable), imports, environ)

    def run(self, target: Target, folder: Path, seconds: float | None = None) -> int:
        """The exit status, as `subprocess` has it. seconds: after which it is killed; None to leave it alone."""
        environ = {**os.environ, **target.environ}
        environ |= {"ROBOTRAIN_STATE": str(folder / "state"), "ROBOTRAIN_CACHE": str(folder / "cache")}
        process = self._server.start(["-m", "robotrain", *target.words], environ, str(folder / "output"))
        if seconds is not None:
            time.sleep(seconds)
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
        return process.wait()

    def close(self) -> None:
        """End the process that forks."""
        self._server.close()


def list_sent(folder: Path) -> list[RunRecord]:
    """The records of runs that were sent."""
    os.environ["ROBOTRAIN_STATE"] = str(folder / "state")
    names = [file.parent.name for file in (files.get_state_folder() / "runs").glob("*/record.json")]
    return [record for record in map(records.read_record, names) if record.phase == "sent"]


def submit_again(commands: Commands, target: Target, folder: Path) -> None:
    """Repeat a submit, as a user does who was not told the run's name; that is told before the record says `sent`."""
    if sent := list_sent(folder):
        assert sent[0].run in (folder / "output").read_text()
    elif commands.run(target, folder):
        raise AssertionError((folder / "output").read_text())


def kill_submits(platform: str, kills: int, seed: int, top: Path) -> tuple[int, int]:
    """How many runs were lost, and how many doubled."""
    moments, killed, lost, doubled = random.Random(f"{platform} {seed}"), 0, 0, 0
    with PLATFORMS[platform](top) as begin, contextlib.closing(Commands(platform, top / "site")) as commands:
        took = []
        for number in range(3):
            (folder := top / f"whole-{number}").mkdir()
            target = begin(folder)
            before = time.monotonic()
            submit_again(commands, target, folder)
            took.append(time.monotonic() - before)
            assert len(target.list_runs()) == 1
        for number in range(20 * kills):
            (folder := top / f"killed-{number}").mkdir()
            target = begin(folder)
            if commands.run(target, folder, moments.uniform(0.0, min(took[1:]))) != -signal.SIGKILL:
                continue
            submit_again(commands, target, folder)
            runs, recorded = target.list_runs(), [target.get_name(record.reference) for record in list_sent(folder)]
            lost += not runs or recorded != runs[:1]
            doubled += len(runs) > 1
            killed += 1
            if killed == kills:
                break
    print(f"{platform:<16} {killed} kills, {lost} lost, {doubled} doubled", flush=True)
    return lost, doubled


def main() -> int:
    """Kill submits to each platform."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("platforms", nargs="*", metavar="PLATFORM", help=", ".join(PLATFORMS))
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    if unknown := set(given.platforms) - set(PLATFORMS):
        parser.error(f"there is no platform {', '.join(unknown)}")
    found = []
    for platform in given.platforms or PLATFORMS:
        with tempfile.TemporaryDirectory() as top:
            found.append(kill_submits(platform, given.kills, given.seed, Path(top)))
    return int(any(map(any, found)))


if __name__ == "__main__":
    sys.exit(main())
