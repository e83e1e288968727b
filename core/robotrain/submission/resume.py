"""Continuation of a run from a checkpoint: its own, a published one, or one that the user names."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from robotrain_runtime.contract import checkpoint, document

from robotrain.check import publish_targets
from robotrain.config.sources import parse_source
from robotrain.config.values import Origin, SourceText
from robotrain.errors import Problem, Rejected, Suggestion, raise_if_any
from robotrain.messages import Messages
from robotrain.model.job import PUBLISH_PARAMETER, Job
from robotrain.model.plan import RenderedPlan
from robotrain.model.reference import LOGIN_KEY
from robotrain.model.run import Output, RunGone, RunRecord, locate_output
from robotrain.model.source import LOCAL_KIND
from robotrain.model.support import UNKNOWN
from robotrain.plugins.manager import Plugins
from robotrain.redaction import holds_secret, redact
from robotrain.store.run_values import RESUME_ROLE
from robotrain.submission.plan_secrets import make_secret_problem
from robotrain.submission.prepare import PreparedJob
from robotrain.submission.resubmit import replace_sources

make_problem = Messages(__file__)

REPLACED_ROLES = (RESUME_ROLE, "policy", "init_policy", "checkpoint")
"""The roles whose sources the checkpoint replaces."""


def find_last_intact_checkpoint(
    outputs: Sequence[Output], prepared: PreparedJob, print_warning: Callable[[str], None]
) -> Output:
    """Return the newest of `outputs` (oldest first) that is valid; if none is, the newest, which the run then refuses.

    Only those on this machine are validated.
    """
    for output in reversed(outputs):
        folder = Path(output.uri)
        is_local = output.source == LOCAL_KIND and output.digest and _is_here(prepared, folder) and folder.is_dir()
        if not (reason := checkpoint.validate_checkpoint(folder) if is_local else ""):
            return output
        print_warning(f"warning: {reason}: skipped")
    return outputs[-1]


def find_last_checkpoint(
    record: RunRecord, stored_plan: RenderedPlan, prepared: PreparedJob, plugins: Plugins, say: Callable[[str], None]
) -> Output:
    """Return the newest intact checkpoint; where the run's own are gone, a published one.

    Raise Rejected when there is none, or the run has not ended.
    """
    run, title = record.run, f"{record.run} has no complete checkpoint to resume from"
    platform = plugins.platform_of(record)
    try:
        status = platform.engine.status(record.reference)
        if not status.finished:
            raise Rejected([make_problem("run-goes-on.still", run=run, state=status.state)])
        if checkpoints := [
            locate_output(output, record.reference.get(LOGIN_KEY, ""))
            for output in platform.engine.outputs(record.reference)
            if output.kind == "checkpoint"
        ]:
            return find_last_intact_checkpoint(checkpoints, prepared, say)
    except RunGone as gone:
        title = gone.problems[0].title
    if copy := find_published_checkpoint(stored_plan, prepared, plugins):
        say(f"{title}: resuming from a published copy")
        return copy
    raise Rejected([make_problem("checkpoint-missing", title=title, run=run)])


def resume_job(prepared: PreparedJob, stored_plan: RenderedPlan, output: Output, plugins: Plugins) -> PreparedJob:
    """Return the job continued from a checkpoint of a run, with its optimizer state and step. Raise Rejected.

    :param stored_plan: the plan of the run.
    """
    raise_if_any(check_branch(prepared.job, stored_plan, plugins, "resume"))
    workload = plugins.workload(prepared.job.workload)
    kind = prepared.kinds.get(output.source)
    support = prepared.platform.capabilities.source(RESUME_ROLE, kind) if kind else UNKNOWN
    if RESUME_ROLE not in workload.roles or not support:
        can_resume = RESUME_ROLE in workload.roles
        name = prepared.platform.name if can_resume else workload.name
        ways = [Suggestion(support.suggestion)] if can_resume and support.suggestion else []
        ways.append(Suggestion("robotrain resubmit RUN", "starts the same job from the beginning"))
        raise Rejected([make_problem("resume-not-accepted", *ways, name=name, why=support.reason)])
    if holds_secret(output.uri):
        failure_text = f"platform {prepared.platform.name} failed in outputs: its address of a {redact(output.kind)}"
        raise Rejected([make_secret_problem(f"{failure_text} contains a secret")])
    source = document.JobSource(role="resume", kind=output.source, uri=output.uri)
    kept_sources = [source for source in prepared.job.sources if source.role not in REPLACED_ROLES]
    row = {
        "name": RESUME_ROLE,
        "value": f"{source.kind} {source.uri}",
        "origin": f"run {stored_plan.plan.run}",
        "overrode": [],
    }
    value_rows = [value_row for value_row in prepared.values if value_row["name"] not in REPLACED_ROLES]
    prepared = dataclasses.replace(prepared, values=(row, *value_rows))
    known_problems = {(problem.message, problem.given) for problem in workload.check(prepared.job)}
    prepared = replace_sources(prepared, (*kept_sources, source), plugins)
    problems = [*workload.check(prepared.job)]
    raise_if_any([*problems, *prepared.platform.plans.check(prepared.job, prepared.settings)])
    new_warnings = (problem for problem in problems if (problem.message, problem.given) not in known_problems)
    return dataclasses.replace(prepared, warnings=(*prepared.warnings, *new_warnings))


def check_branch(job: Job, stored_plan: RenderedPlan, plugins: Plugins, command: str) -> Iterator[Problem]:
    """Yield a problem if the job publishes to the branch of the Hub that belongs to an earlier run.

    :param stored_plan: the plan of that run.
    :param command: what submits the job.
    """
    if not job.publishes_to_hub:
        return
    earlier_job = stored_plan.plan.job
    run = stored_plan.plan.run
    kinds = plugins.source_kinds()
    earlier_address, job_address = (
        publish_targets.find_address(compared_job, kinds) for compared_job in (earlier_job, job)
    )
    if earlier_address == job_address:
        target = job_address.partition("@")[0]
        parameter_name = PUBLISH_PARAMETER
        yield make_problem(
            "publish-branch-taken", where=parameter_name, after=job_address, run=run, command=command, place=target
        )


def _is_here(prepared: PreparedJob, folder: Path) -> bool:
    """Return whether a folder that the job would resume from is one of this machine."""
    source = document.JobSource(role="resume", kind=LOCAL_KIND, uri=str(folder))
    return not prepared.is_remote_folder(source)


def find_published_checkpoint(stored_plan: RenderedPlan, prepared: PreparedJob, plugins: Plugins) -> Output | None:
    """Return the place where a run published checkpoints; None if it has none.

    For a folder of this machine, return its newest valid checkpoint; the run itself looks into other places.
    """
    job, run = stored_plan.plan.job, stored_plan.plan.run
    for kind, uri in publish_targets.list_published_copies(
        job, plugins.workload(job.workload), plugins.source_kinds(), RESUME_ROLE
    ):
        host = getattr(prepared.settings, LOGIN_KEY, None) or ""
        if kind != LOCAL_KIND or host or not _is_here(prepared, Path(uri)):
            return locate_output(_make_output(kind, uri), host)
        if last_checkpoint := checkpoint.find_last_complete(Path(uri), run=run):
            return _make_output(kind, str(last_checkpoint[1]), last_checkpoint[0])
    return None


def parse_checkpoint(text: str, flag: str, plugins: Plugins) -> Output:
    """Return the checkpoint that `text` names, given for `flag`. Raise Rejected."""
    kinds = plugins.source_kinds()
    kind_names = tuple(name for name, kind in kinds.items() if RESUME_ROLE in kind.roles)
    source_text = SourceText(
        role=RESUME_ROLE, kinds=kind_names, text=text, origin=Origin("flag", flag), base=Path.cwd()
    )
    source = parse_source(source_text, kinds)
    if isinstance(source, Problem):
        raise Rejected([source])
    return _make_output(source.kind, str(source))


def _make_output(kind: str, uri: str, step: int | None = None) -> Output:
    return Output(name="checkpoint", kind="checkpoint", source=kind, uri=uri, step=step)
