"""The commands that `status` and other views of a run suggest next, such as one that mends the job of a failed run."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from robotrain.errors import Rejected

if TYPE_CHECKING:
    from robotrain_runtime.contract.parameter import Parameter

    from robotrain.model.progress import Progress
    from robotrain.model.run import RunRecord, Status

MAX_ALIGNED = 60
"""Characters; remarks of longer commands are not aligned."""
JOB_FAULTS = ("configuration", "data", "code")
"""Faults of the job itself: an unchanged job would fail again."""
EXTERNAL_FAULTS = ("stopped", "preempted", "evicted", "network")
"""Faults that no change of the job mends."""


def suggest_commands(record: RunRecord, status: Status, known: Progress) -> list[tuple[str, str]]:
    """Return the next commands and what each does, the most useful one first."""
    if record.steps and status.state in ("failed", "cancelled", "lost"):
        resume, step = ("resume", "trial") if record.is_sweep else ("pipeline resume", "step")
        again = (f"robotrain {resume} {record.run}", f"go on: the {step}s that succeeded do not run again")
        return [again, (f"robotrain logs --step {step.upper()} {record.run}", f"the log of a {step}")]
    return list(_iter_suggestions(record, status, known))


def _iter_suggestions(record: RunRecord, status: Status, known: Progress) -> Iterator[tuple[str, str]]:
    run = record.run
    if not status.finished:
        yield f"robotrain watch {run}", "watch it run" if status.state == "running" else "watch it start"
        yield f"robotrain cancel {run}", "stop it"
        return
    if known.evaluated:
        yield from _suggest_after_evaluation(run, status, known)
        return
    if status.state == "succeeded":
        yield f"robotrain outputs {run}", "list its outputs"
        yield f"robotrain report {run}", "write a page about it"
        if line := make_evaluation_command(record):
            yield line, "evaluate what it trained"
        return
    fault = known.outcome.fault if known.outcome else ""
    change = _find_change(record, status, known) if status.state == "failed" and fault not in EXTERNAL_FAULTS else None
    again = f"robotrain resume {run}" if known.checkpoint else f"robotrain resubmit {run}"
    if known.outcome and known.outcome.worth_a_retry and fault != "stopped" and not change:
        yield again, f"the job is not at fault ({fault.replace('_', ' ')}): it may succeed now"
        yield f"robotrain logs --tail 40 {run}", "the end of its log"
        return
    if status.state == "failed":
        yield f"robotrain logs --tail 40 {run}", "the end of its log"
    if known.checkpoint and known.step is not None and known.step == known.total:
        yield f"robotrain outputs --to FOLDER {run}", "it reached its last step: download its outputs"
    elif change:
        value = f"{VALUE} in place of {change.replaced}" if change.replaced else f"choose {VALUE}"
        what = "with the change that the reason names" if change.is_complete else value
        yield f"{again} {change.words}", f"{what}: the same job would fail again{f' ({fault})' if fault else ''}"
    elif known.checkpoint and fault not in JOB_FAULTS:
        yield again, f"continue from step {known.checkpoint_step}"
    elif status.state != "failed":
        yield again, "start it over"


def _find_change(record: RunRecord, status: Status, known: Progress) -> NamedChange | None:
    """Return the change that the reason of a failure names, or the errors that it sums up."""
    from robotrain.redaction import holds_secret  # costs start-up

    reason = known.outcome.reason if known.outcome else status.reason
    errors = [note.text for note in known.notes if note.level == "error"]
    titles = [text for text in errors if text.partition(".")[0] in reason or reason in text]
    change = find_named_change(record, titles or [reason]) if reason else None
    return change if change and not holds_secret(change.words) else None


def list_next_commands(record: RunRecord, status: Status, known: Progress) -> list[tuple[str, str]]:
    """Return the next commands for people, which call the run by its name where no other run has it."""
    from robotrain.store import name_index  # costs start-up

    name = name_index.find_unique_name(record.run)
    run = re.compile(rf"(?<![\w./-]){re.escape(record.run)}(?![\w./-])")
    return [(run.sub(name, text), why) for text, why in suggest_commands(record, status, known)]


def _suggest_after_evaluation(run: str, status: Status, known: Progress) -> Iterator[tuple[str, str]]:
    """Yield the next commands once there are results; what failed after them is in the log."""
    yield f"robotrain report {run}", "write a page about it: episodes, plots, videos"
    evaluated = known.evaluated
    if status.state == "succeeded" and evaluated and evaluated.policy and not known.registered:
        yield f"robotrain register {run} MODEL", "register the policy as a version of a model, with its scores"
    if status.state == "failed" and evaluated and evaluated.passed is not False:
        yield f"robotrain logs --tail 40 {run}", "the end of its log"
    yield f"robotrain outputs --to FOLDER {run}", "download the results"


def format_next_steps(record: RunRecord, status: Status, known: Progress) -> list[str]:
    """Return the next commands as lines; remarks of commands longer than `MAX_ALIGNED` are not aligned."""
    commands = list_next_commands(record, status, known)
    width = max((len(text) for text, _ in commands if len(text) <= MAX_ALIGNED), default=0)
    return [f"{'' if index else 'next':<11} {text:<{width}}   {why}" for index, (text, why) in enumerate(commands)]


def make_evaluation_command(record: RunRecord) -> str:
    """Return the line that evaluates a run's outputs on its own data; empty if its workload declares none for them."""
    if not record.outputs.evaluation or record.outputs.not_evaluated_with in record.values:
        return ""
    from robotrain.plugins import manager
    from robotrain.redaction import redact_if_secret
    from robotrain.store import plans

    template = record.outputs.evaluation
    options: dict[str, list[str]] = {name: [] for name in re.findall(r"\{(\w+\?)\}", template)}
    plugins = manager.get_plugins()
    try:
        for source in plans.read_stored_sources(record.run):
            optional = f"{source.role}?"
            name = optional if optional in options else source.role
            if f"{{{name}}}" in template and not (name == optional and source.implied):
                flag = plugins.source_kind(source.kind).roles[source.role].flag
                options.setdefault(name, []).append(f"{flag} {shlex.quote(redact_if_secret(source.uri))}")
        filled = {name: " ".join(found) for name, found in options.items()}
        words = template.format_map({"run": record.run, **filled}).rstrip()
    except (Rejected, LookupError, ValueError):  # no plugin of its data is there, or its workload declares another role
        return ""
    return f"robotrain submit {words} --platform {record.platform}"


INSTEAD = "Instead: "
"""Before the remedies of a finding, of which the best is first; ` / ` is between them."""
HINT = r"\(([^()]*)\)$"
"""The remedy at the end of a sentence; `; ` is between several."""
VALUE = "VALUE"
"""Stands for what the user has to choose."""
OPTION = r"(?<![\w.-])--[A-Za-z][\w.-]*"


class NamedChange(NamedTuple):
    """Words that change a job."""

    words: str
    replaced: str = ""
    """What `VALUE` in the words stands in place of; empty if it is unknown."""

    @property
    def is_complete(self) -> bool:
        """Whether nothing has to be chosen."""
        return VALUE not in self.words.replace("=", " ").split()


def find_named_change(record: RunRecord, texts: Sequence[str]) -> NamedChange | None:
    """Return the change that sentences about a failure name: the remedies of them all, else the options that they name;
    None if they name none that the job has.
    """
    parameters = _find_parameters(record)
    found = [change for text in texts if (change := _find_remedy(record, text, parameters))]
    if found:
        sets = [words for words in dict.fromkeys(found) if not words.startswith("-- ")]
        options = [words.removeprefix("-- ") for words in dict.fromkeys(found) if words.startswith("-- ")]
        return NamedChange(" ".join([*sets, *["--"] * bool(options), *options]))
    text = " ".join(texts)
    options = [name for name in record.values if name.startswith("-") or "." in name]
    if named := [name for name in options if re.search(rf"(?<![\w.-]){re.escape(name)}(?!\.?[\w-])", text)]:
        given = " and ".join(record.values[name][0] for name in named)
        return NamedChange(" ".join(["--", *(f"{name}={VALUE}" for name in named)]), given)
    for flag in re.findall(OPTION, text):
        if parameter := parameters.get(flag):
            return NamedChange(f"--set {parameter.name}={VALUE}", _get_current(record, parameter))
    return None


def _find_parameters(record: RunRecord) -> dict[str, Parameter]:
    """Return the parameters and settings of a run's job by their options; none of plugins that are gone."""
    from robotrain_runtime.contract.parameter import get_parameters  # costs start-up

    from robotrain.plugins import manager
    from robotrain.plugins.failures import PluginError

    plugins = manager.get_plugins()
    try:
        declared = (plugins.platform_of(record).settings, plugins.workload(record.workload).parameters)
    except PluginError:
        return {}
    return {flag: one for group in declared for one in get_parameters(group) for flag in one.flags}


def _find_remedy(record: RunRecord, text: str, parameters: dict[str, Parameter]) -> str:
    """Return the first remedy of a sentence that changes the job; empty if there is none."""
    _, instead, remedies = text.partition(INSTEAD)
    hint = re.search(HINT, text.rstrip("."))
    offered = remedies.split(" / ") if instead else hint[1].split("; ") if hint else ()
    return next((words for one in offered for words in _parse_remedy(record, one, parameters)), "")


def _parse_remedy(record: RunRecord, remedy: str, parameters: dict[str, Parameter]) -> Iterator[str]:
    if own := re.match(r"(--set|--) (-{0,2}[A-Za-z][\w.-]*)=(\S+)", remedy):
        yield f"{own[1]} {own[2]}={shlex.quote(own[3])}"
        return
    found = re.match(rf"({OPTION})(?:[ =](\S+))?", remedy)
    if not found or not (parameter := parameters.get(found[1])):
        return
    value = "true" if parameter.is_switch else (found[2] or VALUE).rstrip(",;:.")
    if not re.fullmatch("[A-Z_]+", value) and value != _get_current(record, parameter):
        yield f"--set {parameter.name}={shlex.quote(value)}"


def _get_current(record: RunRecord, parameter: Parameter) -> str:
    """Return the value that the run had, as a text; empty for none."""
    known = record.values.get(parameter.name)
    value = known[0] if known else record.settings.get(parameter.name, parameter.default)
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
