"""From a container's start to its first step: robotrain's order against the reference's, over a long line.

The reference builds the environment, then fetches the files one by one, then merges; its last part, from the start of
the run with everything there to the first step, is what both have to do: merging and the trainer's own imports.
"""

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import rows
from robotrain_runtime import data_environment
from robotrain_runtime.contract import document, event
from robotrain_runtime.contract.container_plugin import PythonEnvironment
from robotrain_workloads.lerobot_train import container
from rows import Row

from plane import ROOT
from plane.download import LINE_SECONDS, Amount
from plane.machine import Machine

CONTAINER = "start"
SETS = ("one", "two")
DATASET = ROOT / "examples/pusht-mini/dataset"
OFFLINE = {"UV_OFFLINE": "1"}
JOB = """
workload: lerobot-train
sources: {{dataset: [{sources}]}}
parameters: {{job_name: bench, dataset_id: bench, policy_type: act, training_steps: 2, log_freq: 1, num_workers: 0,
  batch_size: 8, device: cpu, val_split: 0.0}}
trainer_args: [--policy.chunk_size=16, --policy.n_action_steps=4, --policy.use_vae=false, --policy.dim_model=128]
"""


@dataclass(frozen=True)
class Start:
    """Seconds from the start of the runtime: to where merging begins, and to the first step of the training."""

    merging: float
    step: float


@dataclass(frozen=True)
class Turn:
    """Seconds. ours: robotrain's order. environment, reference_data, rest: the reference's three parts.

    our_data: robotrain's data alone, with the small environment that fetches it.
    """

    ours: Start
    environment: float
    reference_data: float
    rest: float
    our_data: float

    @property
    def reference(self) -> float:
        """One after the other."""
        return self.environment + self.reference_data + self.rest

    @property
    def beside(self) -> float:
        """What environment and data take beside each other, in what the longer of the two takes alone."""
        return self.ours.merging / max(self.environment, self.our_data)


def measure_starts(machine: Machine, padding: Amount, pairs: int) -> Iterator[Row]:
    """Two datasets of blobs, padded with as much as `padding`; environments are built from uv's cache."""
    for number, name in enumerate(SETS):
        machine.azure.blobs.put(CONTAINER, {f"{name}/{path}": content for path, content in _read_dataset().items()})
        for path, size in list(padding.files)[number :: len(SETS)]:
            machine.azure.blobs.put(CONTAINER, {f"{name}/padding/{path}": os.urandom(size)})
    rows.log(f"starting: two datasets of blobs, {LINE_SECONDS * 1000:.0f} ms away, {pairs} pairs")
    with _make_cache(machine) as warm:
        for wanted in (container.ENVIRONMENT, data_environment.ENVIRONMENT):
            _build_environment(wanted, warm, os.environ)  # into uv's cache: the only ones that may need the network
    with machine.azure.directly(LINE_SECONDS):
        turns = [_measure_turn(machine) for _ in range(pairs)]
    turn = sorted(turns, key=lambda turn: turn.ours.step / turn.reference)[(pairs - 1) // 2]
    values = {"ours": turn.ours.step, "floor": turn.reference}
    name = "environment, data and training in turn"
    yield Row(name="container to first step", unit="s", floor_name=name, ceiling=0.5, **values)
    turn = sorted(turns, key=lambda turn: turn.beside)[(pairs - 1) // 2]
    values = {"ours": turn.ours.merging, "floor": max(turn.environment, turn.our_data)}
    name = "the longer of environment and data"
    yield Row(name="container to merging", unit="s", floor_name=name, ceiling=1.1, **values)


def _measure_turn(machine: Machine) -> Turn:
    turn = Turn(_measure_ours(machine), *_measure_reference(machine), _measure_our_data(machine))
    ours = f"merging at {turn.ours.merging:.1f}, first step at {turn.ours.step:.1f} s"
    alone = f"environment {turn.environment:.1f}, data {turn.our_data:.1f}"
    theirs = f"environment {turn.environment:.1f} + data {turn.reference_data:.1f} + rest {turn.rest:.1f}"
    rows.log(f"  ours: {ours} ({alone} alone)   reference: {theirs}")
    return turn


def _measure_ours(machine: Machine) -> Start:
    with _make_cache(machine) as cache:
        return _run_to_first_step(machine, cache, [f"blob_url: {machine.azure.url(CONTAINER, name)}" for name in SETS])


def _measure_reference(machine: Machine) -> tuple[float, float, float]:
    """Seconds of the environment, of the files one by one, and of what is left to the first step."""
    box = machine.azure.url(CONTAINER, "").rstrip("/")
    with _make_cache(machine) as cache:
        environment, built = _build_environment(container.ENVIRONMENT, cache, machine.environ(**OFFLINE))
        data = sum(machine.measure("azure_sdk.py", box, f"{name}/", cache / name)["whole"] for name in SETS)
        rest = _run_to_first_step(machine, cache, [f"local_path: {cache / name}" for name in SETS], built).step
    return environment, data, rest


def _measure_our_data(machine: Machine) -> float:
    urls = [machine.azure.url(CONTAINER, name) for name in SETS]
    with _make_cache(machine) as cache:
        took, _ = _build_environment(data_environment.ENVIRONMENT, cache, machine.environ(**OFFLINE))
        fetched = machine.measure("robotrain_transfer.py", "fetch", cache, *urls, python=Path(sys.executable))
        return took + fetched["whole"]


@contextlib.contextmanager
def _make_cache(machine: Machine) -> Iterator[Path]:
    """A cache that is empty, and gone afterwards."""
    with tempfile.TemporaryDirectory(dir=machine.folder) as name:
        yield Path(name)


def _build_environment(wanted: PythonEnvironment, cache: Path, environ: Mapping[str, str]) -> tuple[float, Path]:
    """Seconds to build an environment, and its folder."""
    how = ("--python", wanted.python, "--gib", wanted.gib, "--cache", cache)
    command = [sys.executable, "-m", "robotrain_runtime", "environment", wanted.lock, *how]
    began = time.perf_counter()
    done = subprocess.run([str(word) for word in command], env=environ, stdout=subprocess.PIPE, text=True, check=True)
    return time.perf_counter() - began, Path(done.stdout.strip())


def _run_to_first_step(machine: Machine, cache: Path, sources: Sequence[str], built: Path | None = None) -> Start:
    """Run the runtime as a container does, to the first step."""
    folder = cache / "run"
    environ = machine.environ(ROBOTRAIN_STATE=str(folder / "state"), ROBOTRAIN_CACHE=str(cache), **OFFLINE)
    job = _render_job(folder, environ, sources, built)
    events = Path(document.parse_document(job.read_text()).placement.work) / "events.jsonl"
    began, log_file = time.time(), folder / "log"
    with log_file.open("wb") as log:
        command = [sys.executable, "-m", "robotrain_runtime", "run", str(job)]
        process = subprocess.Popen(command, env=environ, stdout=log, stderr=subprocess.STDOUT)
        try:
            found = _wait_for_first_metrics(events, process)
        finally:
            process.terminate()  # what comes after the first step is not timed
            process.wait()
    if found is None:
        raise RuntimeError(f"no first step, exit code {process.returncode}:\n{log_file.read_text()}")
    return Start(found.merging - began, found.step - began)


def _render_job(folder: Path, environ: Mapping[str, str], sources: Sequence[str], built: Path | None) -> Path:
    """The job document that the container gets."""
    folder.mkdir()
    job = folder / "job.yaml"
    job.write_text(JOB.format(sources=", ".join(f"{{{source}}}" for source in sources)))
    robotrain = str(Path(sys.executable).with_name("robotrain"))
    command = [robotrain, "render", str(job), "--platform", "local", "--to", str(folder / "plan")]
    given = ["--environment", str(built)] if built else []
    subprocess.run([*command, *given], env=environ, stdout=subprocess.DEVNULL, check=True)
    return folder / "plan/job.json"


def _wait_for_first_metrics(events: Path, process: "subprocess.Popen[bytes]") -> Start | None:
    """When merging and when the first step were reported, by the clock; None when the run ended before that."""
    while True:
        ended, merging = process.poll() is not None, 0.0
        for record in filter(None, map(event.parse_event, events.read_text().splitlines() if events.exists() else ())):
            match record.event:
                case event.StageEvent(name="merge", state="started"):
                    merging = record.time
                case event.Metrics(step=int(step)) if step:
                    return Start(merging, record.time)
        if ended:
            return None
        time.sleep(0.05)


def _read_dataset() -> dict[str, bytes]:
    return {str(path.relative_to(DATASET)): path.read_bytes() for path in DATASET.rglob("*") if path.is_file()}
