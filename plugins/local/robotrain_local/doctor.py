"""Health checks of the local platform: run folders, tracking database, leftovers of interrupted commands."""

import os
import shlex
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
from robotrain.run_folder.ended_run import REMOVED_SUFFIX
from robotrain.store import files, records
from robotrain_runtime.machine import disk_cache
from robotrain_runtime.machine.disk_cache import GIB

from robotrain_local import observe, spec
from robotrain_local.preflight import MIN_FREE_GIB
from robotrain_local.render import DATABASE

BUSY_SECONDS = 1.0
MIN_AGE_SECONDS = 24 * 3600
MAX_RUNS = 5


def list_health_checks() -> Iterable[HealthCheck]:
    """Return this platform's health checks."""
    return (
        HealthCheck(name="run folders", run=check_run_folders),
        HealthCheck(name="tracking", run=check_tracking_database),
    )


def check_run_folders() -> Iterator[HealthResult]:
    """Report free disk space, runs without a record, and leftover scratch folders."""
    top = Path(os.path.abspath(os.environ.get("ROBOTRAIN_RUNS_DIR") or files.get_state_folder() / "local"))
    free = disk_cache.get_free_bytes(top)
    if free < MIN_FREE_GIB * GIB:
        larger = Suggestion("ROBOTRAIN_RUNS_DIR=FOLDER robotrain …", "uses a larger disk")
        older = Suggestion("robotrain runs --prune --older-than 30d", "removes old runs")
        yield report_failure(
            f"{top} has only {format_size(free)} free: a run that fills the disk loses its last checkpoint",
            older,
            larger,
        )
    else:
        yield report_ok(f"{top} ({format_size(free)} free)")
    yield from _find_unrecorded_runs(top)
    scratch = [path for ending in ("part", REMOVED_SUFFIX[1:]) for path in top.glob(f".*.{ending}") if _is_old(path)]
    if scratch:
        count = f"{len(scratch)} folder{'' if len(scratch) == 1 else 's'} of interrupted commands"
        fix = HealthFix(f"remove {count} in {top}", partial(_remove_folders, scratch))
        size = sum(disk_cache.measure_folder(path).size for path in scratch)
        yield HealthResult("ok", f"{count}, {format_size(size)}", fix=fix)


def check_tracking_database() -> Iterator[HealthResult]:
    """Report the state of the default tracking database."""
    database = files.get_state_folder() / DATABASE
    if not database.exists():
        yield report_ok(f"{database} (created by the first run)")
        return
    try:
        address = f"{database.as_uri()}?mode=ro"
        with closing(sqlite3.connect(address, uri=True, timeout=BUSY_SECONDS)) as connection:
            runs = int(connection.execute("select count(*) from runs").fetchone()[0])
    except sqlite3.DatabaseError as error:  # only a warning: runs train without tracking
        if "locked" in str(error):
            yield report_ok(f"{database} (being written)")
            return
        move = Suggestion(f"mv {database} {database}.broken", "the next run creates a new one")
        yield report_warning(f"{database} cannot be read: {error}", move)
        return
    kind = files.get_filesystem(database)
    if files.is_network_filesystem(kind):
        local = Suggestion("--tracking-uri sqlite:////PATH/ON/THIS/MACHINE/mlflow.db", "or an MLflow server")
        yield report_warning(
            f"{database} is on {kind}: SQLite's locks are unsafe when several machines write to it", local
        )
    else:
        yield report_ok(f"{database}, {runs} tracked run{'' if runs == 1 else 's'}")


def _find_unrecorded_runs(top: Path) -> Iterator[HealthResult]:
    """Report run folders without a record. None is removed: you may want their checkpoints."""
    folders = [
        path.parent
        for path in top.glob(f"*/{spec.SPEC_FILE}")
        if not (records.get_run_folder(path.parent.name) / records.RECORD_FILE).exists()
    ]
    for folder in [path for path in folders if _is_old(path)][:MAX_RUNS]:
        status = observe.read_status(folder)
        size = format_size(disk_cache.measure_folder(folder).reclaimable)
        remove = [Suggestion(f"rm -r {shlex.quote(str(folder))}", "if you do not need it")] if status.finished else ()
        yield report_warning(f"{folder} is a run without a record: {status.state}, {size}", *remove)


def _is_old(path: Path) -> bool:
    try:
        return time.time() - path.stat().st_mtime > MIN_AGE_SECONDS
    except OSError:
        return False


def _remove_folders(paths: list[Path]) -> str:
    for path in paths:
        shutil.rmtree(path)
    return f"removed {len(paths)}"
