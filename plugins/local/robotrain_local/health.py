"""What could go wrong with runs of this machine: their folders, their tracking database, what killed commands left."""

import os
import shutil
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

from robotrain import disk, folders, store
from robotrain.amounts import size
from robotrain.health import Finding, Fix, HealthCheck, fail, ok, warn
from robotrain.problem import Instead
from robotrain_runtime import disk_use
from robotrain_runtime.disk_use import GIB

from robotrain_local import forget, spec, state
from robotrain_local.preflight import ROOM_GIB

DATABASE = "mlflow.db"
BUSY_SECONDS = 1.0
OLD = 24 * 3600
SHOWN = 5


def checks() -> Iterable[HealthCheck]:
    """All of this platform's."""
    return (
        HealthCheck(name="run folders", look=run_folders, here=True),
        HealthCheck(name="tracking", look=tracking, here=True),
    )


def run_folders() -> Iterator[Finding]:
    """Room for the next run, runs that nothing is recorded of, and scratch folders."""
    top = _top()
    free = disk.free(top)
    if free < ROOM_GIB * GIB:
        larger = Instead("ROBOTRAIN_RUNS_DIR=FOLDER robotrain …", "on a larger disk")
        older = Instead("robotrain runs --prune --older-than 30d", "removes old runs")
        yield fail(f"{top} has {size(free)} free: a run that fills the disk loses its last checkpoint", older, larger)
    else:
        yield ok(f"{top} ({size(free)} free)")
    yield from _unrecorded(top)
    scratch = [path for ending in ("part", forget.GONE[1:]) for path in top.glob(f".*.{ending}") if _old(path)]
    if scratch:
        what = f"{len(scratch)} folder{'' if len(scratch) == 1 else 's'} of commands that were cut off"
        fix = Fix(f"remove {what} in {top}", partial(_remove, scratch))
        yield Finding("ok", f"{what}, {size(sum(disk_use.held(path).size for path in scratch))}", fix=fix)


def tracking() -> Iterator[Finding]:
    """The database that runs are tracked in unless `--tracking-uri` says otherwise; training goes on without it."""
    database = folders.state() / DATABASE
    if not database.exists():
        yield ok(f"{database} (made by the first run)")
        return
    try:
        runs = _runs_in(database)
    except sqlite3.DatabaseError as error:  # runs train all the same, and say that they are not tracked
        if "locked" in str(error):
            yield ok(f"{database}, being written at this moment")
            return
        aside = Instead(f"mv {database} {database}.broken", "the next run makes a new one")
        yield warn(f"{database} cannot be read: {error}", aside)
        return
    kind = disk.kind(database)
    if disk.shared(kind):
        local = Instead("--tracking-uri sqlite:////PATH/ON/THIS/MACHINE/mlflow.db", "or an MLflow server")
        yield warn(f"{database} lies on {kind}: SQLite's locks are not safe where several machines write", local)
    else:
        yield ok(f"{database}, {runs} tracked run{'' if runs == 1 else 's'}")


def _top() -> Path:
    return Path(os.path.abspath(os.environ.get("ROBOTRAIN_RUNS_DIR") or folders.state() / "local"))


def _unrecorded(top: Path) -> Iterator[Finding]:
    """Run folders that `robotrain runs` does not list: somebody may want their checkpoints, so none is removed here."""
    found = [
        path.parent
        for path in top.glob(f"*/{spec.FILE}")
        if not (store.folder(path.parent.name) / store.RECORD).exists()
    ]
    for folder in [path for path in found if _old(path)][:SHOWN]:
        now = state.of(folder)
        says = f"{folder} is a run that nothing is recorded of: {now.state}, {size(disk_use.held(folder).alone)}"
        yield warn(says, *([Instead(f"rm -r {folder}", "when it is not needed")] if now.finished else ()))


def _runs_in(database: Path) -> int:
    """How many runs it holds; it is opened for reading only."""
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True, timeout=BUSY_SECONDS)) as opened:
        return int(opened.execute("select count(*) from runs").fetchone()[0])


def _old(path: Path) -> bool:
    try:
        return time.time() - path.stat().st_mtime > OLD
    except OSError:
        return False


def _remove(found: list[Path]) -> str:
    for path in found:
        shutil.rmtree(path)
    return f"removed {len(found)}"
