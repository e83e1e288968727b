"""`PlatformKit`, the conformance kit of platforms, with the tests of declarations: what it declares is what it does."""

import dataclasses
import functools
import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from robotrain_runtime.contract.document import Dimension
from robotrain_runtime.contract.parameter import get_parameters

from robotrain.check import capability_checks
from robotrain.model.capabilities import FEATURES, LIMITS
from robotrain.model.job import Job
from robotrain.model.pipeline import PipelineStep, SweepSpec
from robotrain.model.plan import Plan
from robotrain.model.source import SourceKind
from robotrain.plugins.discovery import Claim
from robotrain.testing.harness import compare, no_side_effects, report
from robotrain.testing.kit_base import find_declaration_problems, list_required_modules
from robotrain.testing.platform_bench import ONE_HOST, Bench, PlatformTestBase, render_elsewhere
from robotrain.testing.platform_rendering import RenderTests
from robotrain.testing.platform_runs import ObservationTests

HEAVY_MODULES = {
    *("asyncio", "multiprocessing", "sqlite3", "unittest", "http.client", "http.server", "ssl", "tkinter", "pydoc"),
    *("pydantic", "typer", "yaml", "numpy", "torch", "requests", "httpx"),
}
"""Modules that loading a platform must not import; its methods may."""
SAMPLE_PIN = "0123456789abcdef" * 2 + "01234567"


class PipelineTests(PlatformTestBase):
    """`render_pipeline`, `render_sweep` and `query_pipeline`."""

    def test_pipeline_is_one_submission(self, bench: Bench) -> Iterator[str]:
        """A pipeline is rendered with all its steps, reproducibly; it is found again, and its steps are listed."""
        if not bench.can.feature("native_dag"):
            pytest.skip(f"{bench.name} does not declare native_dag")
        job, run, parts = _render_arguments(bench)
        steps = [
            PipelineStep(name="first", job=job, hands_over=True, takes={}, **parts),
            PipelineStep(name="second", job=job, needs=("first",), takes={}, **parts),
        ]
        names = {step.name for step in steps}
        render = functools.partial(bench.platform.render_pipeline, steps, job, f"{run}-kit", {})
        yield from _submit_engine_plan(bench, "a pipeline", render, names)

    def test_sweep_is_one_submission(self, bench: Bench) -> Iterator[str]:
        """A sweep is rendered as one submission, reproducibly; it is found again, and its trials are listed."""
        if not bench.can.feature("native_sweep"):
            pytest.skip(f"{bench.name} does not declare native_sweep")
        job, run, parts = _render_arguments(bench)
        numbers = [(one, n) for one, n in job.parameters if isinstance(n, int | float) and not isinstance(n, bool)]
        if not numbers:
            pytest.skip("the job has no number to vary")
        name, value = numbers[0]
        space, trials = {name: Dimension(choices=(value, value + 1))}, ("trial-1", "trial-2")
        compared: dict[str, Any] = {"sampler": "grid", "at_most": 1, "metric": "loss", "better": "lower"}
        sweep = SweepSpec(jobs=(job,), trials=trials, space=space, **compared, **parts)
        if obstacle := bench.platform.find_sweep_obstacle(sweep):
            yield f"`find_sweep_obstacle` names one for a plain sweep: {obstacle}"
            return
        render = functools.partial(bench.platform.render_sweep, sweep, job, f"{run}-kit-sweep")
        yield from _submit_engine_plan(bench, "a sweep", render, {*trials})


def _render_arguments(bench: Bench) -> tuple[Job, str, dict[str, Any]]:
    """Render a plan; return the job, the run, and by name the other arguments that `render` was given."""
    bench.render_plan()
    job, settings, run, payload, plugins = bench.arguments
    return job, run, {"settings": settings, "payload": payload, "container_plugins": plugins}


def _submit_engine_plan(bench: Bench, what: str, render: Callable[[], Plan], names: set[str]) -> Iterator[str]:
    """Submit a plan of several runs, and yield what is wrong with it, `find`, the count, the status or the steps."""
    plan = render()
    if plan.files != render().files:
        yield f"{what} is rendered to other files the second time"
    if bench.platform.find(plan) is not None:
        yield f"`find` returned a run for {what} that was not submitted"
    reference = bench.platform.submit(plan)
    yield from bench.compare_count(plan.run, 1)
    if bench.platform.find(plan) is None:
        yield f"`find` returned None for {what} that was submitted"
    status, listed = bench.platform.query_pipeline(reference)
    unknown = sorted({step.name for step in listed} - names)
    yield from report(f"the steps of {what} are {', '.join(sorted(names))}; not", unknown)
    if status.finished:
        yield f"the status of {what} that was just submitted is final"


class PlatformKit(RenderTests, ObservationTests, PipelineTests):
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
        imported = render_elsewhere(bench, tmp_path / "elsewhere", **ONE_HOST)["imported"]
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
        clashes = [one["title"] for one in problems if one["code"] == "names-clash"]
        yield from report("rename the setting", clashes)
        help = bench.run_command("submit", "--help").stdout
        flags = [one.flag for one in get_parameters(bench.platform.settings)]
        yield from report("--help does not list", (one for one in flags if not re.search(rf"{one}(?![\w-])", help)))

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

    def test_source_support_matches_declaration(self, bench: Bench) -> Iterator[str]:
        """Each source kind in each role: a yes is rendered; anything else is rejected (exit code 3), offline."""
        for role, tried in ((role, kind) for kind in bench.kinds.values() for role in kind.roles):
            if role not in bench.workload.roles or not bench.example_text(tried):
                continue
            source = bench.parse_source(role, tried)
            support = bench.can.source(role, bench.kinds[source.kind])
            with no_side_effects():
                result = bench.render(bench.source_word(role, tried), *bench.list_kind_options(tried))
            yield from bench.compare_support(f"{source.kind} as {role}", support, result)

    def test_every_source_reaches_the_document(self, bench: Bench) -> Iterator[str]:
        """The document has each source unchanged, pinned, in order, with the plugin that fetches it or its mount."""

        def pin_sources(render: Callable[..., Plan], arguments: list[Any]) -> Plan:
            job: Job = arguments[0]
            pins = [SAMPLE_PIN if bench.kinds[one.kind].pinning else "" for one in job.sources]
            pinned = (
                dataclasses.replace(one, pin=pin, implied=one.role == "backbone")
                for one, pin in zip(job.sources, pins, strict=True)
            )
            return render(dataclasses.replace(job, sources=tuple(pinned)), *arguments[1:])

        for typed in _make_jobs(bench):
            kinds = [kind for _, kind in typed]
            words = [bench.source_word(role, kind) for role, kind in typed]
            with bench.wrap_method("render", pin_sources):
                result = bench.render(*words, *bench.list_kind_options(*kinds))
            result.require(f"{', '.join(words)} are declared yes")
            document = bench.world.read_document(bench.plans[-1])
            sources = ((role, kind, str(bench.parse_source(role, kind))) for role, kind in typed)
            expected = [
                (role, kind.name, uri, SAMPLE_PIN * bool(kind.pinning), role == "backbone")
                for role, kind, uri in sources
            ]
            found = [(one.role, one.kind, one.uri, one.pin, one.implied) for one in document.sources]
            yield from compare("the document has other sources or pins; pass on those of the job", found, expected)
            mounted = {(mount.role, mount.uri) for mount in document.placement.mounts}
            for one in document.sources:
                if f"source.{one.kind}" not in document.halves and (one.role, one.uri) not in mounted:
                    yield f"{one.kind} is declared yes, but no plugin fetches {one.uri}, nor does the platform mount it"
                elif bench.kinds[one.kind].requires == "tracking" and not document.placement.tracking_uri:
                    yield f"{one.kind} is declared yes; {one.uri} needs tracking, but the document has no tracking_uri"

    def test_kind_combinations_match_declaration(self, bench: Bench) -> Iterator[str]:
        """Datasets of any two accepted kinds are merged, or rejected (exit code 3) as declared."""
        accepted = _list_accepted_kinds(bench, "dataset")
        if "dataset" not in bench.workload.roles or not bench.workload.roles["dataset"].many:
            pytest.skip(f"{bench.workload.name} has at most one dataset")
        if _can_combine_all(bench, accepted):
            return  # another test has tried them
        for first, second in itertools.combinations_with_replacement(accepted, 2):
            rules = first.roles["dataset"], second.roles["dataset"]
            if not _can_repeat(bench, "dataset", first) if first is second else any(rule.exclusive for rule in rules):
                continue  # this is up to the kind or the limit, not to the pair
            support = bench.can.combination(first.name, second.name)
            result = bench.render(*(bench.source_word("dataset", kind) for kind in (first, second)))
            yield from bench.compare_support(f"{first.name} with {second.name}", support, result)

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
            yield from bench.compare_support(f"publishing to {kind.name}", support, result)
            if support and not result.exit_code:
                found = bench.world.read_document(bench.plans[-1]).parameters[name]
                if found != (None if kind.platform_managed else text):
                    yield f"publishing to {kind.name} is declared yes, but the document has {found!r} as {name}"


def _make_jobs(bench: Bench) -> Iterator[list[tuple[str, SourceKind]]]:
    """Yield a job for each accepted source, two of one kind in each other role of many, and one with all datasets that
    combine, the first of them twice.
    """
    accepted = {role: _list_accepted_kinds(bench, role) for role in bench.workload.roles}
    yield from ([(role, kind)] for role, kinds in accepted.items() for kind in kinds)
    for role in (role for role, rule in bench.workload.roles.items() if rule.many and role != "dataset"):
        yield from ([(role, kind)] * 2 for kind in accepted[role] if _can_repeat(bench, role, kind))
    together = [kind for kind in accepted.get("dataset", ()) if not kind.roles["dataset"].exclusive]
    if together and bench.can.feature("several_datasets") and _can_combine_all(bench, together):
        repeated = [kind for kind in together if _can_repeat(bench, "dataset", kind)][:1]
        others = [kind for kind in together if kind not in repeated]
        yield [("dataset", kind) for kind in (*repeated, *others, *repeated)]


def _can_repeat(bench: Bench, role: str, kind: SourceKind) -> bool:
    return kind.roles[role].repeatable and capability_checks.get_source_limit(bench.can) > 1


def _list_accepted_kinds(bench: Bench, role: str) -> list[SourceKind]:
    """Return the kinds that the platform accepts in a role and whose example is of that very kind."""
    accepted = bench.can.list_accepted_kinds(role, bench.kinds) if role in bench.workload.roles else []
    return [kind for kind in accepted if bench.example_text(kind) and bench.parse_source(role, kind).kind == kind.name]


def _can_combine_all(bench: Bench, kinds: Sequence[SourceKind]) -> bool:
    return all(bench.can.combination(one.name, other.name) for one in kinds for other in kinds)
