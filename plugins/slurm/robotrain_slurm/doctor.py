"""Slurm on this machine: its commands, the folders of runs and cache, and what the cluster offers."""

import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from robotrain.cluster.settings import read_configured_settings
from robotrain.errors import Rejected, Suggestion
from robotrain.model.health import HealthCheck, HealthResult, convert_problem, report_missing, report_ok

from robotrain_slurm.client.cluster import Partition, query_partitions
from robotrain_slurm.client.commands import SlurmRefused, run_slurm
from robotrain_slurm.preflight import folders
from robotrain_slurm.settings import SlurmSettings

VERSION_SECONDS, QUERY_SECONDS = 2.0, 4.5
"""Less than the time limit of a check."""


def list_health_checks() -> Iterable[HealthCheck]:
    """Return this platform's health checks."""
    return (
        HealthCheck(name="slurm commands", run=check_commands),
        HealthCheck(name="slurm cluster", run=check_cluster, online=True),
    )


def check_commands() -> Iterator[HealthResult]:
    """Look for sbatch, and at the folders that runs use, without asking the controller."""
    if not shutil.which("sbatch"):
        there = Suggestion("ssh LOGIN-NODE", "jobs are submitted on a login node of the cluster")
        yield report_missing("there is no `sbatch` command, which submitting to Slurm needs", there)
        return
    try:
        yield report_ok(run_slurm("sbatch", "--version", seconds=VERSION_SECONDS).strip())
    except (SlurmRefused, Rejected) as error:
        yield report_missing(f"`sbatch --version` fails: {error}")
    settings = read_configured_settings(SlurmSettings, "slurm")
    for flag, folder in _list_folders(settings).items():
        yield from map(convert_problem, folders.check_writable(Path(folder), flag))


def check_cluster() -> Iterator[HealthResult]:
    """Ask the controller for its partitions, and compare the settings with them."""
    if not shutil.which("sbatch"):
        return
    settings = read_configured_settings(SlurmSettings, "slurm")
    try:
        partitions = query_partitions(QUERY_SECONDS)
    except SlurmRefused as refusal:
        from robotrain_slurm.client.failures import explain_refusal

        yield convert_problem(explain_refusal(refusal.text, {}, "sinfo"))
        return
    except Rejected as rejected:
        yield from map(convert_problem, rejected.problems)
        return
    yield report_ok(describe_partitions(partitions))
    yield from map(
        convert_problem, folders.find_unshared_files(_list_folders(settings), partitions, os.uname().nodename)
    )


def _list_folders(settings: SlurmSettings) -> dict[str, str]:
    return {"--runs-dir": settings.runs_dir, "--cache-dir": settings.cache_dir} if settings.storage == "shared" else {}


MAX_PARTITIONS = 8


def describe_partitions(partitions: Sequence[Partition]) -> str:
    """Return the partitions and how many of their nodes are up, with the types of their GPUs."""
    parts = []
    for one in partitions[:MAX_PARTITIONS]:
        up = sum(group.count for group in one.nodes if group.is_usable and one.state == "up")
        kinds = sorted({kind or "GPUs" for group in one.nodes for kind, _ in group.gpus})
        about = [f"{up} node{'' if up == 1 else 's'} up", *(["the default"] if one.is_default else []), *kinds]
        parts.append(f"{one.name} ({', '.join(about)})")
    if len(partitions) > MAX_PARTITIONS:
        parts.append(f"… ({len(partitions) - MAX_PARTITIONS} more)")
    return f"partitions: {', '.join(parts)}" if parts else "the cluster has no partitions"
