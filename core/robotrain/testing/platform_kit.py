"""`PlatformKit`, the conformance kit of platforms, with the tests of declarations and JSON keys."""

import dataclasses
import re
from collections.abc import Iterator

import pytest
from robotrain_runtime.contract.parameter import get_parameters

from robotrain.model.capabilities import FEATURES, LIMITS
from robotrain.redaction import holds_secret
from robotrain.testing import harness, import_rules
from robotrain.testing.bench import Bench
from robotrain.testing.harness import assert_no_problems
from robotrain.testing.platform_base import OtherProcesses, PlatformTestBase
from robotrain.testing.platform_rendering import ParameterTransferTests, RenderTests
from robotrain.testing.platform_runs import LogTests, ObservationTests, SubmitTests
from robotrain.testing.platform_security import InjectionTests, SecretTests
from robotrain.testing.platform_sources import SourceSupportTests

HEAVY_MODULES = (
    *("asyncio", "multiprocessing", "sqlite3", "unittest", "http.client", "http.server", "ssl", "tkinter", "pydoc"),
    *("pydantic", "typer", "yaml", "numpy", "torch", "requests", "httpx"),
)
"""What the module of a platform must not import; its methods may."""


class PlatformLoadingTests(PlatformTestBase):
    """What is imported when."""

    def test_plugin_loads(self, bench: Bench) -> None:
        """Its module brings the name that its metadata claims, and nothing is wrong with it."""
        assert bench.platform.name == bench.name
        assert bench.platform.summary.strip()
        assert [str(failure) for failure in bench.plugins.failures.values() if failure.claim == bench.claim] == []

    def test_loading_imports_no_heavy_modules(self, bench: Bench, kit_processes: OtherProcesses) -> None:
        """Help and completion load its module each time: what takes long is imported by the method that needs it."""
        imported = kit_processes.list_imports(bench)["asking for the platform"]
        assert [name for name in imported if name in HEAVY_MODULES] == []

    def test_no_sdk_is_imported_before_submit(self, bench: Bench, kit_processes: OtherProcesses) -> None:
        """None of the packages that its distribution requires, for help or for a plan: an SDK takes seconds, and may
        not be there where somebody only looks.
        """
        sdks = import_rules.list_required_modules(bench.claim.project)
        imported = kit_processes.list_imports(bench)
        found = {step: sorted(sdks & {*modules}) for step, modules in imported.items()}
        assert {step: names for step, names in found.items() if names} == {}


SECRET_NAME_PATTERN = (
    r"(?i)(?<![a-z])(api_?key|access_?key|account_?key|token|secret|password|passwd|passphrase|sas)(?![a-z])"
)
SECRET_REFERENCE_PATTERN = r"(?i)_(file|name|id|credential)$|^(credential|file|name)_"
"""A name that ends so says where a secret is, and is none."""


class CapabilityTests(PlatformTestBase):
    """Capabilities beside source kinds, and the settings."""

    def test_workload_support_matches_declaration(self, bench: Bench) -> None:
        """One with a yes arrives with its halves; any other is refused (exit code 3) by name."""
        assert_no_problems(_find_wrong_workloads(bench))

    def test_feature_support_matches_declaration(self, bench: Bench) -> None:
        """A parameter that needs a feature is taken where that is a yes, and refused (exit code 3) everywhere else."""
        bench.require_sample_workload()
        assert_no_problems(_find_wrong_features(bench))

    def test_limits_are_enforced(self, bench: Bench) -> None:
        """A job at the limit is taken; one with a source more is refused before the engine refuses it."""
        limits = bench.platform.capabilities.limits
        assert set(limits) <= set(LIMITS)
        assert all(isinstance(limit, int) and limit > 0 for limit in limits.values())
        assert_no_problems(_find_wrong_limits(bench, limits.get("sources"), limits.get("spec_kib")))

    def test_every_unsupported_answer_has_a_reason(self, bench: Bench) -> None:
        """A person who is refused is told why."""
        can = bench.platform.capabilities
        groups = (can.sources, can.combinations, can.workloads, can.features)
        silent = [what for group in groups for what, one in group.items() if not one and not one.reason]
        assert silent == []

    def test_supported_roles_exist(self, bench: Bench) -> None:
        """A role that the kind does not fill cannot be typed by anybody: the yes would be one of the table alone."""
        can = bench.platform.capabilities
        said = [(role, bench.kinds[kind]) for (role, kind), one in can.sources.items() if one and kind in bench.kinds]
        untrue = [
            (role, kind.name)
            for role, kind in said
            if not (kind.target or kind.platform_managed if role == "publish" else role in kind.roles)
        ]
        assert untrue == []

    def test_settings_are_well_declared(self, bench: Bench) -> None:
        """A frozen dataclass of parameters, each with its help; none asks for a secret, or holds one: they are kept in
        plans and records.
        """
        settings = bench.platform.settings
        assert dataclasses.is_dataclass(settings)
        assert settings.__dataclass_params__.frozen  # type: ignore[attr-defined]
        declared = {one.name: one for one in get_parameters(settings)}
        assert set(declared) == {field.name for field in dataclasses.fields(settings)}, "each with a Param"
        assert [name for name, one in declared.items() if not one.param.help] == [], "without a help text"
        texts = [name for name, one in declared.items() if one.bare_type is str]
        asking = [
            name
            for name in texts
            if re.search(SECRET_NAME_PATTERN, name) and not re.search(SECRET_REFERENCE_PATTERN, name)
        ]
        assert asking == [], "ask for a secret: name the file, or what holds it"
        assert [name for name, one in declared.items() if holds_secret(str(one.default))] == []

    def test_setting_flags_are_unique(self, bench: Bench) -> None:
        """No flag and no environment name is taken by robotrain, the workload or a source kind already."""
        answer = bench.render(*bench.first_source())
        assert [one["title"] for one in answer.problems if one["code"] in ("options-clash", "names-clash")] == []
        help = bench.run_command("submit", "--help").stdout
        flags = [one.flag for one in get_parameters(bench.platform.settings)]
        assert [flag for flag in flags if not re.search(rf"{flag}(?![\w-])", help)] == [], "not among the options"

    def test_option_hints_are_valid(self, bench: Bench) -> None:
        """Options of other tools that people try here: each a flag that is none of its own, with what to say."""
        own = {flag for one in get_parameters(bench.platform.settings) for flag in one.flags}
        assert [flag for flag in bench.platform.option_hints if not flag.startswith("-") or flag in own] == []
        assert [flag for flag, words in bench.platform.option_hints.items() if not words.strip()] == []


def _find_wrong_workloads(bench: Bench) -> Iterator[str]:
    for name, workload in bench.plugins.workloads().items():
        support = bench.platform.capabilities.workload(name)
        try:
            answer = bench.render(workload=workload)
        except pytest.skip.Exception:  # what it needs, the platform takes from no kind
            continue
        if support:
            if answer.exit_code != 0 or f"workload.{name}" not in bench.read_document(answer).halves:
                yield f"{name}, declared yes: {answer.output}"
        elif answer.exit_code != 3 or bench.name not in answer.output or name not in answer.output:
            yield f"{name}, declared {support.level}: {answer.output}"


def _find_wrong_features(bench: Bench) -> Iterator[str]:
    """All that are there in one job, and all that are not in another."""
    flags = {name: f"--kit-needs-{name.replace('_', '-')}" for name in FEATURES}
    named = [name for name in flags if bench.platform.capabilities.feature(name)]
    there = [flags[name] for name in named]
    answer = bench.render(*there, *(word for name in named for word in bench.world.needs.get(name, ())))
    if answer.exit_code != 0:
        yield f"declared yes: {answer.output}"
    missing = {name: flag for name, flag in flags.items() if flag not in there}
    if not missing:
        return
    answer = bench.render(*missing.values())
    if answer.exit_code != 3:
        yield f"declared anything but yes: exit code {answer.exit_code}: {answer.output}"
    refused = {one["where"] for one in answer.problems if bench.name in one["title"]}
    yield from (f"{name} is not declared, and not refused" for name, flag in missing.items() if flag not in refused)


def _find_wrong_limits(bench: Bench, sources: int | None, spec: int | None) -> Iterator[str]:
    if sources and getattr(bench.workload.roles.get("dataset"), "many", False):
        word = _repeatable_words(bench)
        if (answer := bench.render(*word * sources)).exit_code != 0:
            yield f"{sources} sources, which is the limit, are refused: {answer.output}"
        if bench.render(*word * (sources + 1)).exit_code not in (2, 3):
            yield f"{sources + 1} sources are taken, and the limit is {sources}"
    if spec and (kib := _spec_size_kib(bench, *bench.complete_words)) > spec:
        yield f"the spec of the smallest job has {kib} KiB, and the limit is {spec}"


def _repeatable_words(bench: Bench) -> list[str]:
    """The words of a dataset that can be one of several."""
    for kind in bench.platform.capabilities.list_accepted_kinds("dataset", bench.kinds):
        if kind.roles["dataset"].repeatable and (text := bench.example_text(kind)):
            return [f"{kind.roles['dataset'].flag}={text}"]
    pytest.skip(f"{bench.name} takes no dataset of a kind that can be given twice")


def _spec_size_kib(bench: Bench, *words: object) -> float:
    """What the native spec of a job comes to."""
    answer = bench.render(*words)
    assert answer.exit_code == 0, answer.output
    plan = bench.plans[-1]
    return len(plan.files[plan.spec]) / 1024


PLAN_KEYS = {"run", "platform", "digest", "spec", "files"}
FILE_KEYS = {"bytes", "sha256"}
PLATFORMS_KEYS = {"platforms", "rows", "settings"}
SETTING_KEYS = {"name", "flag", "default", "env", "help"}
PROBLEM_KEYS = {"code", "severity", "stage", "title", "where", "given", "why", "instead"}


class JsonOutputTests(PlatformTestBase):
    """`--json` of each command that a platform has a part in, and nothing else on standard output."""

    def test_plan_as_json(self, bench: Bench) -> None:
        """`render --json`."""
        plan = bench.render(*bench.first_source()).json
        assert set(plan) >= PLAN_KEYS
        assert all(set(file) >= FILE_KEYS for file in plan["files"].values())
        assert plan["spec"] in plan["files"]

    def test_platform_as_json(self, bench: Bench) -> None:
        """`platforms NAME --json`: what it declares, and each of its settings."""
        told = harness.run_command("platforms", bench.name, "--json").json
        assert set(told) >= PLATFORMS_KEYS
        assert told["platforms"] == [bench.name]
        assert all(set(setting) >= SETTING_KEYS for setting in told["settings"][bench.name])

    def test_problems_as_json(self, bench: Bench) -> None:
        """Problems, each with its code, and the exit code of the earliest stage that one is of."""
        answer = bench.render("--kit-no-such-option")
        assert answer.exit_code == 2
        assert answer.problems
        assert all(set(problem) >= PROBLEM_KEYS for problem in answer.problems)


class PlatformKit(
    PlatformLoadingTests,
    CapabilityTests,
    SourceSupportTests,
    ParameterTransferTests,
    RenderTests,
    InjectionTests,
    SecretTests,
    SubmitTests,
    ObservationTests,
    LogTests,
    JsonOutputTests,
):
    """Derive a test class from it, name the platform, and give the fixture `world`::

        class TestMars(PlatformKit):
            platform = "mars"

            @pytest.fixture
            def world(self, tmp_path):
                return MarsWorld(tmp_path)

    platform: its name on the command line; its plugin is installed. world: a `robotrain.testing.World`. public_only:
    False where the plugin is released together with robotrain, and may use more of it than is promised to stay.
    """
