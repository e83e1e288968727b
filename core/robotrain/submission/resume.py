"""A training resumed from a checkpoint: its own, a published one, or one that is named."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from robotrain_runtime.contract import checkpoint, document
from robotrain_runtime.contract import checkpoint as checkpoints

from robotrain import redaction
from robotrain.check import targets
from robotrain.errors import Problem, Rejected, Stage, Suggestion, raise_if_any
from robotrain.model.capabilities import UNKNOWN, Support
from robotrain.model.plan import RenderedPlan
from robotrain.model.run import Output
from robotrain.model.source import SourceError
from robotrain.redaction import redact
from robotrain.submission.prepare import PreparedJob
from robotrain.submission.resubmit import RESUME_ROLE, replace_sources

if TYPE_CHECKING:
    from robotrain.plugins.manager import Plugins

REPLACED_ROLES = (RESUME_ROLE, "policy", "init_policy")
"""Roles that the checkpoint of a resumed training takes the place of."""


def find_last_intact_checkpoint(found: Sequence[Output], print_warning: Callable[[str], None]) -> Output:
    """The newest of `found` (oldest first) that is as it was sealed; what is passed over is said. Where none is, the
    newest: the run then says what is wrong with it. Only what lies on this machine is looked into.
    """
    for one in reversed(found):
        folder = Path(one.uri)
        why = (
            checkpoints.validate_checkpoint(folder)
            if one.source == "local_path" and one.digest and folder.is_dir()
            else ""
        )
        if not why:
            return one
        print_warning(f"warning: {why}: passed over")
    return found[-1]


def resume_job(prepared: PreparedJob, run: str, checkpoint: Output, plugins: "Plugins") -> PreparedJob:
    """The job going on from a checkpoint of `run`, with its optimizer and its step. Raises Rejected."""
    workload = plugins.workload(prepared.job.workload)
    kind = prepared.kinds.get(checkpoint.source)
    support = prepared.platform.capabilities.source(RESUME_ROLE, kind) if kind else UNKNOWN
    if RESUME_ROLE not in workload.roles or not support:
        raise Rejected([_make_not_resumable_problem(prepared, workload.name, RESUME_ROLE in workload.roles, support)])
    redaction.raise_if_found(
        redaction.find_secrets_in_checkpoint(checkpoint.kind, checkpoint.uri, prepared.platform.name)
    )
    source = document.JobSource(role="resume", kind=checkpoint.source, uri=checkpoint.uri)
    kept_sources = [one for one in prepared.job.sources if one.role not in REPLACED_ROLES]
    row = {"name": RESUME_ROLE, "value": f"{source.kind} {source.uri}", "origin": f"run {run}", "overrode": []}
    values = [value for value in prepared.values if value["name"] not in REPLACED_ROLES]
    prepared = dataclasses.replace(prepared, values=(row, *values))
    prepared = replace_sources(prepared, (*kept_sources, source), plugins)
    raise_if_any([*workload.check(prepared.job), *prepared.platform.check(prepared.job, prepared.settings)])
    return prepared


def _make_not_resumable_problem(prepared: PreparedJob, workload: str, can: bool, support: Support) -> Problem:
    who = prepared.platform.name if can else workload
    return Problem(
        code="resume-not-accepted",
        stage=Stage.CHECK,
        title=f"{who} cannot go on from a checkpoint",
        why=support.reason,
        suggestions=(
            *((Suggestion(support.suggestion),) if can and support.suggestion else ()),
            Suggestion("robotrain resubmit RUN", "starts the same job over"),
        ),
    )


LOCAL_KIND = "local_path"


def find_published_checkpoint(stored: RenderedPlan, plugins: "Plugins") -> Output | None:
    """The checkpoints of a run where it published them; None when it did not.

    Of a folder on this machine the newest that is whole to the byte; what lies elsewhere the run looks through.
    """
    job, run = stored.plan.job, stored.plan.run
    for kind, uri in targets.list_published_copies(
        job, plugins.workload(job.workload), plugins.source_kinds(), RESUME_ROLE
    ):
        if kind != LOCAL_KIND:
            return _make_output(kind, uri)
        if good := checkpoint.find_last_complete(Path(uri), run=run):
            step, folder = good
            return _make_output(kind, str(folder), step)
    return None


def parse_checkpoint(text: str, flag: str, plugins: "Plugins") -> Output:
    """The checkpoint that `text` names, as typed after `flag`. Raises Rejected."""
    kinds = [kind for kind in plugins.source_kinds().values() if RESUME_ROLE in kind.roles]
    kind = next((kind for kind in kinds if kind.recognizes(text)), kinds[0])
    try:
        return _make_output(kind.name, str(kind.parse(text, Path.cwd())))
    except SourceError as error:
        ways = [error.suggestion] if error.suggestion else [one.form for one in kinds]
        problem = Problem(
            code=f"{kind.name.replace('_', '-')}-invalid",
            stage=Stage.PARSE,
            title=f"{flag} takes {kind.title}, and this is none that can be used",
            where=flag,
            given=redact(text, kind.schemes),
            why=error.why,
            suggestions=tuple(Suggestion(f"{flag} {way}") for way in ways),
        )
        raise Rejected([problem]) from None


def _make_output(kind: str, uri: str, step: int | None = None) -> Output:
    return Output(name="checkpoint", kind="checkpoint", source=kind, uri=uri, step=step)
