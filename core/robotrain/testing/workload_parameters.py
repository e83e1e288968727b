"""Tests of a workload: its parameters, their bounds, and the effect of each."""

import dataclasses
import functools
import json
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
from robotrain.testing.import_rules import PublicImportTests, find_claim

FOLDER_KIND = "local_path"
"""The kind whose printed form is a folder of this machine."""


class WorkloadTestBase(PublicImportTests):
    """workload: its name, installed under the claim `workload.NAME`. job: the words of a complete job of it, whose
    sources are folders that are here. data: a fixture with the folder of each source, where those are others.
    """

    yours: ClassVar[tuple[str, ...]] = ("workload", "job", "data")
    workload: ClassVar[str] = ""
    job: ClassVar[Sequence[str]] = ()

    @pytest.fixture(autouse=True)
    def kit_folders(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """The working folder, empty and the test's own."""
        return harness.isolate_folders(tmp_path / "kit", monkeypatch)

    @pytest.fixture
    def kit_claim(self, kit_folders: Path) -> Claim:
        """The claim of the workload."""
        return find_claim("workload", self.workload)

    @pytest.fixture
    def declaration(self) -> Workload:
        """The declaration, as robotrain finds it."""
        return load_workload(self.workload)

    @pytest.fixture
    def container_plugin(self, declaration: Workload) -> WorkloadContainerPlugin:
        """Its half that acts in the container."""
        return load_container_plugin(declaration.container_plugin, WorkloadContainerPlugin)

    @pytest.fixture
    def probe_plugin(self, kit_folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A platform that takes everything, beside what is installed."""
        probe.install_probe(kit_folders.parent / "site", monkeypatch)

    @pytest.fixture
    def rendered_document(self, probe_plugin: None, tmp_path: Path) -> JobDocument:
        """The document of the job, in folders of the test's own."""
        found = render_document(self.workload, *self.job)
        return replace(found, placement=replace(found.placement, work=str(tmp_path / "work")))

    @pytest.fixture
    def data(self, rendered_document: JobDocument) -> Mapping[JobSource, Path]:
        """The folder of each source; yours to define where they are no folders of this machine."""
        return {source: Path(source.uri) for source in rendered_document.sources if source.kind == FOLDER_KIND}


@functools.lru_cache(64)
def _load_workload(name: str, path: tuple[str, ...]) -> Workload:
    """path: where plugins are looked for, as long as it is the same they are."""
    plugins = Plugins()
    try:
        return plugins.workload(name)
    except PluginError as error:
        pytest.fail(str(error))


def load_workload(name: str) -> Workload:
    """The workload of that name; a test that asks for one that is not there fails with what is."""
    return _load_workload(name, tuple(sys.path))


def render_refused_job(*words: str) -> tuple[harness.CommandResult, list[Mapping[str, Any]]]:
    """What `render` says of a job on the kit's platform: the answer, and every problem that stops it."""
    answer = harness.run_command("render", "--json", "--platform", probe.PROBE_NAME, *words)
    problems = answer.json.get("problems", ()) if answer.exit_code else ()
    return answer, [problem for problem in problems if problem["severity"] == "error"]


def render_document(*words: str) -> JobDocument:
    """The document that a job is rendered to."""
    answer = harness.run_command("render", "--json", "--platform", probe.PROBE_NAME, *words)
    assert answer.exit_code == 0, f"`job` is no complete job: {answer}"
    return document.parse_document(json.loads(answer.stdout)["files"][probe.DOCUMENT_NAME]["text"])


SAMPLE_TEXTS = ("another", "/another", "another/name", "another@example.com", "https://another.example/place", "2")
"""Texts that differ from most defaults, for parameters with a form of their own."""


def list_other_values(declared: type, parameter: Parameter) -> Iterator[str]:
    """Texts for other values than the default, which the parameter takes."""
    for text in _list_candidates(parameter):
        given = {parameter.name: Value(text, Origin("flag", parameter.flag))}
        typed, problems = coerce_values(declared, given)
        about = [problem for problem in problems if problem.where == parameter.flag]
        if not about and getattr(typed, parameter.name) != parameter.default:
            yield text


def list_invalid_values(parameter: Parameter) -> Iterator[str]:
    """Texts that the parameter must refuse: beyond its bounds, or no number, or none of its choices."""
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
    """Of the dataclass that declares them."""

    def test_parameters_are_documented(self, declaration: Workload) -> None:
        """Flags, help, schema and docs are made from it: a frozen dataclass, with a `Param` and its help for each."""
        kept = declaration.parameters
        assert dataclasses.is_dataclass(kept), "its parameters are no dataclass"
        assert vars(kept)["__dataclass_params__"].frozen, "its parameters are not frozen: a job never changes"
        bare = {field.name for field in dataclasses.fields(kept)} - {one.name for one in _list_parameters(declaration)}
        assert not bare, f"without a Param: {', '.join(sorted(bare))}"
        for one in _list_parameters(declaration):
            assert one.param.help.strip(), f"{one.name} has no help"
            assert re.fullmatch(FLAG_PATTERN, one.flag), f"{one.name}: {one.flag!r} is no long option"

    def test_no_parameter_is_a_secret(self, declaration: Workload) -> None:
        """Plans and records keep every value in the clear: a secret is named by where it lies, never given."""
        named = [one.name for one in _list_parameters(declaration) if re.search(SECRET_NAME_PATTERN, one.name)]
        assert not named, "a job would carry these in the clear"

    def test_defaults_have_their_declared_type(self, declaration: Workload) -> None:
        """What is left out has a value that could have been typed."""
        from pydantic import TypeAdapter

        assert coerce_values(declaration.parameters, {})[1] == [] or any(
            one.required for one in _list_parameters(declaration)
        )
        for one in _list_parameters(declaration):
            if not one.required:
                assert TypeAdapter(one.type).validate_python(one.default, strict=True) == one.default, one.name

    def test_help_schema_and_explain_list_every_parameter(self, declaration: Workload, probe_plugin: None) -> None:
        """Whoever asks what can be said is told all of it."""
        shown = harness.run_command("render", self.workload, "--platform", probe.PROBE_NAME, "--help").stdout
        schema = harness.run_command("schema", self.workload).stdout
        explained = harness.run_command("explain", "--platform", probe.PROBE_NAME, "--json", *_job_words(self))
        assert explained.exit_code == 0, str(explained)
        told = {row["name"] for row in explained.json["values"]}
        for one in _list_parameters(declaration):
            assert re.search(rf"{one.flag}\b", shown), f"--help does not list {one.flag}"
            assert f'"{one.name}"' in schema, f"the schema does not know {one.name}"
            assert one.name in told, f"`explain` does not tell {one.name}"

    def test_out_of_bounds_value_is_rejected(self, declaration: Workload, probe_plugin: None) -> None:
        """A value that cannot be meant stops the job where it is typed, exit code 2, all of them at once."""
        rounds = {one.flag: list(list_invalid_values(one)) for one in _list_parameters(declaration)}
        for number in range(max(map(len, rounds.values()), default=0)):
            wrong = {flag: bad[number] for flag, bad in rounds.items() if number < len(bad)}
            words = [f"{flag}={text}" for flag, text in wrong.items()]
            answer, problems = render_refused_job(*_job_words(self, *words))
            assert answer.exit_code == 2, f"{' '.join(words)}: {answer}"
            named = {problem["where"] for problem in problems if problem["code"] == "value-invalid"}
            assert not {*wrong} - named, f"taken, though out of bounds: {' '.join(words)}"

    def test_flags_clash_on_no_platform(self, declaration: Workload, probe_plugin: None) -> None:
        """An option means one thing, whatever platform the job goes to."""
        for platform in Plugins().platforms():
            answer = harness.run_command("explain", "--platform", platform, "--json", *_job_words(self))
            clashes = [one for one in answer.json.get("problems", ()) if one["code"].endswith("-clash")]
            assert not [one["title"] for one in clashes if f"workload {declaration.name}" in one["title"]]


def _list_parameters(workload: Workload) -> list[Parameter]:
    return list(get_parameters(workload.parameters))


def _job_words(kit: WorkloadTestBase, *more: str) -> list[str]:
    """The job of a kit with further options, before what goes to the trainer."""
    at = kit.job.index("--") if "--" in kit.job else len(kit.job)
    return [kit.workload, *kit.job[:at], *more, *kit.job[at:]]


SAMPLE_ARGUMENT = "--kit-argument=1"


class ParameterEffectTests(WorkloadTestBase):
    """changed: another value of a parameter, where none can be guessed. unchanged: by parameter, why changing it alone
    changes nothing that the half makes of `job`.
    """

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
        """Changed alone, it changes the command or what is tracked and published, or the workload's rules refuse it."""
        before = collect_results(container_plugin, rendered_document, data)
        idle = {
            one.name
            for one in get_parameters(declaration.parameters)
            if not _has_effect(
                declaration,
                container_plugin,
                _with_parameter(declaration, rendered_document, one, self._other_value(declaration, one)),
                data,
                before,
            )
        }
        assert not idle - {*self.unchanged}, "these change nothing: use them, or say in `unchanged` why"
        assert not {*self.unchanged} - idle, "`unchanged` names what does change something, or is not there"
        assert all(why.strip() for why in self.unchanged.values()), "`unchanged` says why"

    def test_trainer_arguments_are_used_or_rejected(
        self,
        declaration: Workload,
        container_plugin: WorkloadContainerPlugin,
        rendered_document: JobDocument,
        data: Mapping[JobSource, Path],
    ) -> None:
        """What stands after `--` reaches the work as it is, or the job is refused: it is never dropped in silence."""
        asked = replace(rendered_document, trainer_args=(*rendered_document.trainer_args, SAMPLE_ARGUMENT))
        if not _is_refused(declaration, asked):
            work = container_plugin.work(asked, data, Path(asked.placement.work))
            passed = [*work.arguments, *work.environ.values()]
            assert any(SAMPLE_ARGUMENT in one for one in passed), "it is neither in the command nor refused by `check`"

    def _other_value(self, declaration: Workload, parameter: Parameter) -> str:
        """Another value of a parameter."""
        found = self.changed.get(parameter.name) or next(list_other_values(declaration.parameters, parameter), None)
        if found is None:
            pytest.fail(f"no other value of {parameter.name} can be guessed: say one in `changed`")
        return found


def collect_results(
    container_plugin: WorkloadContainerPlugin, document: JobDocument, data: Mapping[JobSource, Path]
) -> dict[str, Any]:
    """Return everything that a container plugin returns for a document, by the function's name."""
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


def _with_parameter(declared: Workload, document: JobDocument, parameter: Parameter, text: str) -> JobDocument:
    """The document with one parameter said otherwise."""
    given = {parameter.name: Value(text, Origin("flag", parameter.flag))}
    typed, problems = coerce_values(declared.parameters, given)
    about = [problem.title for problem in problems if problem.where == parameter.flag]
    assert not about, f"{text!r} is no value of {parameter.name}: {', '.join(about)}"
    return replace(document, parameters={**document.parameters, parameter.name: getattr(typed, parameter.name)})


def _has_effect(
    declared: Workload,
    container_plugin: WorkloadContainerPlugin,
    document: JobDocument,
    data: Mapping[JobSource, Path],
    expected: Mapping[str, Any],
) -> bool:
    return _is_refused(declared, document) or collect_results(container_plugin, document, data) != expected


def _is_refused(declared: Workload, document: JobDocument) -> bool:
    """Whether the rules of the workload stop the job."""
    job = Job(
        workload=document.workload,
        parameters=tuple(document.parameters.items()),
        sources=document.sources,
        trainer_args=document.trainer_args,
    )
    return bool(select_errors(tuple(declared.check(job))))
