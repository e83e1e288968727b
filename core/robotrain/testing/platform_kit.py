"""`PlatformKit`, the conformance kit of platforms, with the tests of declarations: what it declares is what it does."""

import dataclasses
from collections.abc import Callable, Iterator
from itertools import starmap
from typing import Any

import pytest

from robotrain.check import needs
from robotrain.model.capabilities import FEATURES, LIMITS
from robotrain.model.job import Job
from robotrain.model.plan import Plan
from robotrain.model.source import SourceKind
from robotrain.plugins.discovery import Claim
from robotrain.submission.carried_record import restore_job
from robotrain.testing.harness import compare, no_side_effects, report
from robotrain.testing.kit_base import find_declaration_problems
from robotrain.testing.platform_bench import Bench
from robotrain.testing.platform_features import EngineFeatureTests
from robotrain.testing.platform_rendering import RenderTests
from robotrain.testing.platform_runs import ObservationTests

SAMPLE_PIN = "0123456789abcdef" * 2 + "01234567"


class PlatformKit(RenderTests, ObservationTests, EngineFeatureTests):
    """The standard tests of a platform, as in docs/plugin-testing.md.

    `platform` is the name of an installed platform; the fixture `world` returns a `robotrain.testing.World`.
    """

    def test_declaration_is_complete(self, bench: Bench, kit_claim: Claim) -> Iterator[str]:
        """It loads without a failure; help and rejections have texts, settings no secrets, and roles exist."""
        platform, capabilities = bench.platform, bench.can
        failures = bench.plugins.failures.values()
        yield from (str(failure) for failure in failures if failure.claim == kit_claim)
        if not platform.summary.strip():
            yield "`summary` is empty: say in a few words what the platform is"
        support_tables = (
            capabilities.sources,
            capabilities.combinations,
            capabilities.workloads,
            capabilities.features,
        )
        silent_names = (
            name for group in support_tables for name, support in group.items() if not support and not support.reason
        )
        yield from report('these are declared without a reason; write no("why", "what to do instead")', silent_names)
        for (role, name), support in capabilities.sources.items():
            kind = bench.kinds.get(name) if support else None
            if kind and not (kind.target or kind.platform_managed if role == "publish" else role in kind.roles):
                yield f"the capabilities say yes to {name} as {role}, a role that it does not have: remove it"
        yield from report(f"the limits are {', '.join(LIMITS)}; not", {*capabilities.limits} - {*LIMITS})
        yield from find_declaration_problems(platform.settings)

    def test_workload_support_matches_declaration(self, bench: Bench) -> Iterator[str]:
        """A workload with a yes, as `init` writes it, arrives with its plugins; any other is rejected (exit code 3)."""
        for name, workload in bench.plugins.workloads().items():
            support = bench.can.workload(name)
            starter = workload.template.parameters
            words = [f"--{name.replace('_', '-')}={value}" for name, value in starter.items() if value is not None]
            words += bench.world.needs.get(name, ())
            try:
                result = bench.render(*words, workload=workload)
            except pytest.skip.Exception:  # the platform accepts no kind of an input that it requires
                continue
            yield from bench.compare_support(name, support, result)
            if support and not result.exit_code:
                document = bench.world.read_document(bench.plans[-1])
                changed_parameters = {*document.parameters.items()} ^ {*bench.plans[-1].job.parameters}
                yield from report(
                    f"parameters of {name} are lost, changed or added in the document", sorted(changed_parameters)
                )
                if f"workload.{name}" not in document.container_plugins:
                    yield f"the document of {name} names no workload: give `container_plugins` to make_job_document"

    def test_feature_support_matches_declaration(self, bench: Bench) -> Iterator[str]:
        """A parameter that needs a feature is accepted with a yes, and rejected (exit code 3) otherwise."""
        bench.require_sample_workload()
        flags = {name: f"--kit-needs-{name.replace('_', '-')}" for name in FEATURES}
        declared_features = [name for name in flags if bench.can.feature(name)]
        needs = [word for name in declared_features for word in bench.world.needs.get(name, ())]
        result = bench.render(*(flags.pop(name) for name in declared_features), *needs)
        if result.exit_code:
            yield f"the features {', '.join(declared_features)} are declared yes, but rejected: {result.output}"
        rejected_flags = {
            error["where"] for error in bench.render(*flags.values()).errors if bench.name in error["title"]
        }
        yield from report("these features are not declared yes, but not rejected", {*flags.values()} - rejected_flags)

    def test_source_support_matches_declaration(self, bench: Bench) -> Iterator[str]:
        """Each source kind in each role: a yes is rendered; anything else is rejected (exit code 3), offline."""
        for role, tried_kind in ((role, kind) for kind in bench.kinds.values() for role in kind.roles):
            if role not in bench.workload.roles or not bench.example_text(tried_kind):
                continue
            source = bench.parse_source(role, tried_kind)
            support = bench.can.source(role, bench.kinds[source.kind])
            with no_side_effects():
                result = bench.render(bench.source_word(role, tried_kind), *bench.list_kind_options(tried_kind))
            yield from bench.compare_support(f"{source.kind} as {role}", support, result)

    def test_every_source_reaches_the_document(self, bench: Bench) -> Iterator[str]:
        """The document has each source unchanged, pinned, in order, with the plugin that fetches it or its mount."""

        def pin_sources(render: Callable[..., Plan], arguments: list[Any]) -> Plan:
            job: Job = arguments[0]
            pins = [SAMPLE_PIN if bench.kinds[source.kind].pinning else "" for source in job.sources]
            pinned_sources = (
                dataclasses.replace(source, pin=pin, implied=source.role == "backbone")
                for source, pin in zip(job.sources, pins, strict=True)
            )
            return render(dataclasses.replace(job, sources=tuple(pinned_sources)), *arguments[1:])

        for typed_sources in _make_jobs(bench):
            kinds = [kind for _, kind in typed_sources]
            words = [bench.source_word(role, kind) for role, kind in typed_sources]
            with bench.wrap_method("render", pin_sources):
                result = bench.render(*words, *bench.list_kind_options(*kinds))
            result.require(f"{', '.join(words)} are declared yes")
            document = bench.world.read_document(bench.plans[-1])
            sources = ((role, kind, str(bench.parse_source(role, kind))) for role, kind in typed_sources)
            expected_sources = [
                (role, kind.name, uri, SAMPLE_PIN * bool(kind.pinning), role == "backbone")
                for role, kind, uri in sources
            ]
            restored_job = restore_job(document, bench.workload)  # on its nodes, a folder may have another address
            actual = [
                (source.role, source.kind, source.uri, source.pin, source.implied) for source in restored_job.sources
            ]
            yield from compare(
                "the document has other sources or pins; pass on those of the job", actual, expected_sources
            )
            mounted = {(mount.role, mount.uri) for mount in document.placement.mounts}
            for source in document.sources:
                if (
                    f"source.{source.kind}" not in document.container_plugins
                    and (source.role, source.uri) not in mounted
                ):
                    yield (
                        f"{source.kind} is declared yes, but no plugin fetches {source.uri}, nor does the platform"
                        " mount it"
                    )
                elif bench.kinds[source.kind].requires == "tracking" and not document.placement.tracking_uri:
                    yield (
                        f"{source.kind} is declared yes; {source.uri} needs tracking, but the document has no"
                        " tracking_uri"
                    )


def _make_jobs(bench: Bench) -> Iterator[list[tuple[str, SourceKind]]]:
    """Yield a job for each accepted source, two of one kind in each other role of many, and one with all datasets that
    combine, the first of them twice.
    """
    kinds_by_role = {role: _list_accepted_kinds(bench, role) for role in bench.workload.roles}
    yield from ([(role, kind)] for role, kinds in kinds_by_role.items() for kind in kinds)
    for role in (role for role, rule in bench.workload.roles.items() if rule.many and role != "dataset"):
        yield from ([(role, kind)] * 2 for kind in kinds_by_role[role] if _can_repeat(bench, role, kind))
    dataset_kinds = kinds_by_role.get("dataset", [])
    pairs = ((kind.name, other_kind.name) for kind in dataset_kinds for other_kind in dataset_kinds)
    if dataset_kinds and bench.can.feature("several_datasets") and all(starmap(bench.can.combination, pairs)):
        repeated_kinds = [kind for kind in dataset_kinds if _can_repeat(bench, "dataset", kind)][:1]
        other_kinds = [kind for kind in dataset_kinds if kind not in repeated_kinds]
        yield [("dataset", kind) for kind in (*repeated_kinds, *other_kinds, *repeated_kinds)]


def _can_repeat(bench: Bench, role: str, kind: SourceKind) -> bool:
    return kind.roles[role].repeatable and needs.get_source_limit(bench.can) > 1


def _list_accepted_kinds(bench: Bench, role: str) -> list[SourceKind]:
    """Return the kinds that the platform accepts in a role and whose example is of that very kind."""
    accepted_kinds = bench.can.list_accepted_kinds(role, bench.kinds) if role in bench.workload.roles else []
    return [
        kind for kind in accepted_kinds if bench.example_text(kind) and bench.parse_source(role, kind).kind == kind.name
    ]
