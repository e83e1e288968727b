"""What could go wrong with runs of this machine: their folders, their tracking database, what killed commands left."""

import os
import shutil
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

from robotrain.errors import Suggestion
from robotrain.model.amounts import format_size
from robotrain.model.health import HealthCheck, HealthFix, HealthResult, report_failure, report_ok, report_warning
from robotrain.store import files, records
from robotrain_runtime.machine import disk_cache
from robotrain_runtime.machine.disk_cache import GIB

from robotrain_local import observe, outputs, spec
from robotrain_local.preflight import MIN_FREE_GIB

DATABASE = "mlflow.db"
BUSY_SECONDS = 1.0
MIN_AGE_SECONDS = 24 * 3600
MAX_RUNS = 5


def list_health_checks() -> Iterable[HealthCheck]:
    """All of this platform's."""
    return (
        HealthCheck(name="run folders", run=check_run_folders, local_only=True),
        HealthCheck(name="tracking", run=check_tracking_database, local_only=True),
    )


def check_run_folders() -> Iterator[HealthResult]:
    """Room for the next run, runs that nothing is recorded of, and scratch folders."""
    top = _get_runs_folder()
    free = disk_cache.get_free_bytes(top)
    if free < MIN_FREE_GIB * GIB:
        larger = Suggestion("ROBOTRAIN_RUNS_DIR=FOLDER robotrain …", "on a larger disk")
        older = Suggestion("robotrain runs --prune --older-than 30d", "removes old runs")
        yield report_failure(
            f"{top} has {format_size(free)} free: a run that fills the disk loses its last checkpoint", older, larger
        )
    else:
        yield report_ok(f"{top} ({format_size(free)} free)")
    yield from _find_unrecorded_runs(top)
    scratch = [
        path for ending in ("part", outputs.REMOVED_SUFFIX[1:]) for path in top.glob(f".*.{ending}") if _is_old(path)
    ]
    if scratch:
        what = f"{len(scratch)} folder{'' if len(scratch) == 1 else 's'} of commands that were cut off"
        fix = HealthFix(f"remove {what} in {top}", partial(_remove_folders, scratch))
        yield HealthResult(
            "ok", f"{what}, {format_size(sum(disk_cache.measure_folder(path).size for path in scratch))}", fix=fix
        )


def check_tracking_database() -> Iterator[HealthResult]:
    """The database that runs are tracked in unless `--tracking-uri` says otherwise; training goes on without it."""
    database = files.get_state_folder() / DATABASE
    if not database.exists():
        yield report_ok(f"{database} (made by the first run)")
        return
    try:
        runs = _count_runs(database)
    except sqlite3.DatabaseError as error:  # runs train all the same, and say that they are not tracked
        if "locked" in str(error):
            yield report_ok(f"{database}, being written at this moment")
            return
        aside = Suggestion(f"mv {database} {database}.broken", "the next run makes a new one")
        yield report_warning(f"{database} cannot be read: {error}", aside)
        return
    kind = files.get_filesystem(database)
    if files.is_network_filesystem(kind):
        local = Suggestion("--tracking-uri sqlite:////PATH/ON/THIS/MACHINE/mlflow.db", "or an MLflow server")
        yield report_warning(
            f"{database} lies on {kind}: SQLite's locks are not safe where several machines write", local
        )
    else:
        yield report_ok(f"{database}, {runs} tracked run{'' if runs == 1 else 's'}")


def _get_runs_folder() -> Path:
    return Path(os.path.abspath(os.environ.get("ROBOTRAIN_RUNS_DIR") or files.get_state_folder() / "local"))


def _find_unrecorded_runs(top: Path) -> Iterator[HealthResult]:
    """Run folders that `robotrain runs` does not list: somebody may want their checkpoints, so none is removed here."""
    found = [
        path.parent
        for path in top.glob(f"*/{spec.SPEC_FILE}")
        if not (records.get_run_folder(path.parent.name) / records.RECORD_FILE).exists()
    ]
    for folder in [path for path in found if _is_old(path)][:MAX_RUNS]:
        now = observe.read_status(folder)
        says = f"{folder} is a run that nothing is recorded of: {now.state}, {format_size(disk_cache.measure_folder(folder).reclaimable)}"
        yield report_warning(says, *([Suggestion(f"rm -r {folder}", "when it is not needed")] if now.finished else ()))


def _count_runs(database: Path) -> int:
    """How many runs it holds; it is opened for reading only."""
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True, timeout=BUSY_SECONDS)) as opened:
        return int(opened.execute("select count(*) from runs").fetchone()[0])


def _is_old(path: Path) -> bool:
    try:
        return time.time() - path.stat().st_mtime > MIN_AGE_SECONDS
    except OSError:
        return False


def _remove_folders(paths: list[Path]) -> str:
    for path in paths:
        shutil.rmtree(path)
    return f"removed {len(paths)}"
