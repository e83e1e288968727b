"""What is brought before a run, or kept of one: `submit --assets-only` and `submit --save-spec`."""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

from pathlib import Path
from typing import TYPE_CHECKING, Any

from robotrain.cli.output import say, show, show_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from robotrain.plan_folder import Rendered
    from robotrain.problem import Problem
    from robotrain.run import RunRecord


def possible(platform: Any, given: dict[str, Any]) -> None:
    """Nothing where both can be done as they are asked for. Raises Rejected, before anything is asked or sent."""
    from robotrain.problem import raise_if_any

    found = []
    if given.get("assets_only") and not hasattr(platform, "prepare"):
        found.append(_nothing_ahead(platform.name))
    if given.get("save_spec"):
        found += _unsuitable(Path(given["save_spec"]))
    raise_if_any(found)


def bring(rendered: Rendered, platform: Any, given: dict[str, Any]) -> None:
    """Bring what the plan needs there, and send nothing. Raises Rejected."""
    tell, brought = say if given.get("json") else show, []
    for line in _prepared(rendered, platform):
        brought.append(line)
        tell(line)
    if given.get("json"):
        show_json({"platform": platform.name, "assets": brought})
    say(f"{rendered.plan.run} was not sent")


def save(record: RunRecord, platform: Any, to: Path) -> list[Problem]:
    """Write the native spec of a run that was just sent, as the engine holds it where the platform tells that.

    What keeps it from being written is told: the run goes on all the same.
    """
    from robotrain import durable, sent_plans
    from robotrain.problem import Rejected
    from robotrain.redaction import redact

    try:
        plan = sent_plans.read(record.run).plan
        sent = getattr(platform, "sent", None)
        content = sent(plan, record.reference) if sent else plan.files[plan.spec]
        to.parent.mkdir(parents=True, exist_ok=True)
        if to.exists():  # it was not, when it was asked for
            return [_unsaved(record, to, "Something of that name is there by now.")]
        durable.write(to, content)
    except Rejected as rejected:
        return [_unsaved(record, to, ""), *rejected.problems]
    except OSError as error:
        return [_unsaved(record, to, f"{error.strerror or redact(str(error))}.")]
    except Exception as error:  # whatever a platform raises
        return [_unsaved(record, to, f"{redact(f'{type(error).__name__}: {error}')}.")]
    say(f"  wrote {to}")
    return []


def _prepared(rendered: Rendered, platform: Any) -> Iterator[str]:
    from robotrain.problem import Problem, Rejected, Stage
    from robotrain.redaction import redact

    try:
        yield from platform.prepare(rendered.plan)
    except Rejected:
        raise
    except Exception as error:  # whatever a platform raises
        title = f"not all that the run needs could be brought to {platform.name}"
        why = f"{redact(f'{type(error).__name__}: {error}')}."
        raise Rejected([Problem(code="assets-not-brought", stage=Stage.SUBMIT, title=title, why=why)]) from error


def _unsaved(record: RunRecord, to: Path, why: str) -> Problem:
    from robotrain.problem import Instead, Problem, Stage

    return Problem(
        code="not-saved",
        stage=Stage.SUBMIT,
        title=f"{record.run} was sent, and {to} could not be written",
        where="--save-spec",
        why=why,
        instead=(Instead(f"robotrain status {record.run}", "how it is"),),
    )


def _unsuitable(to: Path) -> Iterator[Problem]:
    """Why a spec could not be written there, found before anything is sent: nothing is written over."""
    import os

    from robotrain.problem import Instead, Problem, Stage
    from robotrain.redaction import redact

    above = next(folder for folder in to.absolute().parents if folder.exists() or folder == folder.parent)
    if to.is_dir():
        title = "the spec is written to a file, and this is a folder"
    elif to.exists() or to.is_symlink():
        title = "there is something of that name already, and it is not written over"
    elif not above.is_dir():
        title = f"the spec cannot be written there: {redact(str(above))} is no folder"
    elif not os.access(above, os.W_OK | os.X_OK):
        title = f"the spec cannot be written there: {redact(str(above))} may not be written to"
    else:
        return
    yield Problem(
        code="file-unsuitable",
        stage=Stage.USAGE,
        title=title,
        where="--save-spec",
        given=redact(str(to)),
        instead=(Instead("--save-spec FILE"),),
    )


def _nothing_ahead(platform: str) -> Problem:
    from robotrain.problem import Instead, Problem, Stage

    return Problem(
        code="feature-not-there",
        stage=Stage.CHECK,
        title=f"{platform} needs nothing brought before a run",
        where="--assets-only",
        instead=(Instead("--dry-run", "looks whether the run could be sent"),),
    )
