"""Slurm here or on a login node: its commands, the folders of runs and cache, and what the cluster offers."""

import shutil
from collections.abc import Iterator, Mapping, Sequence

from robotrain.cluster.checks import suggest_names
from robotrain.cluster.settings import read_configured_settings
from robotrain.errors import Problem, Rejected, Suggestion
from robotrain.messages import Messages
from robotrain.model.health import Check, HealthResult, convert_problem, report_missing, report_ok
from robotrain.run_folder.folder_access import judge_folder
from robotrain.run_folder.transport import Transport

from robotrain_slurm.client.cluster import LIST_PARTITIONS, Partition, query_partitions
from robotrain_slurm.client.commands import SlurmRefused, run_slurm
from robotrain_slurm.client.failures import explain_command_failure
from robotrain_slurm.login.reach import explained, reach, translate
from robotrain_slurm.login.ssh_failures import make_missing_ssh_error
from robotrain_slurm.preflight.node_visibility import find_unshared_files
from robotrain_slurm.preflight.survey import MachineSurvey, take_survey
from robotrain_slurm.settings import SlurmSettings
from robotrain_slurm.spec.placed_settings import place_settings

make_problem = Messages(__file__)

VERSION_SECONDS, QUERY_SECONDS = 2.0, 4.5
"""Less than the time limit of a check."""


def list_checks() -> list[Check]:
    """Return the checks of any plan from this machine."""
    return [
        Check(name="slurm commands", run=check_commands),
        Check(name="slurm cluster", run=check_cluster, online=True),
    ]


def check_commands() -> Iterator[HealthResult]:
    """Look for sbatch, and at the folders that runs use, without asking the controller; with a login node, for ssh."""
    settings = read_configured_settings(SlurmSettings, "slurm")
    if settings.login:
        if shutil.which("ssh"):
            yield report_ok(f"jobs are submitted on {settings.login}, by ssh")
        else:
            yield from map(convert_problem, make_missing_ssh_error("It is not on PATH.").problems)
        return
    login_suggestion = Suggestion("--login USER@HOST", "submits on a login node of the cluster, by ssh")
    if not shutil.which("sbatch"):
        render_suggestion = Suggestion(
            "robotrain render JOB.yaml --to FOLDER", "writes the batch script, which needs no cluster"
        )
        missing = "there is no `sbatch` command, which submitting to Slurm needs"
        yield report_missing(missing, login_suggestion, render_suggestion)
        return
    transport = reach("")
    try:
        yield report_ok(run_slurm(transport, "sbatch", "--version", seconds=VERSION_SECONDS).strip())
    except (SlurmRefused, Rejected) as error:
        yield report_missing(f"`sbatch --version` fails: {error}", login_suggestion)
    folders_by_flag = _list_folders(settings)
    yield from map(
        convert_problem, _find_unwritable_folders(folders_by_flag, take_survey(transport, folders_by_flag.values()))
    )


def _find_unwritable_folders(folders_by_flag: Mapping[str, str], survey: MachineSurvey) -> Iterator[Problem]:
    for flag, folder in folders_by_flag.items():
        yield from judge_folder(survey.paths[folder].folder, flag)


def check_cluster() -> Iterator[HealthResult]:
    """Ask the controller for its partitions, and compare the settings with them."""
    settings = read_configured_settings(SlurmSettings, "slurm")
    if not settings.login and not shutil.which("sbatch"):
        return
    try:
        transport = reach(settings.login or "")
        with explained(transport):
            outcomes = list(_survey_cluster(transport, place_settings(settings)))
    except Rejected as rejected:
        yield from map(convert_problem, rejected.problems)
        return
    yield from outcomes


def _survey_cluster(transport: Transport, settings: SlurmSettings) -> Iterator[HealthResult]:
    """Report the partitions, and what the nodes do not see of the folders. Raise Rejected."""
    folders_by_flag = _list_folders(settings)
    survey = take_survey(transport, folders_by_flag.values())
    problems = [*_find_unwritable_folders(folders_by_flag, survey)] if transport.host else []
    try:
        partitions = query_partitions(transport, None if transport.host else QUERY_SECONDS)
        yield report_ok(describe_partitions(partitions, settings.partition or ""))
        problems += _find_unknown_partitions(settings.partition or "", partitions)
        doubtful_folders = {} if settings.storage == "shared" else folders_by_flag
        problems += find_unshared_files(doubtful_folders, partitions, survey)
    except SlurmRefused as refusal:
        problems.append(explain_command_failure(refusal.text, "sinfo"))
    yield from map(convert_problem, translate(problems, transport))


def _find_unknown_partitions(partition_option: str, partitions: Sequence[Partition]) -> Iterator[Problem]:
    """Yield a problem for each partition of the settings that the cluster does not have."""
    partition_names = [partition.name for partition in partitions]
    for name in filter(None, partition_option.split(",")):
        if name not in partition_names:
            ways = suggest_names("--partition {}", name, partition_names, LIST_PARTITIONS)
            yield make_problem("resource-unknown.partition", *ways, given=name, name=name)


def _list_folders(settings: SlurmSettings) -> dict[str, str]:
    return {"--runs-dir": settings.runs_dir, "--cache-dir": settings.cache_dir}


MAX_PARTITIONS = 8


def describe_partitions(partitions: Sequence[Partition], named: str) -> str:
    """Return the partitions and how many of their nodes are up, with the types of their GPUs.

    :param named: the partitions that jobs of this machine go to; empty for the default one.
    """
    parts = []
    for partition in partitions[:MAX_PARTITIONS]:
        usable_count = sum(group.count for group in partition.nodes if group.is_usable and partition.state == "up")
        kinds = sorted({kind or "GPUs" for group in partition.nodes for kind, _ in group.gpus})
        partition_facts = [
            f"{usable_count} node{'' if usable_count == 1 else 's'} up",
            *(["the default"] if partition.is_default else []),
            *kinds,
        ]
        parts.append(f"{partition.name} ({', '.join(partition_facts)})")
    if len(partitions) > MAX_PARTITIONS:
        parts.append(f"… ({len(partitions) - MAX_PARTITIONS} more)")
    if not parts:
        return "the cluster has no partitions"
    has_one = named or any(partition.is_default for partition in partitions)
    must_name = "" if has_one else "; none is the default: use --partition NAME"
    return f"partitions: {', '.join(parts)}{must_name}"
