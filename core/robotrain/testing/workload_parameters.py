"""Tests of a workload: its parameters, their bounds, and the effect of each."""

import dataclasses
import functools
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
from robotrain_runtime.contract import document
from robotrain_runtime.contract.container_plugin import WorkloadContainerPlugin
from robotrain_runtime.contract.document import JobDocument, JobSource
from robotrain_runtime.contract.parameter import Parameter, get_parameters
from robotrain_runtime.contract.plugin_loader import load_container_plugin

from robotrain.config.coerce import coerce_values
from robotrain.config.provenance import Origin, Value
from robotrain.errors import select_errors
from robotrain.model.job import Job
from robotrain.model.workload import Workload
from robotrain.plugins.claims import Claim
from robotrain.plugins.errors import PluginError
from robotrain.plugins.manager import Plugins
from robotrain.testing import harness, probe
from robotrain.testing.harness import assert_none
from robotrain.testing.kit_base import find_claim
from robotrain.testing.probe import DeclarationTestBase, run_with_probe

FOLDER_KIND = "local_path"
"""The source kind whose printed form is a folder of this machine."""


class WorkloadTestBase(DeclarationTestBase):
    """The base of all test classes of WorkloadKit."""

    yours: ClassVar[tuple[str, ...]] = ("workload", "job", "data")
    workload: ClassVar[str] = ""
    job: ClassVar[Sequence[str]] = ()

    @pytest.fixture
    def kit_claim(self, kit_folders: Path) -> Claim:
        """The claim of the workload."""
        return find_claim("workload", self.workload)

    @pytest.fixture
    def declaration(self) -> Workload:
        """The declaration that robotrain loads."""
        return _load_workload(self.workload, tuple(sys.path))

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


def select_errors_of(result: harness.CommandResult) -> list[dict[str, Any]]:
    """Return the problems that stop the job of a command."""
    return [problem for problem in result.problems if problem["severity"] == "error"]


SAMPLE_TEXTS = ("another", "/another", "another/name", "another@example.com", "https://another.example/place", "2")
"""Texts that differ from most defaults."""


def list_other_values(declared: type, parameter: Parameter) -> Iterator[str]:
    """Yield texts of values other than the default that the parameter accepts."""
    for text in _list_candidates(parameter):
        value, problems = _convert(declared, parameter, text)
        if not problems and value != parameter.default:
            yield text


def _convert(declared: type, parameter: Parameter, text: str) -> tuple[Any, list[str]]:
    """Return the value of a parameter's text, and its problems."""
    values, problems = coerce_values(declared, {parameter.name: Value(text, Origin("flag", parameter.flag))})
    return getattr(values, parameter.name), [one.title for one in problems if one.where == parameter.flag]


def list_invalid_values(parameter: Parameter) -> Iterator[str]:
    """Yield texts that the parameter must reject: out of bounds, not a number, or none of its choices."""
    bounds, whole = parameter.param, parameter.bare_type is int
    if parameter.bare_type in (int, float):
        yield "many"
        for bound, beyond in ((bounds.gt, 0), (bounds.lt, 0), (bounds.ge, -1), (bounds.le, 1)):
            if bound is not None:
                yield str(int(bound + beyond)) if whole else str(bound + beyond)
    if parameter.choices:
        yield "none-of-these"


def _list_candidates(parameter: Parameter) -> Iterator[str]:
    if parameter.is_switch:
        yield "false" if parameter.default else "true"
    elif parameter.choices:
        yield from (choice for choice in parameter.choices if choice != parameter.default)
    elif parameter.bare_type in (int, float):
        near = parameter.default if parameter.default is not None else 0
        yield from (f"{value:.12g}" for value in (near + 1, near / 2, near - 1, near * 2, 0, 1, 2))
        yield from (str(int(near) + step) for step in (1, -1, 2))
    else:
        yield from SAMPLE_TEXTS


SECRET_NAME_PATTERN = r"(?:^|_)(?:key|token|secret|password|passphrase|signature|credential|sas)s?$"
FLAG_PATTERN = r"--[a-z0-9]+(?:-[a-z0-9]+)*"


class WorkloadParameterTests(WorkloadTestBase):
    """The dataclass of the parameters."""

    def test_parameters_are_documented(self, declaration: Workload) -> None:
        """Flags, help, schema and docs derive from it: a frozen dataclass, with a `Param` and a help for each."""
        declared = declaration.parameters
        assert dataclasses.is_dataclass(declared), "the parameters are not a dataclass"
        assert vars(declared)["__dataclass_params__"].frozen, "the parameters are not frozen: a job never changes"
        parameters = get_parameters(declared)
        bare = {field.name for field in dataclasses.fields(declared)} - {one.name for one in parameters}
        assert_none(sorted(bare), "parameters without a Param; write Annotated[TYPE, Param(help=…)]")
        assert_none((one.name for one in parameters if not one.param.help.strip()), "parameters without a help text")
        wrong = (one.flag for one in parameters if not re.fullmatch(FLAG_PATTERN, one.flag))
        assert_none(wrong, "these flags are not long options, such as --batch-size")

    def test_no_parameter_is_a_secret(self, declaration: Workload) -> None:
        """Plans and records store every value in the clear: a job names where a secret is."""
        names = [one.name for one in get_parameters(declaration.parameters)]
        secrets = (name for name in names if re.search(SECRET_NAME_PATTERN, name))
        assert_none(secrets, "parameters ask for a secret, which plans would store; ask for the name of what holds it")

    def test_defaults_have_their_declared_type(self, declaration: Workload) -> None:
        """A default is a value that could have been typed."""
        from pydantic import TypeAdapter

        parameters = get_parameters(declaration.parameters)
        assert coerce_values(declaration.parameters, {})[1] == [] or any(one.required for one in parameters)
        for one in parameters:
            if not one.required:
                assert TypeAdapter(one.type).validate_python(one.default, strict=True) == one.default, one.name

    def test_out_of_bounds_value_is_rejected(self, declaration: Workload, probe_plugin: None) -> None:
        """Invalid values are rejected, exit code 2, all of them at once."""
        rounds = {one.flag: list(list_invalid_values(one)) for one in get_parameters(declaration.parameters)}
        for number in range(max(map(len, rounds.values()), default=0)):
            wrong = {flag: bad[number] for flag, bad in rounds.items() if number < len(bad)}
            words = [f"{flag}={text}" for flag, text in wrong.items()]
            result = run_with_probe("render", *self.make_job_words(*words))
            assert result.exit_code == 2, f"{' '.join(words)}: {result}"
            named = {problem["where"] for problem in select_errors_of(result) if problem["code"] == "value-invalid"}
            assert_none((word for word in words if word.partition("=")[0] not in named), "out of bounds, but accepted")

    def test_flags_clash_on_no_platform(self, declaration: Workload, probe_plugin: None) -> None:
        """An option means one thing on every platform."""
        for platform in Plugins().platforms():
            result = harness.run_command("explain", "--platform", platform, "--json", *self.make_job_words())
            clashes = [one["title"] for one in result.problems if one["code"].endswith("-clash")]
            assert_none((title for title in clashes if f"workload {declaration.name}" in title), "rename the parameter")


SAMPLE_ARGUMENT = "--kit-argument=1"


class ParameterEffectTests(WorkloadTestBase):
    """The effect of parameters and arguments on what the container plugin returns."""

    yours: ClassVar[tuple[str, ...]] = ("changed", "unchanged")
    changed: ClassVar[Mapping[str, str]] = {}
    unchanged: ClassVar[Mapping[str, str]] = {}

    def test_each_parameter_has_an_effect(
        self,
        declaration: Workload,
        container_plugin: WorkloadContainerPlugin,
        rendered_document: JobDocument,
        data: Mapping[JobSource, Path],
    ) -> None:
        """Changed alone, it changes what the container plugin returns, or the workload's `check` rejects it."""
        before = collect_results(container_plugin, rendered_document, data)
        idle = set[str]()
        for one in get_parameters(declaration.parameters):
            changed = self._change_parameter(declaration, rendered_document, one)
            if not _is_refused(declaration, changed) and collect_results(container_plugin, changed, data) == before:
                idle.add(one.name)
        assert_none(sorted(idle - {*self.unchanged}), "parameters without effect; use them, or say in `unchanged` why")
        assert_none(sorted({*self.unchanged} - idle), "`unchanged` names parameters with an effect or unknown ones")
        assert_none((name for name, why in self.unchanged.items() if not why.strip()), "`unchanged` has no reason for")

    def test_trainer_arguments_are_used_or_rejected(
        self,
        declaration: Workload,
        container_plugin: WorkloadContainerPlugin,
        rendered_document: JobDocument,
        data: Mapping[JobSource, Path],
    ) -> None:
        """Arguments after `--` reach the work unchanged, or `check` rejects them: they are never dropped."""
        changed = replace(rendered_document, trainer_args=(*rendered_document.trainer_args, SAMPLE_ARGUMENT))
        if not _is_refused(declaration, changed):
            work = container_plugin.work(changed, data, Path(changed.placement.work))
            passed = [*work.arguments, *work.environ.values()]
            assert any(SAMPLE_ARGUMENT in one for one in passed), (
                f"{SAMPLE_ARGUMENT} is dropped: pass it on, or reject it in `check`"
            )

    def _change_parameter(self, declaration: Workload, document: JobDocument, parameter: Parameter) -> JobDocument:
        """Return the document with another value of a parameter."""
        declared = declaration.parameters
        text = self.changed.get(parameter.name) or next(list_other_values(declared, parameter), None)
        assert text is not None, f"the kit finds no other value of {parameter.name}: write one in `changed`"
        value, problems = _convert(declared, parameter, text)
        assert not problems, f"{text!r} is not a value of {parameter.name}: {', '.join(problems)}"
        return replace(document, parameters={**document.parameters, parameter.name: value})


def collect_results(
    container_plugin: WorkloadContainerPlugin, document: JobDocument, data: Mapping[JobSource, Path]
) -> dict[str, Any]:
    """Return what a container plugin returns for a document, by the function's name."""
    work = Path(document.placement.work)
    digests = dict.fromkeys(data, "0" * 64)
    return {
        "work": container_plugin.work(document, data, work),
        "tracked": container_plugin.tracked(document),
        "inspect": list(container_plugin.inspect(document, data)),
        "compare": list(container_plugin.compare(document, data)),
        "publishing": container_plugin.publishing(document, data),
        "targets": list(container_plugin.targets(document, data)),
        "gpus": container_plugin.gpus(document),
        "prepare": container_plugin.prepare(document, data, digests),
        "checkpoints": container_plugin.checkpoints(document, work),
    }


def _is_refused(declared: Workload, document: JobDocument) -> bool:
    """Return whether the workload's `check` rejects the job."""
    job = Job(
        workload=document.workload,
        parameters=tuple(document.parameters.items()),
        sources=document.sources,
        trainer_args=document.trainer_args,
    )
    return bool(select_errors(tuple(declared.check(job))))
