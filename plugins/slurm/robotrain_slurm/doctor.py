"""Slurm here or on a login node: its commands, the folders of runs and cache, and what the cluster offers."""

import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from robotrain.cluster.settings import read_configured_settings
from robotrain.errors import Problem, Rejected, Suggestion
from robotrain.model.health import HealthCheck, HealthResult, convert_problem, report_missing, report_ok

from robotrain_slurm.client.cluster import Partition, query_partitions
from robotrain_slurm.client.commands import SECONDS, SlurmRefused, run_slurm
from robotrain_slurm.client.failures import explain_refusal
from robotrain_slurm.login import calls
from robotrain_slurm.login.ssh_failures import make_missing_ssh_error
from robotrain_slurm.preflight import folders
from robotrain_slurm.settings import SlurmSettings
from robotrain_slurm.spec.placed_settings import place_settings

VERSION_SECONDS, QUERY_SECONDS = 2.0, 4.5
"""Less than the time limit of a check."""


def list_health_checks() -> Iterable[HealthCheck]:
    """Return this platform's health checks."""
    return (
        HealthCheck(name="slurm commands", run=check_commands),
        HealthCheck(name="slurm cluster", run=check_cluster, online=True),
    )


def check_commands() -> Iterator[HealthResult]:
    """Look for sbatch, and at the folders that runs use, without asking the controller; with a login node, for ssh."""
    settings = read_configured_settings(SlurmSettings, "slurm")
    if settings.login:
        if shutil.which("ssh"):
            yield report_ok(f"jobs are submitted on {settings.login}, by ssh")
        else:
            yield from map(convert_problem, make_missing_ssh_error("It is not on PATH.").problems)
        return
    if not shutil.which("sbatch"):
        there = Suggestion("--login USER@HOST", "submits on a login node of the cluster, by ssh")
        yield report_missing("there is no `sbatch` command, which submitting to Slurm needs", there)
        return
    try:
        yield report_ok(run_slurm("sbatch", "--version", seconds=VERSION_SECONDS).strip())
    except (SlurmRefused, Rejected) as error:
        yield report_missing(f"`sbatch --version` fails: {error}")
    yield from map(convert_problem, find_unwritable_folders(_list_folders(settings)))


def find_unwritable_folders(needed: Mapping[str, str]) -> list[Problem]:
    """Return the problems of folders that runs use, by their options."""
    return [problem for flag, folder in needed.items() for problem in folders.check_writable(Path(folder), flag)]


def check_cluster() -> Iterator[HealthResult]:
    """Ask the controller for its partitions, and compare the settings with them."""
    settings = read_configured_settings(SlurmSettings, "slurm")
    try:
        if settings.login:
            yield from _check_login_node(place_settings(settings), settings.login)
        elif shutil.which("sbatch"):
            yield from _report(*survey_cluster(_list_doubtful_folders(settings), QUERY_SECONDS))
    except Rejected as rejected:
        yield from map(convert_problem, rejected.problems)


def _check_login_node(settings: SlurmSettings, login: str) -> Iterator[HealthResult]:
    """Check there what is checked here without a login node. Raise Rejected."""
    unwritable = calls.call(login, f"{__name__}:find_unwritable_folders", _list_folders(settings))
    summary, problems = calls.call(login, f"{__name__}:survey_cluster", _list_doubtful_folders(settings), SECONDS)
    yield from _report(summary, [calls.translate_problem(one, login) for one in (*unwritable, *problems)])


def _report(summary: str, problems: Iterable[Problem]) -> Iterator[HealthResult]:
    if summary:
        yield report_ok(summary)
    yield from map(convert_problem, problems)


def survey_cluster(needed: Mapping[str, str], seconds: float) -> tuple[str, list[Problem]]:
    """Return the partitions in a line, and what the nodes do not see of these folders. Raise Rejected."""
    try:
        partitions = query_partitions(seconds)
    except SlurmRefused as refusal:
        return "", [explain_refusal(refusal.text, {}, "sinfo")]
    unshared = folders.find_unshared_files(needed, partitions, os.uname().nodename)
    return describe_partitions(partitions), list(unshared)


def _list_folders(settings: SlurmSettings) -> dict[str, str]:
    return {"--runs-dir": settings.runs_dir, "--cache-dir": settings.cache_dir}


def _list_doubtful_folders(settings: SlurmSettings) -> dict[str, str]:
    return {} if settings.storage == "shared" else _list_folders(settings)


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
    if not parts:
        return "the cluster has no partitions"
    must_name = "" if any(one.is_default for one in partitions) else "; none is the default: use --partition NAME"
    return f"partitions: {', '.join(parts)}{must_name}"
