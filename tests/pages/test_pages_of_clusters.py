"""The pages of clusters as their readers type them: what is submitted, the stand-ins take."""

import hashlib
import json
import threading
from pathlib import Path

import pytest
from azure_stand_in.ml.job import Job
from observed_run import EVENTS
from page_session import read_pages, run_page
from robotrain.store import records
from robotrain_runtime.contract import checkpoint, event

pytestmark = [pytest.mark.slow, pytest.mark.long]
PAGES = read_pages()
FILES = {"pretrained_model/config.json": b"{}", "training_state/step.json": b"400"}


def make_checkpoint(folder: str, run: str, **more: str) -> dict[str, bytes]:
    """The files of a complete checkpoint in a folder."""
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()}
    seal = {
        "schema": 1,
        "step": 400,
        "run": run,
        "job": "j" * 64,
        "model": "pretrained_model",
        "files": digests,
        **more,
    }
    files = {**FILES, checkpoint.MANIFEST: json.dumps(seal).encode()}
    return {f"{folder}/000400/{name}": content for name, content in files.items()}


def test_the_page_of_osmo(open_shell, osmo, azureml):
    page = PAGES["docs/osmo.md"]
    ended = set()

    def end(line: str) -> None:
        """Every workflow succeeds at once."""
        for name in osmo.workflows.keys() - ended:
            ended.add(name)
            run = osmo.workflows[name].name
            publishes = records.read_record(run).reference["publishes"]
            if publishes.startswith("azure:"):
                osmo.put(publishes, {name[1:]: content for name, content in make_checkpoint("", run).items()})
                _, container, folder = publishes.removeprefix("azure://").split("/", 2)
                azureml.store.put(container, make_checkpoint(folder, run))
            osmo.set_state(name, task_status="RUNNING")
            osmo.say(name, *map(event.format_event, EVENTS))
            osmo.set_state(name, task_status="COMPLETED", exit_code=0)

    run_page(page, open_shell(page), end)
    assert len(osmo.workflows) > 10


def test_the_page_of_azure_ml(open_shell, azureml):
    page = PAGES["docs/azureml.md"]

    def run(job: Job) -> None:
        """Succeed at once, with a checkpoint."""
        job.state("Running")
        job.say(*map(event.format_event, EVENTS))
        for place in job.outputs.values():
            files = make_checkpoint(place.prefix.rstrip("/"), job.name.rpartition("-")[0], submission=job.name)
            azureml.store.put(place.container, files)
        job.state("Completed")

    azureml.here.runner = run
    azureml.managed_compute("gpu-cluster", "Standard_NC96ads_A100_v4")
    run_page(page, open_shell(page))
    assert len(azureml.jobs) > 10


def test_the_page_of_slurm(open_shell, slurm):
    page, ended, closing = PAGES["docs/slurm.md"], set(), threading.Event()

    def end_jobs() -> None:
        """Every job succeeds at once, with a checkpoint."""
        while not closing.wait(0.1):
            for job in slurm.read_jobs():
                folder = Path(job["folder"])
                if job["number"] not in ended and folder.is_dir():
                    ended.add(job["number"])
                    for name, content in make_checkpoint("outputs/checkpoints", folder.name).items():
                        (folder / name).parent.mkdir(parents=True, exist_ok=True)
                        (folder / name).write_bytes(content)
                    (folder / "events.jsonl").write_text(
                        "".join(f"{event.format_event(run_event)}\n" for run_event in EVENTS)
                    )
                    (folder / "log.txt").write_text("step 20\n")
                    (folder / "outcome.json").write_text('{"state": "succeeded", "exit_code": 0}')
                    slurm.set_state(job["number"], "COMPLETED")

    thread = threading.Thread(target=end_jobs)
    thread.start()
    try:
        run_page(page, open_shell(page))
    finally:
        closing.set()
        thread.join()
    assert len(ended) > 8
