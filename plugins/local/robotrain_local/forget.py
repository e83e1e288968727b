"""Taking away what is kept of a run that ended: its folder, and nothing of what became of it elsewhere.

Checkpoints that were tracked, registered or published, and an `--output-dir` outside the folder, are not touched: what
is there by a hard link stays there.
"""

import os
import shutil
from pathlib import Path

from robotrain.problem import Instead, Problem, Rejected, Stage
from robotrain_runtime import disk_use

from robotrain_local import damaged, spec, state

GONE = ".gone"


def forget(folder: Path, dry_run: bool = False) -> int:
    """Remove the run's folder; the bytes that are free then. dry_run: only say how many. Raises Rejected, OSError."""
    if wrong := _wrong_with(folder):
        raise Rejected([wrong])
    freed = disk_use.held(folder).alone
    if not dry_run:
        aside = folder.with_name(f".{folder.name}.{os.urandom(4).hex()}{GONE}")
        os.rename(folder, aside)  # in one step: no half-emptied run is ever seen under the name
        shutil.rmtree(aside)
    return freed


def _wrong_with(folder: Path) -> Problem | None:
    """Why it must stay; None when it may go."""
    try:
        run = spec.load((folder / spec.FILE).read_bytes()).run
    except (OSError, *damaged.ERRORS):
        run = ""
    if run != folder.name:  # a record may name any folder
        way = Instead(f"rm -r {folder}", "when you know what it is")
        why = f"It holds no {spec.FILE} of a run of this name."
        return _problem("not-a-run-folder", f"{folder} is no run's folder, so it is left alone", why, way)
    now = state.of(folder)
    if not now.finished:
        way = Instead(f"robotrain cancel {folder.name}", "stops it")
        return _problem("run-goes-on", f"{folder.name} is {now.state}, so its folder is left alone", now.reason, way)
    return None


def _problem(code: str, title: str, why: str, *instead: Instead) -> Problem:
    return Problem(code=code, stage=Stage.SUBMIT, title=title, why=why, instead=instead)
