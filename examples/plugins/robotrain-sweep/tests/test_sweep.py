"""`robotrain sweep` as a process, with a platform of the tests' own that ends every run at once."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

DATASET = Path(__file__).parents[3] / "pusht-mini/dataset"
PLATFORM = """
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from robotrain.plugin import ANY, YES, Capabilities, Param, Plan, Platform, Problem, Rejected, Stage, Status, hook
from robotrain_runtime.plugin import Metrics
from robotrain_runtime.contract.event import format_event


@dataclass(frozen=True, kw_only=True)
class Settings:
    full_after: Annotated[int, Param(help="runs that it accepts")] = 9
    asleep: Annotated[bool, Param(help="whether runs never end")] = False


class Pluto(Platform):
    name, summary, settings, option_hints = "pluto", "far away", Settings, {}
    capabilities = Capabilities(sources={("dataset", ANY): YES, ("dataset", "local_path"): YES}, workloads={ANY: YES})

    def check(self, job, settings):
        if job["seed"] == 13:
            yield Problem(code="pluto-seed", stage=Stage.CHECK, title="pluto has no seed 13")

    def render(self, job, settings, run, payload, plugins):
        spec = {"run": run, "seed": job["seed"], "after": settings.full_after, "asleep": settings.asleep}
        files = {"pluto.json": json.dumps(spec).encode()}
        return Plan(platform="pluto", run=run, job=job, files=files, spec="pluto.json")

    def preflight(self, plan):
        return ()

    def submit(self, plan):
        spec, folder = json.loads(plan.files["pluto.json"]), Path("pluto")
        folder.mkdir(exist_ok=True)
        if len(list(folder.iterdir())) >= spec["after"]:
            raise Rejected([Problem(code="pluto-full", stage=Stage.SUBMIT, title="pluto is full")])
        (folder / spec["run"]).write_text(json.dumps(spec))
        return {"file": str(folder / spec["run"])}

    def find(self, plan):
        return None

    def status(self, reference):
        spec = json.loads(Path(reference["file"]).read_text())
        return Status(state="running" if spec["asleep"] else "failed" if spec["seed"] == 4 else "succeeded")

    def logs(self, reference, follow=False, tail=None):
        seed = json.loads(Path(reference["file"]).read_text())["seed"]
        yield format_event(Metrics(step=1, total=1, values={"train/loss": seed / 10}), 0.0)

    def cancel(self, reference):
        pass

    def outputs(self, reference):
        return ()


@hook
def robotrain_platforms():
    return [Pluto()]
"""
AS_A_PROCESS = """
import runpy, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.argv[0] = "robotrain"
runpy.run_module("robotrain", run_name="__main__")
"""


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A job file in an empty folder, with the platform pluto installed."""
    site = tmp_path / "site"
    info = site / "pluto-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "pluto_plugin.py").write_text(PLATFORM)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: pluto\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[robotrain]\nplatform.pluto = pluto_plugin\n")
    here = tmp_path / "here"
    here.mkdir()
    (here / "job.yaml").write_text(f"workload: lerobot-train\nsources: {{dataset: [{{local_path: {DATASET}}}]}}\n")
    for name in [name for name in os.environ if name.startswith("ROBOTRAIN_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("ROBOTRAIN_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("PYTHONPATH", str(site))
    monkeypatch.chdir(here)
    return "job.yaml"


def sweep(*words: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "robotrain", "sweep", *words, "--platform", "pluto"]
    return subprocess.run(command, capture_output=True, text=True)


def runs() -> list[str]:
    return sorted(path.name for path in Path("pluto").glob("*"))


def test_every_combination_is_submitted_once(job):
    done = sweep(job, "--over", "learning-rate=1e-4,3e-4", "--over", "seed=1,2", "--wait", "--json")
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)["runs"]
    values = [tuple(one["values"].values()) for one in printed]
    assert values == [("1e-4", "1"), ("1e-4", "2"), ("3e-4", "1"), ("3e-4", "2")]
    assert runs() == sorted(one["run"] for one in printed)
    assert {one["state"] for one in printed} == {"succeeded"}
    assert [one["losses"] for one in printed] == [{"train/loss": 0.1}, {"train/loss": 0.2}] * 2


def test_warning_is_printed_once(job):
    with Path(job).open("a") as file:
        file.write("platforms: {plutoo: {full_after: 1}}\n")
    done = sweep(job, "--over", "seed=1,2", "--wait")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("[job-file-strange-platform]") == 1
    assert "use   pluto\n" in done.stderr


def test_nothing_is_submitted_if_one_run_is_invalid(job):
    done = sweep(job, "--over", "seed=1,13", "--over", "batch_size=8,-1", "--json")
    assert done.returncode == 2
    errors = {one["code"]: one for one in json.loads(done.stdout)["problems"] if one["severity"] == "error"}
    assert sorted(errors) == ["pluto-seed", "value-invalid"]
    assert "Of 2 of 4 runs: seed=13 batch_size=8" in errors["pluto-seed"]["why"]
    assert runs() == []


def test_failed_run_fails_the_sweep_and_stops_no_other(job):
    done = sweep(job, "--over", "seed=4,5", "--wait")
    assert done.returncode == 5, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["RUN", "SEED", "STATE", "TRAIN/LOSS"]
    assert [line.split()[1:] for line in lines[1:]] == [["4", "failed", "0.4"], ["5", "succeeded", "0.5"]]


def test_full_platform_ends_the_sweep(job):
    done = sweep(job, "--over", "seed=1,2,3", "--over", "full_after=2")
    assert done.returncode == 1
    assert len(runs()) == 2
    assert len(done.stdout.splitlines()) == 3
    assert "2 of 3 runs were submitted" in done.stderr
    assert (
        "still running: robotrain wait " + " ".join(line.split()[0] for line in done.stdout.splitlines()[1:])
        in done.stderr
    )
    assert "pluto is full" in done.stderr


def test_ctrl_c_lists_the_runs_that_continue(job):
    import signal

    words = ("sweep", job, "--platform", "pluto", "--over", "seed=1,2", "--over", "asleep=true", "--wait")
    command = [sys.executable, "-c", AS_A_PROCESS, *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("2 of 2"):
                process.send_signal(signal.SIGINT)
                break
        out, err = process.communicate()
    assert process.returncode == 130
    assert [line.split()[0] for line in out.splitlines()[1:]] == sorted(runs(), key=out.index)
    assert f"robotrain cancel {' '.join(sorted(runs(), key=out.index))} stops them" in err
