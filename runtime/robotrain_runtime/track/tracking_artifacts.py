"""Checkpoints, evaluated policies and results as artifacts of their MLflow run. Asked twice, it is done once."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from robotrain_runtime.track.tracking_store import Store

TRIES = 10
TAKEN = "already exists"
"""What a store says that lets nobody write a file again."""
UNDER = {"checkpoint": "checkpoints", "policy": "policy"}
"""The artifact folder of each."""
AT, DIGEST = "results_artifact", "results_sha256"
"""Tags of a run that say where its results lie, and which they are."""
RESULTS = "eval_results"
"""Where results lie when something is in their way at the root."""


def publish(store: Store, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Make the model part of a checkpoint, or an evaluated policy, an artifact of its run.

    asked: run_id, folder, model, digest, what. Returns where it is (`to`, and `artifact` in the run), and whether it is
    `new` there.
    """
    store.find(asked["run_id"])
    name, what = Path(asked["folder"]).name, asked.get("what", "checkpoint")
    sealed, placed = f"{what}_{name}_sha256", f"{what}_{name}_artifact"
    if new := store.tag(sealed) != asked["digest"]:
        folder = Path(asked["folder"], asked["model"])
        first = f"{UNDER[what]}/{name}"
        at = _place(lambda to: store.artifacts(folder, to), first, first)
        store.describe({}, {placed: at, sealed: asked["digest"]})
    else:
        at = store.tag(placed)
    return {"to": f"runs:/{asked['run_id']}/{at}", "artifact": at, "new": new}


def results(store: Store, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Make the files of a folder artifacts of its run, at their root. asked: run_id, folder, files, digest.

    Returns where they are (`to`), and whether they are `new` there.
    """
    store.find(asked["run_id"])
    if new := store.tag(DIGEST) != asked["digest"]:
        at = _place(lambda to: store.among(Path(asked["folder"]), asked["files"], to), "", RESULTS)
        store.describe({}, {AT: at, DIGEST: asked["digest"]})
    else:
        at = store.tag(AT)
    return {"to": f"runs:/{asked['run_id']}/{at}".rstrip("/"), "new": new}


def _place(put: Callable[[str], None], first: str, others: str) -> str:
    """Where it was put: what an attempt that was cut short left there, some stores never let anybody write again."""
    for number in range(1, TRIES):
        to = first if number == 1 else f"{others}.{number}"
        try:
            put(to)
        except Exception as error:
            if TAKEN not in str(error):
                raise
        else:
            return to
    raise OSError(f"{others} and {TRIES - 2} names like it are taken")
