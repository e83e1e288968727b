"""Tests of a platform: its declared source support matches what it does."""

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from robotrain_runtime.contract.document import JobDocument
from robotrain_runtime.contract.parameter import get_parameters

from robotrain.check import capability_checks
from robotrain.model.job import Job
from robotrain.model.plan import Plan
from robotrain.model.source import SourceKind
from robotrain.testing.bench import Bench, PlatformTestBase
from robotrain.testing.harness import compare, no_side_effects
from robotrain.testing.kit_base import SAMPLE_WORKLOAD

SAMPLE_PIN = "0123456789abcdef" * 2 + "01234567"


class SourceSupportTests(PlatformTestBase):
    """Source kinds in their roles, as dataset pairs, and as publish targets."""

    def test_source_support_matches_declaration(self, bench: Bench) -> Iterator[str]:
        """Each source kind in each role: a yes is rendered; anything else is rejected (exit code 3), offline."""
        for role, tried in ((role, kind) for kind in bench.kinds.values() for role in kind.roles):
            if role not in bench.workload.roles or not bench.example_text(tried):
                continue
            source = bench.parse_source(role, tried)
            support = bench.can.source(role, bench.kinds[source.kind])
            with no_side_effects():
                result = bench.render(bench.source_word(role, tried), *bench.list_kind_options(tried))
            what = f"{source.kind} as {role} is declared {support.level}"
            if result.exit_code != (0 if support else 3):
                yield f"{what}, but: {result.output}"
            elif not support and not any(bench.name in one["title"] for one in result.errors):
                yield f"{what}, but the rejection does not name the platform: {result.output}"

    def test_every_source_reaches_the_document(self, bench: Bench) -> Iterator[str]:
        """The document has each source unchanged, pinned, in order, with the plugin that fetches it or its mount."""

        def pin_sources(render: Callable[..., Plan], arguments: list[Any]) -> Plan:
            job: Job = arguments[0]
            pins = [SAMPLE_PIN if bench.kinds[one.kind].pinning else "" for one in job.sources]
            pinned = (dataclasses.replace(one, pin=pin) for one, pin in zip(job.sources, pins, strict=True))
            return render(dataclasses.replace(job, sources=tuple(pinned)), *arguments[1:])

        for typed in _make_jobs(bench):
            kinds = [kind for _, kind in typed]
            words = [bench.source_word(role, kind) for role, kind in typed]
            with bench.wrap_method("render", pin_sources):
                result = bench.render(*words, *bench.list_kind_options(*kinds))
            result.require(f"{', '.join(words)} are declared yes")
            document = bench.world.read_document(bench.plans[-1])
            sources = ((role, kind, str(bench.parse_source(role, kind))) for role, kind in typed)
            expected = [(role, kind.name, uri, SAMPLE_PIN * bool(kind.pinning)) for role, kind, uri in sources]
            found = [(one.role, one.kind, one.uri, one.pin) for one in document.sources]
            yield from compare("the document has other sources or pins; pass on those of the job", found, expected)
            yield from _find_unfetched_sources(bench, document)

    def test_kind_combinations_match_declaration(self, bench: Bench) -> Iterator[str]:
        """Datasets of any two accepted kinds are merged, or rejected (exit code 3) as declared."""
        accepted = _list_accepted_kinds(bench, "dataset")
        if "dataset" not in bench.workload.roles or not bench.workload.roles["dataset"].many:
            pytest.skip(f"{bench.workload.name} has at most one dataset")
        if _can_combine_all(bench, accepted):
            return  # another test has tried them
        for first, second in itertools.combinations_with_replacement(accepted, 2):
            rules = first.roles["dataset"], second.roles["dataset"]
            if not _can_repeat(bench, first) if first is second else any(rule.exclusive for rule in rules):
                continue  # this is up to the kind or the limit, not to the pair
            support = bench.can.combination(first.name, second.name)
            result = bench.render(*(bench.source_word("dataset", kind) for kind in (first, second)))
            if result.exit_code != (0 if support else 3) or (not support and bench.name not in result.output):
                yield f"{first.name} with {second.name} is declared {support.level}, but: {result.output}"

    def test_publish_targets_match_declaration(self, bench: Bench) -> Iterator[str]:
        """With a yes the runtime gets the address, or the platform itself copies there; anything else is rejected."""
        if not bench.workload.targets:
            pytest.skip(f"{bench.workload.name} publishes nothing")
        name = bench.workload.targets[0]
        flag = next(one.flag for one in get_parameters(bench.workload.parameters) if one.name == name)
        places = [kind for kind in bench.kinds.values() if kind.target or kind.platform_managed]
        for text in filter(None, map(bench.example_text, places)):
            kind = next(one for one in places if one.recognizes(text))
            support = bench.can.source("publish", kind)
            result = bench.render(f"{flag}={text}")
            what = f"publishing to {kind.name} is declared {support.level}"
            if result.exit_code != (0 if support else 3) or (not support and bench.name not in result.output):
                yield f"{what}, but: {result.output}"
            elif support:
                found = bench.world.read_document(bench.plans[-1]).parameters[name]
                if found != (None if kind.platform_managed else text):
                    yield f"{what}, but the document has {found!r} as {name}"


def _find_unfetched_sources(bench: Bench, document: JobDocument) -> Iterator[str]:
    mounted = {(mount.role, mount.uri) for mount in document.placement.mounts}
    for one in document.sources:
        if f"source.{one.kind}" not in document.halves and (one.role, one.uri) not in mounted:
            yield f"{one.kind} is declared yes, but no plugin fetches {one.uri}, nor does the platform mount it"
        elif bench.kinds[one.kind].requires == "tracking" and not document.placement.tracking_uri:
            yield f"{one.kind} is declared yes, but {one.uri} needs tracking, and the document has no tracking_uri"


def _make_jobs(bench: Bench) -> Iterator[list[tuple[str, SourceKind]]]:
    """Yield jobs that together have every accepted source; the datasets that combine in both orders."""
    accepted = {role: _list_accepted_kinds(bench, role) for role in bench.workload.roles}
    datasets = accepted.pop("dataset", [])
    yield from ([("dataset", kind)] for kind in datasets)
    together = [kind for kind in datasets if not kind.roles["dataset"].exclusive]
    if bench.can.feature("several_datasets") and _can_combine_all(bench, together):
        repeated = [kind for kind in together if _can_repeat(bench, kind)][:1]
        between = [kind for kind in together if kind not in repeated][:1]
        for kinds in (together, together[::-1], [*repeated, *between, *repeated]):
            yield [("dataset", kind) for kind in kinds]
    if bench.workload.name == SAMPLE_WORKLOAD:
        for row in itertools.zip_longest(*accepted.values()):
            yield [(role, kind) for role, kind in zip(accepted, row, strict=True) if kind]
    else:  # a third-party workload may have rules of its own
        yield from ([(role, kind)] for role, kinds in accepted.items() for kind in kinds)


def _can_repeat(bench: Bench, kind: SourceKind) -> bool:
    return kind.roles["dataset"].repeatable and capability_checks.get_source_limit(bench.can) > 1


def _list_accepted_kinds(bench: Bench, role: str) -> list[SourceKind]:
    """Return the kinds that the platform accepts in a role and whose example is of that very kind."""
    accepted = bench.can.list_accepted_kinds(role, bench.kinds) if role in bench.workload.roles else []
    return [kind for kind in accepted if bench.example_text(kind) and bench.parse_source(role, kind).kind == kind.name]


def _can_combine_all(bench: Bench, kinds: Sequence[SourceKind]) -> bool:
    return all(bench.can.combination(one.name, other.name) for one in kinds for other in kinds)
