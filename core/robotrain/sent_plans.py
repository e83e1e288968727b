"""The plans that were sent, kept beside their records: to ask a platform for a run again, and to send it once more."""

import contextlib
import json
import shutil
from pathlib import Path

from robotrain_runtime.document import Source

from robotrain import durable, folders, plan_folder, store
from robotrain.plan_folder import Rendered
from robotrain.problem import Rejected

PLAN = "plan"


def folder(run: str) -> Path:
    """Where the plan of `run` lies."""
    return store.folder(run) / PLAN


def keep(rendered: Rendered) -> None:
    """Keep a plan before it is sent; one that is kept already is not touched. Raises Rejected."""
    place, there = folder(rendered.plan.run), read_if_kept(rendered.plan.run)
    if there and not there.changed and there.plan.digest == rendered.plan.digest:
        return
    with store.writing():
        if place.exists():  # what a submit that was cut off left
            shutil.rmtree(place)
        plan_folder.write(rendered, place, shared=_payload(rendered))


def read(run: str) -> Rendered:
    """The plan that `run` was sent as. Raises Rejected when it is not kept, or damaged."""
    return plan_folder.read(folder(run))


def read_if_kept(run: str) -> Rendered | None:
    """The same; None for a run whose plan is not there any more."""
    try:
        return read(run)
    except Rejected:
        return None


def sources(run: str) -> tuple[Source, ...]:
    """The sources of the job that `run` was sent as, of which nothing else is read; none where it is not kept."""
    try:
        kept = json.loads((folder(run) / plan_folder.MANIFEST).read_text(encoding="utf-8"))
        found = [Source(**one) for one in kept["job"]["sources"]]
    except (OSError, ValueError, KeyError, TypeError):
        return ()
    return tuple(one for one in found if isinstance(one.role, str) and isinstance(one.uri, str))


def _payload(rendered: Rendered) -> Path | None:
    """The one copy of a payload that all runs share; None when the disk has no room for the trick."""
    kept, content = folders.state() / "payloads" / f"{rendered.payload.digest}.zip", rendered.payload.archive
    with contextlib.suppress(OSError):
        kept.parent.mkdir(parents=True, exist_ok=True)
        if not kept.exists() or kept.read_bytes() != content:  # torn by a power cut, say
            durable.write(kept, content)
            kept.chmod(0o444)  # the plans of many runs are links to it: no editor may write into it
        return kept
    return None
