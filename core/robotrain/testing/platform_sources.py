"""What a platform declares of source kinds is what it does."""

import contextlib
import dataclasses
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest
from robotrain_runtime.contract.document import JobDocument
from robotrain_runtime.contract.parameter import get_parameters

from robotrain.check import check
from robotrain.model.job import Job
from robotrain.model.source import SourceKind
from robotrain.model.workload import Workload
from robotrain.plugins.errors import PluginError
from robotrain.plugins.manager import Plugins
from robotrain.testing import bench as testing_bench
from robotrain.testing.bench import Bench
from robotrain.testing.harness import assert_no_problems, no_side_effects
from robotrain.testing.platform_base import PlatformTestBase

SAMPLE_PIN = "0123456789abcdef" * 2 + "01234567"
ROLES = ("dataset", "policy", "init_policy", "checkpoint", "resume")


class SourceSupportTests(PlatformTestBase):
    """Source kinds by the role that they fill."""

    def parametrize(self, metafunc: pytest.Metafunc) -> None:
        """A test for each role that each installed kind can fill, and for the kit's kind in every role."""
        super().parametrize(metafunc)
        if {"role", "kind"} <= set(metafunc.fixturenames):
            found = sorted(_list_role_kinds(type(self).platform))
            metafunc.parametrize(("role", "kind"), found, ids=[f"{role}-{kind}" for role, kind in found])

    def test_source_support_matches_declaration(self, bench: Bench, role: str, kind: str) -> None:
        """A yes is rendered; anything else is refused (exit code 3) with the platform, the kind and the reason, before
        a network is touched.
        """
        if role not in bench.workload.roles:
            pytest.skip(f"{bench.workload.name} takes no {role}")
        if not (text := bench.example_text(bench.kinds[kind])):
            pytest.skip(f"the kind {kind} says no example, and the world no text for it")
        source = bench.parse_source(role, bench.kinds[kind])
        support = bench.platform.capabilities.source(role, bench.kinds[source.kind])
        with no_side_effects():
            answer = bench.render(
                f"{bench.kinds[kind].roles[role].flag}={text}", *bench.list_kind_options(bench.kinds[kind])
            )
        if support:
            assert answer.exit_code == 0, answer.output
            assert (role, source.kind, str(source)) in _list_source_rows(bench.plans[-1].job)
            return
        assert answer.exit_code == 3, f"declared {support.level}, and this came of it:\n{answer.output}"
        [problem] = [one for one in answer.problems if one["code"] == "source-not-accepted"]
        assert bench.name in problem["title"]
        assert bench.kinds[source.kind].title in problem["title"]
        assert problem["why"] == support.reason

    def test_every_source_reaches_the_document(self, bench: Bench) -> None:
        """What the runtime is started with names each source that was typed, unchanged and in the order typed, with the
        half that fetches it or the folder where the platform mounts it.
        """
        for typed in _make_jobs(bench):
            words = [f"{kind.roles[role].flag}={bench.example_text(kind)}" for role, kind in typed]
            wanted = [(role, bench.parse_source(role, kind)) for role, kind in typed]
            arrived = bench.read_document(bench.render(*words, *bench.list_kind_options(*(kind for _, kind in typed))))
            assert _list_source_rows(arrived) == [(role, one.kind, str(one)) for role, one in wanted]
            assert_no_problems(_find_missing_sources(arrived, bench.kinds))

    def test_pins_reach_the_document(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        """A pin says what a name meant when the job was sent: without it the run may get something else."""
        typed = next(_make_jobs(bench), None) or pytest.skip(f"{bench.name} takes no source that can be tried")
        _pin_all_sources(bench, monkeypatch)
        words = [f"{kind.roles[role].flag}={bench.example_text(kind)}" for role, kind in typed]
        arrived = bench.read_document(bench.render(*words))
        assert [(one.uri, one.pin) for one in arrived.sources] == [
            (one.uri, SAMPLE_PIN) for one in bench.plans[-1].job.sources
        ]

    def test_kind_combinations_match_declaration(self, bench: Bench) -> None:
        """Datasets of any two kinds that the platform takes are merged, or refused (exit code 3) as declared."""
        if not getattr(bench.workload.roles.get("dataset"), "many", False):
            pytest.skip(f"{bench.workload.name} takes no several datasets")
        assert_no_problems(_find_wrong_pairs(bench))

    def test_publish_targets_match_declaration(self, bench: Bench) -> None:
        """A yes brings the address to the runtime, or the platform itself copies there; anything else is refused."""
        if not bench.workload.targets:
            pytest.skip(f"{bench.workload.name} publishes nothing")
        assert_no_problems(_find_wrong_targets(bench))


def _list_role_kinds(platform: str) -> Iterator[tuple[str, str]]:
    plugins = Plugins()
    with contextlib.suppress(PluginError):  # it may be installed for its tests alone
        plugins.platform(platform)
    yield from ((role, kind.name) for kind in plugins.source_kinds().values() for role in kind.roles)
    yield from ((role, testing_bench.SAMPLE_KIND) for role in ROLES)


def _list_source_rows(job: Job | JobDocument) -> list[tuple[str, str, str]]:
    return [(one.role, one.kind, one.uri) for one in job.sources]


def _find_missing_sources(document: JobDocument, kinds: Mapping[str, SourceKind]) -> Iterator[str]:
    mounted = {(mount.role, mount.uri) for mount in document.placement.mounts}
    for one in document.sources:
        if f"source.{one.kind}" not in document.halves and (one.role, one.uri) not in mounted:
            yield f"{one.kind}, declared yes: neither a half fetches {one.uri}, nor does the platform mount it"
        elif kinds[one.kind].requires == "tracking" and not document.placement.tracking_uri:
            yield f"{one.kind}, declared yes: {one.uri} is looked up where the run is tracked, and that is nowhere"


def _make_jobs(bench: Bench) -> Iterator[list[tuple[str, SourceKind]]]:
    """Jobs that together have every source that the platform takes; the datasets that go together forth and back."""
    taken = {role: _list_accepted_kinds(bench, role) for role in bench.workload.roles}
    together = [kind for kind in taken.pop("dataset", []) if not kind.roles["dataset"].exclusive]
    if bench.platform.capabilities.feature("several_datasets") and _can_combine_all(bench, together):
        yield [("dataset", kind) for kind in together]
        yield [("dataset", kind) for kind in reversed(together)]
        yield from _make_interleaved_jobs(bench, together)
    else:
        yield from ([("dataset", kind)] for kind in together)
    yield from (
        [("dataset", kind)] for kind in _list_accepted_kinds(bench, "dataset") if kind.roles["dataset"].exclusive
    )
    if bench.workload.name != testing_bench.SAMPLE_WORKLOAD:  # one of somebody's own may have rules of its own
        yield from ([(role, kind)] for role, kinds in taken.items() for kind in kinds)
    else:
        most = max(map(len, taken.values()), default=0)
        yield from ([(role, kinds[at]) for role, kinds in taken.items() if at < len(kinds)] for at in range(most))


def _make_interleaved_jobs(bench: Bench, kinds: Sequence[SourceKind]) -> Iterator[list[tuple[str, SourceKind]]]:
    """Two datasets of one kind, and one of another between them."""
    twice = [kind for kind in kinds if _can_repeat(bench, kind)]
    if twice and len(kinds) > 1:
        between = next(kind for kind in kinds if kind is not twice[0])
        yield [("dataset", kind) for kind in (twice[0], between, twice[0])]


def _can_repeat(bench: Bench, kind: SourceKind) -> bool:
    """Whether a job may name two datasets of a kind."""
    return kind.roles["dataset"].repeatable and check.get_source_limit(bench.platform.capabilities) > 1


def _pin_all_sources(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on the platform is given jobs whose sources are all pinned."""
    rendering: Callable[..., Any] = type(bench.platform).render

    def render(self: Any, job: Job, *args: Any, **more: Any) -> Any:
        sources = tuple(dataclasses.replace(one, pin=SAMPLE_PIN) for one in job.sources)
        return rendering(self, dataclasses.replace(job, sources=sources), *args, **more)

    monkeypatch.setattr(type(bench.platform), "render", render)


def _list_accepted_kinds(bench: Bench, role: str) -> list[SourceKind]:
    """The kinds that the platform takes in a role, and that can be tried: their text is of that very kind."""
    if role not in bench.workload.roles:
        return []
    accepted = bench.platform.capabilities.list_accepted_kinds(role, bench.kinds)
    return [kind for kind in accepted if bench.example_text(kind) and bench.parse_source(role, kind).kind == kind.name]


def _can_combine_all(bench: Bench, kinds: Sequence[SourceKind]) -> bool:
    can = bench.platform.capabilities
    return all(can.combination(one.name, other.name) for one in kinds for other in kinds)


def _find_wrong_pairs(bench: Bench) -> Iterator[str]:
    """What is not as it is declared of two datasets, by their kinds. Where all go together, one job has tried it."""
    if _can_combine_all(bench, _list_accepted_kinds(bench, "dataset")):
        return
    for first, second in itertools.combinations_with_replacement(_list_accepted_kinds(bench, "dataset"), 2):
        rules = first.roles["dataset"], second.roles["dataset"]
        if not _can_repeat(bench, first) if first is second else any(rule.exclusive for rule in rules):
            continue  # that is a matter of the kind or of the limit, and not of the two
        support = bench.platform.capabilities.combination(first.name, second.name)
        answer = bench.render(*(f"{kind.roles['dataset'].flag}={bench.example_text(kind)}" for kind in (first, second)))
        if answer.exit_code != (0 if support else 3) or (not support and bench.name not in answer.output):
            yield f"{first.name} with {second.name}, declared {support.level}: {answer.output}"


def _find_wrong_targets(bench: Bench) -> Iterator[str]:
    """What is not as it is declared of the kinds that are places to write to."""
    name = bench.workload.targets[0]
    places = [kind for kind in bench.kinds.values() if kind.target or kind.platform_managed]
    for kind in places:
        if not (text := bench.example_text(kind)):
            continue
        kind = next(one for one in places if one.recognizes(text))
        support = bench.platform.capabilities.source("publish", kind)
        answer = bench.render(f"{_parameter_flag(bench.workload, name)}={text}")
        what = f"to {kind.name}, declared {support.level}"
        if not support:
            if answer.exit_code != 3 or bench.name not in answer.output:
                yield f"{what}: {answer.output}"
        elif answer.exit_code != 0:
            yield f"{what}: {answer.output}"
        elif bench.read_document(answer).parameters[name] != (None if kind.platform_managed else text):
            yield f"{what}: what arrives is {bench.read_document(answer).parameters[name]!r}"


def _parameter_flag(workload: Workload, name: str) -> str:
    return next(one.flag for one in get_parameters(workload.parameters) if one.name == name)
