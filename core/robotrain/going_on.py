"""Checkpoints to go on from that are not in a run's own folder: those it published, and one that is named."""

from pathlib import Path
from typing import TYPE_CHECKING

from robotrain_runtime import checkpoint

from robotrain import targets
from robotrain.again import RESUME
from robotrain.plan_folder import Rendered
from robotrain.problem import Instead, Problem, Rejected, Stage
from robotrain.redaction import redact
from robotrain.run import Output
from robotrain.source import SourceError

if TYPE_CHECKING:
    from robotrain.plugins import Plugins

LOCAL = "local_path"


def published(stored: Rendered, plugins: "Plugins") -> Output | None:
    """The checkpoints of a run where it published them; None when it did not.

    Of a folder on this machine the newest that is whole to the byte; what lies elsewhere the run looks through.
    """
    job, run = stored.plan.job, stored.plan.run
    for kind, uri in targets.copies(job, plugins.workload(job.workload), plugins.source_kinds(), RESUME):
        if kind != LOCAL:
            return _output(kind, uri)
        if good := checkpoint.last_good(Path(uri), run=run):
            step, folder = good
            return _output(kind, str(folder), step)
    return None


def named(text: str, flag: str, plugins: "Plugins") -> Output:
    """The checkpoint that `text` names, as typed after `flag`. Raises Rejected."""
    kinds = [kind for kind in plugins.source_kinds().values() if RESUME in kind.roles]
    kind = next((kind for kind in kinds if kind.recognises(text)), kinds[0])
    try:
        return _output(kind.name, str(kind.parse(text, Path.cwd())))
    except SourceError as error:
        ways = [error.instead] if error.instead else [one.form for one in kinds]
        problem = Problem(
            code=f"{kind.name.replace('_', '-')}-invalid",
            stage=Stage.PARSE,
            title=f"{flag} takes {kind.title}, and this is none that can be used",
            where=flag,
            given=redact(text, kind.schemes),
            why=error.why,
            instead=tuple(Instead(f"{flag} {way}") for way in ways),
        )
        raise Rejected([problem]) from None


def _output(kind: str, uri: str, step: int | None = None) -> Output:
    return Output(name="checkpoint", kind="checkpoint", source=kind, uri=uri, step=step)
