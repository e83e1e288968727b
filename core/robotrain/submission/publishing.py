"""Publication of a run's checkpoints after the fact: from its platform's outputs to a place, through this machine."""

import contextlib
import dataclasses
import shlex
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from robotrain_runtime.contract.document import Placement
from robotrain_runtime.contract.event import Evaluated
from robotrain_runtime.contract.failure import JobFailed
from robotrain_runtime.publishing.late_publication import LatePublication

from robotrain.errors import Problem, Rejected, Suggestion
from robotrain.messages import Messages
from robotrain.model.job import Job
from robotrain.model.plan import make_job_document
from robotrain.model.platform import Platform
from robotrain.model.progress import Progress
from robotrain.model.run import Output, RunRecord
from robotrain.model.source import LOCAL_KIND, SourceError, SourceKind
from robotrain.plugins.manager import Plugins
from robotrain.redaction import can_repeat, redact
from robotrain.store import files

make_problem = Messages(__file__)

URL_ARGUMENT = "URL"
MAX_REASON = 1000
LogFunction = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedOutput:
    """A checkpoint at a place."""

    step: int
    to: str
    new: bool
    """Whether it was not there before."""


def find_place(run_text: str, url: str, plugins: Plugins) -> tuple[SourceKind, str]:
    """Return the kind of a place that can be written to, and its printed form. Raise Rejected.

    :param run_text: the run as it was typed, for lines to type.
    """
    run_word = shlex.quote(run_text) if can_repeat(run_text) else "RUN"
    kinds = [kind for kind in plugins.source_kinds().values() if kind.target]
    kind = next((kind for kind in kinds if kind.recognizes_target(url)), None)
    if kind is None:
        ways = [Suggestion(f"robotrain publish {run_word} {kind.place_form}") for kind in kinds]
        titles = ", ".join(kind.title for kind in kinds)
        raise Rejected([make_problem("target-not-accepted", *ways, given=url, kinds=titles)])
    try:
        return kind, str(kind.parse_target(url))
    except SourceError as error:
        address, form = redact(url, kind.schemes), error.suggestion or kind.place_form
        raise Rejected(
            [make_problem("source-invalid", given=address, why=error.why, run=run_word, form=form)]
        ) from None


def publish_outputs(
    record: RunRecord,
    job: Job,
    platform: Platform,
    outputs: Sequence[Output],
    target: tuple[SourceKind, str],
    progresses: Sequence[Progress],
    plugins: Plugins,
    log_line: LogFunction,
) -> Iterator[PublishedOutput]:
    """Publish complete checkpoints, oldest first; yield each. Raise Rejected, also before the first.

    :param record: names the run as its checkpoints do.
    :param progresses: what the run reported, and then what the runs reported that evaluated its checkpoints.
    """
    kind, address = target

    def show_line(line: str) -> None:
        log_line(f"  {redact(line, max_length=MAX_REASON)}")

    with contextlib.ExitStack() as stack:
        try:
            opened_publication = _open_publication(record, job, kind, address, plugins, show_line)
            late_publication = stack.enter_context(contextlib.closing(opened_publication))
            points = {name: progresses[0].get_points(name) for name in late_publication.metric_names}
            late_publication.add_facts(points, _list_evaluations(progresses))
            log_line(f"publishing {len(outputs)} checkpoint{'s' * (len(outputs) != 1)} of {record.run} to {address}")
            for output in outputs:
                with _open_checkpoint(platform, record, output, log_line) as folder:
                    copy = late_publication.publish(folder)
                yield PublishedOutput(step=output.step or 0, to=copy.address, new=copy.is_new)
        except JobFailed as failed:
            raise Rejected([_make_unpublished_problem(record.run, address, failed.reason)]) from None


def _list_evaluations(progresses: Sequence[Progress]) -> Iterator[Evaluated]:
    """Yield what the runs reported of the policy, and of each checkpoint: of another run only what names its step."""
    for progress in progresses:
        evaluation_by_step = {evaluated.step: evaluated for evaluated in progress.scored if not evaluated.error}
        best = progress.evaluated
        if best and best.step not in evaluation_by_step and (best.step or progress is progresses[0]):
            yield best
        for step, evaluated in evaluation_by_step.items():
            yield Evaluated(
                episodes=evaluated.episodes,
                scores=evaluated.scores,
                results="",
                step=step,
                conditions=evaluated.conditions,
            )


def _open_publication(
    record: RunRecord, job: Job, kind: SourceKind, address: str, plugins: Plugins, log_line: LogFunction
) -> LatePublication:
    """Return what writes to the address, if one may write there, and it does not belong to another run.

    Raise JobFailed, Rejected. The document is for this machine: without folders and credentials of the platform.
    """
    workload = plugins.workload(job.workload)
    cache = str(files.get_cache_folder())
    modules = {f"workload.{workload.name}": workload.container_plugin, f"target.{kind.name}": kind.target}
    placement = Placement(work=cache, cache=cache)
    document = make_job_document(
        job, run=record.run, platform=record.platform, container_plugins=modules, placement=placement
    )
    late_publication = LatePublication(document, address, log_line)
    problems, warnings = late_publication.inspect()
    if problems:
        late_publication.close()
        raise Rejected(
            [
                dataclasses.replace(
                    problem,
                    where=URL_ARGUMENT,
                    suggestions=tuple(_suggest_way(record.run, kind, way) for way in problem.suggestions),
                )
                for problem in problems
            ]
        )
    for warning in warnings:
        log_line(f"warning: {warning}")
    return late_publication


def _suggest_way(run: str, kind: SourceKind, way: Suggestion) -> Suggestion:
    """Return what to type: of another address the whole command."""
    return way._replace(text=f"robotrain publish {run} {way.text}") if kind.recognizes_target(way.text) else way


@contextlib.contextmanager
def _open_checkpoint(platform: Platform, record: RunRecord, output: Output, log_line: LogFunction) -> Iterator[Path]:
    """Return the folder of a checkpoint, named by its step; download one from elsewhere. Raise Rejected."""
    local_folder = Path(output.uri)
    if output.source == LOCAL_KIND and local_folder.is_dir() and local_folder.name.isdecimal():
        yield local_folder
        return
    with tempfile.TemporaryDirectory(prefix="robotrain-publish-") as scratch:
        folder = Path(scratch, f"{output.step:06}")
        log_line(f"  step {output.step}: downloading")
        platform.engine.download(record.reference, output, folder)
        yield folder


def _make_unpublished_problem(run: str, address: str, reason: str) -> Problem:
    return make_problem(
        "not-published", given=address, run=run, why=redact(reason[:1].upper() + reason[1:], max_length=MAX_REASON)
    )
