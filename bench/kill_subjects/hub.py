"""A publisher to the Hub that is killed (SIGKILL) and repeated: every tag is whole or absent.

Each round publishes three checkpoints to a repository of its own at a Hub on this machine, is killed at a moment that
is random within the time that all of it takes, and is repeated. After the kill each tag must have every file of its
checkpoint, with its digest; after the repetition there must be three tags, the newest checkpoint at the head, and no
other branch. Lost: a tag that is torn or missing. Doubled: another tag or branch.
"""

import multiprocessing
import os
import random
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from hub_stand_in import HubStandIn, Repository
from robotrain_runtime.contract import checkpoint
from robotrain_runtime.contract.container_plugin import ContainerContext, ModelDescription
from robotrain_runtime.contract.failure import PermanentError
from robotrain_sources.huggingface import layout
from robotrain_sources.huggingface_publish import target
from robotrain_sources.huggingface_publish.target import HubTargetWriter

from kill_subjects.rounds import Findings, RunRound

STEPS = (200, 400, 600)
RUN = "lerobot-train-00000000-1"
START_SECONDS = 0.3
"""No kill comes before: it would only hit imports."""
SIZES = {
    "pretrained_model/model.safetensors": 300_000,
    "pretrained_model/policy.safetensors": 40_000,
    "training_state/optimizer.safetensors": 600_000,
}
TEXTS = {"pretrained_model/config.json": b'{"type": "act"}', "training_state/training_step.json": b'{"step": 1}'}


def make_checkpoints(folder: Path) -> list[Path]:
    """Return the folders of sealed checkpoints."""
    made = []
    for step in STEPS:
        step_folder = folder / f"{step:06}"
        for name, content in [*TEXTS.items(), *((name, os.urandom(size)) for name, size in SIZES.items())]:
            (step_folder / name).parent.mkdir(parents=True, exist_ok=True)
            (step_folder / name).write_bytes(content)
        checkpoint.seal_checkpoint(step_folder, step=step, run=RUN, job="0" * 64, model="pretrained_model")
        made.append(step_folder)
    return made


def make_context(cache: Path) -> ContainerContext:
    """Return what a publisher is opened with."""
    describe = ModelDescription(title="killed", metadata={"tags": ["robotrain"]})
    return ContainerContext(cache=cache, log_line=lambda line: None, describe_checkpoint=lambda step: describe)


def start_publishing(address: str, cache: Path, folders: list[Path]) -> multiprocessing.process.BaseProcess:
    """Start a process that publishes the checkpoints."""
    started = multiprocessing.get_context("spawn").Process(target=publish_to, args=(address, cache, folders))
    started.start()
    return started


def publish_to(address: str, cache: Path, folders: list[Path]) -> None:
    """Publish the checkpoints to an address."""
    with closing(target.open(address, make_context(cache))) as writer:
        publish(writer, folders)


def publish(writer: HubTargetWriter, folders: list[Path]) -> None:
    """Publish the checkpoints, in order. Raise OSError, PermanentError."""
    for folder in folders:
        manifest = checkpoint.read_manifest(folder)
        assert manifest is not None
        writer.write(folder, manifest, lambda: False)


def find_torn_tag(repository: Repository | None) -> str:
    """Return a tag that does not have every file of its checkpoint; empty if each is whole."""
    for tag, commit in repository.tags.items() if repository else ():
        files = repository.commits[commit] if repository else {}
        manifest = checkpoint.parse_manifest(files.get(checkpoint.MANIFEST, b""))
        if manifest is None or tag != f"step-{manifest.step:06}":
            return tag
        paths = layout.map_paths(manifest)
        if any(checkpoint.hash_bytes(files.get(paths[path], b"")) != sha for path, sha in manifest.files.items()):
            return tag
    return ""


def run_round(hub: HubStandIn, name: str, context: ContainerContext, folders: list[Path], seconds: float) -> Findings:
    """Publish, be killed after some seconds, publish again, and look after each."""
    address, findings = f"hf://me/{name}", Findings(kills=1)
    killed = start_publishing(address, context.cache, folders)
    killed.join(seconds)
    killed.kill()
    killed.join()
    if torn := find_torn_tag(hub.repositories.get(f"models/me/{name}")):
        findings.lost.append(f"{torn} of {name} is torn after the kill")
        return findings
    with closing(target.open(address, context)) as again:
        try:
            publish(again, folders)
        except (OSError, PermanentError) as error:
            findings.lost.append(f"{name} is not completed: {error}")
            return findings
    repository = hub.repositories[f"models/me/{name}"]
    if torn := find_torn_tag(repository):
        findings.lost.append(f"{torn} of {name} is torn after the repetition")
    expected = {f"step-{step:06}" for step in STEPS}
    if missing := expected - repository.tags.keys():
        findings.lost.append(f"{name} lacks the tags {sorted(missing)}")
    head = checkpoint.parse_manifest(repository.commits[repository.branches["main"]][checkpoint.MANIFEST])
    if not head or head.step != STEPS[-1]:
        findings.lost.append(f"the head of {name} is not the newest checkpoint")
    if more := [*(repository.tags.keys() - expected), *(repository.branches.keys() - {"main"})]:
        findings.doubled.append(f"{name} has the tags or branches {more} too")
    return findings


@contextmanager
def open_hub(top: Path) -> Iterator[RunRound]:
    """Start a Hub, and publish to it once without a kill."""
    cache = Path(os.environ.get("ROBOTRAIN_CACHE", "~/.cache/robotrain")).expanduser()
    with HubStandIn() as hub:
        os.environ.update(HF_ENDPOINT=hub.address, HF_TOKEN=hub.token, HF_HOME=str(top / "hf"))
        context = make_context(cache)
        folders = make_checkpoints(top / "checkpoints")
        began = time.monotonic()
        start_publishing("hf://me/whole", cache, folders).join()
        whole = time.monotonic() - began

        def kill_publisher(number: int, moments: random.Random, left: int) -> Findings:
            return run_round(hub, f"killed-{number}", context, folders, moments.uniform(START_SECONDS, whole))

        yield kill_publisher


SUBJECTS = {"hub": open_hub}
