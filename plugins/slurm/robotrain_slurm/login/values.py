"""Values of calls as JSON: what the functions of the platform take and return, and nothing else."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from robotrain.errors import NotSubmitted, Problem, Rejected, Stage, Suggestion, Unanswered
from robotrain.model.job import Job
from robotrain.model.plan import Plan
from robotrain.model.run import Output, RunGone, Status, StepStatus
from robotrain_runtime.contract.document import convert_json
from robotrain_runtime.contract.event import Registered

KINDS: Mapping[str, type] = {kind.__name__: kind for kind in (Output, Registered, Status, StepStatus)}
TAG = "!"


class BadValue(ValueError):
    """What came is no value of a call."""


class OneOf(NamedTuple):
    """Forms of a value, one of which it has."""

    first: Any
    second: Any


_EVENTS = OneOf(None, (int, bytes, bool))
ANSWERS: Mapping[str, Any] = {
    "tasks:query_status": {"status": Status, "events": _EVENTS},
    "tasks:read_events": _EVENTS,
    "tasks:list_outputs": [Output],
    "tasks:send_output": OneOf({"path": str, "mode": int, "folder": bool}, {"content": bytes}),
    "query_pipeline": (Status, [StepStatus]),
    "list_statuses": [OneOf(None, Status)],
    "list_steps": [StepStatus],
    "has_step_output": bool,
    "register": Registered,
    "remove_outputs": int,
    "logs": str,
    "cancel:request_cancel": str,
}
"""The form of what a function returns, or of each thing that it yields, by the last part of its module and its name: a
type, a list of a form, a tuple of forms, or a map that has at least some names.
"""


def require_answer(function: str, value: Any) -> Any:
    """Return what a function returned, or one thing that it yielded. Raise BadValue if it has another form."""
    form = ANSWERS.get(function.rpartition(".")[2], object)
    if not _has_form(value, form):
        raise BadValue(f"the answer of {function} has another form")
    return value


def _has_form(value: Any, form: Any) -> bool:
    if isinstance(form, OneOf):
        return _has_form(value, form.first) or _has_form(value, form.second)
    if form is None:
        return value is None
    if isinstance(form, list):
        return isinstance(value, list) and all(_has_form(one, form[0]) for one in value)
    if isinstance(form, tuple):
        return isinstance(value, list) and len(value) == len(form) and all(map(_has_form, value, form))
    if isinstance(form, dict):
        return isinstance(value, dict) and all(name in value and _has_form(value[name], form[name]) for name in form)
    return isinstance(value, form)


def encode(value: Any, blobs: list[bytes]) -> Any:
    """Return a value as JSON; bytes are added to `blobs`. Raise TypeError."""
    if value is None or (isinstance(value, str | int | float) and not isinstance(value, Stage)):
        return value
    if isinstance(value, list | tuple):
        return [encode(one, blobs) for one in value]
    if isinstance(value, bytes):
        blobs.append(value)
        return {TAG: "bytes", "value": len(blobs) - 1}
    if isinstance(value, Path):
        return {TAG: "path", "value": str(value)}
    if isinstance(value, Mapping):
        return {TAG: "map", "value": {str(name): encode(one, blobs) for name, one in value.items()}}
    if isinstance(value, Plan):
        return {TAG: "plan", "value": _encode_plan(value, blobs)}
    if isinstance(value, Problem):
        return {TAG: "problem", "value": dataclasses.asdict(value)}
    if type(value).__name__ in KINDS:
        fields = {one.name: getattr(value, one.name) for one in dataclasses.fields(value)}
        return {TAG: type(value).__name__, "value": fields}
    raise TypeError(f"a {type(value).__name__} is not sent to a login node")


def _encode_plan(plan: Plan, blobs: list[bytes]) -> dict[str, Any]:
    """Return a plan with what the cluster needs of its job."""
    job = {"workload": plan.job.workload, "parameters": [list(one) for one in plan.job.parameters]}
    about = {"platform": plan.platform, "run": plan.run, "spec": plan.spec, "shown": list(plan.shown), "job": job}
    return {**about, "files": {path: encode(content, blobs) for path, content in plan.files.items()}}


def decode(value: Any, blobs: list[bytes]) -> Any:
    """Return the value that `encode` was given; tuples come back as lists. Raise BadValue."""
    try:
        return _decode(value, blobs)
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise BadValue(f"a value of a call cannot be read: {error}") from error


def _decode(value: Any, blobs: list[bytes]) -> Any:
    if isinstance(value, list):
        return [_decode(one, blobs) for one in value]
    if not isinstance(value, dict):
        return value
    tag, content = value[TAG], value["value"]
    if tag == "bytes":
        return blobs[content]
    if tag == "path":
        return Path(content)
    if tag == "map":
        return {name: _decode(one, blobs) for name, one in content.items()}
    if tag == "plan":
        return _decode_plan(content, blobs)
    if tag == "problem":
        return _decode_problem(content)
    errors: list[str] = []
    made = convert_json(KINDS[tag], content, "", errors)
    if errors:
        raise BadValue("; ".join(errors))
    return made


def _decode_plan(content: dict[str, Any], blobs: list[bytes]) -> Plan:
    job = Job(
        workload=content["job"]["workload"], parameters=tuple((name, one) for name, one in content["job"]["parameters"])
    )
    return Plan(
        platform=content["platform"],
        run=content["run"],
        job=job,
        spec=content["spec"],
        files={path: _decode(one, blobs) for path, one in content["files"].items()},
        shown=tuple(content["shown"]),
    )


def _decode_problem(content: dict[str, Any]) -> Problem:
    suggestions = tuple(Suggestion(*map(str, one)) for one in content["suggestions"])
    texts = {name: str(content[name]) for name in ("code", "title", "where", "given", "why", "source")}
    if content["severity"] not in ("error", "warning", "note"):
        raise BadValue("a problem has another severity")
    return Problem(
        **texts,
        stage=Stage(content["stage"]),
        suggestions=suggestions,
        severity=content["severity"],
        absent=tuple(map(str, content["absent"])),
        transient=content["transient"] is True,
    )


def encode_error(error: BaseException, blobs: list[bytes]) -> dict[str, Any]:
    """Return what a call raised, as a head of a frame."""
    if isinstance(error, Rejected | Unanswered):
        kind = "gone" if isinstance(error, RunGone) else "unanswered" if isinstance(error, Unanswered) else "rejected"
        transient = isinstance(error, Rejected) and error.transient
        return {"error": kind, "problems": encode(error.problems, blobs), "transient": transient}
    if isinstance(error, KeyboardInterrupt):
        return {"error": "not submitted" if isinstance(error, NotSubmitted) else "interrupted"}
    if isinstance(error, OSError):
        file = str(error.filename or "")
        return {"error": "os", "errno": error.errno, "text": error.strerror or str(error), "file": file}
    return {"error": "other", "text": f"{type(error).__name__}: {error}"}


def decode_error(head: Mapping[str, Any]) -> BaseException:
    """Return what a call raised. Raise BadValue."""
    kind = head["error"]
    if kind == "not submitted":
        return NotSubmitted()
    if kind in ("gone", "rejected", "unanswered"):
        problems = decode(head["problems"], [])
        if not problems or not all(isinstance(one, Problem) for one in problems):
            raise BadValue("an error has no problems")
        if kind == "gone":
            return RunGone(problems[0].title)
        return Unanswered(problems) if kind == "unanswered" else Rejected(problems, head["transient"] is True)
    if kind == "os":
        number, text, file = head.get("errno"), str(head.get("text", "")), str(head.get("file", ""))
        return OSError(number, text, file or None) if isinstance(number, int) else OSError(text)
    return RuntimeError(str(head.get("text", kind)))
