"""`WorkloadKit`, the conformance kit of workloads: parameters and their effect, container plugin, platforms, a run."""

import io
import re
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
from robotrain_runtime.contract import document, event
from robotrain_runtime.contract.container_plugin import (
    PythonEnvironment,
    WorkCommand,
    WorkloadContainerPlugin,
    read_lock,
)
from robotrain_runtime.contract.document import JobDocument, JobSource
from robotrain_runtime.contract.parameter import Parameter, get_parameters
from robotrain_runtime.contract.plugin_loader import load_container_plugin

from robotrain.config.validate import validate_values
from robotrain.config.values import Origin, Value
from robotrain.errors import select_errors
from robotrain.model.job import Job
from robotrain.model.source import LOCAL_KIND
from robotrain.model.workload import Workload
from robotrain.model.workload_profile import Produces
from robotrain.plugins.manager import Plugins
from robotrain.store import name_index, name_lock
from robotrain.submission.packing import pack_modules
from robotrain.testing.harness import report, run_command
from robotrain.testing.kit_base import (
    ROLES,
    KitBase,
    find_clashes,
    find_declaration_problems,
    find_outside_imports,
    load_declared,
    run_on_probe,
)

"""The source kind whose printed form is a folder of this machine."""
SAMPLE_TEXTS = ("another", "/another", "another/name", "another@example.com", "https://another.example/place", "2")
"""Texts that differ from most defaults."""
SAMPLE_ARGUMENT = "--kit-argument=1"
PINNED_PATTERN = r"(?:==|@ )\S+.*--hash=sha256:[0-9a-f]{64}"
PYTHON_PATTERN = r"3\.\d+(?:-3\.\d+)?"
PRODUCED_EVENTS: Mapping[Produces, str] = {"checkpoints": "checkpoint", "results": "evaluated"}
"""The event of what a run produces."""
Collect = Callable[[JobDocument], list[Any]]


class WorkloadKit(KitBase):
    """The standard tests of a workload, as in docs/plugin-testing.md.

    `workload` is its name. `job` has the words of a complete job on any platform; its sources are local folders, or the
    fixture `data` returns the folder of each. `changed` has another value of a parameter if the kit finds none.
    `unchanged` says, by parameter, why it alone changes nothing. The fixture `runs` returns the words of a
    small job that is run on this machine, and `tells` are the events that it must emit (`metrics`, `checkpoint`).
    """

    workload: ClassVar[str] = ""
    job: ClassVar[Sequence[str]] = ()
    changed: ClassVar[Mapping[str, str]] = {}
    unchanged: ClassVar[Mapping[str, str]] = {}
    tells: ClassVar[Sequence[str]] = ("metrics",)

    @pytest.fixture
    def declaration(self, kit_folders: Path) -> Workload:
        """The declaration that robotrain loads."""
        workload: Workload = load_declared("workload", self.workload, *sys.path)[1]
        return workload

    def test_parameters_are_well_declared(self, declaration: Workload) -> Iterator[str]:
        """Flags, help, schema and docs derive from it."""
        parameters_class = declaration.parameters
        yield from find_declaration_problems(parameters_class)
        yield from report(f"the roles are {', '.join(ROLES)}; not", {*declaration.roles} - {*ROLES})
        for parameter in get_parameters(parameters_class):
            accepted_texts = (
                text for text in _list_invalid_values(parameter) if not _coerce(parameters_class, parameter, text)[1]
            )
            yield from report(
                f"{parameter.name} accepts what Param(gt=…, ge=…, lt=…, le=…) or its type excludes", accepted_texts
            )

    def test_flags_clash_on_no_platform(self, declaration: Workload) -> Iterator[str]:
        """An option means one thing on every platform."""
        yield from report("rename the parameter", find_clashes(self.workload, [self.workload]))

    @pytest.fixture
    def rendered_document(self, declaration: Workload, tmp_path: Path) -> JobDocument:
        """The document of the job, in a folder of the test's own."""
        result = run_on_probe("render", self.workload, *self.job).require("`job` must be a complete job")
        job_document = document.parse_document(result.json["files"]["job.json"]["text"])
        return replace(job_document, placement=replace(job_document.placement, work=str(tmp_path / "work")))

    @pytest.fixture
    def data(self, rendered_document: JobDocument) -> Mapping[JobSource, Path]:
        """The folder of each source; define it if they are not folders of this machine."""
        return {source: Path(source.uri) for source in rendered_document.sources if source.kind == LOCAL_KIND}

    @pytest.fixture
    def collect(self, declaration: Workload, data: Mapping[JobSource, Path]) -> Collect:
        """A function that returns all that the container plugin returns for a document."""
        container_plugin = load_container_plugin(declaration.container_plugin, WorkloadContainerPlugin)

        def collect(document: JobDocument) -> list[Any]:
            work = Path(document.placement.work)
            return [
                read_named_files(container_plugin.work(document, data, work), work),
                container_plugin.environment(document),
                container_plugin.tracked(document),
                [*container_plugin.inspect(document, data)],
                [*container_plugin.compare(document, data)],
                replace(container_plugin.publishing(document, data), describes={}),  # a card shows all parameters
                [*container_plugin.targets(document, data)],
                container_plugin.gpus(document),
                container_plugin.prepare(document, data, dict.fromkeys(data, "0" * 64)),
                container_plugin.checkpoints(document, work),
            ]

        return collect

    def test_each_parameter_has_an_effect(
        self, declaration: Workload, rendered_document: JobDocument, collect: Collect
    ) -> Iterator[str]:
        """Changed alone, it changes what the container plugin returns, or the workload's `check` rejects it."""
        unchanged_work = collect(rendered_document)
        idle_parameters = set[str]()
        parameters = get_parameters(declaration.parameters)
        for parameter in (
            parameter for parameter in parameters if len(parameter.choices) != 1
        ):  # there is no other value
            changed_document = self._change_parameter(declaration.parameters, rendered_document, parameter)
            if not _is_refused(declaration, changed_document) and collect(changed_document) == unchanged_work:
                idle_parameters.add(parameter.name)
        effectless = sorted(idle_parameters - {*self.unchanged})
        yield from report("parameters without effect; use them, or say in `unchanged` why", effectless)
        yield from report(
            "`unchanged` names parameters with an effect or unknown ones", {*self.unchanged} - idle_parameters
        )

    def test_trainer_arguments_are_used_or_rejected(
        self, declaration: Workload, rendered_document: JobDocument, collect: Collect
    ) -> Iterator[str]:
        """Arguments after `--` reach the work unchanged, or `check` rejects them: they are never dropped."""
        changed_document = replace(rendered_document, trainer_args=(*rendered_document.trainer_args, SAMPLE_ARGUMENT))
        if not _is_refused(declaration, changed_document):
            work = collect(changed_document)[0]
            if not any(SAMPLE_ARGUMENT in text for text in (*work.arguments, *work.environ.values())):
                yield f"{SAMPLE_ARGUMENT} is dropped: pass it on, or reject it in `check`"

    def _change_parameter(self, parameters_class: type, document: JobDocument, parameter: Parameter) -> JobDocument:
        name, problems = parameter.name, ["the kit finds none"]
        for text in [self.changed[name]] if name in self.changed else _list_candidates(parameter):
            value, problems = _coerce(parameters_class, parameter, text)
            if not problems and value != document.parameters[name]:
                return replace(document, parameters={**document.parameters, name: value})
        pytest.fail(f"write another value of {name} in `changed`: {', '.join(problems)}")

    def test_workload_container_plugin_is_complete(
        self, declaration: Workload, rendered_document: JobDocument, tmp_path: Path
    ) -> Iterator[str]:
        """Any image may run it: it needs the standard library alone, and an environment that is locked by hash."""
        container_plugins = rendered_document.container_plugins.items()
        data_packages = [package for name, package in container_plugins if name.startswith("data.")]
        yield from find_outside_imports(tmp_path, declaration.container_plugin, data=data_packages)
        plugin = vars(load_container_plugin(declaration.container_plugin, WorkloadContainerPlugin))
        yield from report("the module has no", sorted({"ENVIRONMENT", "work", "tracked"} - {*plugin}))
        environment = plugin.get("ENVIRONMENT")
        if not isinstance(environment, PythonEnvironment):
            yield "`ENVIRONMENT` is not a robotrain_runtime.plugin.PythonEnvironment"
            return
        if not re.fullmatch(PYTHON_PATTERN, environment.python):
            yield f"`python` of ENVIRONMENT is {environment.python!r}: write a range such as 3.10-3.14"
        if environment.gib <= 0:
            yield "`gib` of ENVIRONMENT is 0: write how much disk it needs"
        lock_lines = [
            lock_line.strip() for lock_line in re.sub(r"\\\s*\n", " ", read_lock(environment.lock)).split("\n")
        ]
        requirements = [lock_line for lock_line in lock_lines if lock_line and not lock_line.startswith(("#", "--"))]
        unhashed_names = [
            lock_line.split()[0] for lock_line in requirements if not re.search(PINNED_PATTERN, lock_line)
        ]
        yield from report("requirements without a hash; lock with `uv pip compile --generate-hashes`", unhashed_names)
        archive_paths = zipfile.ZipFile(
            io.BytesIO(pack_modules([declaration.container_plugin, *data_packages]).archive)
        ).namelist()
        if not any(environment.lock.as_posix().endswith(f"/{name}") for name in archive_paths):
            yield f"the lock {environment.lock} is not packed: put it beside the plugin"

    @pytest.fixture
    def runs(self) -> Sequence[str]:
        """The words of a job that really runs; define it to run one."""
        pytest.skip("there is no fixture `runs`: nothing is run")

    def test_small_job_runs_to_its_end(self, declaration: Workload, runs: Sequence[str]) -> Iterator[str]:
        """The run succeeds, emits its events, and leaves what `produces` declares."""
        local_platforms = [
            platform for platform in Plugins().platforms().values() if platform.capabilities.feature("runs_here")
        ]
        if not local_platforms:
            pytest.skip("no installed platform runs jobs on this machine")
        words = ("--platform", local_platforms[0].name, "--wait", "--json", self.workload, *runs)
        result = run_command("submit", *words).require("the run must succeed")
        record = name_lock.read_submitted_record(name_index.find_run(result.json["run"]))
        event_records = map(event.parse_event, local_platforms[0].engine.logs(record.reference, False))
        events = {type(event_record.event).__name__.lower() for event_record in event_records if event_record}
        yield from report(f"the run emitted {', '.join(sorted(events))}, but not", {*self.tells} - events)
        for produces, name in PRODUCED_EVENTS.items():
            if (name in events) != (declaration.produces == produces):
                remark = f"the run emitted {'an' if name in events else 'no'} event `{name}`"
                yield f"`produces` is {declaration.produces!r}, but {remark}"


def _coerce(parameters_class: type, parameter: Parameter, text: str) -> tuple[Any, list[str]]:
    """Return the value that a typed text has, and the titles of the problems with it."""
    typed_values, all_problems, _ = validate_values(
        parameters_class, {parameter.name: Value(text, Origin("flag", parameter.flag))}
    )
    problems = [problem.title for problem in all_problems if problem.where == parameter.flag]
    return (None if problems else getattr(typed_values, parameter.name)), problems


def read_named_files(command: WorkCommand, folder: Path) -> WorkCommand:
    """Return the command with the content of a file of the run's folder in place of the word that names it."""

    def read(word: str) -> str:
        is_named = word.startswith(f"{folder}/") and Path(word).is_file()
        return Path(word).read_text(encoding="utf-8") if is_named else word

    environ = {name: read(value) for name, value in command.environ.items()}
    return replace(command, arguments=tuple(map(read, command.arguments)), environ=environ)


def _list_invalid_values(parameter: Parameter) -> Iterator[str]:
    """Yield texts that the parameter must reject: out of bounds, not a number, or none of its choices."""
    bounds = parameter.param
    if parameter.bare_type in (int, float):
        yield "many"
        for bound, beyond in ((bounds.gt, 0), (bounds.lt, 0), (bounds.ge, -1), (bounds.le, 1)):
            if bound is not None:
                yield str(parameter.bare_type(bound + beyond))
    if parameter.choices:
        yield "none-of-these"


def _list_candidates(parameter: Parameter) -> Iterator[str]:
    """Yield texts of values that may be accepted and differ from the default."""
    if parameter.is_switch:
        yield from ("true", "false")
    elif parameter.choices:
        yield from parameter.choices
    elif parameter.bare_type in (int, float):
        base_number = parameter.default if parameter.default is not None else 0
        yield from (
            f"{value:.12g}" for value in (base_number + 1, base_number / 2, base_number - 1, base_number * 2, 0, 1, 2)
        )
        yield from (str(int(base_number) + step) for step in (1, -1, 2))
    elif parameter.param.form == "pairs":
        yield '{"KIT": "1"}'
    elif parameter.param.form == "texts":
        yield '["kit==1"]'
    else:
        yield from SAMPLE_TEXTS


def _is_refused(declared: Workload, document: JobDocument) -> bool:
    """Return whether the workload's `check` rejects the job."""
    return bool(select_errors(tuple(declared.check(_make_job(document)))))


def _make_job(document: JobDocument) -> Job:
    return Job(
        workload=document.workload,
        parameters=tuple(document.parameters.items()),
        sources=document.sources,
        trainer_args=document.trainer_args,
    )
