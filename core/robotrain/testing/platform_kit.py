"""`PlatformKit`, the conformance kit of platforms, with the tests of declarations."""

import re
from collections.abc import Iterator

import pytest
from robotrain_runtime.contract.parameter import get_parameters

from robotrain.model.capabilities import FEATURES, LIMITS
from robotrain.testing import kit_base
from robotrain.testing.bench import Bench
from robotrain.testing.harness import assert_no_problems, assert_none
from robotrain.testing.kit_base import assert_well_declared
from robotrain.testing.platform_base import OtherProcesses, PlatformTestBase
from robotrain.testing.platform_rendering import ParameterTransferTests, RenderTests
from robotrain.testing.platform_runs import LogTests, ObservationTests, SubmitTests
from robotrain.testing.platform_security import InjectionTests, SecretTests
from robotrain.testing.platform_sources import SourceSupportTests

HEAVY_MODULES = (
    *("asyncio", "multiprocessing", "sqlite3", "unittest", "http.client", "http.server", "ssl", "tkinter", "pydoc"),
    *("pydantic", "typer", "yaml", "numpy", "torch", "requests", "httpx"),
)
"""Modules that loading a platform must not import; its methods may."""


class DeclarationTests(PlatformTestBase):
    """What loading the plugin imports, its capabilities and its settings."""

    def test_plugin_loads(self, bench: Bench) -> None:
        """Its module brings the name that its metadata claims, without a failure."""
        assert bench.platform.name == bench.name
        assert bench.platform.summary.strip(), "`summary` is empty: say in a few words what the platform is"
        failures = bench.plugins.failures.values()
        assert_no_problems(str(failure) for failure in failures if failure.claim == bench.claim)

    def test_loading_imports_no_heavy_modules(self, bench: Bench, kit_processes: OtherProcesses) -> None:
        """Help and completion load the module each time: a method that needs a heavy module imports it itself."""
        imported = kit_processes.list_imports(bench)["loading the platform"]
        assert_none({*imported} & {*HEAVY_MODULES}, "loading the platform imports these; import them in the methods")

    def test_no_sdk_is_imported_before_submit(self, bench: Bench, kit_processes: OtherProcesses) -> None:
        """Help and plans import none of the packages that the distribution requires: an SDK takes seconds."""
        sdks = kit_base.list_required_modules(bench.claim.project)
        found = {step: sorted(sdks & {*modules}) for step, modules in kit_processes.list_imports(bench).items()}
        wrong = (f"{', '.join(names)} ({step})" for step, names in found.items() if names)
        assert_none(wrong, "these are imported before submit; import them in the methods that need them")

    def test_workload_support_matches_declaration(self, bench: Bench) -> None:
        """A workload with a yes arrives with its plugins; any other is rejected (exit code 3) by name."""
        assert_no_problems(_find_wrong_workloads(bench))

    def test_feature_support_matches_declaration(self, bench: Bench) -> None:
        """A parameter that needs a feature is accepted with a yes, and rejected (exit code 3) otherwise."""
        bench.require_sample_workload()
        assert_no_problems(_find_wrong_features(bench))

    def test_limits_are_enforced(self, bench: Bench) -> None:
        """A job at the limit is accepted; one with a source more is rejected before the engine does."""
        limits = bench.capabilities.limits
        assert_none({*limits} - {*LIMITS}, f"limits are {', '.join(LIMITS)}; not")
        wrong = (name for name, limit in limits.items() if not isinstance(limit, int) or limit <= 0)
        assert_none(wrong, "these limits are not whole numbers above 0")
        assert_no_problems(_find_wrong_limits(bench, limits.get("sources"), limits.get("spec_kib")))

    def test_every_unsupported_answer_has_a_reason(self, bench: Bench) -> None:
        """A rejected user is told why."""
        can = bench.capabilities
        groups = (can.sources, can.combinations, can.workloads, can.features)
        silent = [name for group in groups for name, support in group.items() if not support and not support.reason]
        assert_none(silent, 'these are declared without a reason; write no("why", "what to do instead")')

    def test_supported_roles_exist(self, bench: Bench) -> None:
        """A yes for a role that the kind does not have could not be used by anybody."""
        supports = bench.capabilities.sources.items()
        yes = [(role, bench.kinds[kind]) for (role, kind), one in supports if one and kind in bench.kinds]
        unusable = [
            f"{kind.name} as {role}"
            for role, kind in yes
            if not (kind.target or kind.platform_managed if role == "publish" else role in kind.roles)
        ]
        assert_none(unusable, "the capabilities say yes to source kinds in roles that they do not have; remove")

    def test_settings_are_well_declared(self, bench: Bench) -> None:
        """A frozen dataclass of parameters, each with help; none asks for or holds a secret, as plans store them."""
        assert_well_declared(bench.platform.settings)

    def test_setting_flags_are_unique(self, bench: Bench) -> None:
        """No flag or variable of a setting is taken by robotrain, the workload or a source kind."""
        result = bench.render(*bench.first_source())
        clashes = [one["title"] for one in result.problems if one["code"] in ("options-clash", "names-clash")]
        assert_none(clashes, "rename the setting")
        help = bench.run_command("submit", "--help").stdout
        flags = [one.flag for one in get_parameters(bench.platform.settings)]
        assert_none((one for one in flags if not re.search(rf"{one}(?![\w-])", help)), "--help does not list")

    def test_option_hints_are_valid(self, bench: Bench) -> None:
        """Hints are for options of other tools that people try: flags that are not its own, each with a text."""
        own = {flag for one in get_parameters(bench.platform.settings) for flag in one.flags}
        hints = bench.platform.option_hints.items()
        wrong = [flag for flag, text in hints if not flag.startswith("-") or flag in own or not text.strip()]
        assert_none(wrong, "`option_hints` maps flags of other tools to texts; not so")


def _find_wrong_workloads(bench: Bench) -> Iterator[str]:
    for name, workload in bench.plugins.workloads().items():
        support = bench.capabilities.workload(name)
        try:
            result = bench.render(workload=workload)
        except pytest.skip.Exception:  # the platform accepts no kind of an input that it requires
            continue
        if support:
            is_right = result.exit_code == 0 and f"workload.{name}" in bench.read_document(result).halves
        else:
            is_right = result.exit_code == 3 and bench.name in result.output and name in result.output
        if not is_right:
            yield f"{name} is declared {support.level}, but exit code {result.exit_code}: {result.output}"


def _find_wrong_features(bench: Bench) -> Iterator[str]:
    """Yield wrong features: those declared are tried in one job, all others in another."""
    flags = {name: f"--kit-needs-{name.replace('_', '-')}" for name in FEATURES}
    declared = [name for name in flags if bench.capabilities.feature(name)]
    needs = [word for name in declared for word in bench.world.needs.get(name, ())]
    result = bench.render(*(flags.pop(name) for name in declared), *needs)
    if result.exit_code != 0:
        yield f"features declared yes ({', '.join(declared)}) are rejected: {result.output}"
    if not flags:
        return
    result = bench.render(*flags.values())
    if result.exit_code != 3:
        yield f"features not declared yes have exit code {result.exit_code}, not 3: {result.output}"
    rejected = {one["where"] for one in result.problems if bench.name in one["title"]}
    yield from (f"{name} is not declared, and not rejected" for name, flag in flags.items() if flag not in rejected)


def _find_wrong_limits(bench: Bench, sources: int | None, spec: int | None) -> Iterator[str]:
    if sources and getattr(bench.workload.roles.get("dataset"), "many", False):
        kinds = bench.capabilities.list_accepted_kinds("dataset", bench.kinds)
        found = [kind for kind in kinds if kind.roles["dataset"].repeatable and bench.example_text(kind)]
        if not found:
            pytest.skip(f"{bench.name} accepts no dataset of a kind that can be repeated")
        word = bench.source_word("dataset", found[0])
        if (result := bench.render(*[word] * sources)).exit_code != 0:
            yield f"{sources} sources are the limit, but rejected: {result.output}"
        if bench.render(*[word] * (sources + 1)).exit_code not in (2, 3):
            yield f"{sources + 1} sources are accepted, but the limit is {sources}"
    if spec:
        result = bench.render(*bench.complete_words)
        assert result.exit_code == 0, result.output
        plan = bench.plans[-1]
        if (size := len(plan.files[plan.spec]) / 1024) > spec:
            yield f"the spec of the smallest job has {size} KiB, but the limit is {spec}"


class PlatformKit(
    DeclarationTests,
    SourceSupportTests,
    ParameterTransferTests,
    RenderTests,
    InjectionTests,
    SecretTests,
    SubmitTests,
    ObservationTests,
    LogTests,
):
    """Derive a test class from it, name the platform, and give the fixture `world`::

        class TestMars(PlatformKit):
            platform = "mars"

            @pytest.fixture
            def world(self, tmp_path):
                return MarsWorld(tmp_path)

    `platform` is the name of an installed platform, `world` a `robotrain.testing.World`. `public_only` is False if the
    plugin is released together with robotrain, and may import more than public names.
    """
