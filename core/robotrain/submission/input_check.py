"""Checks of a job's inputs by the rules of the run, before it is sent."""

import contextlib
import dataclasses
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from robotrain_runtime.contract.problem import make_data_problem
from robotrain_runtime.contract.step_output import STEP_KIND

from robotrain.errors import Problem, select_errors
from robotrain.messages import Messages
from robotrain.model.data_report import DataReport
from robotrain.model.preview import JobFacts
from robotrain.model.source import LOCAL_KIND
from robotrain.submission import data_check, trainer_check
from robotrain.submission.checker import NO_OPTIONS, CheckOptions
from robotrain.submission.container_plugins import load_workload_container
from robotrain.submission.implied_sources import make_description_document
from robotrain.submission.input_descriptions import InputDescriptions
from robotrain.submission.prepare import InputStep, PreparedJob
from robotrain.submission.preview import find_missing_gpu
from robotrain.submission.source_files import SourceFiles

make_problem = Messages(__file__)


def _compare_inputs(prepared: PreparedJob, descriptions: InputDescriptions) -> Iterator[Problem]:
    """Yield why the sources do not fit the job or each other; if they do, what is probably not meant."""
    plugin = load_workload_container(prepared.container_plugins)
    if plugin is None:
        return
    with contextlib.suppress(Exception):  # the run will report it
        description_folders = descriptions.find_folders(prepared, plugin)
        document = make_description_document(prepared.job, prepared.platform.name, prepared.container_plugins)
        findings = list(plugin.compare(document, description_folders)) if description_folders else []
        yield from map(make_data_problem, findings)
        for sentence in (
            plugin.list_warnings(document, description_folders) if description_folders and not findings else ()
        ):
            yield make_problem("data-unexpected", title=sentence)


def _find_facts(prepared: PreparedJob, descriptions: InputDescriptions) -> JobFacts:
    """Return what the descriptions of a job's sources tell of its work; nothing if its workload cannot read them."""
    plugin = load_workload_container(prepared.container_plugins)
    with contextlib.suppress(Exception):  # it is only shown
        if plugin and prepared.workload:
            return prepared.workload.preview.find_facts(prepared.job, descriptions.find_folders(prepared, plugin))
    return JobFacts()


class InputCheck(NamedTuple):
    """What was seen of the inputs of a job, or of the steps of a pipeline."""

    problems: list[Problem]
    """Why they do not fit, and notes on what could not be read."""
    facts: list[tuple[InputStep, JobFacts]]
    """What the sources of each step tell of its work."""
    data: list[DataReport]
    """What the files of its data hold."""


NO_INPUTS = InputCheck([], [], [])


def check_inputs(prepared: PreparedJob, options: CheckOptions = NO_OPTIONS, *, is_rejected: bool = False) -> InputCheck:
    """Compare the sources whose description can be read with the job and each other.

    Of a pipeline each step is compared, also with what an earlier step will make. If nothing is wrong, the files of the
    data are read, and the trainers are asked whether they accept their options.

    :param is_rejected: whether the job has errors already: then no data is read and no trainer is asked.
    """
    problems: list[Problem] = []
    steps = prepared.list_input_steps()
    with tempfile.TemporaryDirectory(prefix="robotrain-") as scratch:
        files = prepared.source_files or SourceFiles()
        descriptions = InputDescriptions(Path(scratch), files)
        facts_of_steps = []
        for step in steps:
            for problem in _compare_inputs(step.job, descriptions):
                problems.append(dataclasses.replace(problem, where=step.where or problem.where))
            facts = _find_facts(step.job, descriptions)
            facts_of_steps.append((step, facts))
            for problem in find_missing_gpu(step.job.job, step.job.describe_run(), step.job.values):
                problems.append(dataclasses.replace(problem, where=step.where or problem.where))
            if step.is_read:
                descriptions.describe_output(step.name, step.job)
        runs_here = prepared.platform.capabilities.feature("runs_here")
        is_asked = not is_rejected and not select_errors(problems) and not (runs_here and _lacks_folder(prepared))
        data_reports = []
        if is_asked:
            for report in data_check.read_data(steps, options):
                data_reports.append(report)
                problems += data_check.find_data_problems(report, options)
            is_asked = not select_errors(problems)
        if is_asked and (options.is_dry_run or options.checker or not runs_here):
            problems += _ask_trainers(steps, descriptions, Path(scratch), options)
        return InputCheck([*problems, *files.notes], facts_of_steps, data_reports)


def _lacks_folder(prepared: PreparedJob) -> bool:
    """Return whether a folder of the job is missing on this machine: preflight, which comes next, refuses that."""
    return any(source.kind == LOCAL_KIND and not Path(source.uri).exists() for source in prepared.job.sources)


def _ask_trainers(
    steps: Sequence[InputStep], descriptions: InputDescriptions, scratch: Path, options: CheckOptions
) -> Iterator[Problem]:
    """Yield why the trainer of a step refuses its options; the same problem of several steps once."""
    reported_problems = set[Problem]()
    for number, step in enumerate(steps):
        plugin = load_workload_container(step.job.container_plugins)
        if plugin is None:
            continue
        description_folders = {
            source: folder
            for source, folder in descriptions.find_folders(step.job, plugin).items()
            if source.kind != STEP_KIND  # a prediction is not complete
        }
        check_folder = scratch / f"check-{number}"
        check_folder.mkdir()
        for problem in trainer_check.find_option_problems(step.job, description_folders, check_folder, options):
            if problem not in reported_problems:
                reported_problems.add(problem)
                is_own = problem.code == trainer_check.REFUSED
                location = ": ".join(filter(None, (step.where, problem.where)))
                yield dataclasses.replace(problem, where=location) if step.where and is_own else problem
