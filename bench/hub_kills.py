"""A publisher to the Hub that is killed (SIGKILL) at random moments and repeated: every tag is whole or absent.

    ./uvw run python bench/hub_kills.py [--kills 30] [--seed 1]

Each round publishes three checkpoints to a repository of its own at a Hub on this machine, is killed at a moment that
is random within the time that all of it takes, and is repeated. After the kill each tag must have every file of its
checkpoint, with its digest; after the repetition there must be three tags, the newest checkpoint at the head, and no
other branch. Exits 1 when a tag is torn or missing.
"""

import argparse
import multiprocessing
import os
import random
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from hub_stand_in import HubStandIn, Repository
from robotrain_runtime.contract import checkpoint
from robotrain_runtime.contract.container_plugin import ContainerContext, ModelDescription
from robotrain_runtime.contract.failure import PermanentError
from robotrain_sources.huggingface import layout
from robotrain_sources.huggingface_publish import target
from robotrain_sources.huggingface_publish.target import HubTargetWriter

STEPS = (200, 400, 600)
RUN = "lerobot-train-00000000-1"
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
        place = folder / f"{step:06}"
        for name, content in [*TEXTS.items(), *((name, os.urandom(size)) for name, size in SIZES.items())]:
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_bytes(content)
        checkpoint.seal_checkpoint(place, step=step, run=RUN, job="0" * 64, model="pretrained_model")
        made.append(place)
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


def run_round(hub: HubStandIn, name: str, place: ContainerContext, folders: list[Path], seconds: float) -> str:
    """Publish, be killed after some seconds, publish again. Return what is wrong; empty for nothing."""
    address = f"hf://me/{name}"
    killed = start_publishing(address, place.cache, folders)
    killed.join(seconds)
    killed.kill()
    killed.join()
    repository = hub.repositories.get(f"models/me/{name}")
    if torn := find_torn_tag(repository):
        return f"{torn} of {name} is torn after the kill"
    with closing(target.open(address, place)) as again:
        try:
            publish(again, folders)
        except (OSError, PermanentError) as error:
            return f"{name} is not completed: {error}"
    repository = hub.repositories[f"models/me/{name}"]
    if torn := find_torn_tag(repository):
        return f"{torn} of {name} is torn after the repetition"
    if sorted(repository.tags) != [f"step-{step:06}" for step in STEPS] or list(repository.branches) != ["main"]:
        return f"{name} has the tags {sorted(repository.tags)} and the branches {sorted(repository.branches)}"
    head = checkpoint.parse_manifest(repository.commits[repository.branches["main"]][checkpoint.MANIFEST])
    return "" if head and head.step == STEPS[-1] else f"the head of {name} is not the newest checkpoint"


def main() -> int:
    """Run the rounds; print how many went wrong."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cache", type=Path, default=Path(os.environ.get("ROBOTRAIN_CACHE", "~/.cache/robotrain")))
    options = parser.parse_args()
    draw = random.Random(options.seed)
    cache = options.cache.expanduser()
    wrong = []
    with tempfile.TemporaryDirectory() as scratch, HubStandIn() as hub:
        os.environ.update(HF_ENDPOINT=hub.address, HF_TOKEN=hub.token, HF_HOME=str(Path(scratch, "hf")))
        place = make_context(cache)
        folders = make_checkpoints(Path(scratch, "checkpoints"))
        began = time.monotonic()
        start_publishing("hf://me/whole", cache, folders).join()
        whole = time.monotonic() - began
        for number in range(options.kills):
            if problem := run_round(hub, f"killed-{number}", place, folders, draw.uniform(0.3, whole)):
                wrong.append(problem)
                print(problem, file=sys.stderr)
    print(f"hub {options.kills} kills, {len(wrong)} torn or missing")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
