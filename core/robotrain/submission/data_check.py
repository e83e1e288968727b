"""The files of a job's data, read where the job is sent from: what is wrong ends the submit, the rest is one line."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from robotrain_runtime.contract.document import JobSource

from robotrain.errors import Problem
from robotrain.messages import Messages
from robotrain.model.data_report import DataReading, DataReport, RemoteFiles
from robotrain.model.source import SourceKind
from robotrain.redaction import redact
from robotrain.submission.checker import NONE, CheckOptions, read_choice
from robotrain.submission.pin import parse_source
from robotrain.submission.prepare import InputStep, PreparedJob
from robotrain.submission.trainer_check import get_time_limit

make_problem = Messages(__file__)


def read_data(steps: Sequence[InputStep], options: CheckOptions) -> Iterator[DataReport]:
    """Yield what the files of the data of jobs hold, those of each source once."""
    choice = read_choice(options.checker)[0]
    if choice and choice.value == NONE:
        return
    described_sources = list[tuple[JobSource, Any]]()
    for step in steps:
        describe = step.job.workload.describe_data if step.job.workload else None
        for source in step.job.job.sources if describe else ():
            if (source, describe) in described_sources or (files := _find_files(source, step.job)) is None:
                continue
            described_sources.append((source, describe))
            starts_here = step.job.platform.capabilities.feature("runs_here") and not options.is_dry_run
            if isinstance(files, RemoteFiles) and starts_here:  # the run reads it in a moment
                continue
            reading = DataReading(options.checker, options.say, get_time_limit(), may_build=not starts_here)
            if describe and (report := describe(step.job.job, source, files, reading)):
                yield report


def _find_files(source: JobSource, prepared: PreparedJob) -> Path | RemoteFiles | None:
    """Return where the files of a source can be read; None if they cannot be from this machine."""
    folder = Path(source.uri)
    if folder.is_absolute() and folder.is_dir() and not prepared.is_remote_folder(source):
        return folder
    return make_remote_files(source, prepared.kinds)


def make_remote_files(source: JobSource, kinds: Mapping[str, SourceKind]) -> RemoteFiles | None:
    """Return how the files of a pinned source are read from here; None if they cannot be."""
    pinning = kinds[source.kind].pinning if source.kind in kinds else None
    if not (source.pin and pinning and pinning.list_files):
        return None
    parsed_source = parse_source(source, kinds)
    return RemoteFiles(
        source.uri,
        f"{source.kind} {source.uri} {source.pin}",
        partial(pinning.list_files, parsed_source, source.role, source.pin),
        partial(pinning.download, parsed_source, source.role, source.pin),
    )


def find_data_problems(report: DataReport, options: CheckOptions) -> Iterator[Problem]:
    """Yield what is wrong with the files of a source; say what they hold if nothing is."""
    if report.unread:
        yield make_problem("data-unread", why=f"{redact(report.unread)}.")
        return
    yield from report.errors
    if not report.errors:
        number = report.warnings
        findings = f"{number} finding{'s' * (number != 1)}: {report.command}"
        outcome = findings if number else f"no errors; {report.command} looks closer"
        options.say(f"data: {report.text}; {outcome}")
