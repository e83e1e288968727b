"""Tests of a platform: its declared source support matches what it does."""

import contextlib
import dataclasses
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest
from robotrain_runtime.contract.document import JobDocument
from robotrain_runtime.contract.parameter import get_parameters

from robotrain.check import capability_checks
from robotrain.model.job import Job
from robotrain.model.plan import Plan
from robotrain.model.source import SourceKind
from robotrain.plugins.failures import PluginError
from robotrain.plugins.manager import Plugins
from robotrain.testing.bench import SAMPLE_KIND, SAMPLE_WORKLOAD, Bench
from robotrain.testing.harness import assert_no_problems, no_side_effects
from robotrain.testing.platform_base import PlatformTestBase
from robotrain.testing.probe import ROLES

SAMPLE_PIN = "0123456789abcdef" * 2 + "01234567"


class SourceSupportTests(PlatformTestBase):
    """Source kinds in their roles, as dataset pairs, and as publish targets."""

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Make a test for each role of each installed kind, and for the kit's kind in every role."""
        if {"role", "kind"} <= set(metafunc.fixturenames):
            plugins = Plugins()
            with contextlib.suppress(PluginError):  # it may be installed only within its tests
                plugins.platform(type(self).platform)
            known = {(role, kind.name) for kind in plugins.source_kinds().values() for role in kind.roles}
            found = sorted(known | {(role, SAMPLE_KIND) for role in ROLES})
            metafunc.parametrize(("role", "kind"), found, ids=[f"{role}-{kind}" for role, kind in found])

    def test_source_support_matches_declaration(self, bench: Bench, role: str, kind: str) -> None:
        """A yes is rendered; anything else is rejected (exit code 3) with platform, kind and reason, offline."""
        if role not in bench.workload.roles:
            pytest.skip(f"{bench.workload.name} has no {role}")
        tried = bench.kinds[kind]
        if not bench.example_text(tried):
            pytest.skip(f"the kind {kind} has no example; give the world one in `texts`")
        source = bench.parse_source(role, tried)
        support = bench.capabilities.source(role, bench.kinds[source.kind])
        with no_side_effects():
            answer = bench.render(bench.source_word(role, tried), *bench.list_kind_options(tried))
        if support:
            assert answer.exit_code == 0, answer.output
            assert (role, str(source)) in [(one.role, one.uri) for one in bench.plans[-1].job.sources]
            return
        assert answer.exit_code == 3, f"declared {support.level}, but exit code {answer.exit_code}:\n{answer.output}"
        [problem] = [one for one in answer.problems if one["code"] == "source-not-accepted"]
        assert bench.name in problem["title"]
        assert bench.kinds[source.kind].title in problem["title"]
        assert problem["why"] == support.reason

    def test_every_source_reaches_the_document(self, bench: Bench) -> None:
        """The document has each source unchanged, in order, with the plugin that fetches it or its mount."""
        for typed in _make_jobs(bench):
            words = [bench.source_word(role, kind) for role, kind in typed]
            wanted = [(role, kind.name, str(bench.parse_source(role, kind))) for role, kind in typed]
            arrived = bench.read_document(bench.render(*words, *bench.list_kind_options(*(kind for _, kind in typed))))
            assert [(one.role, one.kind, one.uri) for one in arrived.sources] == wanted
            assert_no_problems(_find_missing_sources(arrived, bench.kinds))

    def test_pins_reach_the_document(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        """A pin is what a name meant at submission: without it the run may read something else."""
        typed = next(_make_jobs(bench), None) or pytest.skip(f"{bench.name} accepts no source with an example")

        def pin_sources(render: Callable[..., Plan], arguments: list[Any]) -> Plan:
            job: Job = arguments[0]
            sources = tuple(dataclasses.replace(one, pin=SAMPLE_PIN) for one in job.sources)
            return render(dataclasses.replace(job, sources=sources), *arguments[1:])

        bench.wrap_method(monkeypatch, "render", pin_sources)
        words = [bench.source_word(role, kind) for role, kind in typed]
        arrived = bench.read_document(bench.render(*words))
        wanted = [(one.uri, SAMPLE_PIN) for one in bench.plans[-1].job.sources]
        assert [(one.uri, one.pin) for one in arrived.sources] == wanted

    def test_kind_combinations_match_declaration(self, bench: Bench) -> None:
        """Datasets of any two accepted kinds are merged, or rejected (exit code 3) as declared."""
        if not getattr(bench.workload.roles.get("dataset"), "many", False):
            pytest.skip(f"{bench.workload.name} has at most one dataset")
        assert_no_problems(_find_wrong_pairs(bench))

    def test_publish_targets_match_declaration(self, bench: Bench) -> None:
        """With a yes the runtime gets the address, or the platform itself copies there; anything else is rejected."""
        if not bench.workload.targets:
            pytest.skip(f"{bench.workload.name} publishes nothing")
        assert_no_problems(_find_wrong_targets(bench))


def _find_missing_sources(document: JobDocument, kinds: Mapping[str, SourceKind]) -> Iterator[str]:
    mounted = {(mount.role, mount.uri) for mount in document.placement.mounts}
    for one in document.sources:
        if f"source.{one.kind}" not in document.halves and (one.role, one.uri) not in mounted:
            yield f"{one.kind} is declared yes, but no plugin fetches {one.uri}, nor does the platform mount it"
        elif kinds[one.kind].requires == "tracking" and not document.placement.tracking_uri:
            yield f"{one.kind} is declared yes, but {one.uri} needs tracking, and the document has no tracking_uri"


def _make_jobs(bench: Bench) -> Iterator[list[tuple[str, SourceKind]]]:
    """Yield jobs that together have every accepted source; the datasets that combine in both orders."""
    accepted = {role: _list_accepted_kinds(bench, role) for role in bench.workload.roles}
    datasets = accepted.pop("dataset", [])
    yield from ([("dataset", kind)] for kind in datasets)
    together = [kind for kind in datasets if not kind.roles["dataset"].exclusive]
    if bench.capabilities.feature("several_datasets") and _can_combine_all(bench, together):
        yield [("dataset", kind) for kind in together]
        yield [("dataset", kind) for kind in reversed(together)]
        repeated = [kind for kind in together if _can_repeat(bench, kind)][:1]
        between = [kind for kind in together if kind not in repeated][:1]
        yield [("dataset", kind) for kind in (*repeated, *between, *repeated)]
    if bench.workload.name == SAMPLE_WORKLOAD:
        for kinds in itertools.zip_longest(*accepted.values()):
            yield [(role, kind) for role, kind in zip(accepted, kinds, strict=True) if kind]
    else:  # a third-party workload may have rules of its own
        yield from ([(role, kind)] for role, kinds in accepted.items() for kind in kinds)


def _can_repeat(bench: Bench, kind: SourceKind) -> bool:
    return kind.roles["dataset"].repeatable and capability_checks.get_source_limit(bench.capabilities) > 1


def _list_accepted_kinds(bench: Bench, role: str) -> list[SourceKind]:
    """Return the kinds that the platform accepts in a role and whose example is of that very kind."""
    if role not in bench.workload.roles:
        return []
    accepted = bench.capabilities.list_accepted_kinds(role, bench.kinds)
    return [kind for kind in accepted if bench.example_text(kind) and bench.parse_source(role, kind).kind == kind.name]


def _can_combine_all(bench: Bench, kinds: Sequence[SourceKind]) -> bool:
    can = bench.capabilities
    return all(can.combination(one.name, other.name) for one in kinds for other in kinds)


def _find_wrong_pairs(bench: Bench) -> Iterator[str]:
    """Yield pairs of kinds that are not as declared; if all combine, another test has tried them."""
    if _can_combine_all(bench, _list_accepted_kinds(bench, "dataset")):
        return
    for first, second in itertools.combinations_with_replacement(_list_accepted_kinds(bench, "dataset"), 2):
        rules = first.roles["dataset"], second.roles["dataset"]
        if not _can_repeat(bench, first) if first is second else any(rule.exclusive for rule in rules):
            continue  # this is up to the kind or the limit, not to the pair
        support = bench.capabilities.combination(first.name, second.name)
        answer = bench.render(*(bench.source_word("dataset", kind) for kind in (first, second)))
        if answer.exit_code != (0 if support else 3) or (not support and bench.name not in answer.output):
            yield f"{first.name} with {second.name}, declared {support.level}: {answer.output}"


def _find_wrong_targets(bench: Bench) -> Iterator[str]:
    name = bench.workload.targets[0]
    flag = next(one.flag for one in get_parameters(bench.workload.parameters) if one.name == name)
    places = [kind for kind in bench.kinds.values() if kind.target or kind.platform_managed]
    for text in filter(None, map(bench.example_text, places)):
        kind = next(one for one in places if one.recognizes(text))
        support = bench.capabilities.source("publish", kind)
        answer = bench.render(f"{flag}={text}")
        what = f"to {kind.name}, declared {support.level}"
        if not support:
            if answer.exit_code != 3 or bench.name not in answer.output:
                yield f"{what}: {answer.output}"
        elif (found := bench.read_document(answer).parameters[name]) != (None if kind.platform_managed else text):
            yield f"{what}: the document has {found!r}"
