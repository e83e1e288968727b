"""Slurm here or on a login node: its commands, the folders of runs and cache, and what the cluster offers."""

import shutil
from collections.abc import Iterator, Mapping

from robotrain.cluster.settings import read_configured_settings
from robotrain.errors import Problem, Rejected, Suggestion
from robotrain.model.health import Check, HealthResult, convert_problem, report_failure, report_missing, report_ok
from robotrain.run_folder.folder_access import judge_folder
from robotrain.run_folder.transport import Transport

from robotrain_slurm.client.cluster import query_partitions
from robotrain_slurm.client.commands import SlurmRefused, explain_command_failure, run_slurm
from robotrain_slurm.login.reach import explained, reach, translate
from robotrain_slurm.preflight.node_visibility import find_unshared_files
from robotrain_slurm.preflight.survey import MachineSurvey, take_survey
from robotrain_slurm.settings import SlurmSettings
from robotrain_slurm.spec.placed_settings import place_settings

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
            yield report_failure("`ssh` is not on PATH, which --login needs")
        return
    login_suggestion = Suggestion("--login USER@HOST", "submits on a login node of the cluster, by ssh")
    if not shutil.which("sbatch"):
        yield report_missing("there is no `sbatch` command, which submitting to Slurm needs", login_suggestion)
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
        yield report_ok(f"partitions: {', '.join(partition.name for partition in partitions)}")
        doubtful_folders = {} if settings.storage == "shared" else folders_by_flag
        problems += find_unshared_files(doubtful_folders, partitions, survey)
    except SlurmRefused as refusal:
        problems.append(explain_command_failure(refusal.text, "sinfo"))
    yield from map(convert_problem, translate(problems, transport))


def _list_folders(settings: SlurmSettings) -> dict[str, str]:
    return {"--runs-dir": settings.runs_dir, "--cache-dir": settings.cache_dir}
