"""What a platform declares of source kinds is what it does."""

import contextlib
import dataclasses
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest
from robotrain_runtime.document import JobDocument
from robotrain_runtime.parameter import parameters_of

from robotrain import limits
from robotrain.job import Job
from robotrain.plugins import PluginError, Plugins
from robotrain.source import SourceKind
from robotrain.testing import strangers
from robotrain.testing.bench import Bench
from robotrain.testing.on_a_bench import OnABench
from robotrain.testing.still import still
from robotrain.testing.verdict import nothing_in
from robotrain.workload import Workload

PIN = "0123456789abcdef" * 2 + "01234567"
ROLES = ("dataset", "policy", "init_policy", "checkpoint", "resume")


class Cells(OnABench):
    """Source kinds by the role that they fill."""

    def parametrize(self, metafunc: pytest.Metafunc) -> None:
        """A test for each role that each installed kind can fill, and for the kit's kind in every role."""
        super().parametrize(metafunc)
        if {"role", "kind"} <= set(metafunc.fixturenames):
            found = sorted(_cells(type(self).platform))
            metafunc.parametrize(("role", "kind"), found, ids=[f"{role}-{kind}" for role, kind in found])

    def test_a_source_is_taken_as_declared(self, bench: Bench, role: str, kind: str) -> None:
        """A yes is rendered; anything else is refused (exit code 3) with the platform, the kind and the reason, before
        a network is touched.
        """
        if role not in bench.workload.roles:
            pytest.skip(f"{bench.workload.name} takes no {role}")
        if not (text := bench.text(bench.kinds[kind])):
            pytest.skip(f"the kind {kind} says no example, and the world no text for it")
        source = bench.source(role, bench.kinds[kind])
        support = bench.platform.capabilities.source(role, bench.kinds[source.kind])
        with still():
            answer = bench.render(f"{bench.kinds[kind].roles[role].flag}={text}", *bench.with_kinds(bench.kinds[kind]))
        if support:
            assert answer.exit_code == 0, answer.told
            assert (role, source.kind, str(source)) in _sources(bench.plans[-1].job)
            return
        assert answer.exit_code == 3, f"declared {support.level}, and this came of it:\n{answer.told}"
        [problem] = [one for one in answer.problems if one["code"] == "source-not-accepted"]
        assert bench.name in problem["title"]
        assert bench.kinds[source.kind].title in problem["title"]
        assert problem["why"] == support.reason

    def test_every_source_arrives(self, bench: Bench) -> None:
        """What the runtime is started with names each source that was typed, unchanged and in the order typed, with the
        half that fetches it or the folder where the platform mounts it.
        """
        for typed in _jobs(bench):
            words = [f"{kind.roles[role].flag}={bench.text(kind)}" for role, kind in typed]
            wanted = [(role, bench.source(role, kind)) for role, kind in typed]
            arrived = bench.arrived(bench.render(*words, *bench.with_kinds(*(kind for _, kind in typed))))
            assert _sources(arrived) == [(role, one.kind, str(one)) for role, one in wanted]
            nothing_in(_not_brought(arrived, bench.kinds))

    def test_what_a_source_was_pinned_to_arrives(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        """A pin says what a name meant when the job was sent: without it the run may get something else."""
        typed = next(_jobs(bench), None) or pytest.skip(f"{bench.name} takes no source that can be tried")
        _pin_everything(bench, monkeypatch)
        words = [f"{kind.roles[role].flag}={bench.text(kind)}" for role, kind in typed]
        arrived = bench.arrived(bench.render(*words))
        assert [(one.uri, one.pin) for one in arrived.sources] == [
            (one.uri, PIN) for one in bench.plans[-1].job.sources
        ]

    def test_two_kinds_go_together_as_declared(self, bench: Bench) -> None:
        """Datasets of any two kinds that the platform takes are merged, or refused (exit code 3) as declared."""
        if not getattr(bench.workload.roles.get("dataset"), "many", False):
            pytest.skip(f"{bench.workload.name} takes no several datasets")
        nothing_in(_wrong_pairs(bench))

    def test_a_place_to_publish_to_is_taken_as_declared(self, bench: Bench) -> None:
        """A yes brings the address to the runtime, or the platform itself copies there; anything else is refused."""
        if not bench.workload.targets:
            pytest.skip(f"{bench.workload.name} publishes nothing")
        nothing_in(_wrong_places(bench))


def _cells(platform: str) -> Iterator[tuple[str, str]]:
    plugins = Plugins()
    with contextlib.suppress(PluginError):  # it may be installed for its tests alone
        plugins.platform(platform)
    yield from ((role, kind.name) for kind in plugins.source_kinds().values() for role in kind.roles)
    yield from ((role, strangers.KIND) for role in ROLES)


def _sources(job: Job | JobDocument) -> list[tuple[str, str, str]]:
    return [(one.role, one.kind, one.uri) for one in job.sources]


def _not_brought(document: JobDocument, kinds: Mapping[str, SourceKind]) -> Iterator[str]:
    mounted = {(mount.role, mount.uri) for mount in document.placement.mounts}
    for one in document.sources:
        if f"source.{one.kind}" not in document.halves and (one.role, one.uri) not in mounted:
            yield f"{one.kind}, declared yes: neither a half fetches {one.uri}, nor does the platform mount it"
        elif kinds[one.kind].requires == "tracking" and not document.placement.tracking_uri:
            yield f"{one.kind}, declared yes: {one.uri} is looked up where the run is tracked, and that is nowhere"


def _jobs(bench: Bench) -> Iterator[list[tuple[str, SourceKind]]]:
    """Jobs that together have every source that the platform takes; the datasets that go together forth and back."""
    taken = {role: _taken(bench, role) for role in bench.workload.roles}
    together = [kind for kind in taken.pop("dataset", []) if not kind.roles["dataset"].alone]
    if bench.platform.capabilities.feature("several_datasets") and _all_combine(bench, together):
        yield [("dataset", kind) for kind in together]
        yield [("dataset", kind) for kind in reversed(together)]
        yield from _interleaved(bench, together)
    else:
        yield from ([("dataset", kind)] for kind in together)
    yield from ([("dataset", kind)] for kind in _taken(bench, "dataset") if kind.roles["dataset"].alone)
    if bench.workload.name != strangers.WORKLOAD:  # one of somebody's own may have rules of its own
        yield from ([(role, kind)] for role, kinds in taken.items() for kind in kinds)
    else:
        most = max(map(len, taken.values()), default=0)
        yield from ([(role, kinds[at]) for role, kinds in taken.items() if at < len(kinds)] for at in range(most))


def _interleaved(bench: Bench, kinds: Sequence[SourceKind]) -> Iterator[list[tuple[str, SourceKind]]]:
    """Two datasets of one kind, and one of another between them."""
    twice = [kind for kind in kinds if _twice(bench, kind)]
    if twice and len(kinds) > 1:
        between = next(kind for kind in kinds if kind is not twice[0])
        yield [("dataset", kind) for kind in (twice[0], between, twice[0])]


def _twice(bench: Bench, kind: SourceKind) -> bool:
    """Whether a job may name two datasets of a kind."""
    return kind.roles["dataset"].repeatable and limits.sources(bench.platform.capabilities) > 1


def _pin_everything(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on the platform is given jobs whose sources are all pinned."""
    rendering: Callable[..., Any] = type(bench.platform).render

    def render(self: Any, job: Job, *args: Any, **more: Any) -> Any:
        sources = tuple(dataclasses.replace(one, pin=PIN) for one in job.sources)
        return rendering(self, dataclasses.replace(job, sources=sources), *args, **more)

    monkeypatch.setattr(type(bench.platform), "render", render)


def _taken(bench: Bench, role: str) -> list[SourceKind]:
    """The kinds that the platform takes in a role, and that can be tried: their text is of that very kind."""
    if role not in bench.workload.roles:
        return []
    accepted = bench.platform.capabilities.accepted(role, bench.kinds)
    return [kind for kind in accepted if bench.text(kind) and bench.source(role, kind).kind == kind.name]


def _all_combine(bench: Bench, kinds: Sequence[SourceKind]) -> bool:
    can = bench.platform.capabilities
    return all(can.combination(one.name, other.name) for one in kinds for other in kinds)


def _wrong_pairs(bench: Bench) -> Iterator[str]:
    """What is not as it is declared of two datasets, by their kinds. Where all go together, one job has tried it."""
    if _all_combine(bench, _taken(bench, "dataset")):
        return
    for first, second in itertools.combinations_with_replacement(_taken(bench, "dataset"), 2):
        rules = first.roles["dataset"], second.roles["dataset"]
        if not _twice(bench, first) if first is second else any(rule.alone for rule in rules):
            continue  # that is a matter of the kind or of the limit, and not of the two
        support = bench.platform.capabilities.combination(first.name, second.name)
        answer = bench.render(*(f"{kind.roles['dataset'].flag}={bench.text(kind)}" for kind in (first, second)))
        if answer.exit_code != (0 if support else 3) or (not support and bench.name not in answer.told):
            yield f"{first.name} with {second.name}, declared {support.level}: {answer.told}"


def _wrong_places(bench: Bench) -> Iterator[str]:
    """What is not as it is declared of the kinds that are places to write to."""
    name = bench.workload.targets[0]
    places = [kind for kind in bench.kinds.values() if kind.target or kind.carried]
    for kind in places:
        if not (text := bench.text(kind)):
            continue
        kind = next(one for one in places if one.recognises(text))
        support = bench.platform.capabilities.source("publish", kind)
        answer = bench.render(f"{_flag(bench.workload, name)}={text}")
        what = f"to {kind.name}, declared {support.level}"
        if not support:
            if answer.exit_code != 3 or bench.name not in answer.told:
                yield f"{what}: {answer.told}"
        elif answer.exit_code != 0:
            yield f"{what}: {answer.told}"
        elif bench.arrived(answer).parameters[name] != (None if kind.carried else text):
            yield f"{what}: what arrives is {bench.arrived(answer).parameters[name]!r}"


def _flag(workload: Workload, name: str) -> str:
    return next(one.flag for one in parameters_of(workload.parameters) if one.name == name)
