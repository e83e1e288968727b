"""Checks of this machine: what a plan needs here, run folders, tracking database, leftovers of interrupted commands."""

import dataclasses
import os
import shlex
import shutil
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

from robotrain.cluster.secrets import check_secret_files
from robotrain.errors import Problem, Suggestion
from robotrain.messages import Messages
from robotrain.model.amounts import format_size
from robotrain.model.health import (
    Check,
    HealthResult,
    report_ok,
    report_warning,
)
from robotrain.model.plan import Plan
from robotrain.run_folder.placement import check_credential_files
from robotrain.run_folder.removal import REMOVED_SUFFIX
from robotrain.store import files, records
from robotrain_runtime import preflight as runtime_preflight
from robotrain_runtime.contract import document
from robotrain_runtime.contract.document import DOCUMENT_FILE
from robotrain_runtime.machine import disk_cache, hardware
from robotrain_runtime.machine.disk_cache import GIB

from robotrain_local import observe, spec, submit
from robotrain_local.render import DATABASE

make_problem = Messages(__file__)

MIN_FREE_GIB = 1.0
BUSY_SECONDS = 1.0
BUSY_GPU_BYTES = 1 << 30
"""More of a GPU's memory than its driver and a desktop use."""
MIN_AGE_SECONDS = 24 * 3600
MAX_RUNS = 5


def list_checks(plan: Plan | None) -> list[Check]:
    """Return the checks: of a plan, or without one of the runs of this machine."""
    if plan:
        return [Check(name="local", run=partial(check_plan, plan))]
    return [
        Check(name="gpu", run=check_gpus),
        Check(name="run folders", run=check_run_folders),
        Check(name="tracking", run=check_tracking_database),
    ]


def check_plan(plan: Plan) -> Iterator[Problem]:
    """Check what would make the plan fail here. The runtime repeats its checks when the run starts."""
    try:
        job = document.parse_document(plan.files[DOCUMENT_FILE].decode())
        folder = Path(spec.parse_spec(plan.files[plan.spec]).folder)
    except submit.PLAN_ERRORS as error:
        yield submit.make_damaged_plan_problem(error)
        return
    yield from check_secret_files(job.placement.secrets)
    yield from check_credential_files(job.placement.credentials)
    placement = dataclasses.replace(job.placement, mounts=())  # the run's copy of its code is made when it is submitted
    job = dataclasses.replace(job, placement=placement)
    yield from runtime_preflight.run_preflight(job, partial(print, file=sys.stderr, flush=True))
    if submit.is_interrupted_submit(plan, folder):
        return
    parent = str(folder.parent)
    if folder.exists():
        problem = make_problem("run-folder-taken", given=parent, folder=folder)
        yield dataclasses.replace(problem, taken_by=str(folder))
    elif reason := files.explain_uncreatable(folder.parent):
        yield make_problem("run-folder-refused.not-writable", given=parent, why=reason)
    else:
        yield from check_space(folder.parent)


def check_space(folder: Path) -> Iterator[Problem]:
    """Check that the disk of the folder with all run folders has room for a run."""
    free_gib = disk_cache.get_free_bytes(folder) / GIB
    if free_gib < MIN_FREE_GIB:
        yield make_problem("run-folder-full", given=str(folder), free=free_gib)


def check_gpus() -> Iterator[HealthResult]:
    """Report what a training on this machine computes with."""
    if sys.platform != "linux":
        yield report_ok("no job runs here: the platform local needs Linux")
        return
    try:
        present_gpus = hardware.query_gpus()
    except hardware.DriverUnavailable as error:
        report = report_ok if shutil.which("nvidia-smi") is None else report_warning
        yield report(f"none: training uses the CPU ({str(error)[0].lower()}{str(error)[1:]})")
        return
    memory = hardware.query_gpu_memory()
    gpu_counts = Counter(
        describe_gpu(gpu, *memory.get(gpu.uuid, (0, 0))) for gpu in hardware.select_visible(present_gpus)
    )
    if not gpu_counts:
        hidden_note = f"{hardware.VISIBLE_DEVICES} hides {len(present_gpus)} of {present_gpus[0].name}"
        way = Suggestion(f"unset {hardware.VISIBLE_DEVICES}", "lets programs see them")
        yield report_warning(f"none: training uses the CPU ({hidden_note})", way)
    for gpu_text, count in gpu_counts.items():
        yield report_ok(f"{count} × {gpu_text}" if count > 1 else gpu_text)


def describe_gpu(gpu: hardware.Gpu, total_bytes: int, used_bytes: int) -> str:
    """Return a GPU with its driver and its memory, and how much of that is in use if it is much; 0 for unknown."""
    size = f", {format_size(total_bytes)}" if total_bytes else ""
    in_use = (
        f"; {format_size(used_bytes)} of its memory is in use (`nvidia-smi` shows by what)"
        if used_bytes > BUSY_GPU_BYTES
        else ""
    )
    return f"{gpu.name}{size}, driver {gpu.driver}{in_use}"


def check_run_folders() -> Iterator[Problem | HealthResult]:
    """Report free disk space, runs without a record, and leftover scratch folders."""
    top = Path(os.path.abspath(os.environ.get("ROBOTRAIN_RUNS_DIR") or files.get_state_folder() / "local"))
    yield from [*check_space(top)] or (report_ok(f"{top} ({format_size(disk_cache.get_free_bytes(top))} free)"),)
    yield from _find_unrecorded_runs(top)
    scratch = [path for ending in ("part", REMOVED_SUFFIX[1:]) for path in top.glob(f".*.{ending}") if _is_old(path)]
    if scratch:
        count = f"{len(scratch)} folder{'' if len(scratch) == 1 else 's'} of interrupted commands"
        size = sum(disk_cache.measure_folder(path).size for path in scratch)
        way = Suggestion(f"rm -r {shlex.join(map(str, scratch))}", "removes them")
        yield HealthResult("ok", f"{count} in {top}, {format_size(size)}", (way,))


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
