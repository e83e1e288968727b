"""The Python API: submit, render, explain and runs, with a `Run` for each run that was submitted.

Values are given by the names of the options, with `_` for `-`: parameters of the workload, settings of the platform and
sources (a list where several are taken), in the order written.
"""

import itertools
import json
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

from robotrain_runtime.contract import event
from robotrain_runtime.contract.event import Registered
from robotrain_runtime.contract.parameter import get_parameters

from robotrain.config import job_file
from robotrain.config import project_file as projects
from robotrain.config.coerce import ValueTable
from robotrain.config.layers import VariableLayer, read_dotenv_files, read_environment
from robotrain.config.project_file import Project
from robotrain.config.request import Origin, Request, SourceText, Value, make_variable_name
from robotrain.config.resolve import find_field
from robotrain.config.terraform import TerraformLayer
from robotrain.errors import Problem, Rejected, Stage, Suggestion, raise_if_any, suggest_name
from robotrain.model import progress
from robotrain.model.plan import Plan
from robotrain.model.platform import Platform
from robotrain.model.run import Output, RunRecord, Status
from robotrain.model.source import SourceKind
from robotrain.model.workload import Workload
from robotrain.plugins import manager, site
from robotrain.plugins.manager import Plugins
from robotrain.redaction import redact
from robotrain.store import records
from robotrain.submission import pin as pinning
from robotrain.submission import pin as submission_pin
from robotrain.submission import prepare, reconcile, registration
from robotrain.submission import submitter as sending

PLATFORM_VARIABLE, PROFILE_VARIABLE = make_variable_name("platform"), make_variable_name("profile")


class PythonCall(NamedTuple):
    """What was given. job: a job file. values: parameters, settings and sources by their options' names."""

    job: str | Path | None
    platform: str
    workload: str
    profile: str
    trainer_args: Iterable[str] | None
    values: Mapping[str, Any]


def _prepare_call(call: PythonCall, plugins: Plugins) -> prepare.PreparedJob:
    """Resolve and check what was given. Raises Rejected with every problem."""
    file = job_file.read_job_file(Path(call.job)) if call.job is not None else None
    names = (read_environment(), *read_dotenv_files(Path.cwd()))
    project = projects.load_project(Path.cwd(), _find_value(call.profile, "profile", PROFILE_VARIABLE, names))
    named = call.workload or (file.workload if file else "") or _text_of_value(project.workload if project else None)
    workload = plugins.workload(named or plugins.default_workload())
    platform = plugins.platform(_choose_platform(call, names, project, plugins))
    known = dict(_list_known_names(workload, platform, plugins.source_kinds()))
    request = Request(
        parameters=dict(_select_declared(call.values, workload.parameters)),
        settings=dict(_select_declared(call.values, platform.settings)),
        sources=tuple(_collect_sources(call.values, known)),
        trainer_args=_check_trainer_args(call.trainer_args),
        file=file,
        variables=names,
        project=project,
        terraform=TerraformLayer(names, project, Path.cwd()),
    )
    wrong = [_make_unknown_problem(name, known, workload, platform) for name in call.values if name not in known]
    wrong += job_file.find_unknown_platforms(file, plugins.list_names("platform")) if file else []
    wrong += projects.find_unknown_tables(project, plugins) if project else []
    wrong += [] if named else plugins.default_problems()
    return prepare.prepare_job(request, workload, platform, plugins, tuple(wrong))


def _choose_platform(
    call: PythonCall, names: Iterable[VariableLayer], project: Project | None, plugins: Plugins
) -> str:
    """The platform's name, from the strongest layer that says one. Raises Rejected when none does."""
    said = _find_value(call.platform, "platform", PLATFORM_VARIABLE, names) or (project.platform if project else None)
    if said is not None:
        return str(said.value)
    ways = tuple(Suggestion(f"platform={name!r}") for name in plugins.list_names("platform"))
    problem = Problem(code="platform-missing", stage=Stage.USAGE, title="no platform was chosen", suggestions=ways)
    raise Rejected([problem])


def _find_value(given: str, argument: str, name: str, names: Iterable[VariableLayer]) -> Value | None:
    if given:
        return Value(given, Origin("call", argument))
    return next((value for layer in names if (value := layer.find_first((name,)))), None)


def _check_trainer_args(arguments: Iterable[str] | None) -> tuple[str, ...] | None:
    """The trainer's arguments. Raises Rejected for one text, whose letters would be taken for them."""
    if not isinstance(arguments, str):
        return None if arguments is None else tuple(arguments)
    way = Suggestion("trainer_args=['--NAME=VALUE']")
    title = "trainer_args takes a list of texts"
    raise Rejected([Problem(code="value-invalid", stage=Stage.USAGE, title=title, suggestions=(way,))])


def _text_of_value(value: Value | None) -> str:
    return str(value.value) if value else ""


def _list_known_names(
    workload: Workload, platform: Platform, kinds: Mapping[str, SourceKind]
) -> Iterator[tuple[str, tuple[str, str, tuple[str, ...]] | None]]:
    """Every name that can be given; for a source its role, its flag and the kinds that share it."""
    for declared in (workload.parameters, platform.settings):
        yield from ((parameter.name, None) for parameter in get_parameters(declared))
    for role in workload.roles:
        flags = dict.fromkeys(kind.roles[role].flag for kind in kinds.values() if role in kind.roles)
        for flag in flags:
            sharing = [name for name, kind in kinds.items() if role in kind.roles and kind.roles[role].flag == flag]
            yield flag.strip("-").replace("-", "_"), (role, flag, tuple(sharing))


def _select_declared(values: Mapping[str, Any], declared: type) -> Iterator[tuple[str, Value]]:
    for parameter in get_parameters(declared):
        if values.get(parameter.name) is not None:
            given = values[parameter.name]
            if parameter.param.json and isinstance(given, Mapping | list | tuple):
                given = json.dumps(given)
            yield parameter.name, _make_value(parameter.name, given)


def _make_value(name: str, given: Any) -> Value:
    said = Origin("call", name)
    if not isinstance(given, Mapping):
        return Value(_format_value(given), said)
    refusal = Problem(code="value-invalid", stage=Stage.USAGE, title=f"{name} takes one value, not a table", where=name)
    return Value(
        ValueTable(
            tuple((str(key), Value(_format_value(one), said)) for key, one in given.items() if one is not None), refusal
        ),
        said,
    )


def _collect_sources(values: Mapping[str, Any], known: Mapping[str, Any]) -> Iterator[SourceText]:
    for name, given in values.items():
        if not known.get(name) or given is None:
            continue
        role, _, kinds = known[name]
        for text in [given] if isinstance(given, str | PathLike) else given:
            yield SourceText(role=role, kinds=kinds, text=str(text), origin=Origin("call", name), base=Path.cwd())


def _format_value(value: Any) -> str:
    """A value as it would be typed."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(float(value)) if isinstance(value, float) else str(value)


def _make_unknown_problem(name: str, known: Mapping[str, Any], workload: Workload, platform: Platform) -> Problem:
    shown = redact(re.sub(r"[^\w-]", "?", name))
    title = f"{workload.name} on {platform.name} takes no {shown!r}"
    fields = (find_field(name, declared) for declared in (workload.parameters, platform.settings))
    meant = next((field for field in fields if field), name)
    return Problem(code="value-unknown", stage=Stage.USAGE, title=title, suggestions=suggest_name(meant, known))


MIN_POLL_SECONDS, MAX_POLL_SECONDS = 0.5, 10.0
"""Seconds between two questions, while a run goes on."""
PATIENCE_SECONDS = 600.0
"""For a platform that does not say how a run is: a network that is away comes back."""


class RunEnded(Exception):
    """A run that ended otherwise than well. run: its name. status: how it ended, with the reason."""

    def __init__(self, run: str, status: Status) -> None:
        super().__init__(run, status)
        self.run = run
        self.status = status

    def __str__(self) -> str:
        return f"{self.run} {self.status.state}" + (f": {self.status.reason}" if self.status.reason else "")


class RunFailed(RunEnded):
    """It failed."""


class RunCancelled(RunEnded):
    """Somebody stopped it."""


class RunLost(RunEnded):
    """Its process, or its platform, is gone without a word of how it ended."""


OUTCOME_ERRORS: dict[str, type[RunEnded]] = {"failed": RunFailed, "cancelled": RunCancelled, "lost": RunLost}


class Run:
    """A run that was submitted from here, by its name or the beginning of it; nothing or `last` is the newest.

    remarks: what was worth saying when it was sent, and of a site's plugins that could not be told of its end. Every
    method asks its platform, and raises Rejected where the command line would report a problem. Two of one name are
    equal. just_sent: as by `submit`, whose site's plugins hear of an end that is seen at once.
    """

    def __init__(
        self,
        name: str = "",
        plugins: Plugins | None = None,
        warnings: Iterable[Problem] = (),
        just_submitted: bool = False,
    ) -> None:
        self.name = records.find_run(name)
        self.warnings = tuple(warnings)
        self._plugins = plugins or manager.get_plugins()
        self._was_running = just_submitted  # as far as is known here, and nobody was told of its end

    def __repr__(self) -> str:
        return f"Run({self.name!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Run) and self.name == other.name

    def __hash__(self) -> int:
        return hash(self.name)

    @property
    def record(self) -> RunRecord:
        """What was kept of it when it was sent."""
        return records.read_record(self.name)

    def status(self) -> Status:
        """How it is now."""
        return self._platform.status(self._submitted_record.reference)

    def progress(self) -> progress.Progress:
        """How far it is: steps, losses, checkpoints, as its log tells by now."""
        return progress.read_progress(self.logs(), self.record.metrics)

    def evaluated(self) -> event.Evaluated | None:
        """What it found of the policy it was given: `.scores` by their names; None while there is nothing."""
        return self.progress().evaluated

    def logs(self, follow: bool = False, tail: int | None = None) -> Iterator[str]:
        """Its log line by line, event lines among them; follow: to its end."""
        return self._platform.logs(self._submitted_record.reference, follow, tail)

    def wait(self, timeout: float | None = None, on_event: Callable[[event.EventRecord], None] | None = None) -> Status:
        """How it ended, once it did. on_event: called here with each event of its log, from the first, as they come.

        Raises RunFailed, RunCancelled or RunLost when it did not succeed, and TimeoutError after `timeout` seconds; the
        run goes on then. What its platform raises is raised at once where waiting does not mend it, as when nobody is
        signed in; else when it has told nothing for ten minutes. A site's plugins are told of an end that was seen.
        """
        status = self._wait_for_end(timeout, on_event)
        if self._was_running:
            self._was_running = False
            self.warnings += tuple(site.notify_run_ended(self._plugins, self.record, status))
        records.save_final_status(self.name, status)
        return _require_success(self.name, status)

    def cancel(self) -> None:
        """Stop it and return when it has ended, which a site's plugins are told; a run that ended is left as it is."""
        record, platform = self._submitted_record, self._platform
        if platform.status(record.reference).finished:
            return
        platform.cancel(record.reference)
        status = platform.status(record.reference)
        self._was_running = not status.finished
        records.save_final_status(self.name, status)
        self.warnings += tuple(self._plugins.notify_run_changed(record, "cancelled", status))

    def outputs(self) -> list[Output]:
        """What it left: complete checkpoints, oldest first, then other files."""
        return list(self._platform.outputs(self._submitted_record.reference))

    def register(self, name: str = "", step: int | None = None) -> Registered:
        """Make a checkpoint (default: the last) a version of a model (default: the one the job names)."""
        return registration.register_checkpoint(self.name, name, step, self._plugins)

    def _wait_for_end(self, timeout: float | None, on_event: Callable[[event.EventRecord], None] | None) -> Status:
        """How it ended, once it did."""
        record, platform = self._submitted_record, self._platform
        began = answered = time.monotonic()
        told, pause = 0, MIN_POLL_SECONDS
        while True:
            status: Status | None = None
            try:
                status = platform.status(record.reference)
                answered = time.monotonic()
            except Exception as error:
                if _is_permanent(error) or time.monotonic() - answered > PATIENCE_SECONDS:
                    raise
            if on_event is not None:
                for found in self._read_events(follow=timeout is None, skip=told):
                    told += 1
                    on_event(found)
            if status is not None and status.finished:
                return status
            self._was_running = self._was_running or status is not None
            left = MAX_POLL_SECONDS if timeout is None else began + timeout - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"{self.name} is still {status.state if status else 'not over'} after {timeout:g} s")
            time.sleep(min(pause, left))
            pause = min(pause * 1.5, MAX_POLL_SECONDS)

    @property
    def _submitted_record(self) -> RunRecord:
        record = records.read_record(self.name)
        return record if record.phase == "sent" else reconcile.adopt_run(record, self._platform)

    @property
    def _platform(self) -> Platform:
        return self._plugins.platform(self.record.platform)

    def _read_events(self, follow: bool, skip: int) -> Iterator[event.EventRecord]:
        """The events of its log past the first `known`; a log that breaks off is only at its end for now."""
        try:
            found = (record for line in self.logs(follow) if (record := event.parse_event(line)))
            yield from itertools.islice(found, skip, None)
        except Exception:  # whatever a plugin raises: the run goes on, and its state is asked for
            return


def _is_permanent(error: Exception) -> bool:
    """Whether waiting does not mend it: nobody is signed in, or the run is gone."""
    return isinstance(error, Rejected) and not error.transient


def _require_success(run: str, status: Status) -> Status:
    """The status of a run that ended well. Raises RunEnded for any other."""
    if status.state != "succeeded":
        raise OUTCOME_ERRORS[status.state](run, status)
    return status


JobFilePath = str | Path | None


def submit(
    job: JobFilePath = None,
    *,
    platform: str = "",
    workload: str = "",
    profile: str = "",
    trainer_args: Iterable[str] | None = None,
    new: bool = False,
    pin: bool = True,
    **values: Any,
) -> Run:
    """Check a job, render its plan and send it; the same call after a crash finds the run that was sent.

    job: a job file; values go over what it says. new, pin: as `--new` and `--no-pin`. Raises Rejected with every
    problem that was found.
    """
    plugins = manager.get_plugins()
    prepared = _prepare_call(PythonCall(job, platform, workload, profile, trainer_args, values), plugins)
    remarks: list[Problem] = list(prepared.warnings)
    record = sending.submit_job(prepared, remarks.extend, lambda run: None, new=new, pinning=pin)
    remarks += plugins.notify_run_changed(record)
    return Run(record.run, plugins, remarks, just_submitted=True)


def render(
    job: JobFilePath = None,
    *,
    platform: str = "",
    workload: str = "",
    profile: str = "",
    trainer_args: Iterable[str] | None = None,
    attempt: int = 1,
    pin: bool = False,
    **values: Any,
) -> Plan:
    """Exactly what `submit` would send as that attempt; nothing is sent, and a network asked only with `pin`.

    Raises Rejected with every problem that was found.
    """
    if attempt < 1:
        title = "attempt takes a whole number greater than 0"
        raise Rejected([Problem(code="value-invalid", stage=Stage.USAGE, title=title)])
    prepared = _prepare_call(PythonCall(job, platform, workload, profile, trainer_args, values), manager.get_plugins())
    if pin:
        settled = prepared.with_job(pinning.pin_job_strictly(prepared.job, prepared.kinds))
        prepared, silent = submission_pin.query_platform_settings(settled)
        raise_if_any(silent)
    return prepared.render_plan(attempt)


def explain(
    job: JobFilePath = None,
    *,
    platform: str = "",
    workload: str = "",
    profile: str = "",
    trainer_args: Iterable[str] | None = None,
    **values: Any,
) -> list[Mapping[str, Any]]:
    """Each value of a job as a mapping: name, value, origin, overrode. Raises Rejected with every problem."""
    return list(
        _prepare_call(PythonCall(job, platform, workload, profile, trainer_args, values), manager.get_plugins()).values
    )


def runs(limit: int | None = None) -> list[Run]:
    """The runs that were submitted from here, newest first; at most `limit`."""
    plugins = manager.get_plugins()
    return [Run(name, plugins) for name in itertools.islice(records.iterate_runs(), limit)]
