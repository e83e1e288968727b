"""What lies of an upload in the storage. A folder whose address is its digest is sealed, by a file in it, when all
of it arrived and was still what was pinned; then it counts, whatever became of the folder on this machine.

`osmo` tells names alone: the seal's says how many files there are. It begins with a dot, so it is no part of the data.
"""

import re
import tempfile
from collections.abc import Collection
from pathlib import Path

from robotrain.plan import Plan
from robotrain.problem import Stage
from robotrain_azure import sendable
from robotrain_runtime.document import Source

from robotrain_osmo.cli import asking
from robotrain_osmo.cli.refusals import Refused
from robotrain_osmo.hand_over import stored
from robotrain_osmo.order import Order, Upload

OF_ONE_RUN = "/robotrain/runs/"
"""Below it lies what has no digest in its address: it is uploaded anew."""
SECONDS = 300.0
NAME = r"\.robotrain-complete-\d+"


def holds(plan: Plan, order: Order) -> list[Source]:
    """The folders of a plan that are there as they were pinned."""
    held = [upload for upload in order.uploads if is_held(order.cli, upload)]
    return sendable.pinned_as(plan, {(upload.path, upload.url.rpartition("/")[2]) for upload in held})


def is_by_content(upload: Upload) -> bool:
    """Whether its address is its digest, so that it is the same for everybody."""
    return OF_ONE_RUN not in upload.url


def is_held(cli: str, upload: Upload) -> bool:
    """Whether all of what was pinned lies there, whatever the folder holds now; False where that cannot be seen."""
    if upload.files is None or not is_by_content(upload):
        return False
    patience = stored.SECONDS + upload.files / stored.LEAST_FILES_A_SECOND
    try:
        return is_whole(upload, stored.below(cli, upload.url, Stage.SUBMIT, patience))
    except Refused:
        return False


def files(there: Collection[str]) -> set[str]:
    """What lies there, without its seal."""
    return {path for path in there if not re.fullmatch(NAME, path)}


def is_whole(upload: Upload, there: Collection[str]) -> bool:
    """Whether what lies there is sealed, and none of what was sealed is missing."""
    return is_by_content(upload) and _name(len(files(there))) in there


def seal(cli: str, url: str, count: int) -> None:
    """Say of a folder of so many files that it is whole. Raises Refused."""
    with tempfile.TemporaryDirectory(prefix="robotrain-") as own:
        file = Path(own) / _name(count)
        file.write_text(f"{sendable.counted(count)}\n", encoding="utf-8")
        asking.judge(asking.called(cli, "data", "upload", url, str(file), seconds=SECONDS), Stage.SUBMIT)


def _name(count: int) -> str:
    return f".robotrain-complete-{count}"
