"""`PlatformKit`, the conformance kit of platforms, with the tests of declarations."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from robotrain_runtime.contract.parameter import get_parameters

from robotrain.config.starter_files import load_template
from robotrain.model.capabilities import FEATURES, LIMITS
from robotrain.plugins.claims import Claim
from robotrain.testing.bench import MOON, Bench, render_elsewhere
from robotrain.testing.harness import report
from robotrain.testing.kit_base import find_declaration_problems, list_required_modules
from robotrain.testing.platform_rendering import RenderTests
from robotrain.testing.platform_runs import ObservationTests
from robotrain.testing.platform_security import SecurityTests
from robotrain.testing.platform_sources import SourceSupportTests

HEAVY_MODULES = {
    *("asyncio", "multiprocessing", "sqlite3", "unittest", "http.client", "http.server", "ssl", "tkinter", "pydoc"),
    *("pydantic", "typer", "yaml", "numpy", "torch", "requests", "httpx"),
}
"""Modules that loading a platform must not import; its methods may."""


class PlatformKit(SourceSupportTests, RenderTests, SecurityTests, ObservationTests):
    """The standard tests of a platform, as in docs/plugins.md.

    `platform` is the name of an installed platform; the fixture `world` returns a `robotrain.testing.World`.
    `public_only` is False if the plugin is released together with robotrain, and may import more than public names.
    """

    def test_declaration_is_complete(self, bench: Bench, kit_claim: Claim) -> Iterator[str]:
        """It loads without a failure; help and rejections have texts, settings no secrets, and roles exist."""
        platform, can = bench.platform, bench.can
        failures = bench.plugins.failures.values()
        yield from (str(failure) for failure in failures if failure.claim == kit_claim)
        if not platform.summary.strip():
            yield "`summary` is empty: say in a few words what the platform is"
        groups = (can.sources, can.combinations, can.workloads, can.features)
        silent = (name for group in groups for name, support in group.items() if not support and not support.reason)
        yield from report('these are declared without a reason; write no("why", "what to do instead")', silent)
        for (role, name), support in can.sources.items():
            kind = bench.kinds.get(name) if support else None
            if kind and not (kind.target or kind.platform_managed if role == "publish" else role in kind.roles):
                yield f"the capabilities say yes to {name} as {role}, a role that it does not have: remove it"
        yield from report(f"the limits are {', '.join(LIMITS)}; not", {*can.limits} - {*LIMITS})
        yield from find_declaration_problems(platform.settings)
        own = {flag for one in get_parameters(platform.settings) for flag in one.flags}
        hints = platform.option_hints.items()
        wrong = (
            flag for flag, text in hints if not (flag[:1] == "-" or flag.isupper()) or flag in own or not text.strip()
        )
        yield from report("`option_hints` maps flags and variables of other tools to texts; not so", wrong)

    def test_nothing_heavy_is_imported_before_submit(
        self, bench: Bench, kit_claim: Claim, tmp_path: Path
    ) -> Iterator[str]:
        """Loading it, help and plans import no SDK of its distribution, and loading nothing heavy: TAB does it too."""
        imported = render_elsewhere(bench, tmp_path / "elsewhere", **MOON)["imported"]
        loading = f"these are imported by {(step := 'loading the platform')}; import them in the methods that need them"
        yield from report(loading, sorted(HEAVY_MODULES & {*imported[step]}))
        sdks = list_required_modules(kit_claim.project) - list_required_modules("robotrain-core")
        sdks = {name for name in sdks if not name.startswith("robotrain")}
        for step, modules in imported.items():
            found = sorted(sdks & {*modules})
            yield from report(f"these are imported by `{step}`; import them in the methods that need them", found)

    def test_setting_flags_are_unique(self, bench: Bench) -> Iterator[str]:
        """No flag or variable of a setting is taken by robotrain, the workload or a source kind."""
        problems = bench.run_command("explain", "--json", *bench.complete_words()).errors
        clashes = [one["title"] for one in problems if one["code"] in ("options-clash", "names-clash")]
        yield from report("rename the setting", clashes)
        help = bench.run_command("submit", "--help").stdout
        flags = [one.flag for one in get_parameters(bench.platform.settings)]
        yield from report("--help does not list", (one for one in flags if not re.search(rf"{one}(?![\w-])", help)))

    def test_workload_support_matches_declaration(self, bench: Bench) -> Iterator[str]:
        """A workload with a yes, as `init` writes it, arrives with its plugins; any other is rejected (exit code 3)."""
        for name, workload in bench.plugins.workloads().items():
            support = bench.can.workload(name)
            starter = load_template(workload).parameters
            words = [f"--{name.replace('_', '-')}={value}" for name, value in starter.items() if value is not None]
            try:
                result = bench.render(*words, workload=workload)
            except pytest.skip.Exception:  # the platform accepts no kind of an input that it requires
                continue
            if result.exit_code != (0 if support else 3):
                yield f"{name} is declared {support.level}, but exit code {result.exit_code}: {result.output}"
            elif support:
                document = bench.world.read_document(bench.plans[-1])
                changed = {*document.parameters.items()} ^ {*bench.plans[-1].job.parameters}
                yield from report(f"parameters of {name} are lost, changed or added in the document", sorted(changed))
                if f"workload.{name}" not in document.halves:
                    yield f"the document of {name} names no workload: give `container_plugins` to make_job_document"

    def test_feature_support_matches_declaration(self, bench: Bench) -> Iterator[str]:
        """A parameter that needs a feature is accepted with a yes, and rejected (exit code 3) otherwise."""
        bench.require_sample_workload()
        flags = {name: f"--kit-needs-{name.replace('_', '-')}" for name in FEATURES}
        declared = [name for name in flags if bench.can.feature(name)]
        needs = [word for name in declared for word in bench.world.needs.get(name, ())]
        result = bench.render(*(flags.pop(name) for name in declared), *needs)
        if result.exit_code:
            yield f"the features {', '.join(declared)} are declared yes, but rejected: {result.output}"
        rejected = {one["where"] for one in bench.render(*flags.values()).errors if bench.name in one["title"]}
        yield from report("these features are not declared yes, but not rejected", {*flags.values()} - rejected)

    def test_limits_are_enforced(self, bench: Bench) -> Iterator[str]:
        """A job at the limit of sources is accepted, and the spec of the smallest job is within its limit."""
        sources, spec_kib = (bench.can.limits.get(name) for name in ("sources", "spec_kib"))
        kinds = bench.can.list_accepted_kinds("dataset", bench.kinds) if "dataset" in bench.workload.roles else []
        found = [kind for kind in kinds if kind.roles["dataset"].repeatable and bench.example_text(kind)]
        if sources and found and bench.workload.roles["dataset"].many:
            word = bench.source_word("dataset", found[0])
            result = bench.render(*[word] * sources)
            if result.exit_code:
                yield f"{sources} sources are the limit, but rejected: {result.output}"
        if spec_kib:
            plan = bench.render_plan()
            if (size := len(plan.files[plan.spec]) / 1024) > spec_kib:
                yield f"the spec of the smallest job has {size} KiB, but the limit is {spec_kib}"
