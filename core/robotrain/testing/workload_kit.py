"""`WorkloadKit`, the conformance kit of workloads: parameters and their effect, container plugin, platforms, a run."""

import functools
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
from robotrain_runtime.contract.container_plugin import PythonEnvironment, WorkloadContainerPlugin
from robotrain_runtime.contract.document import JobDocument, JobSource
from robotrain_runtime.contract.parameter import Parameter, get_parameters
from robotrain_runtime.contract.plugin_loader import load_container_plugin

from robotrain.config.coerce import coerce_values
from robotrain.config.provenance import Origin, Value
from robotrain.errors import select_errors
from robotrain.model.job import Job
from robotrain.model.workload import Produces, Workload
from robotrain.plugins.claims import Claim
from robotrain.plugins.failures import PluginError
from robotrain.plugins.manager import Plugins
from robotrain.store import name_lock
from robotrain.store import records as store_records
from robotrain.submission.packing import pack_modules
from robotrain.testing import harness, probe
from robotrain.testing.harness import assert_none
from robotrain.testing.kit_base import assert_imports_alone, assert_well_declared, find_claim
from robotrain.testing.probe import DeclarationTestBase, run_with_probe

FOLDER_KIND = "local_path"
"""The source kind whose printed form is a folder of this machine."""
SAMPLE_TEXTS = ("another", "/another", "another/name", "another@example.com", "https://another.example/place", "2")
"""Texts that differ from most defaults."""
SAMPLE_ARGUMENT = "--kit-argument=1"
PINNED_PATTERN = r"(?:==|@ )\S+.*--hash=sha256:[0-9a-f]{64}"
PYTHON_PATTERN = r"3\.\d+(?:-3\.\d+)?"
PRODUCED_EVENTS: Mapping[Produces, str] = {"checkpoints": "checkpoint", "results": "evaluated"}
"""The event of what a run produces."""


class WorkloadTestBase(DeclarationTestBase):
    """The base of all test classes of WorkloadKit."""

    yours: ClassVar[tuple[str, ...]] = ("workload", "job", "data", "changed", "unchanged", "options", "runs", "tells")
    workload: ClassVar[str] = ""
    job: ClassVar[Sequence[str]] = ()
    changed: ClassVar[Mapping[str, str]] = {}
    unchanged: ClassVar[Mapping[str, str]] = {}
    options: ClassVar[Mapping[str, Sequence[str]]] = {}
    tells: ClassVar[Sequence[str]] = ("metrics",)

    @pytest.fixture
    def kit_claim(self, kit_folders: Path) -> Claim:
        """The claim of the workload."""
        return find_claim("workload", self.workload)

    @pytest.fixture
    def declaration(self) -> Workload:
        """The declaration that robotrain loads."""
        return _load_workload(self.workload, tuple(sys.path))

    @pytest.fixture
    def parameters(self, declaration: Workload) -> Sequence[Parameter]:
        """Its parameters."""
        return get_parameters(declaration.parameters)

    @pytest.fixture
    def container_plugin(self, declaration: Workload) -> WorkloadContainerPlugin:
        """Its container plugin."""
        return load_container_plugin(declaration.container_plugin, WorkloadContainerPlugin)

    @pytest.fixture
    def rendered_document(self, probe_plugin: None, tmp_path: Path) -> JobDocument:
        """The document of the job, in a folder of the test's own."""
        result = run_with_probe("render", self.workload, *self.job)
        assert result.exit_code == 0, f"`job` is not a complete job: {result}"
        found = document.parse_document(result.json["files"][probe.DOCUMENT_NAME]["text"])
        return replace(found, placement=replace(found.placement, work=str(tmp_path / "work")))

    @pytest.fixture
    def data(self, rendered_document: JobDocument) -> Mapping[JobSource, Path]:
        """The folder of each source; define it if they are not folders of this machine."""
        return {source: Path(source.uri) for source in rendered_document.sources if source.kind == FOLDER_KIND}

    @pytest.fixture
    def runs(self) -> Sequence[str]:
        """The words of a job that really runs; define it to run one."""
        pytest.skip("there is no fixture `runs`: nothing is run")

    def make_job_words(self, *more: str) -> list[str]:
        """Return the words of the job with further options, before the arguments of the trainer."""
        at = self.job.index("--") if "--" in self.job else len(self.job)
        return [self.workload, *self.job[:at], *more, *self.job[at:]]


@functools.lru_cache(64)
def _load_workload(name: str, path: tuple[str, ...]) -> Workload:
    """Load a workload; `path` is where plugins are searched."""
    try:
        return Plugins().workload(name)
    except PluginError as error:
        pytest.fail(str(error))


def _select_errors_of(result: harness.CommandResult) -> list[dict[str, Any]]:
    return [problem for problem in result.problems if problem["severity"] == "error"]


class WorkloadParameterTests(WorkloadTestBase):
    """The dataclass of the parameters."""

    def test_parameters_are_well_declared(self, declaration: Workload) -> None:
        """Flags, help, schema and docs derive from it: a frozen dataclass, each with a help, and none a secret."""
        assert_well_declared(declaration.parameters)

    def test_defaults_have_their_declared_type(self, declaration: Workload, parameters: Sequence[Parameter]) -> None:
        """A default is a value that could have been typed."""
        from pydantic import TypeAdapter

        assert coerce_values(declaration.parameters, {})[1] == [] or any(one.required for one in parameters)
        for one in parameters:
            if not one.required:
                assert TypeAdapter(one.type).validate_python(one.default, strict=True) == one.default, one.name

    def test_out_of_bounds_value_is_rejected(self, parameters: Sequence[Parameter], probe_plugin: None) -> None:
        """Invalid values are rejected, exit code 2, all of them at once."""
        rounds = {one.flag: list(_list_invalid_values(one)) for one in parameters}
        for number in range(max(map(len, rounds.values()), default=0)):
            wrong = {flag: bad[number] for flag, bad in rounds.items() if number < len(bad)}
            result = run_with_probe("render", *self.make_job_words(*(f"{flag}={wrong[flag]}" for flag in wrong)))
            assert result.exit_code == 2, f"{wrong}: {result}"
            named = {one["where"] for one in _select_errors_of(result) if one["code"] == "value-invalid"}
            assert_none((f"{flag}={wrong[flag]}" for flag in wrong if flag not in named), "out of bounds, but accepted")

    def test_flags_clash_on_no_platform(self, declaration: Workload, probe_plugin: None) -> None:
        """An option means one thing on every platform."""
        for platform in Plugins().platforms():
            result = harness.run_command("explain", "--platform", platform, "--json", *self.make_job_words())
            clashes = [one["title"] for one in result.problems if one["code"].endswith("-clash")]
            assert_none((title for title in clashes if f"workload {declaration.name}" in title), "rename the parameter")


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


class ParameterEffectTests(WorkloadTestBase):
    """The effect of parameters and arguments on what the container plugin returns."""

    @pytest.fixture
    def collect(
        self, container_plugin: WorkloadContainerPlugin, data: Mapping[JobSource, Path]
    ) -> Callable[[JobDocument], list[Any]]:
        """A function that returns all that the container plugin returns for a document."""

        def collect(document: JobDocument) -> list[Any]:
            work = Path(document.placement.work)
            return [
                container_plugin.work(document, data, work),
                container_plugin.tracked(document),
                [*container_plugin.inspect(document, data)],
                [*container_plugin.compare(document, data)],
                container_plugin.publishing(document, data),
                [*container_plugin.targets(document, data)],
                container_plugin.gpus(document),
                container_plugin.prepare(document, data, dict.fromkeys(data, "0" * 64)),
                container_plugin.checkpoints(document, work),
            ]

        return collect

    def test_each_parameter_has_an_effect(
        self, declaration: Workload, rendered_document: JobDocument, collect: Callable[[JobDocument], list[Any]]
    ) -> None:
        """Changed alone, it changes what the container plugin returns, or the workload's `check` rejects it."""
        before = collect(rendered_document)
        idle = set[str]()
        for one in get_parameters(declaration.parameters):
            changed = self._change_parameter(declaration.parameters, rendered_document, one)
            if not _is_refused(declaration, changed) and collect(changed) == before:
                idle.add(one.name)
        assert_none(sorted(idle - {*self.unchanged}), "parameters without effect; use them, or say in `unchanged` why")
        assert_none(sorted({*self.unchanged} - idle), "`unchanged` names parameters with an effect or unknown ones")

    def test_trainer_arguments_are_used_or_rejected(
        self, declaration: Workload, rendered_document: JobDocument, collect: Callable[[JobDocument], list[Any]]
    ) -> None:
        """Arguments after `--` reach the work unchanged, or `check` rejects them: they are never dropped."""
        changed = replace(rendered_document, trainer_args=(*rendered_document.trainer_args, SAMPLE_ARGUMENT))
        if not _is_refused(declaration, changed):
            work = collect(changed)[0]
            is_passed = any(SAMPLE_ARGUMENT in one for one in (*work.arguments, *work.environ.values()))
            assert is_passed, f"{SAMPLE_ARGUMENT} is dropped: pass it on, or reject it in `check`"

    def _change_parameter(self, declared: type, document: JobDocument, parameter: Parameter) -> JobDocument:
        """Return the document with another value of a parameter."""
        name, problems = parameter.name, ["the kit finds none"]
        for text in [self.changed[name]] if name in self.changed else _list_candidates(parameter):
            values, found = coerce_values(declared, {name: Value(text, Origin("flag", parameter.flag))})
            problems = [one.title for one in found if one.where == parameter.flag]
            if not problems and (value := getattr(values, name)) != document.parameters[name]:
                return replace(document, parameters={**document.parameters, name: value})
        pytest.fail(f"write another value of {name} in `changed`: {', '.join(problems)}")


def _list_candidates(parameter: Parameter) -> Iterator[str]:
    """Yield texts of values that may be accepted and differ from the default."""
    if parameter.is_switch:
        yield from ("true", "false")
    elif parameter.choices:
        yield from parameter.choices
    elif parameter.bare_type in (int, float):
        near = parameter.default if parameter.default is not None else 0
        yield from (f"{value:.12g}" for value in (near + 1, near / 2, near - 1, near * 2, 0, 1, 2))
        yield from (str(int(near) + step) for step in (1, -1, 2))
    else:
        yield from SAMPLE_TEXTS


def _is_refused(declared: Workload, document: JobDocument) -> bool:
    """Return whether the workload's `check` rejects the job."""
    parameters, arguments = tuple(document.parameters.items()), document.trainer_args
    job = Job(workload=document.workload, parameters=parameters, sources=document.sources, trainer_args=arguments)
    return bool(select_errors(tuple(declared.check(job))))


class WorkloadContainerTests(WorkloadTestBase):
    """The container plugin."""

    def test_packed_modules_need_only_the_standard_library(self, declaration: Workload, tmp_path: Path) -> None:
        """Any image may run it: it imports the standard library, robotrain_runtime and its own package."""
        assert_imports_alone(tmp_path, declaration.container_plugin)

    def test_workload_container_plugin_is_complete(self, container_plugin: WorkloadContainerPlugin) -> None:
        """It has the names that the runtime calls."""
        assert_none({"ENVIRONMENT", "work", "tracked"} - {*vars(container_plugin)}, "the module has no")
        assert isinstance(container_plugin.ENVIRONMENT, PythonEnvironment), "ENVIRONMENT is not a PythonEnvironment"

    def test_environment_is_locked_by_hash(
        self, declaration: Workload, container_plugin: WorkloadContainerPlugin
    ) -> None:
        """A job runs the same code a year later: each line of the lock has a version and a hash, and it is packed."""
        environment: PythonEnvironment = container_plugin.ENVIRONMENT
        is_range = re.fullmatch(PYTHON_PATTERN, environment.python)
        assert is_range, f"{environment.python!r} is not a range such as 3.10-3.14"
        assert environment.gib > 0, "`gib` is 0: write how much disk it needs"
        lines = [line.strip() for line in re.sub(r"\\\s*\n", " ", environment.lock.read_text()).split("\n")]
        requirements = [line for line in lines if line and not line.startswith(("#", "--"))]
        unhashed = [line.split()[0] for line in requirements if not re.search(PINNED_PATTERN, line)]
        assert_none(unhashed, "requirements without a hash; write the lock with `uv pip compile --generate-hashes`")
        names = zipfile.ZipFile(io.BytesIO(pack_modules([declaration.container_plugin]).archive)).namelist()
        is_packed = any(environment.lock.as_posix().endswith(f"/{name}") for name in names)
        assert is_packed, "the lock is not packed: put it beside the plugin"


class WorkloadPlatformTests(WorkloadTestBase):
    """The workload on platforms, and a small job that really runs."""

    def test_roles_are_known(self, declaration: Workload) -> None:
        """Source kinds have the roles that exist."""
        assert_none({*declaration.roles} - {*probe.ROLES}, f"the roles are {', '.join(probe.ROLES)}; not")

    def test_missing_input_is_rejected(self, declaration: Workload, probe_plugin: None) -> None:
        """A job without its data is rejected, exit code 2, with what to type."""
        needed = [role for role, rule in declaration.roles.items() if rule.required]
        if not needed:
            pytest.skip("it requires no input")
        result = run_with_probe("render", self.workload)
        errors = _select_errors_of(result)
        assert result.exit_code == 2, str(result)
        assert "plugin-failed" not in [one["code"] for one in errors], f"`check` fails without the input: {result}"
        titles = " ".join(one["title"] for one in errors if one["code"] == "source-missing")
        assert_none((role for role in needed if role not in titles), f"the rejection does not name:\n{result}")

    def test_supporting_platforms_render_it(
        self, declaration: Workload, parameters: Sequence[Parameter], probe_plugin: None
    ) -> None:
        """On a platform with a yes the job becomes a plan, given the platform's settings."""
        plugins = Plugins()
        kinds = plugins.source_kinds()
        flags = {flag for one in parameters for flag in one.flags}
        for name, platform in plugins.platforms().items():
            if not platform.capabilities.workload(declaration.name):
                continue
            words = [*self.options.get(name, ())]
            for role in (role for role, rule in declaration.roles.items() if rule.required):
                for kind in platform.capabilities.list_accepted_kinds(role, kinds)[:1]:
                    words += [kind.roles[role].flag, kind.example]
            result = harness.run_command("render", self.workload, "--platform", name, *words, "--json")
            errors = _select_errors_of(result)
            if name not in self.options:  # problems of its settings do not count
                errors = [one for one in errors if one["where"] in flags or "workload" in one["code"]]
            assert not errors, str(result)

    def test_small_job_runs_to_its_end(self, declaration: Workload, runs: Sequence[str]) -> None:
        """The run succeeds, emits its events, and leaves what `produces` declares."""
        here = [one for one in Plugins().platforms().values() if one.capabilities.feature("runs_here")]
        if not here:
            pytest.skip("no installed platform runs jobs on this machine")
        result = harness.run_command("submit", "--platform", here[0].name, "--wait", "--json", self.workload, *runs)
        assert result.exit_code == 0, str(result)
        record = name_lock.read_submitted_record(store_records.find_run(result.json["run"]))
        parsed = map(event.parse_event, here[0].logs(record.reference, False))
        events = {type(one.event).__name__.lower() for one in parsed if one}
        assert_none({*self.tells} - events, f"the run emitted {', '.join(sorted(events))}, but not")
        for produces, name in PRODUCED_EVENTS.items():
            found = f"the run emitted {'an' if name in events else 'no'} event `{name}`"
            is_expected = declaration.produces == produces
            assert (name in events) == is_expected, f"`produces` is {declaration.produces!r}, but {found}"


class WorkloadKit(WorkloadParameterTests, ParameterEffectTests, WorkloadContainerTests, WorkloadPlatformTests):
    """The standard tests of a workload. In a test file of your distribution, which is installed::

        class TestStatistics(WorkloadKit):
            workload = "episode-statistics"
            job = ("--dataset-path", "/folder/of/a/dataset")
            unchanged: ClassVar = {"bins": "counts alike however many there are, in a dataset of one episode"}

            @pytest.fixture
            def runs(self):
                return ("--dataset-path", "/folder/of/a/dataset", "--bins", "4")

    `workload` is its name. `job` has the words of a complete job on any platform; its sources are local folders, or the
    fixture `data` returns the folder of each. `changed` has another value of a parameter if the kit finds none.
    `unchanged` says, by parameter, why it alone changes nothing. `options` has, by platform, the words that its
    settings need. The fixture `runs` returns the words of a small job that is run on this machine, and `tells` are the
    events that it must emit (`metrics`, `checkpoint`). `public_only` is as in PlatformKit.
    """
